package nameward

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/metadata"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/root"
	_ "github.com/coredns/coredns/plugin/tls"
	_ "github.com/coredns/coredns/plugin/transfer"
	_ "github.com/coredns/coredns/plugin/tsig"

	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/servetest"
)

func init() {
	dnsserver.Directives = []string{
		"root", "metadata", "tls", "reload", "bind", "ready", "prometheus", "errors", "log", "tsig", "transfer", "nameward", "cache", "forward",
	}
	caddy.Quiet, dnsserver.Quiet = true, true
}

// configText is a nameward.yaml whose store and socket are in dir; more is put behind it.
func configText(dir, more string) string {
	var webs strings.Builder
	for i := range 60 {
		fmt.Fprintf(&webs, "      web%d: {public: [203.0.113.%d], management: [10.9.1.%d]}\n", i, i+1, i+1)
	}
	return fmt.Sprintf(`
clusters:
  - name: mail
    nodes:
      ex1: {public: [192.0.2.11, "2001:db8::11"], management: [10.9.0.11], host: ex1.corp.example.}
      ex2: {public: [198.51.100.12], management: [10.9.0.12]}
    roles:
      - name: mailbox
        dns: [mail.corp.example., mail.other.example., vip.other.example.]
        netbios: [MAIL]
        source: {operator: {initial: ex1}}
  - name: web
    nodes:
%[1]s    roles:
      - {name: www, dns: [www.corp.example.], mode: all}
zones:
  - {name: corp.example., ns: {ns1.corp.example.: [192.0.2.53]}}
control: {socket: %[2]q}
store: {bolt: %[3]q}
%[4]s`, webs.String(), filepath.Join(dir, "control.sock"), filepath.Join(dir, "nameward.db"), more)
}

// writeConfig writes a configuration into a directory of its own and returns its path.
func writeConfig(t testing.TB, more string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nameward") // t.TempDir is too long for a socket's path on some systems
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "nameward.yaml")
	write(t, path, configText(dir, more))
	return path
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func input(corefile string) caddy.Input {
	return caddy.CaddyfileInput{Contents: []byte(corefile), Filepath: "Corefile", ServerTypeName: "dns"}
}

// start starts a Corefile; stop ends whatever instance has come out of it by then.
func start(t testing.TB, corefile string) *caddy.Instance {
	t.Helper()
	inst, err := caddy.Start(input(corefile))
	if err != nil {
		t.Fatalf("%v:\n%s", err, corefile)
	}
	t.Cleanup(func() { stop(t) })
	return inst
}

func stop(t testing.TB) {
	t.Helper()
	for _, i := range caddy.Instances() {
		for _, err := range i.ShutdownCallbacks() {
			t.Error(err)
		}
		if err := i.Stop(); err != nil {
			t.Error(err)
		}
	}
	if g := guards.first(); g != nil {
		t.Errorf("the guard of %s is left", g.path)
	}
}

func readmeText(t testing.TB) string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(readme)
}

// TestReadme starts every Corefile of the man page, with free ports and a configuration that is there.
func TestReadme(t *testing.T) {
	readme := readmeText(t)
	cert, key := certificate(t)
	blocks := strings.Split(readme, "~~~ corefile\n")[1:]
	if len(blocks) < 3 {
		t.Fatalf("%d corefile blocks", len(blocks))
	}
	for i, block := range blocks {
		block, _, _ = strings.Cut(block, "~~~")
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			path := writeConfig(t, "")
			dnsserver.Port = fmt.Sprint(servetest.FreePort(t))
			defer func() { dnsserver.Port = "53" }()
			start(t, strings.NewReplacer(
				"/etc/nameward/nameward.yaml", path, "root /etc/nameward", "root "+filepath.Dir(path),
				"/etc/nameward/tls.crt", cert, "/etc/nameward/tls.key", key,
				"tls://.", fmt.Sprintf("tls://.:%d", servetest.FreePort(t)), "192.0.2.", "127.0.0.",
				"prometheus\n", "prometheus 127.0.0.1:0\n", "ready\n", "ready 127.0.0.1:0\n",
			).Replace(block))
			if !strings.Contains(block, "nameward") || guards.first() == nil {
				t.Errorf("no nameward in it:\n%s", block)
			}
			if guards.first().path != path {
				t.Errorf("reads %s, not %s", guards.first().path, path)
			}
		})
	}
}

// TestReadmeNamesEveryKey of the top of nameward.yaml.
func TestReadmeNamesEveryKey(t *testing.T) {
	_, list, _ := strings.Cut(readmeText(t), "\nIts keys are:\n")
	list, _, _ = strings.Cut(list, "\nThe policy is followed too.")
	for _, key := range config.Keys() {
		if !strings.Contains(key, ".") && !strings.Contains(list, "`"+key+"`") {
			t.Errorf("README.md does not list %s", key)
		}
	}
}

func TestReadmeSections(t *testing.T) {
	readme := readmeText(t)
	last := -1
	for _, section := range []string{
		"# nameward", "## Name", "## Description", "## Syntax", "## Examples", "## Metrics", "## Ready", "## Metadata", "## Bugs", "## See Also",
	} {
		i := strings.Index("\n"+readme, "\n"+section+"\n")
		if i <= last {
			t.Errorf("section %q is missing or out of order", section)
		}
		last = i
	}
}
