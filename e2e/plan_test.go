//go:build linux

package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const cacheAddr = "192.0.2.57"

// plannedWorld is a pair whose public name lies in a zone of another server and has a TTL that is too long for a failover.
const plannedWorld = `
classes: {management: [10.9.0.0/16]}
clusters:
  - name: pair
    nodes:
      ex1: {public: [192.0.2.11], management: [10.9.0.11], site: hq}
      ex2: {public: [192.0.2.12], management: [10.9.0.12], site: dr}
    roles:
      - {name: mailbox, dns: [mail.ad.example.], ttl: 12s, source: {operator: {initial: ex1}}}
push:
  targets:
    - {name: primary, update: {zone: ad.example., primary: [192.0.2.54], key: push.key}}
`

// forgetful starts an unbound that has ad.example from BIND, and is told nothing by nameward.
func (h *Host) forgetful(t *testing.T) *Asker {
	t.Helper()
	conf := h.lab.write("unbound/unbound.conf", fmt.Sprintf(`
server:
	interface: %s
	access-control: 192.0.2.0/24 allow
	directory: %q
	pidfile: ""
	chroot: ""
	username: ""
	use-syslog: no
	logfile: ""
	module-config: "iterator"
	num-threads: 1
remote-control:
	control-enable: no
stub-zone:
	name: "ad.example"
	stub-addr: %s
`, cacheAddr, h.lab.path("unbound"), bindAddr))
	h.start(t, "unbound", "-d", "-c", conf)
	a := h.asker(t, cacheAddr)
	soon(t, "unbound", 10*time.Second, "192.0.2.11", func() string { return a.a("mail.ad.example.") })
	return a
}

// ttlOf is the TTL of a name's address.
func (a *Asker) ttlOf(name string) string {
	r, err := a.exchange(name, dns.TypeA)
	if err != nil || len(r.Answer) == 0 {
		return "none"
	}
	return fmt.Sprint(r.Answer[0].Header().Ttl)
}

// apply starts `nameward plan apply` as a process of its own.
func (n *Nameward) apply(t *testing.T, file string) *Process {
	t.Helper()
	return n.host.start(t, nameward, "plan", "apply", file, "--yes", "--socket", n.socket)
}

// TestPlannedSwitchover: with a plan a cache never holds the old address for longer than the lowered TTL, whatever dies on
// the way; without one it holds it for the old TTL.
func TestPlannedSwitchover(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, bind, cache, client := l.host("guard", guardAddr), l.host("bind", bindAddr), l.host("cache", cacheAddr), l.host("client", clientAddr)
	primary := bind.pushedBind(t, bindAddr)
	l.write("push.key", "push.:"+pushSecret+"\n")
	n := guard.nameward(t, plannedWorld)
	const name = "mail.ad.example."
	zone := client.asker(t, bindAddr)
	soon(t, "BIND has the role's TTL", 10*time.Second, "192.0.2.11 12", func() string { return zone.a(name) + " " + zone.ttlOf(name) })
	cached := cache.forgetful(t)
	stale := func(from, want string) time.Duration {
		t.Helper()
		return soon(t, "the cache has "+want, 20*time.Second, want, func() string { return cached.a(name) })
	}

	// Without a plan.
	soon(t, "the cache has it anew", 20*time.Second, "11", func() string { return cached.ttlOf(name) })
	n.do(t, "switch", "mailbox", "--to", "ex2", "--wait")
	without := stale("192.0.2.11", "192.0.2.12")
	n.do(t, "switch", "mailbox", "--to", "ex1", "--wait")
	stale("192.0.2.12", "192.0.2.11")

	// A plan is refused while its target is dead; nothing is changed.
	n.do(t, "plan", "create", "mailbox", "--site", "dr", "-o", "dr.plan")
	primary.kill()
	r := n.cli(t, "plan", "apply", "dr.plan", "--yes", "--timeout", "3s")
	if r.code != 1 {
		t.Errorf("with a dead target: exit code %d\n%s", r.code, r.out)
	}
	holds(t, "with a dead target", r.out, "target primary (update)", "the TTLs are as they were")
	same(t, "the role", n.brief(t, "mailbox"), "fresh ex1 epoch 3")
	bind.pushedBindAgain(t, bindAddr)
	soon(t, "BIND again", 15*time.Second, "192.0.2.11 12", func() string { return zone.a(name) + " " + zone.ttlOf(name) })

	// The command is killed in the wait, and nameward too; the same command goes on.
	first := n.apply(t, "dr.plan")
	soon(t, "TTLs are low at BIND", 15*time.Second, "1", func() string { return zone.ttlOf(name) })
	soon(t, "and waited out", 5*time.Second, "yes", func() string {
		if strings.Contains(first.output(), "waiting until") {
			return "yes"
		}
		return first.output()
	})
	first.kill()
	n.kill()
	n.up(t)
	same(t, "nothing has moved", n.brief(t, "mailbox")+" "+zone.ttlOf(name), "fresh ex1 epoch 3 1")
	second := n.apply(t, "dr.plan")
	soon(t, "the switch", 40*time.Second, "fresh ex2 epoch 4", func() string { return n.brief(t, "mailbox") })
	with := stale("192.0.2.11", "192.0.2.12")
	if !second.wait(20*time.Second) || second.cmd.ProcessState.ExitCode() != 0 {
		t.Fatalf("apply did not end well\n%s", second.output())
	}
	holds(t, "apply", second.output(), "1 role moved", "primary", "verified", "the TTLs are the roles' own again")
	soon(t, "the TTL at BIND", 10*time.Second, "12", func() string { return zone.ttlOf(name) })
	t.Logf("the cache had the old address for %v without a plan and for %v with one", without, with)
	if with > 2500*time.Millisecond || without < 5*time.Second {
		t.Errorf("the cache had the old address for %v with a plan, and for %v without: want about 1 s and about 12 s", with, without)
	}

	// Back; Ctrl-C in the middle calls it off, and the next one goes through.
	back := n.host.start(t, nameward, "plan", "revert", "dr.plan", "--yes", "--socket", n.socket)
	soon(t, "TTLs are low again", 15*time.Second, "1", func() string { return zone.ttlOf(name) })
	back.signal(syscall.SIGINT)
	if !back.wait(10*time.Second) || back.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("interrupted: %v\n%s", back.cmd.ProcessState, back.output())
	}
	soon(t, "the TTL at BIND", 10*time.Second, "12", func() string { return zone.ttlOf(name) })
	same(t, "the role", n.brief(t, "mailbox"), "fresh ex2 epoch 4")
	n.do(t, "plan", "revert", "dr.plan", "--yes")
	same(t, "the role", n.brief(t, "mailbox"), "fresh ex1 epoch 5")
	same(t, "at BIND", zone.a(name), "192.0.2.11")
	if run, err := os.ReadFile(l.path("dr.plan.run")); err != nil || strings.Count(string(run), `"switched"`) != 2 {
		t.Errorf("the journal of the plan: %v\n%s", err, run)
	}
}
