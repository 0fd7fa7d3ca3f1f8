package notify

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/servetest"
	"github.com/nameward/nameward/registry/tsig"
	"github.com/nameward/nameward/registry/zone"
)

// realSecondary listens on loopback. It transfers by looking at the views.
type realSecondary struct {
	*fakeSecondary // for its address alone
	key            tsig.Key
	zones          *zone.DB

	mu     sync.Mutex
	frozen bool // nothing is transferred
	rcode  int  // of answers to queries
	lame   bool
	only   []dns.RR // in place of what the names really have
	has    map[string]*zone.View
	told   int
}

func newReal(t *testing.T, key tsig.Key) *realSecondary {
	t.Helper()
	s := &realSecondary{key: key, has: map[string]*zone.View{}}
	ln, conn := servetest.Listen(t)
	s.fakeSecondary = &fakeSecondary{addr: netip.MustParseAddrPort(conn.LocalAddr().String())}
	for _, srv := range []*dns.Server{{PacketConn: conn}, {Listener: ln}} {
		srv.Handler, srv.MsgAcceptFunc = s, func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		if !key.IsZero() {
			srv.TsigSecret = key.Secrets()
		}
		servetest.Serve(t, srv)
	}
	return s
}

func (s *realSecondary) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *realSecondary) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = !s.lame
	switch {
	case !s.key.IsZero() && (q.IsTsig() == nil || w.TsigStatus() != nil):
		m.Rcode = dns.RcodeNotAuth
	case q.Opcode == dns.OpcodeNotify:
		s.told++
		if name := q.Question[0].Name; !s.frozen {
			s.has[name] = s.zones.View(name)
		}
	default:
		s.answer(m, q.Question[0])
	}
	if q.IsTsig() != nil && w.TsigStatus() == nil {
		s.key.Sign(m)
	}
	_ = w.WriteMsg(m)
}

func (s *realSecondary) answer(m *dns.Msg, q dns.Question) {
	if m.Rcode = s.rcode; m.Rcode != 0 {
		return
	}
	if q.Qtype == dns.TypeSOA {
		m.Answer = []dns.RR{s.has[q.Name].SOA()}
		return
	}
	hdr := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 5}
	if s.only != nil {
		m.Answer = s.only
		return
	}
	view := s.has[corp]
	e, _ := view.State.Lookup(q.Name)
	role := view.State.RoleOf(e)
	for _, a := range map[uint16][]net.IP{dns.TypeA: role.A(), dns.TypeAAAA: role.AAAA()}[q.Qtype] {
		if q.Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: hdr, A: a})
		} else {
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: hdr, AAAA: a})
		}
	}
	if len(m.Answer) == 0 {
		m.Rcode = dns.RcodeNameError
	}
}

// withReal runs a world with a real secondary of corp that is up to date with mailbox on ex1.
func withReal(t *testing.T, key tsig.Key) (*lab, *realSecondary, *Driver) {
	t.Helper()
	s := newReal(t, key)
	l := start(t, newWorld(list(s.fakeSecondary)))
	s.set(func() { s.zones = l.zones })
	if !key.IsZero() {
		l.Use(Keys{s.addr: key})
	}
	l.claim("mailbox", "ex1")
	l.run()
	d := l.Driver(s.addr)
	it := l.item("mailbox")
	l.push(d, time.Minute, it)
	if got := l.verify(d, it); got != "verified" {
		t.Fatalf("at the start: %s", got)
	}
	return l, s, d
}

func (l *lab) verify(d *Driver, it *push.Item) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	d.Verify(ctx, []*push.Item{it})
	return stageOf(it)
}

