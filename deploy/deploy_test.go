package deploy_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/nameward/nameward/deploy"
	"github.com/nameward/nameward/registry/config"
)

const reference = "nameward.reference.yaml"

// samples are the paths of every sample configuration.
func samples(t *testing.T) []string {
	t.Helper()
	var out []string
	err := fs.WalkDir(deploy.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".yaml") {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 5 {
		t.Fatalf("only %v are there", out)
	}
	return out
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := deploy.Files.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func schema(t *testing.T) *jsonschema.Schema { return compiled(t, deploy.Schema) }

// value is the YAML text as a JSON Schema sees it.
func value(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSamples(t *testing.T) {
	s := schema(t)
	for _, path := range samples(t) {
		t.Run(path, func(t *testing.T) {
			data := read(t, path)
			if _, err := config.Parse(path, data); err != nil {
				t.Error(err)
			}
			if err := s.Validate(value(t, data)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSamplesStandHere finds a sample that is not embedded.
func TestSamplesStandHere(t *testing.T) {
	var onDisk []string
	for _, pattern := range []string{"*.yaml", "*/nameward.yaml"} {
		m, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range m {
			onDisk = append(onDisk, filepath.ToSlash(p))
		}
	}
	slices.Sort(onDisk)
	if diff := cmp.Diff(onDisk, samples(t)); diff != "" {
		t.Error(diff)
	}
}

// TestSchemaRejects has one mistake in each row; the parser refuses them all too.
func TestSchemaRejects(t *testing.T) {
	const good = "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}, roles: [{name: r, dns: [r.example.com]}]}]\n"
	s := schema(t)
	if err := s.Validate(value(t, []byte(good))); err != nil {
		t.Fatal(err)
	}
	role := func(more string) string {
		return "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}, roles: [{name: r, dns: [r.example.com], " + more + "}]}]\n"
	}
	zone := func(more string) string {
		return good + "zones: [{name: z.example., ns: {ns.z.example.: [192.0.2.53]}, " + more + "}]\n"
	}
	wins := func(keys string) string {
		return good + `netbios: {listen: [{address: "0.0.0.0:137"}], wins: {` + keys + "}}\n"
	}
	if err := s.Validate(value(t, []byte(wins("mode: own, min_ttl: 1d12h, max_ttl: 6d, extinction_interval: 96h")))); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no clusters":       "version: 1\n",
		"empty clusters":    "clusters: []\n",
		"version":           good + "version: 2\n",
		"unknown key":       good + "cluster: []\n",
		"no nodes":          "clusters: [{name: c, nodes: {}}]\n",
		"node address":      "clusters: [{name: c, nodes: {a: {public: [192.0.2.300]}}}]\n",
		"node address form": "clusters: [{name: c, nodes: {a: {public: 192.0.2.1}}}]\n",
		"class name":        "clusters: [{name: c, nodes: {a: {Public: [192.0.2.1]}}}]\n",
		"cluster name":      "clusters: [{name: a b, nodes: {a: {public: [192.0.2.1]}}}]\n",
		"role key":          role("tll: 5s"),
		"no name":           "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}, roles: [{name: r}]}]\n",
		"fqdn":              "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}, roles: [{name: r, dns: [a..b]}]}]\n",
		"one label":         "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}, roles: [{name: r, dns: [mail]}]}]\n",
		"netbios length":    role("netbios: [ABCDEFGHIJKLMNOP]"),
		"netbios suffix":    role(`netbios: ["MAIL<2>"]`),
		"netbios wildcard":  role(`netbios: ["*"]`),
		"ttl number":        role("ttl: 5"),
		"ttl unit":          role("ttl: 5w"),
		"ttl of days":       role("ttl: 1.5d"),
		"ttl hours first":   role("ttl: 1h1d"),
		"mode":              role("mode: both"),
		"on_conflict":       role("on_conflict: drop"),
		"on_source_lost":    role("on_source_lost: answer-all"),
		"source word":       role("source: file"),
		"source two":        role("source: {file: x, probe: {tcp: 25}}"),
		"source none":       role("source: {}"),
		"file list":         role("source: {file: []}"),
		"probe none":        role("source: {probe: {interval: 2s}}"),
		"probe two":         role("source: {probe: {tcp: 25, smtp: 25}}"),
		"probe port":        role("source: {probe: {tcp: 0}}"),
		"probe URL":         role("source: {probe: {http: 'http://a/'}}"),
		"probe status":      role("source: {probe: {tcp: 25, status: [200]}}"),
		"probe rise":        role("source: {probe: {tcp: 25, rise: 0}}"),
		"secondary key":     zone("notify: [{address: 192.0.2.54, tsig: x}]"),
		"secondary address": zone("notify: [{key: x}]"),
		"prefix":            good + "classes: {m: [10.0.0.0]}\n",
		"zone key":          zone("serial: 1"),
		"zone mbox":         zone("mbox: a@z.example."),
		"zone notify":       zone("notify: [ns2.z.example.]"),
		"zone notify form":  zone("notify: 192.0.2.54"),
		"zone notify twice": zone("notify: [192.0.2.54, 192.0.2.54]"),
		"zone notify port":  zone(`notify: ["[2001:db8::54]"]`),
		"zone without ns":   good + "zones: [{name: z.example., ns: {}}]\n",
		"listen both":       good + `netbios: {listen: [{address: "0.0.0.0:137", interface: eth0}]}` + "\n",
		"listen none":       good + "netbios: {listen: [{broadcast: [eth0]}]}\n",
		"listen IPv6":       good + `netbios: {listen: [{address: "[::1]:137"}]}` + "\n",
		"own name suffix":   good + `netbios: {name: "A<20>"}` + "\n",
		"node status":       good + "netbios: {node_status: {others: full}}\n",
		"wins key":          wins("mode: own, name: x"),
		"wins mode":         wins("mode: on"),
		"wins without mode": wins("min_ttl: 1h"),
		"wins ttl":          wins("mode: own, max_ttl: 6"),
		"wins suffix":       wins("mode: own, dns_suffix: corp"),
		"wins records":      wins("mode: own, limits: {records: 0}"),
		"wins challenges":   wins("mode: own, limits: {challenges: 65536}"),
		"wins limit":        wins("mode: own, limits: {names: 1}"),
		"wins database":     wins("mode: own, database: ''"),
		"policy":            good + "policy: [policy.yaml]\n",
		"policy path":       good + "policy: ''\n",
		"answers key":       good + "answers: {unsigned: strip}\n",
		"answers signed":    good + "answers: {signed: pass}\n",
		"rebinding":         good + "answers: {rebinding: {}}\n",
		"rebinding zone":    good + "answers: {rebinding: {private_zones: [lan]}}\n",
		"rebinding twice":   good + "answers: {rebinding: {private_zones: [lan., lan.]}}\n",
		"log level":         good + "log: {level: trace}\n",
		"socket":            good + "control: {socket: ''}\n",
	} {
		t.Run(name, func(t *testing.T) {
			if err := s.Validate(value(t, []byte(text))); err == nil {
				t.Error("the schema takes it")
			}
			if _, err := config.Parse("bad.yaml", []byte(text)); err == nil {
				t.Error("the parser takes it")
			}
		})
	}
}

// TestKeys holds the keys of the schema and those of the parser together.
func TestKeys(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal(deploy.Schema, &doc); err != nil {
		t.Fatal(err)
	}
	defs := doc["$defs"].(map[string]any)
	var got []string
	var walk func(path string, s map[string]any)
	walk = func(path string, s map[string]any) {
		if ref, ok := s["$ref"].(string); ok {
			walk(path, defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any))
		}
		for _, k := range []string{"then", "else"} {
			if sub, ok := s[k].(map[string]any); ok {
				walk(path, sub)
			}
		}
		if items, ok := s["items"].(map[string]any); ok {
			walk(path+"[]", items)
		}
		child := func(key string, sub any) {
			p := strings.TrimPrefix(path+"."+key, ".")
			got = append(got, p)
			walk(p, sub.(map[string]any))
		}
		props, _ := s["properties"].(map[string]any)
		for key, sub := range props {
			child(key, sub)
		}
		switch more := s["additionalProperties"].(type) {
		case map[string]any:
			child("*", more)
		case nil:
			if props != nil {
				t.Errorf("%s: additionalProperties is not false", path)
			}
		}
	}
	walk("", doc)
	slices.Sort(got)
	if diff := cmp.Diff(config.Keys(), got); diff != "" {
		t.Errorf("parser - schema +:\n%s", diff)
	}
}

// TestReference finds keys that the reference does not show.
func TestReference(t *testing.T) {
	shown := make(map[string]bool)
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, sub := range v {
				p := strings.TrimPrefix(path+"."+key, ".")
				switch {
				case path == "classes", path == "zones[].ns", path == "clusters[].nodes":
					p = path + ".*"
				case path == "clusters[].nodes.*" && key != "site" && key != "host":
					p = path + ".*"
				}
				shown[p] = true
				walk(p, sub)
			}
		case []any:
			for _, e := range v {
				walk(path+"[]", e)
			}
		}
	}
	walk("", value(t, read(t, reference)))
	for _, key := range config.Keys() {
		// The defaults of a cluster have the source of a role, which is shown once.
		if !shown[key] && !strings.HasPrefix(key, "clusters[].defaults.source.") {
			t.Errorf("%s does not show %s", reference, key)
		}
	}
}

func TestDemo(t *testing.T) {
	c, err := config.Parse("deploy/"+deploy.Demo, read(t, deploy.Demo))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Control.Socket, filepath.FromSlash("deploy/demo/run/control.sock"); got != want {
		t.Errorf("control socket %s, want %s", got, want)
	}
	if got, want := c.Sources["files"].Files, []string{filepath.FromSlash("deploy/demo/files.role")}; !slices.Equal(got, want) {
		t.Errorf("claim files %v, want %v", got, want)
	}
	for _, l := range c.NetBIOS.Listen {
		if a := l.Address; !a.Addr().IsLoopback() || a.Port() < 1024 {
			t.Errorf("the demo listens at %s, which needs root", a)
		}
	}
}

func TestUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here")
	}
	// verify wants the binary to be there.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const installed = "/usr/bin/nameward"
	unit := read(t, "systemd/nameward.service")
	if !bytes.Contains(unit, []byte(installed)) {
		t.Fatalf("the unit does not start %s", installed)
	}
	path := filepath.Join(t.TempDir(), "nameward.service")
	if err := os.WriteFile(path, bytes.ReplaceAll(unit, []byte(installed), []byte(self)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
