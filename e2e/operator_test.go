//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestOperator does what an operator does in a datacenter switchover, and looks at DNS, NetBIOS and a
// restart after each step.
func TestOperator(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	roles := `      - {name: journal, dns: [journal.corp.example.], netbios: [JOURNAL], ttl: 30s, ttl_changing: 1s, changing: 2s, source: {operator: {initial: ex1}}}
      - {name: orphan, dns: [orphan.corp.example.], netbios: [ORPHAN], source: operator}
zones:
`
	world := strings.Replace(pair, "zones:\n", roles, 1) + "netbios: {name: GUARD1, listen: [{address: \"192.0.2.53\"}]}\n"
	n := guard.nameward(t, world)
	guard.capture(t)
	a := client.asker(t, guardAddr)
	mail := func() string { return a.both("mail.corp.example.", "MAIL<20>") }
	journal := func() string { return a.both("journal.corp.example.", "JOURNAL<20>") }
	const hq, dr = "192.0.2.11 | 192.0.2.11", "192.0.2.12 | 192.0.2.12"

	a.nb.UnicastTimeout = 300 * time.Millisecond
	same(t, "a role that nobody ever held", a.both("orphan.corp.example.", "ORPHAN<20>"), "SERVFAIL | silence")

	change := n.status(t).Change
	holds(t, "dry run", n.do(t, "switch", "mailbox", "journal", "--site", "dr", "--dry-run"),
		"dry run: 2 roles would move; nothing was changed", "192.0.2.11", "192.0.2.12")
	same(t, "after the dry run", fmt.Sprint(n.status(t).Change, " ", mail(), " ", journal()), fmt.Sprint(change, " ", hq, " ", hq))

	serial := a.serial(t, "corp.example.")
	holds(t, "switchover", n.do(t, "switch", "mailbox", "journal", "--site", "dr"), fmt.Sprintf("2 roles moved, change %d", change+1))
	same(t, "after the switchover", mail()+", "+journal(), dr+", "+dr)
	if got := a.serial(t, "corp.example."); got != serial+1 {
		t.Errorf("serial %d after one change, it was %d", got, serial)
	}
	ttl := func() string { return client.dig(t, guardAddr, "journal.corp.example", "A").answer[0] }
	same(t, "TTL in the window after a change", ttl(), "journal.corp.example. 1 IN A 192.0.2.12")
	soon(t, "TTL after it", 5*time.Second, "journal.corp.example. 30 IN A 192.0.2.12", ttl)
	if got := a.serial(t, "corp.example."); got != serial+2 {
		t.Errorf("serial %d after the TTL changed too, it was %d", got, serial)
	}
	same(t, "PTR", a.lookup("12.2.0.192.in-addr.arpa.", dns.TypePTR), "mail.corp.example.")

	r := n.cli(t, "switch", "mailbox", "nonsense", "--to", "ex1")
	holds(t, "a switch with an unknown role", r.out, `no role is named "nonsense"`)
	same(t, "its exit code, and what moved", fmt.Sprint(r.code, " ", mail()), "1 "+dr)

	holds(t, "override", n.do(t, "override", "set", "mailbox", "--to", "ex1", "--reason", "test of the old site"), "mailbox")
	same(t, "forced", mail()+" "+n.brief(t, "mailbox"), hq+" forced ex2 epoch 2")
	r = n.cli(t, "switch", "mailbox", "--to", "ex2")
	holds(t, "a switch of a forced role", r.out, "nameward override clear mailbox")
	n.kill()
	n.up(t)
	a = client.asker(t, guardAddr)
	same(t, "forced, after kill -9", mail()+" "+n.brief(t, "mailbox"), hq+" forced ex2 epoch 2")
	holds(t, "status", n.do(t, "status"), "test of the old site")
	holds(t, "explain", n.do(t, "explain", "MAIL"), "forced to ex1", "=> 192.0.2.11")
	n.do(t, "override", "clear", "mailbox")
	same(t, "cleared", mail()+" "+n.brief(t, "mailbox"), dr+" fresh ex2 epoch 2")
}
