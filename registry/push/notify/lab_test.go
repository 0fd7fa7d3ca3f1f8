package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/journal"
	"github.com/nameward/nameward/registry/tsig"
	"github.com/nameward/nameward/registry/zone"
)

// Zones of the tests' world, in its order.
const (
	corp    = "corp.example."
	sub     = "sub.corp.example."
	reverse = "2.0.192.in-addr.arpa."
)

// newWorld has two nodes and these roles:
//
//	mailbox   mail.corp.example. mail.other.example.    corp, and not in any zone
//	inner     x.sub.corp.example. y.corp.example.       sub and corp
func newWorld(targets ...[]*fakeSecondary) *registry.World {
	node := func(name string, public ...string) *registry.Node {
		n := &registry.Node{Name: name}
		for _, a := range public {
			n.Public = append(n.Public, netip.MustParseAddr(a))
		}
		return n
	}
	nodes := []*registry.Node{node("ex1", "192.0.2.11", "2001:db8::11"), node("ex2", "192.0.2.12")}
	zone := func(name string) *registry.Zone {
		return &registry.Zone{
			Name: name, NS: []registry.NameServer{{Name: "ns.provider.example."}}, Mbox: "hostmaster." + name, TTL: time.Hour,
			Negative: 5 * time.Second, Refresh: time.Minute, Retry: 10 * time.Second, Expire: 7 * 24 * time.Hour,
		}
	}
	role := func(name string, names ...string) *registry.Role {
		return &registry.Role{Name: name, Nodes: nodes, DNS: names, Source: registry.Source{Kind: "file"}, TTL: 5 * time.Second, OnSourceLost: registry.Withdraw}
	}
	w := &registry.World{
		Nodes: nodes,
		Roles: []*registry.Role{role("mailbox", "mail.corp.example.", "mail.other.example."), role("inner", "x.sub.corp.example.", "y.corp.example.")},
		Zones: []*registry.Zone{zone(corp), zone(sub), zone(reverse)},
	}
	for i, list := range targets {
		for _, f := range list {
			w.Zones[i].Notify = append(w.Zones[i].Notify, f.addr)
		}
	}
	return w
}

// lab is a Sender that runs, with a world.
type lab struct {
	*Sender
	t      *testing.T
	reg    *registry.Registry
	cancel context.CancelFunc
	done   chan error
	out    bytes.Buffer // its log; to be read after stop
}

// newLab runs a Sender for a world whose first zones have the given secondaries, which are on a network of their own.
func newLab(t *testing.T, targets ...[]*fakeSecondary) *lab {
	t.Helper()
	l := start(t, newWorld(targets...))
	l.dial = network(targets)
	l.run()
	return l
}

