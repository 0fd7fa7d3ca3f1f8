//go:build linux

package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReloadUnderLoad puts bad and good files in force while dnsperf and a NetBIOS client ask. Nobody may
// notice but the operator.
func TestReloadUnderLoad(t *testing.T) {
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	world := pair + `netbios: {name: GUARD1, listen: [{address: "192.0.2.53"}]}
`
	corefile := ".:53 {\n bind 192.0.2.53\n errors\n prometheus 127.0.0.1:9153\n NAMEWARD\n}\n"
	n := guard.namewardWith(t, world, corefile)
	n.do(t, "switch", "mailbox", "--to", "ex2")
	a := client.asker(t, guardAddr)
	nb := load(t, "NetBIOS", 100*time.Microsecond, func() string { return oneOf(a.netbios("MAIL<20>"), "192.0.2.12") })
	watch := client.asker(t, guardAddr)
	dnsLoad := load(t, "DNS", 500*time.Microsecond, func() string { return oneOf(watch.a("mail.corp.example."), "192.0.2.12") })
	perf := client.dnsperf(t, 5000, "mail.corp.example A", "mail.corp.example AAAA", "corp.example SOA", "ex1.corp.example A")
	extra := client.asker(t, guardAddr)
	const before, reloads = "fresh ex2 epoch 2", 60

	bad := strings.Replace(world, "mode: single", "", 1)
	bad = strings.Replace(bad, "        source: {operator: {initial: ex1}}", "        sauce: {operator: {initial: ex1}}", 1) + place
	line := 1 + strings.Count(bad[:strings.Index(bad, "sauce")], "\n")
	problem := fmt.Sprintf("%s:%d:9: ", n.config, line)

	t.Run("bad file", func(t *testing.T) {
		writeAtomic(t, n.config, bad)
		soon(t, "status says what is wrong", 5*time.Second, "true", func() string {
			return fmt.Sprint(strings.Contains(n.status(t).Config.Error, problem))
		})
		holds(t, "status", n.do(t, "status"), problem, "sauce", "the one loaded")
		r := n.cli(t, "reload")
		holds(t, "reload", r.out, problem)
		same(t, "exit code of reload", fmt.Sprint(r.code), "1")
		r = n.cli(t, "config", "check", n.config)
		holds(t, "config check", r.out, problem)
		same(t, "exit code of config check", fmt.Sprint(r.code), "1")
		had := refusals(n)
		n.signal(syscall.SIGHUP)
		soon(t, "SIGHUP is refused too", 5*time.Second, fmt.Sprint(had+1), func() string { return fmt.Sprint(refusals(n)) })
		same(t, "state", n.brief(t, "mailbox"), before)
		holds(t, "metrics", scrape(t, guard), "coredns_nameward_config_rejected 1")
	})
	t.Run("switch while the file is bad", func(t *testing.T) {
		n.do(t, "switch", "mailbox", "--to", "ex2") // to where it is: nothing moves
		same(t, "state", n.brief(t, "mailbox"), before)
	})
	t.Run("good file", func(t *testing.T) {
		writeAtomic(t, n.config, withRole(world, "extra")+place)
		soon(t, "the new role answers", 5*time.Second, "192.0.2.11", func() string { return extra.a("extra.corp.example.") })
		same(t, "error of the configuration", n.status(t).Config.Error, "")
		same(t, "state of the role that did not change", n.brief(t, "mailbox"), before)
		holds(t, "metrics", scrape(t, guard), "coredns_nameward_config_rejected 0")
	})
	t.Run("SIGHUP", func(t *testing.T) {
		writeAtomic(t, n.config, withRole(world, "third")+place)
		n.signal(syscall.SIGHUP)
		soon(t, "the new role answers", 5*time.Second, "192.0.2.11", func() string { return extra.a("third.corp.example.") })
		same(t, "the old role is gone", extra.a("extra.corp.example."), "NXDOMAIN")
		same(t, "state of the role that did not change", n.brief(t, "mailbox"), before)
	})
	t.Run("NetBIOS", func(t *testing.T) { reloadNetBIOS(t, n, world) })
	t.Run("Corefile", func(t *testing.T) {
		file := l.path("Corefile")
		hosts := " hosts {\n 192.0.2.99 from.hosts.example\n fallthrough\n }\n}"
		for i := range reloads {
			writeAtomic(t, file, n.expand(strings.Replace(corefile, "\n}", fmt.Sprintf("\n # %d\n", i)+hosts, 1)))
			n.signal(syscall.SIGUSR1)
			soon(t, "the new Corefile is in force", 10*time.Second, fmt.Sprint(i+1), func() string {
				return fmt.Sprint(strings.Count(n.output(), "Reloading complete"))
			})
			time.Sleep(20 * time.Millisecond) // for the load to see it
		}
		same(t, "a name of the new Corefile", extra.a("from.hosts.example."), "192.0.2.99")
		writeAtomic(t, file, n.expand(strings.Replace(corefile, "errors", "errrors", 1)))
		n.signal(syscall.SIGUSR1)
		soon(t, "the bad Corefile is refused", 5*time.Second, "true", func() string {
			return fmt.Sprint(strings.Contains(n.output(), "the Corefile is not taken; the last good one stays in force"))
		})
		same(t, "a name of the last good Corefile", extra.a("from.hosts.example."), "192.0.2.99")
		same(t, "state after all", n.brief(t, "mailbox"), before)
	})
	t.Run("a Corefile that fails late", func(t *testing.T) {
		// Its port is taken: what was handed over to it must come back.
		taken := guard.listen(t, "192.0.2.53:5353")
		defer taken.Close()
		writeAtomic(t, l.path("Corefile"), n.expand(corefile+".:5353 {\n bind 192.0.2.53\n NAMEWARD\n}\n"))
		had := strings.Count(n.output(), "the Corefile is not taken")
		n.signal(syscall.SIGUSR1)
		soon(t, "it is refused", 5*time.Second, fmt.Sprint(had+1), func() string {
			return fmt.Sprint(strings.Count(n.output(), "the Corefile is not taken"))
		})
		same(t, "answers", extra.both("mail.corp.example.", "MAIL<20>"), "192.0.2.12 | 192.0.2.12")
		writeAtomic(t, l.path("Corefile"), n.expand(corefile))
		n.signal(syscall.SIGUSR1)
		soon(t, "the good one is in force", 10*time.Second, fmt.Sprint(reloads+1), func() string {
			return fmt.Sprint(strings.Count(n.output(), "Reloading complete"))
		})
		n.do(t, "switch", "mailbox", "--to", "ex2")
		same(t, "state", n.brief(t, "mailbox"), before)
	})
	perf.end(t)
	nb.end()
	dnsLoad.end()
	n.do(t, "switch", "mailbox", "--to", "ex1")
	same(t, "answers after a switch", extra.both("mail.corp.example.", "MAIL<20>"), "192.0.2.11 | 192.0.2.11")
}

