package nameward

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/held"
	"github.com/nameward/nameward/registry/zone"
)

// TestReadmission: what a new policy or a new class holds back goes from the zones, and is noted.
func TestReadmission(t *testing.T) {
	path := writeConfig(t, "policy: policy.yaml\n")
	policyPath := filepath.Join(filepath.Dir(path), "policy.yaml")
	write(t, policyPath, "version: 1\nrules: []\n")
	write(t, path, strings.Replace(readText(t, path), "{name: corp.example.,", "{name: corp.example., updates: own,", 1))
	g := startGuard(t, path)
	var changes []dns.RR
	for _, text := range []string{"a.corp.example. 300 A 192.0.2.80", "b.corp.example. 300 A 203.0.113.200", "c.corp.example. 300 A 10.77.0.1", "d.corp.example. 300 TXT x"} {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, rr)
	}
	by := &zone.By{Source: netip.MustParseAddr("192.0.2.77"), Principal: "key1.", At: time.Now().Unix()}
	if res, err := g.zones.db.Do(t.Context(), zone.Update{Zone: corp, Changes: changes, By: by}); err != nil || res.Rcode != 0 {
		t.Fatal(res, err)
	}
	has := func(want string) {
		t.Helper()
		eventually(t, "corp.example. has "+want, func() bool {
			var got []string
			for n := range g.zones.db.View(corp).All() {
				got = append(got, n.Owner[:1])
			}
			return strings.Join(got, " ") == want
		})
	}
	has("a b c d")
	write(t, policyPath, "version: 1\nclasses:\n  lab: [203.0.113.192/26]\nrules:\n  - {id: lab, names: ['*.corp.example.'], classes: [lab], action: strip, reason: not for everybody}\n")
	has("a c d")
	write(t, path, readText(t, path)+"classes: {backdoor: [10.77.0.0/16]}\n")
	has("a d")
	eventually(t, "both are noted", func() bool { return g.updates.book.Counts()[held.Quarantined] == 2 })
	if st := g.updates.status(); st.Records != 2 || st.Held["quarantined"] != 2 || st.Error != "" {
		t.Errorf("status: %+v", st)
	}
}
