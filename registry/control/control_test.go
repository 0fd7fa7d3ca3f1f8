package control

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
)

// lab is a control server on a real socket in front of a registry that forgets.
type lab struct {
	reg    *registry.Registry
	store  *registry.Memory
	client *Client
	path   string
	config ConfigStatus
	reload error
}

func newLab(t *testing.T) *lab {
	t.Helper()
	return newLabWith(t, nil)
}

// newLabWith makes a lab with a name server.
func newLabWith(t *testing.T, names Names) *lab {
	t.Helper()
	l := &lab{store: &registry.Memory{}, path: filepath.Join(t.TempDir(), "run", "c.sock")}
	var err error
	if l.reg, err = registry.Open(testWorld(), l.store, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.config = ConfigStatus{File: "/etc/nameward/nameward.yaml"}
	srv := &Server{
		Registry: l.reg, Version: "test", Config: func() ConfigStatus { return l.config },
		Reload: func(context.Context) error { return l.reload }, StorePath: "memory",
		Checks: func() []Check { return []Check{{Role: "relay", Node: "r1", Verdict: "down"}} },
		Policy: func() PolicyStatus { return testPolicy },
		Zones:  func() []Zone { return []Zone{{"corp.example.", 7, 300}} },
		Listen: func() Listen { return Listen{DNS: []string{"127.0.0.1:53"}} }, Names: names,
	}
	done := make(chan error, 2)
	go func() { done <- l.reg.Run(ctx) }()
	go func() { done <- srv.Serve(ctx, l.path) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if _, err := os.Lstat(l.path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
	})
	l.client = NewClient(l.path)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err = l.client.Status(ctx); err == nil {
			return l
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func testWorld() *registry.World {
	a := netip.MustParseAddr
	node := func(name, site, public, management string) *registry.Node {
		return &registry.Node{
			Name: name, Cluster: "mail", Site: site, Host: name + ".corp.example.", Public: []netip.Addr{a(public)},
			Other: []registry.ClassAddr{{Class: "management", Addr: a(management)}},
		}
	}
	nodes := []*registry.Node{node("ex1", "hq", "192.0.2.11", "10.9.0.11"), node("ex2", "dr", "198.51.100.12", "10.9.0.12")}
	operator := registry.Source{Kind: registry.SourceOperator, Initial: "ex1"}
	return &registry.World{
		Nodes: nodes,
		Roles: []*registry.Role{
			{
				Name: "mailbox", Cluster: "mail", DNS: []string{"mail.corp.example."}, NetBIOS: []netbios.Name{netbios.MustParseName("MAIL<20>")},
				Nodes: nodes, Source: operator, TTL: 5 * time.Second,
			},
			{Name: "overlay", Cluster: "mail", DNS: []string{"www.other.example."}, Nodes: nodes, Source: registry.Source{Kind: registry.SourceOperator}, TTL: time.Second},
			{
				Name: "relay", Cluster: "mail", Mode: registry.All, DNS: []string{"relay.corp.example."}, Nodes: nodes,
				Source: registry.Source{Kind: "probe", Detail: "smtp 25"}, TTL: 5 * time.Second,
			},
		},
		Zones: []*registry.Zone{{
			Name: "corp.example.", NS: []registry.NameServer{{Name: "ns1.corp.example.", Addrs: []netip.Addr{a("192.0.2.53")}}},
			Mbox: "hostmaster.corp.example.",
		}},
		Classes: []registry.Class{{Name: "management", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}},
	}
}

func TestSocketIsItsOwners(t *testing.T) {
	l := newLab(t)
	info, err := os.Stat(l.path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %o, want 600", got)
	}
}

func TestSocketInTheWay(t *testing.T) {
	l := newLab(t)
	if _, err := listen(l.path); err == nil || !strings.Contains(err.Error(), "another nameward is running there") {
		t.Errorf("a living socket: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listen(file); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: %v", err)
	}
	if content, err := os.ReadFile(file); string(content) != "precious" {
		t.Errorf("the file is gone: %q %v", content, err)
	}
}

func TestSocketOfAKilledProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	dead, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	dead.Close() // leaves the file, as a kill does
	ln, err := listen(path)
	if err != nil {
		t.Fatalf("a socket that nobody answers on is in the way: %v", err)
	}
	ln.Close()
}

func TestStatus(t *testing.T) {
	l := newLab(t)
	st, err := l.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := st.Roles[0]
	got.Since = time.Time{}
	want := Role{
		Role: "mailbox", Cluster: "mail", Nodes: []string{"ex1", "ex2"}, Mode: "single", State: "fresh", Holder: []string{"ex1"}, Epoch: 1, Source: "operator",
		Origin: "initial holder of the configuration", Served: []string{"ex1"}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.11")},
		TTL: 5, OwnTTL: 5, DNS: []string{"mail.corp.example."}, NetBIOS: []string{"MAIL<20>"},
	}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Error(d)
	}
	if len(st.Nodes) != 2 || len(st.Zones) != 1 || len(st.Checks) != 1 || st.Listen.DNS[0] != "127.0.0.1:53" || st.Store.Path != "memory" {
		t.Errorf("status lacks something: %+v", st)
	}
}

func TestVerbs(t *testing.T) {
	l := newLab(t)
	ctx := t.Context()
	m, err := l.client.Switch(ctx, registry.SwitchRequest{Roles: []string{"mailbox"}, To: "ex2", By: "me"})
	if err != nil || m.Moves[0].Epoch != 2 || m.Change == 0 {
		t.Fatalf("switch: %+v %v", m, err)
	}
	if _, err := l.client.SetOverride(ctx, OverrideRequest{Role: "mailbox", Nodes: []string{"ex1"}, By: "me", Reason: "because"}); err != nil {
		t.Fatal(err)
	}
	st, err := l.client.Status(ctx)
	if err != nil || st.Roles[0].State != "forced" || st.Roles[0].Forced.Reason != "because" {
		t.Errorf("override: %+v %v", st.Roles[0], err)
	}
	if _, err := l.client.ClearOverride(ctx, OverrideRequest{Role: "mailbox"}); err != nil {
		t.Error(err)
	}
	if _, err := l.client.Drain(ctx, DrainRequest{Node: "ex1", Reason: "patching"}); err != nil {
		t.Error(err)
	}
	if st, err = l.client.Status(ctx); err != nil || st.Drained["ex1"].Reason != "patching" {
		t.Errorf("drain: %+v %v", st.Drained, err)
	}
	if _, err := l.client.Undrain(ctx, DrainRequest{Node: "ex1"}); err != nil {
		t.Error(err)
	}
	lower := registry.LowerRequest{Roles: []string{"mailbox"}, TTL: 1, For: 60, Owner: "plan 7", By: "me"}
	if ttls, err := l.client.LowerTTL(ctx, lower); err != nil || ttls.Roles[0].After != 1 {
		t.Errorf("lower: %+v %v", ttls, err)
	}
	if st, err = l.client.Status(ctx); err != nil || st.Roles[0].TTL != 1 || st.Roles[0].OwnTTL != 5 || st.Roles[0].Lowered.Owner != "plan 7" {
		t.Errorf("lowered: %+v %v", st.Roles[0], err)
	}
	if e, err := l.client.Explain(ctx, "MAIL"); err != nil || !strings.Contains(e.Steps[len(e.Steps)-1], "TTL 1 s (lowered by plan 7 until ") ||
		!strings.HasSuffix(e.Steps[len(e.Steps)-1], "; the role's own is 5s)") {
		t.Errorf("explained: %q %v", e.Steps, err)
	}
	if ttls, err := l.client.RaiseTTL(ctx, registry.RaiseRequest{Roles: lower.Roles, Owner: "plan 7"}); err != nil || ttls.Roles[0].After != 5 {
		t.Errorf("raise: %+v %v", ttls, err)
	}
	if c, err := l.client.Reload(ctx); err != nil || c.File != l.config.File {
		t.Errorf("reload: %+v %v", c, err)
	}
}

// testPolicy is a policy whose file has become bad.
var testPolicy = PolicyStatus{File: "/etc/nameward/policy.yaml", Rules: 3, Error: "policy.yaml:1:1: bad", Rejected: time.Unix(1, 0).UTC()}

func TestPolicyStatus(t *testing.T) {
	l := newLab(t)
	st, err := l.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(testPolicy, st.Policy); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	seen := errors.New("seen")
	err = l.client.Watch(t.Context(), func(ev Event) error {
		if ev.Policy != testPolicy.Error {
			t.Errorf("the event has %q", ev.Policy)
		}
		return seen
	})
	if !errors.Is(err, seen) {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	l := newLab(t)
	l.reload = errors.New("nameward.yaml:1:1: bad")
	ctx := t.Context()
	for name, do := range map[string]func() error{
		"unknown role": func() error {
			_, err := l.client.Switch(ctx, registry.SwitchRequest{Roles: []string{"no"}, To: "ex2"})
			return err
		},
		"unknown node":  func() error { _, err := l.client.Drain(ctx, DrainRequest{Node: "no"}); return err },
		"not forced":    func() error { _, err := l.client.ClearOverride(ctx, OverrideRequest{Role: "mailbox"}); return err },
		"bad file":      func() error { _, err := l.client.Reload(ctx); return err },
		"no name":       func() error { _, err := l.client.Explain(ctx, ""); return err },
		"unknown field": func() error { return l.client.Call(ctx, "POST", "/v1/switch", map[string]string{"rolls": "x"}, nil) },
	} {
		var refused *RefusedError
		if err := do(); !errors.As(err, &refused) || refused.Text == "" {
			t.Errorf("%s: %v, want a refusal with words", name, err)
		}
	}
	before := l.reg.Snapshot().Change
	l.store.Err = errors.New("disk full")
	_, err := l.client.Switch(ctx, registry.SwitchRequest{Roles: []string{"mailbox"}, To: "ex2"})
	if err == nil || !strings.Contains(err.Error(), "nothing was changed, the state cannot be saved: disk full") {
		t.Errorf("store failing: %v", err)
	}
	if st, err := l.client.Status(ctx); err != nil || st.Store.Error != "disk full" || st.Roles[0].Holder[0] != "ex1" || st.Change != before {
		t.Errorf("after a refused switch: %+v %v", st.Roles[0], err)
	}
}

// TestStopping: that a nameward ends is no answer to what was asked.
func TestStopping(t *testing.T) {
	reg, err := registry.Open(testWorld(), &registry.Memory{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := reg.Run(ctx); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "c.sock")
	ln, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: (&Server{Registry: reg}).Handler()}
	go func() { _ = srv.Serve(ln) }()
	defer srv.Close()
	_, err = NewClient(path).Switch(t.Context(), registry.SwitchRequest{All: true, To: "ex2"})
	var refused *RefusedError
	if !errors.As(err, &refused) || !refused.Stopping || refused.Text != registry.ErrStopped.Error() {
		t.Errorf("got %#v", err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.sock")
	_, err := NewClient(path).Status(t.Context())
	var refused *RefusedError
	if err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), "no nameward answers at "+path) {
		t.Errorf("got %v", err)
	}
}

func TestWatch(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var events []Event
	enough := errors.New("enough")
	err := l.client.Watch(ctx, func(ev Event) error {
		events = append(events, ev)
		if len(events) == 2 {
			return enough
		}
		_, err := l.client.Switch(ctx, registry.SwitchRequest{Roles: []string{"mailbox"}, To: "ex2"})
		return err
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	if len(events[0].Roles) != 3 {
		t.Errorf("the first event has %d roles, want all 3", len(events[0].Roles))
	}
	if ev := events[1]; len(ev.Roles) != 1 || ev.Roles[0].Holder[0] != "ex2" || ev.Change <= events[0].Change {
		t.Errorf("the second event is %+v", ev)
	}
}

func TestExplain(t *testing.T) {
	l := newLab(t)
	for name, want := range map[string]struct {
		words  []string
		answer string
	}{
		"mail.corp.example":          {[]string{"DNS name of role mailbox", "owned zone corp.example.", "ex1 claimed it with epoch 1", "node ex2: passive", "10.9.0.11 is class management"}, "192.0.2.11"},
		"MAIL.corp.example.":         {[]string{"DNS name of role mailbox"}, "192.0.2.11"},
		"mail":                       {[]string{"MAIL<20> is a NetBIOS name of role mailbox"}, "192.0.2.11"},
		"MAIL<20>":                   {[]string{"MAIL<20> is a NetBIOS name"}, "192.0.2.11"},
		"MAIL<1b>":                   {[]string{"is not guarded"}, ""},
		"www.other.example":          {[]string{"lies in no owned zone", "no holder was ever named", "SERVFAIL"}, ""},
		"relay.corp.example":         {[]string{"probe smtp 25 has not spoken yet"}, ""},
		"ex2.corp.example":           {[]string{"host name of a node"}, "198.51.100.12"},
		"ns1.corp.example":           {[]string{"name server of an owned zone"}, "192.0.2.53"},
		"none.corp.example":          {[]string{"NXDOMAIN"}, ""},
		"corp.example":               {[]string{"NODATA"}, ""},
		"11.2.0.192.in-addr.arpa":    {[]string{"reverse name of a public address"}, "mail.corp.example."},
		"12.100.51.198.in-addr.arpa": {[]string{"reverse name of a public address"}, "ex2.corp.example."},
		"10.9.7.7":                   {[]string{"class management: it is never published"}, ""},
		"192.0.2.11":                 {[]string{"public address of node ex1", "role mailbox is served from it"}, "mail.corp.example."},
		"203.0.113.1":                {[]string{"no address of a node"}, ""},
		"elsewhere.example":          {[]string{"is not guarded"}, ""},
	} {
		e, err := l.client.Explain(t.Context(), name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := strings.Join(e.Steps, "\n")
		for _, w := range want.words {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is not in\n%s", name, w, text)
			}
		}
		if got := strings.Join(e.Answer, ","); got != want.answer {
			t.Errorf("%s: answer %q, want %q", name, got, want.answer)
		}
	}
}

// TestExplainNames: a name server has its say about NetBIOS names, and about nothing else.
func TestExplainNames(t *testing.T) {
	l := newLabWith(t, func(e *Explanation, snap *registry.Snapshot, names []netbios.Name) {
		_, guarded := snap.NetBIOS(names[0])
		e.Step("asked for %v, guarded %t", names, guarded)
		e.Answer = append(e.Answer, "198.51.100.7")
	})
	for name, want := range map[string]string{
		"mail":                  "asked for [MAIL<20>], guarded true",
		"Mail<20>":              "asked for [MAIL<20>], guarded true",
		"fs1":                   "asked for [fs1<20> fs1<00> fs1<03>], guarded false",
		"FS1<1b>":               "asked for [FS1<1b>], guarded false",
		"FS1<20>.scope.example": "asked for [FS1<20>.scope.example], guarded false",
		"mail.corp.example":     "TTL 5 s",
		"none.corp.example":     "none.corp.example. lies in the owned zone corp.example. and does not exist there: NXDOMAIN",
		"elsewhere.example":     "elsewhere.example is not guarded: DNS hands it to the next plugin; NetBIOS asks the WINS servers, if there are any, and filters their answer",
		"203.0.113.1":           "203.0.113.1 is no address of a node and in no filtered class",
	} {
		e, err := l.client.Explain(t.Context(), name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := e.Steps[len(e.Steps)-1]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		if got := slices.Contains(e.Answer, "198.51.100.7"); got != strings.HasPrefix(want, "asked") {
			t.Errorf("%s: answer %s", name, e.Answer)
		}
	}
	e, err := l.client.Explain(t.Context(), "FS1<20>")
	const first = "FS1<20> is not guarded: DNS hands it to the next plugin; NetBIOS answers as the WINS server says"
	if err != nil || e.Steps[0] != first {
		t.Errorf("%q, %v, want %q first", e.Steps, err, first)
	}
}
