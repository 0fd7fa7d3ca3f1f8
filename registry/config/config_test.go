package config

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

var update = flag.Bool("update", false, "write what is got to testdata")

// TestBad compares every problem of a bad file with the .txt file beside it.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(filepath.Base(file), data)
			var problems yamlat.Problems
			if !errors.As(err, &problems) || c != nil {
				t.Fatalf("got %v, %T, want no Config and problems", c, err)
			}
			got := problems.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// design is the example of DESIGN.md, section 6.
const design = `clusters:
  - name: mail
    nodes:
      ex1: {public: [192.0.2.11], management: [10.9.0.11], site: hq}
      ex2: {public: [198.51.100.12], management: [10.9.0.12], site: dr}
    roles:
      - name: mailbox
        dns: [mail.corp.example.]
        netbios: [MAIL]            # suffixes 00, 03 and 20 unless written: MAIL<20>
        mode: single
        ttl: 5s
        source: {file: /var/lib/nameward/mailbox.role}
        on_conflict: hold
        on_source_lost: hold
`

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("etc/nameward.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDesign(t *testing.T) {
	c := parse(t, design)
	if len(c.World.Nodes) != 2 || len(c.World.Roles) != 1 {
		t.Fatalf("got %d nodes and %d roles", len(c.World.Nodes), len(c.World.Roles))
	}
	wantNode := &registry.Node{
		Name: "ex1", Cluster: "mail", Site: "hq",
		Public: []netip.Addr{netip.MustParseAddr("192.0.2.11")},
		Other:  []registry.ClassAddr{{Class: "management", Addr: netip.MustParseAddr("10.9.0.11")}},
	}
	if diff := cmp.Diff(wantNode, c.World.Nodes[0], cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("node: -want +got:\n%s", diff)
	}
	r := c.World.Roles[0]
	if got := describe(r); got != "mailbox mail single [mail.corp.example.] [MAIL<00> MAIL<03> MAIL<20>] [ex1 ex2] file /var/lib/nameward/mailbox.role 5s 0s 0s hold hold" {
		t.Errorf("role: %s", got)
	}
	want := SourceSpec{Kind: SourceFile, Files: []string{"/var/lib/nameward/mailbox.role"}}
	if diff := cmp.Diff(map[string]SourceSpec{"mailbox": want}, c.Sources); diff != "" {
		t.Errorf("sources: -want +got:\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	c := parse(t, "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}}]\nzones: [{name: Corp.Example, ns: {ns.corp.example: [192.0.2.53]}}]\n")
	wantZone := registry.Zone{
		Name: "corp.example.", Mbox: "hostmaster.corp.example.",
		NS:  []registry.NameServer{{Name: "ns.corp.example.", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.53")}}},
		TTL: time.Hour, Negative: 5 * time.Second, Refresh: time.Minute, Retry: 10 * time.Second, Expire: 168 * time.Hour,
	}
	addr := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(wantZone, *c.World.Zones[0], addr); diff != "" {
		t.Errorf("zone: -want +got:\n%s", diff)
	}
	if c.NetBIOS.Name == "" || len(c.NetBIOS.Name) > 15 {
		t.Errorf("own NetBIOS name %q", c.NetBIOS.Name)
	}
	c.NetBIOS.Name, c.World = "", nil
	want := &Config{
		Sources: map[string]SourceSpec{},
		NetBIOS: NetBIOS{NodeStatus: NodeStatus{Others: "short"}},
		Control: Control{"/run/nameward/control.sock"},
		Updates: Updates{Limits: UpdateLimits{Records: 1_000_000, Queue: 8192, Gated: 1024}},
		Store:   Store{Bolt: "/var/lib/nameward/nameward.db", Zones: "/var/lib/nameward/zones.db", Updates: "/var/lib/nameward/updates.db", Push: "/var/lib/nameward/push.db"},
		Log:     Log{"info", "json"},
		Answers: Answers{Signed: SignedStrip},
	}
	if diff := cmp.Diff(want, c, addr, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReplication(t *testing.T) {
	c := parse(t, `clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}}]
netbios:
  listen: [{address: "0.0.0.0:137"}]
  wins: {mode: own}
  wrepl:
    address: 192.0.2.53
    partners:
      - {address: 192.0.2.44}
      - {address: "192.0.2.45:4242", name: dr, push: true, persistent: false, propagate: true, pull: off, check: off}
      - {address: 192.0.2.46, pull: 2h, check: 5s}
`)
	got := fmt.Sprintf("%+v", c.NetBIOS.Replication)
	want := "{Address:192.0.2.53 Listen:192.0.2.53:42 Partners:[" +
		"{Name:192.0.2.44 Address:192.0.2.44:42 Push:true Persistent:true Propagate:false Pull:30m0s Check:1m0s} " +
		"{Name:dr Address:192.0.2.45:4242 Push:true Persistent:false Propagate:true Pull:0s Check:0s} " +
		"{Name:192.0.2.46 Address:192.0.2.46:42 Push:true Persistent:true Propagate:false Pull:2h0m0s Check:5s}]}"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// describe is a role in one line.
func describe(r *registry.Role) string {
	var nb, nodes []string
	for _, n := range r.NetBIOS {
		nb = append(nb, n.String())
	}
	for _, n := range r.Nodes {
		nodes = append(nodes, n.Name)
	}
	join := func(s []string) string { return "[" + strings.Join(s, " ") + "]" }
	source := r.Source.String()
	if r.Source.Initial != "" {
		source += " (" + r.Source.Initial + ")"
	}
	return strings.Join([]string{
		r.Name, r.Cluster, r.Mode.String(), join(r.DNS), join(nb), join(nodes), source,
		r.TTL.String(), r.TTLChanging.String(), r.Changing.String(), r.OnConflict.String(), r.OnSourceLost.String(),
	}, " ")
}

func TestNotify(t *testing.T) {
	const zone = "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}}]\nzones: [{name: corp.example, ns: {ns.example.com: []}, notify: %s}]\n"
	for _, tt := range []struct{ text, want string }{
		{"[]", "[]"},
		{"[192.0.2.54]", "[192.0.2.54:53]"},
		{`["192.0.2.55:5353", 192.0.2.55, "2001:db8::54", "[2001:db8::54]:5353", "127.0.0.1:10053"]`,
			"[192.0.2.55:5353 192.0.2.55:53 [2001:db8::54]:53 [2001:db8::54]:5353 127.0.0.1:10053]"},
	} {
		if got := fmt.Sprint(parse(t, fmt.Sprintf(zone, tt.text)).World.Zones[0].Notify); got != tt.want {
			t.Errorf("notify %s: got %s, want %s", tt.text, got, tt.want)
		}
	}
}

func TestWINS(t *testing.T) {
	def := WINS{
		Mode: ModeOwn, Database: filepath.FromSlash("/var/lib/nameward/wins.db"), MinTTL: 40 * time.Minute, MaxTTL: 6 * day,
		ExtinctionInterval: 4 * day, ExtinctionTimeout: 6 * day,
		Limits: WINSLimits{Records: 1_000_000, PerAddress: 2000, Challenges: 1024, Queue: 8192},
	}
	with := func(f func(w *WINS)) WINS { w := def; f(&w); return w }
	for _, tt := range []struct {
		text, store string
		want        WINS
	}{
		{"{mode: own}", "", def},
		{"{mode: forward}", "", with(func(w *WINS) { w.Mode = ModeForward })},
		{"{mode: both, dns_suffix: Corp.Example}", "", with(func(w *WINS) { w.Mode, w.DNSSuffix = ModeBoth, "corp.example." })},
		{"{mode: own}", "run/nameward.db", with(func(w *WINS) { w.Database = filepath.FromSlash("etc/run/wins.db") })},
		{"{mode: own, database: other.db}", "run/nameward.db", with(func(w *WINS) { w.Database = filepath.FromSlash("etc/other.db") })},
		{"{mode: own, min_ttl: 1d12h, max_ttl: 10d, extinction_interval: 1h, extinction_timeout: 1m}", "", with(func(w *WINS) {
			w.MinTTL, w.MaxTTL, w.ExtinctionInterval, w.ExtinctionTimeout = 36*time.Hour, 10*day, time.Hour, time.Minute
		})},
		{"{mode: own, min_ttl: 7d}", "", with(func(w *WINS) { w.MinTTL, w.MaxTTL = 7*day, 7*day })},
		{"{mode: own, max_ttl: 30m}", "", with(func(w *WINS) { w.MinTTL, w.MaxTTL = 30*time.Minute, 30*time.Minute })},
		{"{mode: own, limits: {records: 100}}", "", with(func(w *WINS) { w.Limits.Records, w.Limits.PerAddress = 100, 100 })},
		{"{mode: own, limits: {per_address: 25, challenges: 1, queue: 2}}", "", with(func(w *WINS) {
			w.Limits.PerAddress, w.Limits.Challenges, w.Limits.Queue = 25, 1, 2
		})},
	} {
		t.Run(tt.text+tt.store, func(t *testing.T) {
			text := "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}}]\n" +
				`netbios: {listen: [{address: "0.0.0.0:137"}], forward: [10.1.1.5], wins: ` + tt.text + "}\n"
			if tt.store != "" {
				text += "store: {bolt: " + tt.store + "}\n"
			}
			if got := parse(t, text).NetBIOS.WINS; got != tt.want {
				t.Errorf("-want +got:\n%s", cmp.Diff(tt.want, got))
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	for text, want := range map[string]Answers{
		"":                              {Signed: SignedStrip},
		"answers: {signed: servfail}\n": {Signed: SignedServfail},
		"answers: {rebinding: {private_zones: []}}\n":          {Signed: SignedStrip, Rebinding: Rebinding{On: true}},
		"answers: {rebinding: {private_zones: [Lan., a.b]}}\n": {Signed: SignedStrip, Rebinding: Rebinding{On: true, PrivateZones: []string{"lan.", "a.b."}}},
	} {
		c := parse(t, "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}}]\n"+text)
		if diff := cmp.Diff(want, c.Answers); diff != "" {
			t.Errorf("%s: -want +got:\n%s", text, diff)
		}
	}
}

func TestPolicyPath(t *testing.T) {
	abs := filepath.Join(t.TempDir(), "policy.yaml")
	for written, want := range map[string]string{"policy.yaml": "etc/policy.yaml", "../policy/a.yaml": "policy/a.yaml", abs: abs} {
		if got := parse(t, design+"policy: "+written+"\n").Policy; got != filepath.FromSlash(want) {
			t.Errorf("policy %s: got %s, want %s", written, got, want)
		}
	}
	if got := parse(t, design).Policy; got != "" {
		t.Errorf("no policy: got %s", got)
	}
}

func TestRoles(t *testing.T) {
	const nodes = "nodes: {a: {public: [192.0.2.1], check: [10.9.0.1]}, b: {public: [192.0.2.2, 192.0.2.1], check: [10.9.0.2]}, c: {public: [\"2001:db8::1\"]}}"
	for _, tt := range []struct {
		name, defaults, role string
		want                 string
	}{
		{
			"defaults of all", "{}", "dns: [R.example.com]",
			"r k single [r.example.com.] [] [a b c] operator 5s 0s 0s hold hold",
		}, {
			"defaults of the cluster", "{mode: all, ttl: 10s, ttl_changing: 2s, changing: 1m, on_conflict: withdraw, on_source_lost: withdraw, nodes: [b, a], source: {file: x}}",
			"netbios: [r]", "r k all [] [R<00> R<03> R<20>] [b a] file etc/x 10s 2s 1m0s withdraw withdraw",
		}, {
			"own before defaults", "{mode: all, ttl: 10s, source: {file: x}, on_conflict: withdraw}",
			"dns: [r.example.com], mode: single, ttl: 1h, ttl_changing: 1s, nodes: [c], source: {operator: {initial: c}}, on_conflict: answer-all",
			"r k single [r.example.com.] [] [c] operator (c) 1h0m0s 1s 30s answer-all hold",
		}, {
			"suffix and scope", "{}", `nodes: [a], netbios: ["mail<1b>", "MAIL<20>.Scope.example", MAIL]`,
			"r k single [] [MAIL<1b> MAIL<20>.SCOPE.EXAMPLE MAIL<00> MAIL<03> MAIL<20>] [a] operator 5s 0s 0s hold hold",
		}, {
			"files", "{}", "dns: [r.example.com], source: {file: [/a, b/../c]}",
			"r k single [r.example.com.] [] [a b c] file /a, etc/c 5s 0s 0s hold hold",
		}, {
			"probe", "{}", "dns: [r.example.com], nodes: [a, b], source: {probe: {tcp: 25, on: check}}",
			"r k single [r.example.com.] [] [a b] probe tcp 25 on check 5s 0s 0s hold hold",
		}, {
			"http", "{}", `dns: [r.example.com], source: {probe: {http: "https:///x?y=1", insecure_tls: true}}`,
			"r k single [r.example.com.] [] [a b c] probe https :443/x?y=1 5s 0s 0s hold hold",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := parse(t, "clusters: [{name: k, "+nodes+", defaults: "+tt.defaults+", roles: [{name: r, "+tt.role+"}]}]\n")
			if got := describe(c.World.Roles[0]); got != filepath.FromSlash(tt.want) {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestProbes(t *testing.T) {
	def := Probe{Class: "public", Interval: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 2}
	with := func(f func(p *Probe)) Probe { p := def; f(&p); return p }
	for _, tt := range []struct {
		text string
		want Probe
		url  string
	}{
		{"tcp: 25", with(func(p *Probe) { p.Kind, p.Port = ProbeTCP, 25 }), ""},
		{"smtp: 25, interval: 500ms", with(func(p *Probe) {
			p.Kind, p.Port, p.Interval, p.Timeout = ProbeSMTP, 25, 500*time.Millisecond, 500*time.Millisecond
		}), ""},
		{`http: "http://:8080/health"`, with(func(p *Probe) {
			p.Kind, p.Port, p.HTTP = ProbeHTTP, 8080, HTTPProbe{Scheme: "http", Path: "/health", Status: []int{200}}
		}), "http://[2001:db8::1]:8080/health"},
		{`http: "https://", status: [200, 204], body: ok, host: "www.example:8443", insecure_tls: true, timeout: 2s, rise: 1, fall: 100`, with(func(p *Probe) {
			p.Kind, p.Port, p.Timeout, p.Rise, p.Fall = ProbeHTTP, 443, 2*time.Second, 1, 100
			p.HTTP = HTTPProbe{Scheme: "https", Path: "/", Status: []int{200, 204}, Body: "ok", Host: "www.example:8443", InsecureTLS: true}
		}), "https://[2001:db8::1]:443/"},
	} {
		t.Run(tt.text, func(t *testing.T) {
			c := parse(t, "clusters: [{name: k, nodes: {a: {public: [192.0.2.1]}}, roles: [{name: r, dns: [r.example.com], source: {probe: {"+tt.text+"}}}]}]\n")
			got := c.Sources["r"].Probe
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if tt.url != "" && got.URL(netip.MustParseAddr("2001:db8::1")) != tt.url {
				t.Errorf("URL %s, want %s", got.URL(netip.MustParseAddr("2001:db8::1")), tt.url)
			}
		})
	}
}

// TestAllowed has what looks like a conflict and is none.
func TestAllowed(t *testing.T) {
	for name, text := range map[string]string{
		"shared public address":    "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}, b: {public: [192.0.2.1]}}, roles: [{name: r, dns: [r.example.com]}]}]",
		"name at a zone apex":      "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}, roles: [{name: r, dns: [corp.example.]}]}]\nzones: [{name: corp.example., ns: {ns.example.com: []}}]",
		"name server is a node":    "clusters: [{name: c, nodes: {a: {public: [192.0.2.1], host: ns.corp.example.}}}]\nzones: [{name: corp.example., ns: {ns.corp.example.: [192.0.2.1]}}]",
		"node without roles":       "clusters: [{name: c, nodes: {a: {management: [10.9.0.1]}}}]",
		"node that no role serves": "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}, w: {management: [10.9.0.1]}}, roles: [{name: r, dns: [r.example.com], nodes: [a]}]}]",
		"alias":                    "clusters: [{name: c, nodes: {a: {public: &p [192.0.2.1]}, b: {public: *p}}}]",
		"JSON":                     `{"version": 1, "clusters": [{"name": "c", "nodes": {"a": {"public": ["192.0.2.1"]}}}]}`,
		"other suffix":             `clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}, roles: [{name: r, netbios: ["M<20>"]}, {name: s, netbios: ["M<00>", "M<20>.x"]}]}]`,
	} {
		t.Run(name, func(t *testing.T) { parse(t, text) })
	}
}

func TestLoad(t *testing.T) {
	var problems yamlat.Problems
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, fs.ErrNotExist) || errors.As(err, &problems) {
		t.Errorf("no file: got %v", err)
	}
	path := filepath.Join(t.TempDir(), "nameward.yaml")
	if err := os.WriteFile(path, []byte(design), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Error(err)
	}
}

func TestHostLabel(t *testing.T) {
	for host, want := range map[string]string{
		"guard1.corp.example": "GUARD1", "a-very-long-host-name": "A-VERY-LONG-HOS", "": "NAMEWARD", "b\u00e4r": "NAMEWARD",
	} {
		if got := hostLabel(host, nil); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
	if got := hostLabel("x", errors.New("no name")); got != "NAMEWARD" {
		t.Errorf("error: got %q", got)
	}
}

// FuzzParse looks for a panic, a problem without a place and a Config beside an error.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(design))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("x.yaml", data)
		var problems yamlat.Problems
		if (c == nil) == (err == nil) || err != nil && !errors.As(err, &problems) {
			t.Fatalf("got %v and %v", c, err)
		}
		for _, p := range problems {
			if p.Line < 1 || p.Col < 1 || p.Text == "" || p.File != "x.yaml" {
				t.Errorf("problem %+v", p)
			}
		}
	})
}

func TestSecondaries(t *testing.T) {
	c := parse(t, `clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}}]
zones:
  - {name: corp.example, ns: {ns.example.com: []}, notify: [192.0.2.55, &dr {address: "192.0.2.54:5353", key: keys/dr.key, name: dr}]}
  - {name: other.example, ns: {ns.example.com: []}, notify: [*dr, 192.0.2.55, {address: "2001:db8::54"}]}
`)
	var got []string
	for _, s := range c.Push.Secondaries {
		got = append(got, fmt.Sprint(s.Name, " ", s.Addr, " ", filepath.ToSlash(s.Key), " ", s.KeyAt))
	}
	want := []string{"192.0.2.55:53 192.0.2.55:53  0:0", "dr 192.0.2.54:5353 etc/keys/dr.key 3:111", "[2001:db8::54]:53 [2001:db8::54]:53  0:0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := fmt.Sprint(c.World.Zones[1].Notify); got != "[192.0.2.54:5353 192.0.2.55:53 [2001:db8::54]:53]" {
		t.Error(got)
	}
}
