package notify

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func TestMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess)
		l := newLab(t, list(f))
		want := new(dns.Msg).SetNotify(corp)
		want.Answer = []dns.RR{l.zones.View(corp).SOA()}
		got := <-f.heard
		want.Id = got.Id
		if got.String() != want.String() || !got.Authoritative || got.Response {
			t.Errorf("got\n%v\nwant\n%v", got, want)
		}
	})
}

// TestSettle: nothing is said before the server listens.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess)
		l := start(t, newWorld(list(f)))
		l.dial, l.settle = network([][]*fakeSecondary{list(f)}), time.Second
		l.run()
		f.quiet(t, time.Second-1)
		l.told(f, corp)
	})
}

// TestFollowsSerials: every zone at the start, and then those that moved.
func TestFollowsSerials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess)
		l := newLab(t, list(f), list(f), list(f))
		l.told(f, corp, sub, reverse)
		l.counted(3, 0)
		l.claim("inner", "ex1")
		l.told(f, corp, sub, reverse)
		l.counted(6, 0)
		l.claim("mailbox", "ex2")
		l.told(f, corp, reverse)
		l.claim("mailbox", "ex2") // nothing new
		f.quiet(t, 2*firstWait)   // and what was acknowledged is not sent again
		l.counted(8, 0)
		if levels := l.stop(); levels["debug"] != 8 || levels["warn"]+levels["info"] > 0 {
			t.Errorf("log:\n%s", l.out.String())
		}
	})
}

// TestDeadDelaysNobody: neither another target nor the end.
func TestDeadDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, slow, live := newFake(silence), newFake(dns.RcodeSuccess, delayed(2*firstWait)), newFake(dns.RcodeSuccess)
		l := newLab(t, list(dead, slow, live))
		for _, node := range []string{"", "ex1", "ex2", "ex1"} {
			if node != "" {
				l.claim("mailbox", node)
			}
			if d := l.told(live, corp); d > spacing {
				t.Errorf("told after %s", d)
			}
		}
		begin := time.Now()
		l.stop()
		if d := time.Since(begin); d > 0 {
			t.Errorf("the end takes %s", d)
		}
	})
}

func TestBurstIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess)
		l := newLab(t, list(f))
		l.told(f, corp)
		for i := range 200 {
			l.claim("mailbox", []string{"ex1", "ex2"}[i%2])
			time.Sleep(time.Millisecond)
		}
		f.quiet200(t, fmt.Sprint(corp, " ", l.serial(corp)))
	})
}

// quiet200 reads what was told in a burst of 200 ms: some NOTIFYs, of which the last has the newest serial.
func (f *fakeSecondary) quiet200(t *testing.T, want string) {
	t.Helper()
	time.Sleep(spacing)
	synctest.Wait()
	last, packets := "", len(f.heard)
	for range packets {
		last = f.next(t, time.Minute)
	}
	if most := int(200*time.Millisecond/spacing) + 1; last != want || packets > most || packets < 3 {
		t.Errorf("%d NOTIFYs, 3 to %d expected, the last is of %q, want %q", packets, most, last, want)
	}
	f.quiet(t, 2*firstWait)
}

// TestSilent: told again until it responds, always of the newest serial. The outage is one.
func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(silence)
		l := newLab(t, list(f))
		first := <-f.heard
		begin := time.Now()
		if again := <-f.heard; again.String() != first.String() {
			t.Errorf("first\n%v\nthen\n%v", first, again)
		}
		if d := time.Since(begin); d <= firstWait*3/4-1 || d > firstWait {
			t.Errorf("told again after %s", d)
		}
		l.claim("mailbox", "ex1")
		if d := l.told(f, corp); d > spacing {
			t.Errorf("a new serial waits %s for the retry of the last one", d)
		}
		l.told(f, corp)
		l.told(f, corp)
		l.counted(0, 3)

		f.rcode.Store(dns.RcodeSuccess)
		l.told(f, corp)
		l.counted(1, 4)
		f.quiet(t, 2*firstWait)
		f.rcode.Store(silence)
		l.claim("mailbox", "ex2")
		l.told(f, corp)
		l.told(f, corp)
		l.counted(1, 5)
		if levels := l.stop(); levels["warn"] != 2 || levels["info"] != 1 || !strings.Contains(l.out.String(), errSilent.Error()) {
			t.Errorf("log:\n%s", l.out.String())
		}
	})
}

