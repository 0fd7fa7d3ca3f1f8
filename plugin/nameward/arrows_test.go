package nameward

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/nameward/nameward"

// arrow says who may import what: the first rule whose target an import matches decides.
type arrow struct {
	target string   // import path; of the project without the module; with /... all below too
	only   []string // packages that may, the same way
}

// arrows are those of DESIGN.md, section 4.
var arrows = []arrow{
	{"github.com/coredns/coredns/...", []string{"plugin/nameward/...", "cmd/...", "e2e/..."}},
	{"github.com/coredns/caddy/...", []string{"plugin/nameward/...", "cmd/...", "e2e/..."}},
	{"github.com/google/gopacket/...", []string{"netbios/nbpcap", "registry/push/arp"}},
	{"github.com/godbus/dbus/...", []string{"registry/push/cache"}},
	{"github.com/fsnotify/fsnotify", []string{"registry/follow"}},
	{"go.etcd.io/bbolt/...", []string{"registry/store/bolt", "registry/store/boltfile/...", "registry/store/journal"}},
	{"go.etcd.io/etcd/...", []string{"registry/store/etcd", "plugin/nameward"}},
	{"github.com/jcmturner/...", []string{"plugin/gsstsig"}},
	{"github.com/gaissmai/bart", []string{"registry", "policy"}},
	{"github.com/tidwall/btree", []string{"registry/zone"}},
	{"github.com/spf13/...", []string{"cmd/..."}},
	{"plugin/gsstsig", []string{"plugin/nameward", "registry/primary", "cmd/...", "e2e/..."}},
	{"plugin/nameward/front", []string{"plugin/nameward", "cmd/...", "e2e/..."}},
	{"plugin/...", []string{"cmd/...", "e2e/..."}},
	{"cmd/...", []string{"e2e/..."}},
	{"e2e/...", []string{"e2e/..."}},
	{"deploy/...", []string{"cmd/...", "e2e/..."}},
	{"netbios/nbpcap", []string{"policy/audit", "cmd/...", "e2e/..."}},
	{"netbios/...", []string{"netbios/...", "registry/...", "policy/...", "plugin/...", "cmd/...", "e2e/..."}},
	{"registry/...", []string{"registry/...", "policy/...", "netbios/nbns", "netbios/wins/...", "netbios/wrepl", "plugin/...", "cmd/...", "e2e/..."}},
	{"policy/...", []string{"policy/...", "plugin/...", "cmd/...", "e2e/..."}},
}

// closed are packages that import nothing of the project but what is listed.
var closed = map[string][]string{
	"netbios":          {},
	"plugin/gsstsig":   {},
	"netbios/nbpcap":   {"netbios"},
	"registry":         {"netbios"},
	"registry/zone":    {"registry", "registry/store/journal"},
	"registry/held":    {},
	"registry/primary": {"plugin/gsstsig", "registry/config", "registry/tsig"},
	"registry/follow":  {},
	"registry/yamlat":  {},
	"policy":           {"netbios", "registry", "registry/yamlat", "policy/ruleset"},
	"policy/ruleset":   {},
	"policy/finding":   {},
	"policy/lint":      {"netbios", "registry", "policy", "policy/ruleset", "policy/finding"},
	"policy/audit":     {"netbios", "netbios/nbpcap", "registry", "registry/tsig", "policy", "policy/finding"},
	"registry/tsig":    {},

	"netbios/wrepl":               {"netbios", "netbios/wins"},
	"registry/push/wrepl":         {"netbios", "netbios/nbns", "registry", "registry/push"},
	"registry/push":               {"registry", "registry/store/journal"},
	"registry/push/update":        {"registry", "registry/config", "registry/primary", "registry/push", "registry/push/dnsask"},
	"registry/push/dnsask":        {"registry", "registry/push", "registry/tsig"},
	"registry/push/notify":        {"registry", "registry/config", "registry/push", "registry/push/dnsask", "registry/tsig", "registry/yamlat", "registry/zone"},
	"registry/push/winsclient":    {"netbios", "netbios/nbns", "registry", "registry/config", "registry/push"},
	"registry/push/notice":        {"registry", "registry/push"},
	"registry/trust":              {},
	"registry/push/said":          {},
	"registry/push/hook":          {"registry", "registry/config", "registry/push", "registry/push/dnsask", "registry/push/notice"},
	"registry/push/webhook":       {"registry", "registry/config", "registry/push", "registry/push/dnsask", "registry/push/notice", "registry/push/said", "registry/trust"},
	"registry/push/arp":           {"registry", "registry/config", "registry/push"},
	"registry/push/cache":         {"registry", "registry/config", "registry/push", "registry/push/cache/rndc", "registry/push/dnsask", "registry/push/said", "registry/trust", "registry/tsig"},
	"registry/push/cache/rndc":    {"registry/push/said", "registry/tsig"},
	"registry/push/dso":           {},
	"registry/push/stream":        {"registry", "registry/config", "registry/follow", "registry/push/dso", "registry/zone"},
	"registry/push/watch":         {"registry/push/dso"},
	"registry/updates":            {"registry/held", "registry/store/journal"},
	"registry/updates/updatesctl": {"registry", "registry/control", "registry/held", "registry/updates", "registry/zone"},
}

