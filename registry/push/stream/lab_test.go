package stream

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push/dso"
	"github.com/nameward/nameward/registry/store/journal"
	"github.com/nameward/nameward/registry/zone"
)

// lab is a registry with its zones and a server of them. The world:
//
//	corp.example.   mail (role on ex1, ex2), ex1 (host), ns1 (name server)
//	elsewhere       www.other.example. (role on ex1, ex2) lies in somebody else's zone
//	2.0.192.in-addr.arpa.
type lab struct {
	t   testing.TB
	reg *registry.Registry
	db  *zone.DB
	srv *Server
	ctx context.Context // of the server
	end context.CancelFunc
}

const corp = "corp.example."

func testWorld() *registry.World {
	node := func(name, host, management string, public ...string) *registry.Node {
		n := &registry.Node{Name: name, Host: host, Other: []registry.ClassAddr{{Class: "management", Addr: netip.MustParseAddr(management)}}}
		for _, p := range public {
			n.Public = append(n.Public, netip.MustParseAddr(p))
		}
		return n
	}
	nodes := []*registry.Node{
		node("ex1", "ex1.corp.example.", "10.9.0.11", "192.0.2.11", "2001:db8::11"), node("ex2", "", "10.9.0.12", "198.51.100.12"),
	}
	role := func(name, owner string) *registry.Role {
		return &registry.Role{
			Name: name, Nodes: nodes, DNS: []string{owner}, TTL: 5 * time.Second,
			Source: registry.Source{Kind: registry.SourceOperator, Initial: "ex1"},
		}
	}
	z := func(name string, addrs ...netip.Addr) *registry.Zone {
		return &registry.Zone{
			Name: name, NS: []registry.NameServer{{Name: "ns1.corp.example.", Addrs: addrs}}, Mbox: "hostmaster." + name, TTL: time.Hour,
			Negative: 5 * time.Second, Refresh: time.Minute, Retry: 10 * time.Second, Expire: 7 * 24 * time.Hour, Updates: true,
		}
	}
	return &registry.World{
		Nodes: nodes, Roles: []*registry.Role{role("mailbox", "mail.corp.example."), role("web", "www.other.example.")},
		Zones: []*registry.Zone{z(corp, netip.MustParseAddr("192.0.2.53")), z("2.0.192.in-addr.arpa.")},
	}
}

// bubble runs a test in fake time with a lab of the test world.
func bubble(t *testing.T, test func(*lab)) {
	synctest.Test(t, func(t *testing.T) { test(newLab(t)) })
}

// newLab runs the world and the server until the test ends.
func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{t: t}
	var err error
	if l.reg, err = registry.Open(testWorld(), &registry.Memory{}, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	l.run(l.reg.Run)
	if l.db, err = zone.Open(&journal.Memory{}, zone.DefaultLimits, l.reg.Snapshot, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	l.run(l.db.Run)
	if err := l.db.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.srv = New(l.reg.Snapshot, l.db, l.answer, zerolog.Nop())
	l.srv.limits.Store(&settings{15 * time.Second, config.StreamLimits{Sessions: 2000, PerSource: 2000, PerSession: 8, Subscriptions: 2000}})
	l.ctx, l.end = context.WithCancel(context.Background())
	// Not Run, which follows files: their events come from outside of the bubble.
	l.run(func(ctx context.Context) error {
		defer l.srv.Close()
		defer l.end()
		l.srv.hub.run(ctx)
		return nil
	})
	return l
}

func (l *lab) run(task func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- task(ctx) }()
	l.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Error(err)
		}
	})
}

// answer is what the guard would say: yes to the zone, and nothing of others.
func (l *lab) answer(r *dns.Msg) *dns.Msg {
	if dns.CanonicalName(r.Question[0].Name) != "mail.corp.example." {
		return nil
	}
	m := new(dns.Msg).SetReply(r)
	m.Authoritative = true
	return m
}

func (l *lab) switchTo(node string, roles ...string) {
	l.t.Helper()
	if len(roles) == 0 {
		roles = []string{"mailbox"}
	}
	if _, err := l.reg.Switch(l.t.Context(), registry.SwitchRequest{Roles: roles, To: node}); err != nil {
		l.t.Fatal(err)
	}
}

// update adds records; "-NAME TYPE" takes out all of a type, RFC 2136, Section 2.5.2 and 2.5.3.
func (l *lab) update(rrs ...string) {
	l.t.Helper()
	u := zone.Update{Zone: corp}
	for _, text := range rrs {
		if gone, is := strings.CutPrefix(text, "-"); is {
			owner, rrtype, _ := strings.Cut(gone, " ")
			u.Changes = append(u.Changes, &dns.ANY{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.StringToType[rrtype], Class: dns.ClassANY}})
			continue
		}
		rr, err := dns.NewRR(text)
		if err != nil {
			l.t.Fatal(err)
		}
		u.Changes = append(u.Changes, rr)
	}
	res, err := l.db.Do(l.t.Context(), u)
	if err != nil || res.Rcode != dns.RcodeSuccess {
		l.t.Fatal(res, err)
	}
}