func TestVerify(t *testing.T) {
	for _, key := range []tsig.Key{{}, goodKey} {
		t.Run(fmt.Sprintf("key %q", key.Name), func(t *testing.T) {
			l, s, d := withReal(t, key)
			for _, tt := range []struct {
				name string
				set  func()
				want string
			}{
				{"it says REFUSED", func() { s.rcode = dns.RcodeRefused }, "failed: the secondary refuses to be asked about corp.example.: have it answer this guard (named: allow-query)"},
				{"it says SERVFAIL", func() { s.rcode = dns.RcodeServerFailure }, "failed: the secondary answers SERVFAIL for zone corp.example."},
				{"it is lame", func() { s.rcode, s.lame = 0, true }, "failed: the secondary is not authoritative for zone corp.example."},
				{"the other node", func() { s.lame, s.only = false, answers(t, "mail.corp.example. 5 A 192.0.2.12") }, "stale [192.0.2.12]"},
				{"nobody's address", func() { s.only = answers(t, "mail.corp.example. 5 A 203.0.113.7") }, "foreign [203.0.113.7]"},
				{"right again", func() { s.only = nil }, "verified"},
			} {
				s.set(tt.set)
				if got := l.verify(d, l.item("mailbox")); got != tt.want {
					t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
				}
			}
		})
	}
}

func answers(t *testing.T, texts ...string) (out []dns.RR) {
	t.Helper()
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rr)
	}
	return out
}

// TestVerifyOlderSerial: what is acknowledged and not transferred is stale, whatever the name's addresses are, and is
// told once more.
func TestVerifyOlderSerial(t *testing.T) {
	l, s, d := withReal(t, tsig.Key{})
	s.set(func() { s.frozen = true })
	l.claim("mailbox", "ex2")
	it := l.item("mailbox")
	l.push(d, time.Minute, it)
	if got := stageOf(it); got != "acked" {
		t.Fatal(got)
	}
	if got := l.verify(d, it); got != "stale [192.0.2.11 2001:db8::11]" {
		t.Errorf("nothing is transferred: %s", got)
	}
	s.set(func() { s.only = answers(t, "mail.corp.example. 5 A 203.0.113.7") })
	if got := l.verify(d, it); got != "stale [203.0.113.7]" {
		t.Errorf("an older serial has what nobody knows any more: %s", got)
	}
	s.set(func() { s.only = answers(t, "mail.corp.example. 5 A 192.0.2.12") })
	if got := l.verify(d, it); got != "stale [192.0.2.12]" {
		t.Errorf("the serial is older, the address is right: %s", got)
	}
	told := 0
	s.set(func() { s.only, s.frozen, told = nil, false, s.told })
	for deadline := time.Now().Add(time.Minute); l.verify(d, it) != "verified"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it is %s", stageOf(it))
		}
	}
	s.set(func() { told = s.told - told })
	if told == 0 {
		t.Error("it was not told again")
	}
}

// TestVerifyWithdrawn: a name that is gone there too is right.
func TestVerifyWithdrawn(t *testing.T) {
	l, _, d := withReal(t, tsig.Key{})
	if err := l.reg.Complain(t.Context(), registry.Trouble{Role: "mailbox", Why: "gone", Gone: true}); err != nil {
		t.Fatal(err)
	}
	it := l.item("mailbox")
	if len(it.Addrs()) != 0 {
		t.Fatalf("%v is not withdrawn", it.Addrs())
	}
	l.push(d, time.Minute, it)
	if got := l.verify(d, it); got != "verified" {
		t.Error(got)
	}
}

// TestVerifySigned: answers count that are signed by the key of now.
func TestVerifySigned(t *testing.T) {
	l, s, d := withReal(t, goodKey)
	it := l.item("mailbox")
	for _, tt := range []struct {
		key  tsig.Key
		want push.Stage
	}{{forgedKey, push.Failed}, {goodKey, push.Verified}} {
		l.Use(Keys{s.addr: tt.key})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		d.Verify(ctx, []*push.Item{it})
		if got, _, _ := it.Stage(); got != tt.want {
			t.Errorf("%s, want %s", stageOf(it), tt.want)
		}
	}
}

// TestVerifyNobody: a secondary that is gone is no reason to wait longer than ctx.
func TestVerifyNobody(t *testing.T) {
	f := newFake(dns.RcodeSuccess)
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f.addr = netip.MustParseAddrPort(conn.LocalAddr().String())
	l := start(t, newWorld(list(f)))
	l.claim("mailbox", "ex1")
	it := l.item("mailbox")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	l.Driver(f.addr).Verify(ctx, []*push.Item{it})
	if stage, _, why := it.Stage(); stage != push.Failed || why == nil {
		t.Error(stageOf(it))
	}
}
