//go:build linux

package e2e

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

var secondaryTransfer = regexp.MustCompile(`transfer of '([^/]+)/IN' from 192\.0\.2\.53#53: Transfer completed: \d+ messages, (\d+) records`)

// transfersOf lists how many records each transfer of a zone had that BIND made.
func transfersOf(p *Process, zone string) (out []int) {
	for _, m := range secondaryTransfer.FindAllStringSubmatch(p.output(), -1) {
		if m[1]+"." == zone {
			n, _ := strconv.Atoi(m[2])
			out = append(out, n)
		}
	}
	return out
}

// bindSecondary has BIND follow the zones of pair.
func bindSecondary(t *testing.T, bind *Host) *Process {
	t.Helper()
	zones := ""
	for _, zone := range []string{"corp.example", "2.0.192.in-addr.arpa"} {
		zones += fmt.Sprintf("zone %q { type secondary; file \"%s.db\"; primaries { 192.0.2.53; }; };\n", zone, zone)
	}
	p := bind.named(t, bindAddr, zones, "corp.example.")
	soon(t, "BIND has the reverse zone", 20*time.Second, "1", func() string { return fmt.Sprint(len(transfersOf(p, "2.0.192.in-addr.arpa."))) })
	return p
}

// converges waits until BIND has our serial of both zones, and compares what is in them.
func converges(t *testing.T, n *Nameward, client *Host, second *Asker) {
	t.Helper()
	for _, zone := range []string{"corp.example.", "2.0.192.in-addr.arpa."} {
		soon(t, "serial of "+zone+" at BIND", 20*time.Second, "true", func() string {
			return fmt.Sprint(strings.Contains(second.lookup(zone, dns.TypeSOA), fmt.Sprintf(" %d ", zoneSerial(t, n, zone))))
		})
		same(t, "zone "+zone+" at BIND", strings.Join(client.axfr(t, bindAddr, zone), "\n"), strings.Join(client.axfr(t, guardAddr, zone), "\n"))
	}
}

// TestUpdatesReachSecondary has BIND follow a zone of 1000 names by IXFR, through updates and switches of roles.
func TestUpdatesReachSecondary(t *testing.T) {
	l := newLab(t)
	guard, client, bind := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("bind", bindAddr)
	n := guard.owner(t, telling(owning, bindAddr))
	u := client.updating(t, "udp", dhcpKey)
	for i := range 100 {
		var names []string
		for k := range 10 {
			names = append(names, fmt.Sprintf("+ n%d.dyn 60 A 198.51.100.%d; + n%[1]d.dyn 60 TXT x", 10*i+k, i))
		}
		same(t, "an update", u.send("corp.example.", strings.Join(names, "; ")), "NOERROR")
	}
	p := bindSecondary(t, bind)
	second := client.asker(t, bindAddr)
	converges(t, n, client, second)
	whole := len(transfersOf(p, "corp.example."))

	var took []time.Duration
	for i := range 30 {
		addr := fmt.Sprintf("203.0.113.%d", i+1)
		same(t, "an update", u.send("corp.example.", "- n7.dyn A; + n7.dyn 60 A "+addr), "NOERROR")
		took = append(took, soon(t, "BIND serves it", 20*time.Second, addr, func() string { return second.a("n7.dyn.corp.example.") }))
	}
	middle, worst := median(took)
	t.Logf("NOERROR to BIND answering: median %s, max %s of %d", middle, worst, len(took))
	if middle > time.Second {
		t.Errorf("BIND answers after %s", middle)
	}
	for i := range 100 {
		switch i % 5 {
		case 0:
			if _, err := n.move("mailbox", []string{"ex1", "ex2"}[i/5%2]); err != nil {
				t.Fatal(err)
			}
		case 1:
			same(t, "a reverse update", u.send("2.0.192.in-addr.arpa.", fmt.Sprintf("- %d; + %[1]d 60 PTR n%[1]d.dyn.corp.example.", 100+i)), "NOERROR")
		default:
			same(t, "an update", u.send("corp.example.", fmt.Sprintf("- n%d.dyn; + m%[1]d.dyn 60 A 203.0.113.9; + *.w%[1]d.dyn 60 TXT y", i)), "NOERROR")
		}
	}
	converges(t, n, client, second)
	transfers := transfersOf(p, "corp.example.")
	if len(transfers) <= whole {
		t.Fatalf("no transfers in what BIND wrote:\n%s", tail(p.output(), 20))
	}
	for _, records := range transfers[whole:] {
		if records > 1500 {
			t.Errorf("a transfer of %d records is no difference", records)
		}
	}
	t.Logf("%d transfers behind the first, of up to %d records", len(transfers)-whole, maxOf(transfers[whole:]))
}

func maxOf(list []int) (most int) {
	for _, n := range list {
		most = max(most, n)
	}
	return most
}

// TestKillDuringUpdates ends the process in the middle of concurrent updates. Every update that was acknowledged is
// there afterwards, and BIND comes to the same zone.
func TestKillDuringUpdates(t *testing.T) {
	const rounds, writers = 25, 8
	l := newLab(t)
	guard, client, bind := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("bind", bindAddr)
	n := guard.owner(t, strings.ReplaceAll(telling(owning, bindAddr), "\n    ns:", "\n    refresh: 1s\n    retry: 1s\n    ns:"))
	bindSecondary(t, bind)
	second := client.asker(t, bindAddr)
	w := make([]*writer, writers)
	for i := range w {
		w[i] = &writer{updating: client.updating(t, []string{"udp", "tcp"}[i%2], dhcpKey), name: fmt.Sprintf("w%d.dyn", i)}
	}
	serial, acked := uint32(0), 0
	for range rounds {
		var work sync.WaitGroup
		for _, one := range w {
			work.Go(one.live)
		}
		time.Sleep(time.Duration(10+rand.IntN(60)) * time.Millisecond)
		n.kill()
		work.Wait()
		n.up(t)
		ask := client.asker(t, guardAddr)
		serial = later(t, serial, ask.serial(t, "corp.example."))
		for _, one := range w {
			acked += one.acked
			one.check(ask.a(one.name + ".corp.example."))
			one.dial()
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d updates acknowledged in %d rounds", acked, rounds)
	if acked < rounds*writers {
		t.Errorf("only %d updates: nothing was interrupted", acked)
	}
	converges(t, n, client, second)
}

// writer writes one name, again and again, and knows what it was told.
type writer struct {
	*updating
	name   string
	stamp  int
	last   string // acknowledged
	flight string // asked for and not acknowledged, "" for nothing
	acked  int    // in this round
}

// live goes on until the server is gone.
func (w *writer) live() {
	w.acked, w.flight = 0, ""
	for {
		w.stamp++
		w.flight = fmt.Sprintf("198.51.%d.%d", 100+w.stamp/200%100, 1+w.stamp%200)
		m := updateOf(w.t, "corp.example.", "- "+w.name+" A; + "+w.name+" 60 A "+w.flight)
		r, err := w.quick(m)
		if err != nil || r.Rcode != 0 {
			return
		}
		w.last, w.flight = w.flight, ""
		w.acked++
	}
}

// check looks at what the next process knows.
func (w *writer) check(is string) {
	w.t.Helper()
	last := w.last
	if last == "" {
		last = "NXDOMAIN"
	}
	if is != last && is != w.flight {
		w.t.Errorf("%s is %s; acknowledged was %s, under way %q", w.name, is, w.last, w.flight)
	}
	if is != "NXDOMAIN" {
		w.last = is
	}
}
