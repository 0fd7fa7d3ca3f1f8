package nameward

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/zone"
)

const silence = -1 // in place of an rcode

// fakeSecondary hears NOTIFYs on loopback.
type fakeSecondary struct {
	addr  netip.AddrPort
	heard chan *dns.Msg
	rcode atomic.Int32 // of the response, or silence
	delay time.Duration
	spoil func(*dns.Msg) // changes the response
}

// newFake makes a secondary that hears; its delay and what it spoils must be set before.
func newFake(t *testing.T, rcode int, set ...func(*fakeSecondary)) *fakeSecondary {
	t.Helper()
	f := &fakeSecondary{heard: make(chan *dns.Msg, 256)}
	f.rcode.Store(int32(rcode))
	for _, s := range set {
		s(f)
	}
	f.hear(t, "127.0.0.1:0")
	return f
}

func delayed(d time.Duration) func(*fakeSecondary) { return func(f *fakeSecondary) { f.delay = d } }

func spoiled(spoil func(*dns.Msg)) func(*fakeSecondary) {
	return func(f *fakeSecondary) { f.spoil = spoil }
}

func (f *fakeSecondary) hear(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	f.addr = netip.MustParseAddrPort(conn.LocalAddr().String())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for buf := make([]byte, dns.DefaultMsgSize); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			m := new(dns.Msg)
			if err := m.Unpack(buf[:n]); err != nil {
				t.Error(err)
				continue
			}
			f.heard <- m
			f.respond(conn, from, m)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
}

func (f *fakeSecondary) respond(conn net.PacketConn, to net.Addr, m *dns.Msg) {
	rcode := int(f.rcode.Load())
	if rcode == silence {
		return
	}
	time.Sleep(f.delay)
	r := new(dns.Msg).SetRcode(m, rcode)
	if f.spoil != nil {
		f.spoil(r)
	}
	if wire, err := r.Pack(); err == nil {
		conn.WriteTo(wire, to)
	}
}

// next is the next NOTIFY as "zone serial".
func (f *fakeSecondary) next(t *testing.T, within time.Duration) string {
	t.Helper()
	select {
	case m := <-f.heard:
		return fmt.Sprint(m.Question[0].Name, " ", m.Answer[0].(*dns.SOA).Serial)
	case <-time.After(within):
		t.Fatalf("%s is not told within %s", f.addr, within)
		return ""
	}
}

// told takes the next NOTIFYs, in whatever order.
func (f *fakeSecondary) told(t *testing.T, s interface{ Zones() *zone.DB }, names ...string) {
	t.Helper()
	var got, want []string
	for _, z := range names {
		got = append(got, f.next(t, 5*time.Second))
		want = append(want, fmt.Sprint(z, " ", serialOf(t, s, z)))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s is told of %v, want %v", f.addr, got, want)
	}
}

func (f *fakeSecondary) quiet(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case m := <-f.heard:
		t.Errorf("%s is told without need:\n%v", f.addr, m)
	case <-time.After(d):
	}
}

// notifying is a notifier that runs.
type notifying struct {
	*notifier
	reg    *served
	cancel context.CancelFunc
	done   chan error
	out    bytes.Buffer // its log; to be read after stop
}

// notify runs a notifier for a world whose first zones have the given targets.
func notify(t *testing.T, targets ...[]*fakeSecondary) *notifying {
	t.Helper()
	n := &notifying{reg: run(t, worldFor(targets...)), done: make(chan error, 1)}
	n.notifier = &notifier{zones: n.reg.zones, log: zerolog.New(zerolog.SyncWriter(&n.out))}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	go func() { n.done <- n.Run(ctx) }()
	t.Cleanup(func() { n.stop(t) })
	return n
}

func worldFor(targets ...[]*fakeSecondary) *registry.World {
	w := newWorld()
	for i, list := range targets {
		for _, f := range list {
			w.Zones[i].Notify = append(w.Zones[i].Notify, f.addr)
		}
	}
	return w
}

