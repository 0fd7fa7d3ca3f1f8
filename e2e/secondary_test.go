//go:build linux

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// transferring is a Corefile whose owned zones anybody may transfer.
const transferring = ".:53 {\n bind 192.0.2.53\n errors\n NAMEWARD\n transfer {\n to *\n }\n}\n"

// telling has every zone of a world tell the targets of its changes.
func telling(world string, targets ...string) string {
	notify := fmt.Sprintf("\n    notify: [%s]\n    ns:", strings.Join(targets, ", "))
	return strings.ReplaceAll(world, "\n    ns:", notify)
}

// TestSecondary has BIND follow the owned zones: by AXFR at its start, by our NOTIFY afterwards.
func TestSecondary(t *testing.T) {
	l := newLab(t)
	guard, client, bind := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("bind", bindAddr)
	l.write("list.role", "ex1\n")
	world := strings.Replace(pair, "zones:\n", "      - {name: list, dns: [list.corp.example.], source: {file: list.role}, on_source_lost: withdraw}\nzones:\n", 1)
	n := guard.namewardWith(t, telling(world, bindAddr), transferring)
	zones := ""
	for _, zone := range []string{"corp.example", "2.0.192.in-addr.arpa"} {
		zones += fmt.Sprintf("zone %q { type secondary; primaries { 192.0.2.53; }; };\n", zone)
	}
	bind.named(t, bindAddr, zones+"zone \"local.example\" { type primary; file \""+l.write("named-bind/local.zone", poisoned)+"\"; };", "local.example.")
	second := client.asker(t, bindAddr)
	soon(t, "BIND has the zone", 15*time.Second, "192.0.2.11", func() string { return second.a("mail.corp.example.") })

	took := followSwitches(t, n, second, 10)
	t.Logf("switch acknowledged to BIND answering: median %s, max %s of %d", took[len(took)/2], took[len(took)-1], len(took))
	if err := os.Remove(l.path("list.role")); err != nil {
		t.Fatal(err)
	}
	ours := client.asker(t, guardAddr)
	soon(t, "BIND withdraws a name", 10*time.Second, "NXDOMAIN", func() string { return second.a("list.corp.example.") })
	same(t, "what we say of it", ours.a("list.corp.example."), "NXDOMAIN")
	n.do(t, "switch", "mailbox", "--to", "ex2")
	for _, zone := range []string{"corp.example.", "2.0.192.in-addr.arpa."} {
		soon(t, "serial of "+zone+" at BIND", 10*time.Second, fmt.Sprint(zoneSerial(t, n, zone)),
			func() string { return fmt.Sprint(second.serial(t, zone)) })
		ours, theirs := client.axfr(t, guardAddr, zone), client.axfr(t, bindAddr, zone)
		same(t, "zone "+zone+" at BIND", strings.Join(theirs, "\n"), strings.Join(ours, "\n"))
		if len(ours) < 3 {
			t.Errorf("zone %s has only %d records", zone, len(ours))
		}
	}
	same(t, "AAAA at BIND", second.lookup("mail.corp.example.", dns.TypeAAAA), "2001:db8::12")
}

// followSwitches moves mailbox to and fro and returns how long BIND took to say so, sorted.
func followSwitches(t *testing.T, n *Nameward, second *Asker, times int) (took []time.Duration) {
	t.Helper()
	for i := range times {
		node, want, reverse := "ex2", "192.0.2.12", "12.2.0.192.in-addr.arpa."
		if i%2 == 1 {
			node, want, reverse = "ex1", "192.0.2.11", "11.2.0.192.in-addr.arpa."
		}
		if _, err := n.move("mailbox", node); err != nil {
			t.Fatal(err)
		}
		took = append(took, soon(t, "BIND serves the new address", 20*time.Second, want, func() string { return second.a("mail.corp.example.") }))
		soon(t, "BIND serves the new PTR", 20*time.Second, "mail.corp.example.", func() string { return second.lookup(reverse, dns.TypePTR) })
	}
	slices.Sort(took)
	return took
}

// TestDeadSecondary has a secondary that does not exist beside BIND. BIND must not have to wait for it.
func TestDeadSecondary(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client, bind := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("bind", bindAddr)
	n := guard.namewardWith(t, telling(pair, "192.0.2.99", bindAddr), transferring)
	zones := ""
	for _, zone := range []string{"corp.example", "2.0.192.in-addr.arpa"} {
		zones += fmt.Sprintf("zone %q { type secondary; primaries { 192.0.2.53; }; };\n", zone)
	}
	bind.named(t, bindAddr, zones, "corp.example.")
	second := client.asker(t, bindAddr)
	soon(t, "BIND has both zones", 10*time.Second, "mail.corp.example.", func() string { return second.lookup("11.2.0.192.in-addr.arpa.", dns.TypePTR) })
	took := followSwitches(t, n, second, 6)
	t.Logf("switch acknowledged to BIND answering beside a dead secondary: median %s, max %s of %d", took[len(took)/2], took[len(took)-1], len(took))
	if worst := took[len(took)-1]; worst > 200*time.Millisecond {
		t.Errorf("BIND hears of a switch after %s, because another secondary is dead", worst)
	}
	begin := time.Now()
	n.stop()
	if d := time.Since(begin); d > time.Second {
		t.Errorf("nameward takes %s to end, because a secondary is dead", d)
	}
}
