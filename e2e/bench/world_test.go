package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nameward/nameward/registry/config"
)

func TestWorldIsGood(t *testing.T) {
	dir := t.TempDir()
	for _, w := range []world{{roles: 10, each: 1}, {roles: 3, each: 4}, {roles: 2, each: 1, claims: dir}, {wins: 1000}} {
		path := filepath.Join(dir, "nameward.yaml")
		text := w.yaml(places{store: dir + "/state.db", socket: dir + "/s", netbios: "127.0.0.1:10137", wins: dir + "/wins.db"})
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(path)
		if err != nil {
			t.Fatalf("%s: %v", w, err)
		}
		dns, netbios := 0, 0
		for _, r := range cfg.World.Roles {
			dns, netbios = dns+len(r.DNS), netbios+len(r.NetBIOS)
		}
		if got := cfg.NetBIOS.WINS.Limits; w.wins > 0 && (got.Records != w.wins || got.PerAddress != w.wins) {
			t.Errorf("WINS server with limits %+v, want %d", got, w.wins)
		}
		if dns != w.names() || netbios != w.names() {
			t.Errorf("%s: %d DNS and %d NetBIOS names, want %d of each", w, dns, netbios, w.names())
		}
	}
}

func TestPeersHaveTheSameNames(t *testing.T) {
	w := world{roles: 3, each: 2}
	for what, text := range map[string]string{"hosts": w.hosts(), "zone file": w.zoneFile()} {
		for i := range w.names() {
			if n := strings.Count(text, strings.TrimSuffix(dnsName(i), ".")); n != 1 {
				t.Errorf("the %s names %s %d times, want once", what, dnsName(i), n)
			}
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{7: "7", 999: "999", 1000: "1,000", 100000: "100,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}