// stop ends the notifier, which must not take long, and returns how often its log has each level.
func (n *notifying) stop(t *testing.T) map[string]int {
	t.Helper()
	if n.cancel != nil {
		begin := time.Now()
		n.cancel()
		if err := <-n.done; err != nil {
			t.Error(err)
		}
		if d := time.Since(begin); d > 500*time.Millisecond {
			t.Errorf("the end takes %s", d)
		}
		n.cancel = nil
	}
	levels := map[string]int{}
	for _, level := range []string{"debug", "info", "warn", "error"} {
		levels[level] = strings.Count(n.out.String(), `"level":"`+level+`"`)
	}
	return levels
}

func (n *notifying) counted(t *testing.T, acknowledged, failed uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d acknowledged and %d failed", acknowledged, failed), func() bool {
		return n.counts.acknowledged.Load() == acknowledged && n.counts.failed.Load() == failed
	})
}

// Zones of newWorld.
const (
	corp    = "corp.example."
	sub     = "sub.corp.example."
	reverse = "2.0.192.in-addr.arpa."
)

func list(f ...*fakeSecondary) []*fakeSecondary { return f }

func TestNotifyMessage(t *testing.T) {
	f := newFake(t, dns.RcodeSuccess)
	n := notify(t, list(f))
	want := new(dns.Msg).SetNotify(corp)
	want.Answer = []dns.RR{n.reg.zones.View(corp).SOA()}
	got := <-f.heard
	want.Id = got.Id
	if got.String() != want.String() || !got.Authoritative || got.Response {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

// TestNotifyFollowsSerials: every zone at the start, and then those that moved.
func TestNotifyFollowsSerials(t *testing.T) {
	f := newFake(t, dns.RcodeSuccess)
	n := notify(t, list(f), list(f), list(f))
	f.told(t, n.reg, corp, sub, reverse)
	n.counted(t, 3, 0) // or the next serial comes before the response to the last
	claim(t, n.reg, "sub", "ex1")
	f.told(t, n.reg, sub, reverse)
	n.counted(t, 5, 0)
	claim(t, n.reg, "www", "web1")
	f.told(t, n.reg, corp)
	claim(t, n.reg, "www", "web1") // nothing new
	if _, err := n.reg.Drain(t.Context(), "web3", registry.Drain{}, false); err != nil {
		t.Fatal(err)
	}
	f.quiet(t, 2*firstWait) // and what was acknowledged is not sent again
	n.counted(t, 6, 0)
	if levels := n.stop(t); levels["debug"] != 6 || levels["warn"]+levels["info"] > 0 {
		t.Errorf("log:\n%s", n.out.String())
	}
}

// TestNotifyDeadDelaysNobody: neither another target nor the end.
func TestNotifyDeadDelaysNobody(t *testing.T) {
	dead, slow, live := newFake(t, silence), newFake(t, dns.RcodeSuccess, delayed(2*firstWait)), newFake(t, dns.RcodeSuccess)
	n := notify(t, list(dead, slow, live))
	for _, node := range []string{"", "ex1", "ex2", "ex1"} {
		if node != "" {
			claim(t, n.reg, "mailbox", node)
		}
		begin := time.Now()
		live.told(t, n.reg, corp)
		if d := time.Since(begin); d > firstWait {
			t.Errorf("told after %s", d)
		}
	}
}

func TestNotifyBurstIsOne(t *testing.T) {
	f := newFake(t, dns.RcodeSuccess)
	n := notify(t, list(f))
	f.told(t, n.reg, corp)
	begin, last := time.Now(), fmt.Sprint(corp, " ", 0)
	for i := range 200 {
		claim(t, n.reg, "mailbox", []string{"ex1", "ex2"}[i%2])
	}
	want := fmt.Sprint(corp, " ", serialOf(t, n.reg, corp))
	packets := 0
	for ; last != want; packets++ {
		last = f.next(t, 5*time.Second)
	}
	if most := int(time.Since(begin)/spacing) + 1; packets > most {
		t.Errorf("%d NOTIFYs, at most %d", packets, most)
	}
	f.quiet(t, 2*spacing)
}

// TestNotifySilent: told again until it responds, always of the newest serial. The outage is one.
func TestNotifySilent(t *testing.T) {
	f := newFake(t, silence)
	n := notify(t, list(f))
	first := <-f.heard
	begin := time.Now()
	if again := <-f.heard; again.String() != first.String() {
		t.Errorf("first\n%v\nthen\n%v", first, again)
	}
	if d := time.Since(begin); d < firstWait/2 || d > 2*firstWait {
		t.Errorf("told again after %s", d)
	}
	old := serialOf(t, n.reg, corp)
	claim(t, n.reg, "mailbox", "ex1")
	begin = time.Now()
	f.told(t, n.reg, corp)
	if d := time.Since(begin); d > firstWait/2 {
		t.Errorf("a new serial waits %s for the retry of serial %d", d, old)
	}
	f.told(t, n.reg, corp)
	f.told(t, n.reg, corp)
	n.counted(t, 0, 3)

	f.rcode.Store(dns.RcodeSuccess)
	f.told(t, n.reg, corp)
	n.counted(t, 1, 4)
	f.quiet(t, 2*firstWait)
	f.rcode.Store(silence)
	claim(t, n.reg, "mailbox", "ex2")
	n.counted(t, 1, 5)
	if levels := n.stop(t); levels["warn"] != 2 || levels["info"] != 1 || !strings.Contains(n.out.String(), errSilent.Error()) {
		t.Errorf("log:\n%s", n.out.String())
	}
}

// TestNotifyRefused: one zone that the target does not want does not delay the others.
func TestNotifyRefused(t *testing.T) {
	f := newFake(t, dns.RcodeSuccess, spoiled(func(m *dns.Msg) {
		if m.Question[0].Name == sub {
			m.Rcode = dns.RcodeRefused
		}
	}))
	n := notify(t, list(f), list(f), list(f))
	f.told(t, n.reg, corp, sub, reverse)
	n.counted(t, 2, 1)
	f.told(t, n.reg, sub)
	n.counted(t, 2, 2)
	claim(t, n.reg, "mailbox", "ex1")
	f.told(t, n.reg, corp, reverse)
	n.counted(t, 4, 2)
	if levels := n.stop(t); levels["warn"] != 1 || levels["info"] != 0 || !strings.Contains(n.out.String(), "REFUSED") {
		t.Errorf("log:\n%s", n.out.String())
	}
}

// TestNotifySlow: a response after the next try is one to the same serial.
func TestNotifySlow(t *testing.T) {
	f := newFake(t, dns.RcodeSuccess, delayed(firstWait+firstWait/4))
	n := notify(t, list(f))
	f.told(t, n.reg, corp)
	f.told(t, n.reg, corp)
	n.counted(t, 1, 1)
	f.quiet(t, 2*firstWait)
	if levels := n.stop(t); levels["warn"] != 1 || levels["info"] != 1 {
		t.Errorf("log:\n%s", n.out.String())
	}
}

// TestNotifyNobodyListens and then somebody does, at the same port.
func TestNotifyNobodyListens(t *testing.T) {
	f := &fakeSecondary{heard: make(chan *dns.Msg, 16), addr: netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", freePort(t)))}
	n := notify(t, list(f))
	n.counted(t, 0, 2)
	f.hear(t, f.addr.String())
	f.told(t, n.reg, corp)
	eventually(t, "one is acknowledged, after three or more that failed", func() bool {
		return n.counts.acknowledged.Load() == 1 && n.counts.failed.Load() >= 3
	})
	if levels := n.stop(t); levels["warn"] != 1 || levels["info"] != 1 || !strings.Contains(n.out.String(), "refused") {
		t.Errorf("log:\n%s", n.out.String())
	}
}

// TestNotifyStrangeResponses are not taken.
func TestNotifyStrangeResponses(t *testing.T) {
	for name, spoil := range map[string]func(*dns.Msg){
		"another id":   func(m *dns.Msg) { m.Id++ },
		"a request":    func(m *dns.Msg) { m.Response = false },
		"a query":      func(m *dns.Msg) { m.Opcode = dns.OpcodeQuery },
		"another zone": func(m *dns.Msg) { m.Question[0].Name = sub },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, dns.RcodeSuccess, spoiled(spoil))
			n := notify(t, list(f))
			f.told(t, n.reg, corp)
			n.counted(t, 0, 1)
		})
	}
}