// client speaks to the server in octets. It reads all the time, unless it is to be slow.
type client struct {
	t    testing.TB
	conn net.Conn
	in   chan []byte // closed when the connection has ended
}

// dial makes a connection whose client reads.
func (l *lab) dial() *client {
	c := l.dialSlow()
	go func() {
		defer close(c.in)
		for {
			msg, err := dso.ReadFrame(c.conn, nil, dns.MaxMsgSize)
			if err != nil {
				return
			}
			c.in <- msg
		}
	}()
	return c
}

// dialSlow makes a connection whose client takes nothing.
func (l *lab) dialSlow() *client {
	ours, theirs := net.Pipe()
	l.srv.tasks.Go(func() { l.srv.talk(l.ctx, theirs) })
	c := &client{l.t, ours, make(chan []byte, 10_000)}
	l.t.Cleanup(func() { _ = ours.Close() })
	return c
}

func (c *client) send(wire []byte) {
	c.t.Helper()
	frame := dso.AppendFrame(nil, func(dst []byte) []byte { return append(dst, wire...) })
	if _, err := c.conn.Write(frame); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) sendDSO(id uint16, tlvs ...dso.TLV) {
	c.t.Helper()
	c.send((&dso.Message{ID: id, TLVs: tlvs}).Append(nil))
}

func subscribeTLV(t testing.TB, name string, rrtype uint16) dso.TLV {
	t.Helper()
	tlv, err := dso.Subscribe(dso.Question{Name: name, Type: rrtype, Class: dns.ClassINET})
	if err != nil {
		t.Fatal(err)
	}
	return tlv
}

// next is the next message, which must be there when all is quiet.
func (c *client) next() (dso.Message, []byte) {
	c.t.Helper()
	synctest.Wait()
	select {
	case msg, ok := <-c.in:
		if !ok {
			c.t.Fatal("the connection has ended")
		}
		m, err := dso.Parse(msg)
		if err != nil {
			c.t.Fatalf("%x: %v", msg, err)
		}
		return m, msg
	default:
		c.t.Fatal("no message")
		panic("")
	}
}

// answers takes the response to a request.
func (c *client) answers(id uint16, rcode int) dso.Message {
	c.t.Helper()
	m, _ := c.next()
	if !m.Response || m.ID != id || int(m.Rcode) != rcode {
		c.t.Fatalf("%+v, want the response to %d with %s", m, id, dns.RcodeToString[rcode])
	}
	return m
}

// pushes takes all that comes until all is quiet, which must be PUSH messages with these changes, in any order. A
// change is a record as text; what is gone begins with "-".
func (c *client) pushes(want ...string) {
	c.t.Helper()
	got := c.collect()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		c.t.Fatalf("pushed:\n%q, want\n%q", got, want)
	}
}

func (c *client) collect() []string {
	c.t.Helper()
	var got []string
	for {
		synctest.Wait()
		if len(c.in) == 0 {
			return got
		}
		m, msg := c.next()
		if !m.IsUnidirectional() || m.Primary() != dso.TypePush {
			c.t.Fatalf("%+v, want a PUSH", m)
		}
		rrs, err := dso.ParsePush(msg, m.TLVs[0])
		if err != nil {
			c.t.Fatal(err)
		}
		for _, rr := range rrs {
			got = append(got, textOf(rr))
		}
	}
}

// textOf writes a change in few words.
func textOf(rr dns.RR) string {
	h := rr.Header()
	what := " " + dns.TypeToString[h.Rrtype] + " " + rr.String()[len(h.String()):]
	switch h.Ttl {
	case dso.AllRemoved:
		return "-" + h.Name + " all " + dns.TypeToString[h.Rrtype]
	case dso.Removed:
		return "-" + h.Name + what
	}
	return h.Name + " " + strconv.Itoa(int(h.Ttl)) + what
}

// ends expects the connection to be over.
func (c *client) ends() {
	c.t.Helper()
	synctest.Wait()
	for {
		select {
		case _, ok := <-c.in:
			if !ok {
				return
			}
		default:
			c.t.Fatal("the connection goes on")
		}
	}
}

// goesOn expects the connection to stand.
func (c *client) goesOn() {
	c.t.Helper()
	synctest.Wait()
	select {
	case msg, ok := <-c.in:
		c.t.Fatalf("%x, open %t; want nothing", msg, ok)
	default:
	}
}

// subscribe asks and expects to be granted.
func (c *client) subscribe(id uint16, name string, rrtype uint16) {
	c.t.Helper()
	c.sendDSO(id, subscribeTLV(c.t, name, rrtype))
	c.answers(id, dns.RcodeSuccess)
}