func TestArrows(t *testing.T) {
	imports := projectImports(t, false)
	if len(imports) < 5 {
		t.Fatalf("only %d packages were found", len(imports))
	}
	for pkg, list := range imports {
		for _, imported := range list {
			for _, a := range arrows {
				if !matches(a.target, imported) {
					continue
				}
				if !slices.ContainsFunc(a.only, func(p string) bool { return matches(p, pkg) }) {
					t.Errorf("%s imports %s, which is for %s", pkg, imported, strings.Join(a.only, ", "))
				}
				break
			}
		}
		if allowed, ok := closed[pkg]; ok {
			for _, imported := range list {
				if isOurs(imported, imports) && !slices.Contains(allowed, imported) {
					t.Errorf("%s imports %s of the project; it may import %v", pkg, imported, allowed)
				}
			}
		}
	}
	for _, imported := range imports["netbios"] {
		if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
			t.Errorf("netbios imports %s, and is to need the standard library only", imported)
		}
	}
}

// TestArrowsOfTests: tests may go against the grain, but not into the plugin or CoreDNS.
func TestArrowsOfTests(t *testing.T) {
	for pkg, list := range projectImports(t, true) {
		for _, imported := range list {
			for _, a := range arrows[:6] {
				if matches(a.target, imported) && !slices.ContainsFunc(a.only, func(p string) bool { return matches(p, pkg) }) {
					t.Errorf("a test of %s imports %s, which is for %s", pkg, imported, strings.Join(a.only, ", "))
				}
			}
		}
	}
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, pkg string
		want         bool
	}{
		{"netbios", "netbios", true}, {"netbios", "netbios/nbns", false}, {"netbios/...", "netbios", true},
		{"netbios/...", "netbios/nbns", true}, {"netbios/...", "netbios2", false},
	} {
		if got := matches(tt.pattern, tt.pkg); got != tt.want {
			t.Errorf("%s, %s: %v", tt.pattern, tt.pkg, got)
		}
	}
}

func matches(pattern, pkg string) bool {
	if root, tree := strings.CutSuffix(pattern, "/..."); tree {
		return pkg == root || strings.HasPrefix(pkg, root+"/")
	}
	return pattern == pkg
}

func isOurs(pkg string, imports map[string][]string) bool {
	_, ok := imports[pkg]
	return ok
}

// projectImports reads the imports of every package, on whatever system, without those of its tests
// or of them alone. The project's own paths come without the module.
func projectImports(t *testing.T, ofTests bool) map[string][]string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	imports := map[string][]string{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") != ofTests:
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(dir)
		imports[pkg] = append(imports[pkg], "unsafe") // the package is there even if it imports nothing
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports[pkg] = append(imports[pkg], strings.TrimPrefix(p, module+"/"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}