// TestRefused: one zone that the target does not want does not delay the others.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess, spoiled(func(m *dns.Msg) {
			if m.Question[0].Name == sub {
				m.Rcode = dns.RcodeRefused
			}
		}))
		l := newLab(t, list(f), list(f), list(f))
		l.told(f, corp, sub, reverse)
		l.counted(2, 1)
		l.told(f, sub)
		l.counted(2, 2)
		l.claim("mailbox", "ex1")
		l.told(f, corp, reverse)
		l.counted(4, 2)
		if levels := l.stop(); levels["warn"] != 1 || levels["info"] != 0 || !strings.Contains(l.out.String(), "REFUSED") {
			t.Errorf("log:\n%s", l.out.String())
		}
	})
}

// TestSlow: a response after the next try is one to the same serial.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess, delayed(firstWait+firstWait/4))
		l := newLab(t, list(f))
		l.told(f, corp)
		l.told(f, corp)
		f.quiet(t, 2*firstWait)
		l.counted(1, 1)
		if levels := l.stop(); levels["warn"] != 1 || levels["info"] != 1 {
			t.Errorf("log:\n%s", l.out.String())
		}
	})
}

// TestNobodyListens and then somebody does, at the same port.
func TestNobodyListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess)
		f.gone.Store(true)
		l := newLab(t, list(f))
		time.Sleep(firstWait)
		l.counted(0, 1)
		f.gone.Store(false)
		l.told(f, corp)
		l.counted(1, 2)
		if levels := l.stop(); levels["warn"] != 1 || levels["info"] != 1 || !strings.Contains(l.out.String(), "refused") {
			t.Errorf("log:\n%s", l.out.String())
		}
	})
}

// TestSockets is TestNobodyListens with sockets of the system, whose time nobody knows.
func TestSockets(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeSecondary{addr: netip.MustParseAddrPort(conn.LocalAddr().String()), heard: make(chan *dns.Msg, 4096)}
	conn.Close()
	l := start(t, newWorld(list(f)))
	l.run()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, failed := l.Counts(); failed > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing fails")
		}
	}
	if conn, err = net.ListenPacket("udp4", f.addr.String()); err != nil {
		t.Skip("somebody else has the port now: ", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for buf := make([]byte, dns.DefaultMsgSize); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo(f.take(buf[:n]), from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	zones, changed := l.board(f.addr).read()
	for deadline := time.After(time.Minute); !zones[corp].acked.covers(l.serial(corp)); zones, changed = l.board(f.addr).read() {
		select {
		case <-changed:
		case <-deadline:
			t.Fatal("it is not told")
		}
	}
	if levels := l.stop(); levels["warn"] != 1 || levels["info"] != 1 || !strings.Contains(l.out.String(), "refused") {
		t.Errorf("log:\n%s", l.out.String())
	}
}

// TestStrangeResponses are not taken.
func TestStrangeResponses(t *testing.T) {
	for name, spoil := range map[string]func(*dns.Msg){
		"another id":   func(m *dns.Msg) { m.Id++ },
		"a request":    func(m *dns.Msg) { m.Response = false },
		"a query":      func(m *dns.Msg) { m.Opcode = dns.OpcodeQuery },
		"another zone": func(m *dns.Msg) { m.Question[0].Name = sub },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(dns.RcodeSuccess, spoiled(spoil))
				l := newLab(t, list(f))
				l.told(f, corp)
				l.told(f, corp)
				l.counted(0, 1)
			})
		})
	}
}