// reloadNetBIOS changes the name service while it is asked.
func reloadNetBIOS(t *testing.T, n *Nameward, world string) {
	stranger := n.host.lab.host("stranger", "192.0.2.101")
	put := func(listen, rest string) result {
		writeAtomic(t, n.config, strings.Replace(withRole(world, "third"), `[{address: "192.0.2.53"}]`, listen+rest, 1)+place)
		return n.cli(t, "reload")
	}
	const same53 = `[{address: "192.0.2.53"}]`
	same(t, "exit code with another name and more listeners", fmt.Sprint(put(`[{address: "192.0.2.53"}, {address: "127.0.0.1"}]`, ``).code), "0")
	for i, bad := range []string{
		`[{interface: nope0}]`,                                // there is no such interface
		`[{address: "192.0.2.53"}, {address: "192.0.2.250"}]`, // not an address of this host
		`[{address: "192.0.2.250"}]`,
	} {
		r := put(bad, ", node_status: {full: [0.0.0.0/0]}")
		if r.code != 1 {
			t.Errorf("listeners %s: exit code %d\n%s", bad, r.code, r.out)
		}
		if text := stranger.nmblookup(t, "-A", guardAddr); strings.Contains(text, "MAIL") || !strings.Contains(text, "GUARD1") {
			t.Errorf("refused configuration %d is in force for node status:\n%s", i, text)
		}
	}
	// The last of them again and again: the socket that is in force must not be closed on its account.
	for range 40 {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if _, err := n.Reload(ctx); err == nil {
			t.Error("a listener on an address of nobody is accepted")
		}
		cancel()
	}
	same(t, "exit code with what was before", fmt.Sprint(put(same53, ``).code), "0")
}

// refusals counts the configurations that the log says were refused.
func refusals(n *Nameward) int { return strings.Count(n.output(), "the configuration is not taken") }

// withRole adds a role of ex1 to a world.
func withRole(world, name string) string {
	role := fmt.Sprintf("      - {name: %s, dns: [%s.corp.example.], source: {operator: {initial: ex1}}}\nzones:\n", name, name)
	return strings.Replace(world, "zones:\n", role, 1)
}

// scrape fetches the metrics in the host.
func scrape(t *testing.T, h *Host) string {
	t.Helper()
	return scrapeAt(t, h, "127.0.0.1:9153")
}

func scrapeAt(t *testing.T, h *Host, addr string) string {
	t.Helper()
	conn, err := h.dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprint(conn, "GET /metrics HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return readAll(t, conn)
}
