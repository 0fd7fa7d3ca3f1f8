//go:build linux

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/pushctl"
)

// Of labs with a secondary that believes nobody without a signature. Its primary is the guard's second address, for
// named takes NOTIFY from a primary's address as it is, and ours comes from the first.
const (
	transferAddr = "192.0.2.153"
	notifySecret = "c2VjcmV0IG9mIGd1YXJkIGFuZCBzZWNvbmRhcnk="
	notifyKey    = "key \"notify.\" {\n\talgorithm hmac-sha256;\n\tsecret \"" + notifySecret + "\";\n};\n"
)

// notifyCorefile gives the zones to anybody, from both addresses.
var notifyCorefile = strings.Replace(transferring, guardAddr, guardAddr+" "+transferAddr, 1)

// notifyLab is a guard and a secondary that know a key.
type notifyLab struct {
	*Lab
	t                   *testing.T
	guard, bind, client *Host
	n                   *Nameward
	named               *Process
}

func newNotifyLab(t *testing.T) *notifyLab {
	t.Helper()
	l := &notifyLab{Lab: newLab(t), t: t}
	l.guard, l.client, l.bind = l.host("guard", guardAddr, transferAddr), l.host("client", clientAddr), l.host("bind", bindAddr)
	l.write("notify.key", notifyKey)
	l.n = l.guard.namewardWith(t, telling(pair, "{address: 192.0.2.54, key: notify.key, name: dr}"), notifyCorefile)
	l.startNamed()
	l.verified("192.0.2.11", 30*time.Second)
	return l
}

func (l *notifyLab) startNamed() {
	l.t.Helper()
	conf := notifyKey
	for _, zone := range []string{"corp.example", "2.0.192.in-addr.arpa"} {
		conf += fmt.Sprintf("zone %q { type secondary; file \"%s.db\"; primaries { %s; }; allow-notify { key notify.; }; allow-query { key notify.; %s; }; };\n",
			zone, zone, transferAddr, clientAddr)
	}
	conf += "zone \"local.example\" { type primary; file \"" + l.write("named-bind/local.zone", poisoned) + "\"; allow-query { any; }; };\n"
	l.named = l.bind.named(l.t, bindAddr, conf, "local.example.")
}

// delivery is how far the secondary is with mailbox; right after a start it is nowhere.
func (l *notifyLab) delivery() push.Delivery {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	st, err := pushctl.Client{Client: l.n.Client}.Status(ctx, pushctl.Filter{Target: "dr", Role: "mailbox", Done: true})
	if err != nil {
		l.t.Fatal(err)
	}
	switch len(st.Deliveries) {
	case 0:
		return push.Delivery{}
	case 1:
		return st.Deliveries[0]
	}
	l.t.Fatalf("%d deliveries", len(st.Deliveries))
	return push.Delivery{}
}

// verified waits until the secondary is verified with an address and checks that it does answer it.
func (l *notifyLab) verified(addr string, limit time.Duration) (took time.Duration) {
	l.t.Helper()
	var d push.Delivery
	soon(l.t, "verified with "+addr, limit, "verified", func() string {
		if d = l.delivery(); !strings.Contains(d.Content, addr) {
			return d.Content
		}
		if d.Why != "" {
			return d.Stage.String() + ": " + d.Why
		}
		return d.Stage.String()
	})
	same(l.t, "what the secondary answers that was verified", l.client.asker(l.t, bindAddr).a("mail.corp.example."), addr)
	return d.Verified.Sub(d.Moved)
}

func (l *notifyLab) move(node string) (addr string) {
	l.t.Helper()
	if _, err := l.n.move("mailbox", node); err != nil {
		l.t.Fatal(err)
	}
	return map[string]string{"ex1": "192.0.2.11", "ex2": "192.0.2.12"}[node]
}

// failed waits until a delivery has failed for a reason that contains something.
func (l *notifyLab) failed(why string) {
	l.t.Helper()
	soon(l.t, "failed because "+why, 20*time.Second, "true", func() string { return fmt.Sprint(strings.Contains(l.delivery().Why, why)) })
}

