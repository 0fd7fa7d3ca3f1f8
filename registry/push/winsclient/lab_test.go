package winsclient

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
)

var (
	guard  = netip.MustParseAddr("192.0.2.53") // where the driver is
	server = netip.MustParseAddrPort("192.0.2.42:137")
	ex1    = netip.MustParseAddr("192.0.2.11")
	ex2    = netip.MustParseAddr("192.0.2.12")
	admin1 = netip.MustParseAddr("10.9.0.11") // of ex1
	nobody = netip.MustParseAddr("192.0.2.99")

	mail20 = netbios.MustParseName("MAIL<20>")
)

// world is a registry at work with the role "mail" of so many nodes and these names, in a mode.
func world(t *testing.T, mode registry.Mode, names ...string) *registry.Registry {
	t.Helper()
	nodes := []*registry.Node{
		{Name: "ex1", Cluster: "c", Public: []netip.Addr{ex1}, Other: []registry.ClassAddr{{Class: "management", Addr: admin1}}},
		{Name: "ex2", Cluster: "c", Public: []netip.Addr{ex2}},
		{Name: "ex6", Cluster: "c", Public: []netip.Addr{netip.MustParseAddr("2001:db8::11")}},
	}
	role := &registry.Role{Name: "mail", Cluster: "c", Mode: mode, Nodes: nodes, TTL: 5 * time.Second, Source: registry.Source{Kind: "test"}}
	for _, n := range names {
		role.NetBIOS = append(role.NetBIOS, netbios.MustParseName(n))
	}
	r, err := registry.Open(&registry.World{Nodes: nodes, Roles: []*registry.Role{role}}, &registry.Memory{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return r
}

// item is the role, held by these nodes, as it is to be told to a target that knows it at the addresses.
func item(t *testing.T, r *registry.Registry, nodes []string, told ...netip.Addr) *push.Item {
	t.Helper()
	if len(nodes) > 0 {
		if _, err := r.Claim(context.Background(), registry.Claim{Role: "mail", Origin: "test", Nodes: nodes}); err != nil {
			t.Fatal(err)
		}
	}
	snap := r.Snapshot()
	role, _ := snap.Role("mail")
	return push.NewItem(snap, role, told)
}

// wire is a network in memory with hosts at port 137.
type wire struct {
	mu    sync.Mutex
	port  uint16
	conns map[netip.AddrPort]*conn
	hosts map[netip.AddrPort]func(from netip.AddrPort, m netbios.Message, say func(after time.Duration, m netbios.Message))
	sent  []netbios.Message // to the server
	local []netip.Addr      // addresses of the driver's host, beside guard
}

// driver makes one on the wire.
func (w *wire) driver(target config.Target) *Driver {
	if target.WINS == nil {
		target.WINS = &config.WINSTarget{}
	}
	target.WINS.Server, target.WINS.NodeType = server, netbios.HNode
	if target.WINS.TTL == 0 {
		target.WINS.TTL = time.Hour
	}
	d := New(&target, zerolog.Nop())
	d.listen = w.listen
	d.local = func() []netip.Addr { return append(w.local, guard) }
	return d
}

func (w *wire) listen(_ context.Context, from netip.Addr) (net.PacketConn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !from.IsValid() {
		from = guard
	}
	w.port++
	c := &conn{w: w, at: netip.AddrPortFrom(from, w.port), got: make(chan packet, 64), changed: make(chan struct{})}
	if w.conns == nil {
		w.conns = map[netip.AddrPort]*conn{}
	}
	w.conns[c.at] = c
	return c, nil
}

// arrive brings a packet to whoever is at an address after a while.
func (w *wire) arrive(after time.Duration, to, from netip.AddrPort, m netbios.Message) {
	b, err := m.Append(nil)
	if err != nil {
		panic(err)
	}
	time.AfterFunc(after, func() {
		w.mu.Lock()
		c := w.conns[to]
		w.mu.Unlock()
		if c == nil {
			return
		}
		select {
		case c.got <- packet{b, from}:
		default: // its buffer is full
		}
	})
}

type packet struct {
	b    []byte
	from netip.AddrPort
}

type conn struct {
	w   *wire
	at  netip.AddrPort
	got chan packet

	mu       sync.Mutex
	deadline time.Time
	changed  chan struct{}
}

func (c *conn) WriteTo(b []byte, to net.Addr) (int, error) {
	m, err := netbios.ParseRequest(b)
	if err != nil {
		return 0, err
	}
	dst := to.(*net.UDPAddr).AddrPort()
	c.w.mu.Lock()
	if dst == server {
		c.w.sent = append(c.w.sent, m)
	}
	host := c.w.hosts[dst]
	c.w.mu.Unlock()
	if host != nil {
		host(c.at, m, func(after time.Duration, m netbios.Message) { c.w.arrive(after, c.at, dst, m) })
	}
	return len(b), nil
}

func (c *conn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		c.mu.Lock()
		deadline, changed := c.deadline, c.changed
		c.mu.Unlock()
		var expired <-chan time.Time
		if !deadline.IsZero() {
			if time.Until(deadline) <= 0 {
				return 0, nil, os.ErrDeadlineExceeded
			}
			expired = time.After(time.Until(deadline))
		}
		select {
		case p := <-c.got:
			return copy(b, p.b), net.UDPAddrFromAddrPort(p.from), nil
		case <-expired:
		case <-changed:
		}
	}
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

func (c *conn) Close() error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	delete(c.w.conns, c.at)
	return nil
}

func (c *conn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
func (c *conn) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(c.at) }

// wins is a server in the manner of Windows and Samba AD, or of nmbd.
type wins struct {
	mu      sync.Mutex
	records map[netbios.Name][]netip.Addr
	static  map[netbios.Name]bool
	trusts  bool // it takes a release from anybody, as nmbd does
	ttl     uint32
	owner   map[netip.Addr][]netip.Addr // what hosts say when they are challenged: where the name is; nil entry: no
	delay   time.Duration               // of each answer
	lose    int                         // so many packets are lost

	most, now int // requests that were unanswered at one time
	refreshed int
}

// on puts the server on a wire.
func (s *wins) on(w *wire) *wins {
	if s.records == nil {
		s.records = map[netbios.Name][]netip.Addr{}
	}
	w.hosts = map[netip.AddrPort]func(netip.AddrPort, netbios.Message, func(time.Duration, netbios.Message)){server: s.handle}
	return s
}

func (s *wins) handle(from netip.AddrPort, m netbios.Message, say func(time.Duration, netbios.Message)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lose > 0 {
		s.lose--
		return
	}
	s.now++
	s.most = max(s.most, s.now)
	// A moment before the answer arrives, which makes room for the next one.
	time.AfterFunc(max(0, s.delay-1), func() { s.mu.Lock(); s.now--; s.mu.Unlock() })
	claim, _ := m.Claim()
	name := m.Questions[0].Name
	switch m.Form() {
	case netbios.FormQuery:
		if len(s.records[name]) == 0 {
			say(s.delay, netbios.NewNegativeQuery(m.ID, netbios.RcodeName, name))
			return
		}
		say(s.delay, netbios.NewPositiveQuery(m.ID, name, 0, addresses(s.records[name])...))
	case netbios.FormRelease:
		if a := claim.Addrs[0].Addr; (s.trusts || a == from.Addr()) && !s.static[name] {
			s.records[name] = without(s.records[name], []netip.Addr{a})
		}
		say(s.delay, netbios.NewPositiveRelease(m.ID, name, claim.Addrs...))
	default:
		if m.Form() == netbios.FormRefresh {
			s.refreshed++
		}
		s.register(m, claim, say)
	}
}

// register grants, asks the owners, or refuses.
func (s *wins) register(m netbios.Message, claim netbios.Claim, say func(time.Duration, netbios.Message)) {
	addr, old := claim.Addrs[0].Addr, s.records[claim.Name]
	ttl := s.ttl
	if ttl == 0 {
		ttl = claim.TTL
	}
	grant := func(after time.Duration) {
		say(after, netbios.NewPositiveRegistration(m.ID, claim.Name, ttl, claim.Addrs...))
	}
	refuse := func(after time.Duration) {
		say(after, netbios.NewNegativeRegistration(m.ID, netbios.RcodeActive, claim.Name, 0, claim.Addrs...))
	}
	switch {
	case s.static[claim.Name]:
		refuse(s.delay)
	case claim.Addrs[0].Flags.IsGroup():
		s.records[claim.Name] = append(without(old, []netip.Addr{addr}), addr)
		grant(s.delay)
	case len(old) == 0 || slices.Contains(old, addr):
		if len(old) == 0 {
			s.records[claim.Name] = []netip.Addr{addr}
		}
		grant(s.delay)
	default:
		say(s.delay, netbios.NewWack(m.Header, claim.Name, 9))
		said, up := s.owner[old[0]]
		switch {
		case !up: // after three questions
			s.records[claim.Name] = []netip.Addr{addr}
			grant(s.delay + 3*time.Second)
		case said == nil:
			s.records[claim.Name] = []netip.Addr{addr}
			grant(s.delay)
		case slices.Contains(said, addr):
			s.records[claim.Name] = slices.Clone(said)
			grant(s.delay)
		default:
			refuse(s.delay)
		}
	}
}

func (s *wins) has(name netbios.Name) string { return spell(s.records[name]) }

func addresses(list []netip.Addr) []netbios.Address {
	var out []netbios.Address
	for _, a := range list {
		out = append(out, netbios.Address{Flags: netbios.HNode, Addr: a})
	}
	return out
}

// stage is what became of an item, in words: "acked", "stale 192.0.2.11", "failed: why".
func stage(it *push.Item) string {
	s, found, why := it.Stage()
	switch {
	case why != nil:
		return s.String() + ": " + why.Error()
	case found != nil:
		return s.String() + " " + spell(found)
	}
	return s.String()
}