// TestNotifyOldResponse: what is said of an older serial does not count for the newest.
func TestNotifyOldResponse(t *testing.T) {
	var first *dns.Msg
	f := newFake(t, silence, spoiled(func(m *dns.Msg) { m.Id = first.Id }))
	n := notify(t, list(f))
	first = <-f.heard
	f.rcode.Store(dns.RcodeSuccess)
	claim(t, n.reg, "mailbox", "ex1")
	f.told(t, n.reg, corp)
	f.told(t, n.reg, corp)
	if got := n.counts.acknowledged.Load(); got != 0 {
		t.Errorf("%d acknowledged", got)
	}
}

// TestNotifyConfigure: targets come and go with the configuration.
func TestNotifyConfigure(t *testing.T) {
	a, b, dead := newFake(t, dns.RcodeSuccess), newFake(t, dns.RcodeSuccess), newFake(t, silence)
	n := notify(t, list(a, dead), list(a))
	a.told(t, n.reg, corp, sub)
	configure := func(targets ...[]*fakeSecondary) {
		t.Helper()
		if err := n.reg.Configure(t.Context(), worldFor(targets...)); err != nil {
			t.Fatal(err)
		}
	}
	configure(list(b), nil, list(a))
	a.told(t, n.reg, reverse)
	b.told(t, n.reg, corp)
	for len(dead.heard) > 0 {
		<-dead.heard
	}
	dead.quiet(t, 4*firstWait)
	claim(t, n.reg, "sub", "ex1")
	a.told(t, n.reg, reverse)
	b.quiet(t, 2*spacing)
	configure(list(a, b))
	a.told(t, n.reg, corp)
	b.quiet(t, 2*spacing) // the zone is as it was
	configure()
	claim(t, n.reg, "www", "web1")
	a.quiet(t, 2*spacing)
	b.quiet(t, 2*spacing)
}