// TestNotifySigned has BIND take NOTIFY and questions with a signature alone, and follow a role.
func TestNotifySigned(t *testing.T) {
	l := newNotifyLab(t)
	var took []time.Duration
	for i := range 100 {
		took = append(took, l.verified(l.move([]string{"ex2", "ex1"}[i%2]), 10*time.Second))
	}
	slices.Sort(took)
	middle := took[49]
	t.Logf("change to verified at BIND with TSIG: median %s, p99 %s of %d", middle, took[98], len(took))
	if middle > 500*time.Millisecond {
		t.Errorf("BIND is verified after %s", middle)
	}
	holds(t, "push status", l.n.do(t, "push", "status"), "dr", "notify")

	l.write("notify.key", strings.Replace(notifyKey, notifySecret, "YW5vdGhlciBzZWNyZXQ=", 1))
	l.n.do(t, "reload")
	addr := l.move("ex2")
	l.failed("NOTAUTH (BADSIG)")
	same(t, "what BIND answers that was told without the right key", l.client.asker(t, bindAddr).a("mail.corp.example."), "192.0.2.11")
	l.write("notify.key", "no key")
	if r := l.n.cli(t, "reload"); r.code == 0 || !strings.Contains(r.out, l.n.config+":") || !strings.Contains(r.out, "notify.key") {
		t.Errorf("reload with a file that has no key: %d\n%s", r.code, r.out)
	}
	l.write("notify.key", notifyKey)
	l.n.do(t, "reload")
	t.Logf("verified %s after the change, with the right key at last", l.verified(addr, 20*time.Second))
}

// TestNotifyQueriesRefused: a secondary that does not let us ask is told, and the status says what is missing.
func TestNotifyQueriesRefused(t *testing.T) {
	l := newLab(t)
	guard, client, bind := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("bind", bindAddr)
	n := guard.namewardWith(t, telling(pair, bindAddr), transferring)
	bind.named(t, bindAddr, "zone \"corp.example\" { type secondary; primaries { 192.0.2.53; }; allow-query { 192.0.2.100; }; };\n"+
		"zone \"local.example\" { type primary; file \""+l.write("named-bind/local.zone", poisoned)+"\"; };", "local.example.")
	second := client.asker(t, bindAddr)
	soon(t, "BIND has the zone", 15*time.Second, "192.0.2.11", func() string { return second.a("mail.corp.example.") })
	if _, err := n.move("mailbox", "ex2"); err != nil {
		t.Fatal(err)
	}
	soon(t, "BIND follows", 10*time.Second, "192.0.2.12", func() string { return second.a("mail.corp.example.") })
	soon(t, "the reason in push status", 10*time.Second, "true", func() string {
		return fmt.Sprint(strings.Contains(n.do(t, "push", "status"), "refuses to be asked about corp.example.: have it answer this guard (named: allow-query)"))
	})
}

// TestNotifyFaults: a secondary that is down or cut off during a change, that cannot transfer, or loses packets, has
// the newest state soon after, and what it was verified with is what it answers.
func TestNotifyFaults(t *testing.T) {
	l := newNotifyLab(t)
	t.Run("down", func(t *testing.T) {
		l.named.stop()
		l.move("ex2")
		l.move("ex1")
		addr := l.move("ex2")
		l.failed("NOTIFY of corp.example.")
		l.startNamed()
		back := time.Now()
		l.verified(addr, 20*time.Second)
		t.Logf("verified %s after it was up", time.Since(back))
	})
	t.Run("partition", func(t *testing.T) {
		l.bind.plug(false)
		addr := l.move("ex1")
		l.failed("no response")
		time.Sleep(3 * time.Second) // so that the waits have grown
		l.bind.plug(true)
		back := time.Now()
		l.verified(addr, 30*time.Second)
		took := time.Since(back)
		t.Logf("verified %s after the end of the partition", took)
		if took > 10*time.Second {
			t.Errorf("it takes %s", took)
		}
	})
	t.Run("killed before it is acknowledged", func(t *testing.T) {
		l.bind.plug(false)
		addr := l.move("ex2")
		soon(t, "it is sent", 5*time.Second, "true", func() string { return fmt.Sprint(!l.delivery().Sent.IsZero()) })
		l.n.kill()
		l.bind.plug(true)
		l.n.up(t)
		l.verified(addr, 20*time.Second)
	})
	t.Run("loss", func(t *testing.T) {
		l.bind.run(t, "nft", "add table inet fault; add chain inet fault in { type filter hook input priority -300; }; add chain inet fault out { type filter hook output priority -300; }; "+
			"add rule inet fault in ip saddr "+guardAddr+" numgen random mod 100 < 20 counter drop; add rule inet fault out ip daddr "+guardAddr+" numgen random mod 100 < 20 counter drop")
		var took []time.Duration
		for i := range 20 {
			took = append(took, l.verified(l.move([]string{"ex1", "ex2"}[i%2]), 60*time.Second))
		}
		middle, worst := median(took)
		t.Logf("with 20 %% loss in both directions: median %s, max %s of %d", middle, worst, len(took))
	})
}