// start runs a world, and makes a Sender that does not run yet.
func start(t *testing.T, w *registry.World) *lab {
	t.Helper()
	l := &lab{t: t, done: make(chan error, 1)}
	var err error
	if l.reg, err = registry.Open(w, &registry.Memory{}, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	zones, err := zone.Open(&journal.Memory{}, zone.DefaultLimits, l.reg.Snapshot, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	l.Sender = New(zones, 0, zerolog.New(zerolog.SyncWriter(&l.out)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.reg.Run(ctx) }()
	go func() { done <- zones.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
	})
	return l
}

// run has the Sender run until stop.
func (l *lab) run() {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	go func() { l.done <- l.Run(ctx) }()
	l.t.Cleanup(func() { l.stop() })
}

// stop ends the Sender and returns how often its log has each level.
func (l *lab) stop() map[string]int {
	l.t.Helper()
	if l.cancel != nil {
		l.cancel()
		if err := <-l.done; err != nil {
			l.t.Error(err)
		}
		l.cancel = nil
	}
	levels := map[string]int{}
	for _, level := range []string{"debug", "info", "warn", "error"} {
		levels[level] = strings.Count(l.out.String(), `"level":"`+level+`"`)
	}
	return levels
}

func (l *lab) claim(role string, nodes ...string) {
	l.t.Helper()
	outcomes, err := l.reg.Claim(l.t.Context(), registry.Claim{Role: role, Nodes: nodes})
	if err != nil || outcomes[0] > registry.Renewed {
		l.t.Fatalf("claim of %s: %v, %v", role, outcomes, err)
	}
}

// serial is the one of a zone with all that the registry did.
func (l *lab) serial(name string) uint32 {
	l.t.Helper()
	if err := l.zones.Sync(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	return l.zones.View(name).Serial
}

// counted waits until nothing moves any more and compares the counts.
func (l *lab) counted(acknowledged, failed uint64) {
	l.t.Helper()
	synctest.Wait()
	if a, f := l.Counts(); a != acknowledged || f != failed {
		l.t.Errorf("%d acknowledged and %d failed, want %d and %d", a, f, acknowledged, failed)
	}
}

const silence = -1 // in place of an rcode

// fakeSecondary hears NOTIFYs.
type fakeSecondary struct {
	addr   netip.AddrPort
	heard  chan *dns.Msg
	rcode  atomic.Int32 // of the response, or silence
	gone   atomic.Bool  // nobody listens
	delay  time.Duration
	spoil  func(*dns.Msg)                                          // changes the response
	sign   func(m *dns.Msg, wire []byte, request *dns.TSIG) []byte // packs the response; nil: it is not signed
	strict tsig.Key                                                // must have signed what comes
}

var fakes atomic.Uint32

func newFake(rcode int, set ...func(*fakeSecondary)) *fakeSecondary {
	addr := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.54"), uint16(fakes.Add(1)))
	f := &fakeSecondary{heard: make(chan *dns.Msg, 4096), addr: addr}
	f.rcode.Store(int32(rcode))
	for _, s := range set {
		s(f)
	}
	return f
}

func delayed(d time.Duration) func(*fakeSecondary) { return func(f *fakeSecondary) { f.delay = d } }

func spoiled(spoil func(*dns.Msg)) func(*fakeSecondary) {
	return func(f *fakeSecondary) { f.spoil = spoil }
}

func list(f ...*fakeSecondary) []*fakeSecondary { return f }

// network is a dialer on which the fakes can be reached. It keeps the time of the bubble.
func network(targets [][]*fakeSecondary) func(context.Context, netip.AddrPort) (net.Conn, error) {
	byAddr := map[netip.AddrPort]*fakeSecondary{}
	for _, f := range slices.Concat(targets...) {
		byAddr[f.addr] = f
	}
	return func(_ context.Context, to netip.AddrPort) (net.Conn, error) {
		return &fakeConn{peer: byAddr[to], in: make(chan []byte, 64), closed: make(chan struct{})}, nil
	}
}

// fakeConn is a connected UDP socket.
type fakeConn struct {
	net.Conn // nil: nobody asks for addresses
	peer     *fakeSecondary
	in       chan []byte // nil: an ICMP error
	closed   chan struct{}
}

func (c *fakeConn) Close() error                     { close(c.closed); return nil }
func (c *fakeConn) SetWriteDeadline(time.Time) error { return nil }

func (c *fakeConn) Read(b []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	case wire := <-c.in:
		if wire == nil {
			return 0, &net.OpError{Op: "read", Net: "udp", Err: os.NewSyscallError("read", syscall.ECONNREFUSED)}
		}
		return copy(b, wire), nil
	}
}

func (c *fakeConn) Write(b []byte) (int, error) {
	if c.peer == nil || c.peer.gone.Load() {
		c.in <- nil
		return len(b), nil
	}
	wire := bytes.Clone(b)
	go func() {
		if r := c.peer.take(wire); r != nil {
			select {
			case <-time.After(c.peer.delay):
				c.in <- r
			case <-c.closed:
			}
		}
	}()
	return len(b), nil
}

// take hears a NOTIFY and returns the response, nil for none.
func (f *fakeSecondary) take(wire []byte) []byte {
	m := new(dns.Msg)
	if err := m.Unpack(wire); err != nil {
		panic(err)
	}
	rcode := int(f.rcode.Load())
	f.heard <- m
	if rcode == silence {
		return nil
	}
	request := m.IsTsig()
	if !f.strict.IsZero() && (request == nil || dns.TsigVerifyWithProvider(bytes.Clone(wire), f.strict.Provider(), "", false) != nil) {
		rcode = dns.RcodeNotAuth
	}
	r := new(dns.Msg).SetRcode(m, rcode)
	if f.spoil != nil {
		f.spoil(r)
	}
	if f.sign != nil && request != nil {
		return f.sign(r, wire, request)
	}
	out, err := r.Pack()
	if err != nil {
		panic(err)
	}
	return out
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

// told takes the next NOTIFYs, in whatever order, and returns how long that took.
func (l *lab) told(f *fakeSecondary, names ...string) time.Duration {
	l.t.Helper()
	begin := time.Now()
	var got, want []string
	for _, z := range names {
		got = append(got, f.next(l.t, time.Minute))
		want = append(want, fmt.Sprint(z, " ", l.serial(z)))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		l.t.Errorf("%s is told of %v, want %v", f.addr, got, want)
	}
	return time.Since(begin)
}

// quiet checks that nothing is said for some time.
func (f *fakeSecondary) quiet(t *testing.T, d time.Duration) {
	t.Helper()
	time.Sleep(d)
	synctest.Wait()
	for len(f.heard) > 0 {
		t.Errorf("%s is told without need:\n%v", f.addr, <-f.heard)
	}
}