// TestNotifyWaits: the waits double up to the last, each with a little jitter.
func TestNotifyWaits(t *testing.T) {
	n, now := &notice{wait: firstWait}, time.Now()
	for _, want := range []time.Duration{
		250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
		16 * time.Second, 30 * time.Second, 30 * time.Second,
	} {
		n.goesOut(now)
		if d := n.due.Sub(now); d > want || d <= want*3/4-1 {
			t.Errorf("waits %s, want 3/4 to all of %s", d, want)
		}
	}
}

// TestNotifyOfGuard: nothing is said before the server listens; a dead target does not delay the end.
func TestNotifyOfGuard(t *testing.T) {
	f := newFake(t, dns.RcodeSuccess)
	path := writeConfig(t, "")
	write(t, path, strings.Replace(readText(t, path), "{name: corp.example.,", fmt.Sprintf("{name: corp.example., notify: [%q],", f.addr), 1))
	g := startGuard(t, path)
	f.quiet(t, settle/2)
	f.told(t, g, corp)
	claim(t, g.reg, "mailbox", "ex2")
	f.told(t, g, corp)
	f.rcode.Store(silence)
	claim(t, g.reg, "mailbox", "ex1")
	f.told(t, g, corp)
	begin := time.Now()
	closeGuard(t, g)
	if d := time.Since(begin); d > 500*time.Millisecond {
		t.Errorf("the end takes %s", d)
	}
}