// TestNotifyNoTransfer: a secondary that acknowledges and is not given the zone is stale, and told again until it has
// it; by itself, named would wait for minutes. (A primary that it cannot connect to at all it passes over for ten
// minutes, whatever it is told.)
func TestNotifyNoTransfer(t *testing.T) {
	l := newNotifyLab(t)
	l.transfersTo("192.0.2.99")
	addr := l.move("ex2")
	soon(t, "what it acknowledges and does not have", 20*time.Second, "stale", func() string { return l.delivery().Stage.String() })
	soon(t, "it is told again", 20*time.Second, "true", func() string {
		return fmt.Sprint(strings.Count(l.named.output(), "received notify for zone 'corp.example'") > 3)
	})
	same(t, "the stage meanwhile", l.delivery().Stage.String(), "stale")
	l.transfersTo("*")
	back := time.Now()
	l.verified(addr, 60*time.Second)
	took := time.Since(back)
	t.Logf("verified %s after transfers were possible again", took)
	if took > 20*time.Second {
		t.Errorf("it takes %s", took)
	}
}

// transfersTo puts a Corefile in force that gives the zones to somebody else.
func (l *notifyLab) transfersTo(whom string) {
	l.t.Helper()
	writeAtomic(l.t, l.path("Corefile"), l.n.expand(strings.Replace(notifyCorefile, "to *", "to "+whom, 1)))
	l.n.signal(syscall.SIGUSR1)
	soon(l.t, "transfers to "+whom, 10*time.Second, fmt.Sprint(whom == "*"), func() string {
		r := l.bind.try(l.t, nil, "dig", "@"+transferAddr, "+time=1", "+tries=1", "AXFR", "corp.example")
		return fmt.Sprint(strings.Contains(r.out, "XFR size"))
	})
}

// TestNotifyBaseline measures what BIND does by itself: a primary with its default notify-delay and a secondary.
func TestNotifyBaseline(t *testing.T) {
	l := newLab(t)
	primary, second, client := l.host("primary", guardAddr), l.host("bind", bindAddr), l.host("client", clientAddr)
	zone := l.write("named-primary/corp.zone", "$TTL 5\n@ SOA ns1 hostmaster 1 60 10 604800 5\n@ NS ns1\nns1 A 192.0.2.53\n@ NS ns2\nns2 A 192.0.2.54\nmail A 192.0.2.11\n")
	primary.named(t, guardAddr, fmt.Sprintf("zone \"corp.example\" { type primary; file %q; notify yes; allow-update { any; }; };", zone), "corp.example.")
	second.named(t, bindAddr, "zone \"corp.example\" { type secondary; primaries { 192.0.2.53; }; };", "corp.example.")
	ask, conn := client.asker(t, bindAddr), client.asker(t, guardAddr)
	soon(t, "the secondary has the zone", 20*time.Second, "192.0.2.11", func() string { return ask.a("mail.corp.example.") })
	var took []time.Duration
	for i := range 6 {
		addr := fmt.Sprintf("192.0.2.%d", 20+i)
		m := updateOf(t, "corp.example.", "- mail A; + mail 5 A "+addr)
		if err := conn.dns.WriteMsg(m); err != nil {
			t.Fatal(err)
		}
		if r, err := conn.dns.ReadMsg(); err != nil || r.Rcode != dns.RcodeSuccess {
			t.Fatalf("%v, %v", r, err)
		}
		took = append(took, soon(t, "the secondary answers", 30*time.Second, addr, func() string { return ask.a("mail.corp.example.") }))
	}
	middle, worst := median(took)
	t.Logf("change to answered by a BIND secondary of a BIND primary with its defaults: median %s, max %s of %d", middle, worst, len(took))
}