// TestOldResponse: what is said of an older serial does not count for the newest, but for itself.
func TestOldResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first *dns.Msg
		f := newFake(silence, spoiled(func(m *dns.Msg) { m.Id = first.Id }))
		l := newLab(t, list(f))
		first, old := <-f.heard, l.serial(corp)
		f.rcode.Store(dns.RcodeSuccess)
		l.claim("mailbox", "ex1")
		l.told(f, corp)
		l.told(f, corp)
		l.counted(0, 1)
		if zones, _ := l.board(f.addr).read(); !zones[corp].acked.covers(old) || zones[corp].acked.covers(old+1) {
			t.Errorf("%+v", zones[corp])
		}
	})
}

// TestConfigure: targets come and go with the configuration.
func TestConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, dead := newFake(dns.RcodeSuccess), newFake(dns.RcodeSuccess), newFake(silence)
		l := start(t, newWorld(list(a, dead), list(a)))
		l.dial = network([][]*fakeSecondary{list(a, b, dead)})
		l.run()
		l.told(a, corp, sub)
		configure := func(targets ...[]*fakeSecondary) {
			t.Helper()
			if err := l.reg.Configure(t.Context(), newWorld(targets...)); err != nil {
				t.Fatal(err)
			}
		}
		configure(list(b), nil, list(a))
		l.told(a, reverse)
		l.told(b, corp)
		synctest.Wait()
		for len(dead.heard) > 0 {
			<-dead.heard
		}
		dead.quiet(t, time.Minute)
		l.claim("inner", "ex1")
		l.told(a, reverse)
		l.told(b, corp)
		configure(list(a, b))
		l.told(a, corp)
		b.quiet(t, time.Minute) // the zone is as it was
		configure()
		l.claim("mailbox", "ex2")
		a.quiet(t, time.Minute)
		b.quiet(t, time.Minute)
	})
}

// TestWaits: they double up to the last, each with a little jitter, and are short while the serial is young.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(silence)
		newLab(t, list(f))
		<-f.heard
		born, last, want := time.Now(), time.Now(), firstWait
		for time.Since(born) < time.Hour {
			<-f.heard
			d := time.Since(last)
			if d > want || d <= want*3/4-1 {
				t.Errorf("%s after the first: waits %s, want 3/4 to all of %s", last.Sub(born), d, want)
			}
			last = time.Now()
			if want *= 2; last.Sub(born) < young {
				want = min(want, soonWait)
			}
			want = min(want, lastWait)
		}
	})
}

// TestBackAgain: when a secondary is back, all that it missed is told soon, and a zone that it does not want is not
// asked for more often.
func TestBackAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(silence)
		l := newLab(t, list(f), list(f), list(f))
		time.Sleep(time.Hour)
		f.rcode.Store(dns.RcodeSuccess)
		synctest.Wait()
		for len(f.heard) > 0 {
			<-f.heard
		}
		l.claim("mailbox", "ex1")
		if d := l.told(f, corp, reverse, sub); d > 2*spacing {
			t.Errorf("it takes %s", d)
		}
		f.quiet(t, time.Hour)
	})
}

// TestBehind: a secondary that acknowledges a serial and does not have it after some time is told once more, less and
// less often.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess)
		l := newLab(t, list(f))
		l.told(f, corp)
		serial := l.serial(corp)
		var told []time.Duration
		begin := time.Now()
		for range 3000 { // as somebody who asks all the time
			time.Sleep(50 * time.Millisecond)
			l.board(f.addr).isBehind(corp, serial)
			synctest.Wait()
			for len(f.heard) > 0 {
				<-f.heard
				told = append(told, time.Since(begin).Round(100*time.Millisecond))
			}
		}
		if got := fmt.Sprint(told); got != "[1s 3s 7s 15s 31s 1m1s 1m31s 2m1s]" {
			t.Errorf("told after %s", got)
		}
		l.board(f.addr).isBehind(corp, serial+1) // which it was not told
		l.board(f.addr).isBehind("nowhere.example.", 1)
		f.quiet(t, time.Hour)
	})
}
