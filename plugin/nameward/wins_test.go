package nameward

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/usage"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/servetest"
)

func winsConfig(at string) string {
	return "policy: policy.yaml\n" + netbiosConfig("GUARD", at) + "  wins: {mode: own, min_ttl: 2h, max_ttl: 3h}\n"
}

// record is one that a node has registered itself, though not over the network: nothing of it is on the
// test's own.
func record(name, addr string) wins.Record {
	r := wins.Record{Name: netbios.MustParseName(name), Node: netbios.HNode, Ends: wins.StampOf(time.Now().Add(time.Hour))}
	r.SetMembers([]wins.Member{{Addr: wins.IPv4Of(netip.MustParseAddr(addr)), Ends: r.Ends}})
	return r
}

func TestWINS(t *testing.T) {
	at := fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))
	path := writeConfig(t, winsConfig(at))
	rules := filepath.Join(filepath.Dir(path), "policy.yaml")
	write(t, rules, "version: 1\nrules: []\n")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := startGuard(t, path)
	server := netip.MustParseAddrPort(at)
	var c nbns.Client
	claim := func(m netbios.Message, ttl time.Duration) {
		t.Helper()
		r, err := c.Claim(t.Context(), server, m)
		if err != nil || r.TTL != ttl {
			t.Fatalf("%s: %+v, %v, want TTL %s", m.Form(), r, err, ttl)
		}
	}
	own := netbios.Address{Flags: netbios.HNode, Addr: netip.MustParseAddr("192.0.2.11")}
	claim(netbios.NewRegistration(0, netbios.MustParseName("MAIL<20>"), 60, own), 2*time.Hour)
	claim(netbios.NewRegistration(0, netbios.MustParseName("FS1<20>"), 0, own), 3*time.Hour)
	if held := g.wins.db.Held(); len(held) != 2 || held[0].Fate != wins.IsQuarantined || held[0].Reason != wins.ReasonNotSource {
		t.Errorf("held: %+v", held)
	}
	put := func(records ...wins.Record) {
		t.Helper()
		errs, err := g.wins.db.Put(t.Context(), records)
		if err != nil || errs[0] != nil {
			t.Fatal(errs, err)
		}
	}
	found := func(name, want string) func() bool {
		return func() bool {
			r, err := c.Query(t.Context(), server, netbios.MustParseName(name))
			return err != nil && want == "" || err == nil && r.Addrs[0].Addr.String() == want
		}
	}
	put(record("FS2<20>", "203.0.113.7"))
	eventually(t, "FS2 is found", found("FS2<20>", "203.0.113.7"))

	// What was accepted once goes when the policy would not accept it now.
	write(t, rules, "version: 1\nrules:\n  - {id: no-fs, names: [\"FS*<20>\"], action: refuse, reason: gone}\n")
	eventually(t, "FS2 is vetted", found("FS2<20>", ""))
	eventually(t, "and held", func() bool {
		held := g.wins.db.Held()
		return len(held) == 3 && slices.ContainsFunc(held, func(h wins.Held) bool { return h.Rule == "no-fs" })
	})

	// Timers may change, the file may not.
	write(t, path, strings.Replace(string(text), "max_ttl: 3h", "max_ttl: 5h", 1))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	claim(netbios.NewRegistration(0, netbios.MustParseName("MAIL<20>"), 0, own), 5*time.Hour)
	write(t, path, strings.Replace(string(text), "max_ttl: 3h", "database: other.db", 1))
	if err := g.Reload(); err == nil || !strings.Contains(err.Error(), "restart") {
		t.Errorf("another database while running: %v", err)
	}

	put(record("PC1<20>", "203.0.113.8"))
	write(t, path, string(text))
	closeGuard(t, g)
	g = startGuard(t, path)
	eventually(t, "PC1 is found after a restart", found("PC1<20>", "203.0.113.8"))
	if held := g.wins.db.Held(); len(held) != 3 {
		t.Errorf("held after a restart: %+v", held)
	}
	if r := g.wins.usage.Report(time.Now(), usage.View{}); r.Registrations < 3 {
		t.Errorf("usage after a restart: %+v", r.Count)
	}
}

// TestWINSExplained: the WINS server has its say in explanations, and those of the servers behind follow the
// configuration.
func TestWINSExplained(t *testing.T) {
	path := writeConfig(t, winsConfig(fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))))
	write(t, filepath.Join(filepath.Dir(path), "policy.yaml"), "version: 1\nrules: []\n")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := startGuard(t, path)
	if errs, err := g.wins.db.Put(t.Context(), []wins.Record{record("FS2<20>", "203.0.113.7")}); err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
	client := control.NewClient(g.cfg.Control.Socket)
	says := func(word string) {
		t.Helper()
		eventually(t, word, func() bool {
			e, err := client.Explain(t.Context(), "FS2<20>")
			return err == nil && strings.Contains(strings.Join(e.Steps, "\n"), word)
		})
	}
	says("FS2<20> is in the WINS database: unique, active")
	write(t, path, strings.Replace(string(text), "wins: {mode: own,", "forward: [203.0.113.42]\n  wins: {mode: forward,", 1))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	says("the WINS servers behind are asked first (203.0.113.42:137)")
	write(t, path, strings.Replace(string(text), "wins: {mode: own,", "forward: [203.0.113.43]\n  wins: {mode: both,", 1))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	says("nothing waits to be told to the WINS servers behind")
	if e, err := client.Explain(t.Context(), "NOBODY"); err != nil || !strings.Contains(strings.Join(e.Steps, "\n"), "(203.0.113.43:137)") {
		t.Errorf("%q, %v", e.Steps, err)
	}
}

// TestWINSMetrics: they are there with a WINS server only.
func TestWINSMetrics(t *testing.T) {
	path := writeConfig(t, winsConfig(fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))))
	write(t, filepath.Join(filepath.Dir(path), "policy.yaml"), "version: 1\nrules: []\n")
	start(t, fmt.Sprintf(".:%d {\n    bind 127.0.0.1\n    nameward %s\n}", servetest.FreePort(t), path))
	checkMetrics(t, 26)
}
