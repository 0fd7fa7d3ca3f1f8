package dnsask

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/servetest"
	"github.com/nameward/nameward/registry/tsig"
)

// server answers from records, as far as it is let to.
type server struct {
	addr    netip.AddrPort
	records []string
	all     bool // every name is on ex1
	lame    bool // answers are not authoritative
	rcode   int
	short   bool               // UDP replies are truncated
	lose    func(n int64) bool // over UDP, the n-th packet; nil: none
	perConn int                // replies, then the connection is closed; 0: no bound
	key     tsig.Key

	udp, tcp atomic.Int64
	rd       atomic.Bool
	mu       sync.Mutex
	conns    map[string]int
}

func (s *server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	if udp && s.lose != nil && s.lose(s.udp.Add(1)) {
		return
	}
	m := new(dns.Msg).SetRcode(q, s.rcode)
	m.Authoritative = !s.lame
	s.rd.Store(q.RecursionDesired)
	if s.rcode == dns.RcodeSuccess {
		s.fill(m, q.Question[0])
	}
	if udp && s.short {
		m.Answer, m.Truncated = nil, true
	}
	if q.IsTsig() != nil && w.TsigStatus() == nil {
		s.key.Sign(m)
	}
	_ = w.WriteMsg(m)
	if !udp {
		s.overTCP(w)
	}
}

func (s *server) overTCP(w dns.ResponseWriter) {
	s.tcp.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[w.RemoteAddr().String()]++; s.perConn > 0 && s.conns[w.RemoteAddr().String()] == s.perConn {
		_ = w.Close()
	}
}

func (s *server) fill(m *dns.Msg, q dns.Question) {
	if s.all {
		m.Answer = onEx1(q)
		return
	}
	name, known := q.Name, false
	for _, text := range s.records {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		h := rr.Header()
		if h.Name != name {
			continue
		}
		known = true
		if cname, ok := rr.(*dns.CNAME); ok {
			name = cname.Target
			m.Answer = append(m.Answer, rr)
		} else if h.Rrtype == q.Qtype {
			m.Answer = append(m.Answer, rr)
		}
	}
	if !known {
		m.Rcode = dns.RcodeNameError
	}
}

func onEx1(q dns.Question) []dns.RR {
	h := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 5}
	if q.Qtype == dns.TypeA {
		return []dns.RR{&dns.A{Hdr: h, A: net.IPv4(192, 0, 2, 11)}}
	}
	return []dns.RR{&dns.AAAA{Hdr: h, AAAA: net.ParseIP("2001:db8::11")}}
}

// start serves over what networks says until the test ends.
func (s *server) start(t *testing.T, networks ...string) netip.AddrPort {
	t.Helper()
	s.conns = map[string]int{}
	l, conn := servetest.Listen(t)
	s.addr = netip.MustParseAddrPort(l.Addr().String())
	for _, network := range networks {
		srv := &dns.Server{Net: network, Handler: s, MaxTCPQueries: -1}
		if !s.key.IsZero() {
			srv.TsigProvider = s.key.Provider()
		}
		if network == "tcp" {
			srv.Listener = l
		} else {
			srv.PacketConn = conn
		}
		servetest.Serve(t, srv)
	}
	return s.addr
}

// items are roles mail0, mail1, ... of ex1 and ex2, with the holders given.
func items(t testing.TB, n int, holders ...string) []*push.Item {
	t.Helper()
	ex1 := &registry.Node{Name: "ex1", Public: []netip.Addr{netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("2001:db8::11")}}
	ex2 := &registry.Node{Name: "ex2", Public: []netip.Addr{netip.MustParseAddr("198.51.100.12")}}
	held := map[string][]string{}
	w := &registry.World{Nodes: []*registry.Node{ex1, ex2}}
	for i := range n {
		name := fmt.Sprintf("mail%d", i)
		w.Roles = append(w.Roles, &registry.Role{Name: name, Nodes: w.Nodes, DNS: []string{name + ".corp.example.", name + ".other.example."}, TTL: 5 * time.Second})
		held[name] = holders
	}
	snap, err := registry.Assume(w, held)
	if err != nil {
		t.Fatal(err)
	}
	var list []*push.Item
	for role := range snap.Roles() {
		list = append(list, push.NewItem(snap, role, nil))
	}
	return list
}

const good = "mail0.corp.example. 5 A 192.0.2.11"

var goodOnes = []string{good, "mail0.corp.example. 5 AAAA 2001:db8::11"}

func TestAsk(t *testing.T) {
	corp := Options{Zone: "corp.example."}
	for _, tt := range []struct {
		name   string
		server *server
		nets   string
		opts   Options
		none   bool // the role is held by nobody
		want   push.Stage
		found  string
		why    string
	}{
		{name: "right", server: &server{records: goodOnes}, opts: corp, want: push.Verified},
		{name: "another name is wrong", server: &server{records: goodOnes}, want: push.Stale, found: "[]"},
		{name: "a family is missing", server: &server{records: goodOnes[:1]}, opts: corp, want: push.Stale, found: "[192.0.2.11]"},
		{name: "before the switch", server: &server{records: []string{"mail0.corp.example. 5 A 198.51.100.12"}}, opts: corp, want: push.Stale, found: "[198.51.100.12]"},
		{name: "foreign", server: &server{records: []string{"mail0.corp.example. 5 A 203.0.113.9"}}, opts: corp, want: push.Foreign, found: "[203.0.113.9]"},
		{name: "foreign beside right", server: &server{records: append(goodOnes, "mail0.corp.example. 5 A 203.0.113.9")}, opts: corp, want: push.Foreign, found: "[192.0.2.11 203.0.113.9 2001:db8::11]"},
		{name: "the worst name", server: &server{records: []string{"mail0.other.example. 5 A 203.0.113.9"}}, want: push.Foreign, found: "[203.0.113.9]"},
		{name: "withdrawn, no such name", server: &server{}, none: true, opts: corp, want: push.Verified},
		{name: "withdrawn, no such type", server: &server{records: []string{"mail0.corp.example. 5 TXT x"}}, none: true, opts: corp, want: push.Verified},
		{name: "withdrawn and still there", server: &server{records: goodOnes[:1]}, none: true, opts: corp, want: push.Stale, found: "[192.0.2.11]"},
		{name: "alias", server: &server{records: []string{"mail0.corp.example. 5 CNAME x.example.", "x.example. 5 A 192.0.2.11", "x.example. 5 AAAA 2001:db8::11"}}, opts: corp, want: push.Verified},
		{name: "alias of nothing known", server: &server{records: []string{"mail0.corp.example. 5 CNAME x.example."}}, opts: corp, want: push.Failed, why: "alias of x.example."},
		{name: "alias of itself", server: &server{records: []string{"mail0.corp.example. 5 CNAME mail0.corp.example."}}, opts: Options{Zone: "corp.example.", Recurse: true}, want: push.Stale, found: "[]"},
		{name: "no zone of ours", server: &server{records: goodOnes}, opts: Options{Zone: "sub.corp.example."}, want: push.Failed, why: "no DNS name"},
		{name: "truncated", server: &server{records: goodOnes, short: true}, opts: corp, want: push.Verified},
		{name: "all UDP lost", server: &server{records: goodOnes, lose: func(int64) bool { return true }}, opts: corp, want: push.Verified},
		{name: "the first packets lost", server: &server{records: goodOnes, lose: func(n int64) bool { return n < 3 }}, nets: "udp", opts: corp, want: push.Verified},
		{name: "TCP alone", server: &server{records: goodOnes}, nets: "tcp", opts: corp, want: push.Verified},
		{name: "refused", server: &server{rcode: dns.RcodeRefused}, opts: corp, want: push.Failed, why: "REFUSED"},
		{name: "lame", server: &server{records: goodOnes, lame: true}, opts: corp, want: push.Failed, why: "not authoritative"},
		{name: "a cache", server: &server{records: goodOnes, lame: true}, opts: Options{Zone: "corp.example.", Recurse: true}, want: push.Verified},
		{name: "nobody there", server: &server{}, nets: "none", opts: corp, want: push.Failed, why: "mail0.corp.example. at 127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			nets := []string{"udp", "tcp"}
			if tt.nets != "" {
				nets = strings.Fields(tt.nets)
			}
			if tt.nets == "none" {
				nets = nil
			}
			addr := tt.server.start(t, nets...)
			var holders []string
			if !tt.none {
				holders = []string{"ex1"}
			}
			list := items(t, 1, holders...)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if nets == nil {
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
			}
			Ask(ctx, addr, list, tt.opts)
			stage, found, why := list[0].Stage()
			if stage != tt.want || tt.found != "" && fmt.Sprint(found) != tt.found || (why == nil) != (tt.why == "") || why != nil && !strings.Contains(why.Error(), tt.why) {
				t.Errorf("%v %v %v, want %v %s %s", stage, found, why, tt.want, tt.found, tt.why)
			}
			if nets != nil && tt.why != "no DNS name" && tt.opts.Zone != "sub.corp.example." && tt.server.rd.Load() != tt.opts.Recurse {
				t.Errorf("the RD bit is %v", tt.server.rd.Load())
			}
		})
	}
}

func TestMany(t *testing.T) {
	const n = 1000
	for _, tt := range []struct {
		name    string
		nets    []string
		lose    func(int64) bool
		perConn int
	}{
		{name: "both", nets: []string{"udp", "tcp"}},
		{name: "every tenth is lost", nets: []string{"udp", "tcp"}, lose: func(n int64) bool { return n%10 == 0 }},
		{name: "TCP alone", nets: []string{"tcp"}},
		{name: "few replies for each connection", nets: []string{"tcp"}, perConn: 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &server{all: true, lose: tt.lose, perConn: tt.perConn}
			addr := s.start(t, tt.nets...)
			list := items(t, n, "ex1")
			began := time.Now()
			Ask(t.Context(), addr, list, Options{})
			t.Logf("%d questions in %v, over TCP %d", 4*n, time.Since(began), s.tcp.Load())
			for _, it := range list {
				if stage, found, why := it.Stage(); stage != push.Verified {
					t.Fatalf("%s: %v %v %v", it.Role.Role.Name, stage, found, why)
				}
			}
		})
	}
}

func TestHostile(t *testing.T) {
	right := func(q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(203, 0, 113, 9)}}
		return m
	}
	for name, forge := range map[string]func(q, m *dns.Msg){
		"another ID":       func(_, m *dns.Msg) { m.Id++ },
		"another question": func(_, m *dns.Msg) { m.Question[0].Name = "x.example." },
		"another type":     func(_, m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT },
		"no question":      func(_, m *dns.Msg) { m.Question = nil },
		"two questions":    func(_, m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) },
		"a query":          func(_, m *dns.Msg) { m.Response = false },
		"another opcode":   func(_, m *dns.Msg) { m.Opcode = dns.OpcodeUpdate },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
				m := right(q)
				forge(q, m)
				_ = w.WriteMsg(m)
				_, _ = w.Write([]byte("what is this"))
			})
			ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
			defer cancel()
			r := Query(ctx, addr, []dns.Question{question("mail0.corp.example.", dns.TypeA)}, Options{})
			if r[0].Err == nil {
				t.Errorf("taken: %v", r[0].Msg)
			}
		})
	}
}

func serve(t *testing.T, h dns.HandlerFunc) netip.AddrPort {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: pc, Handler: h}
	servetest.Serve(t, srv)
	return netip.MustParseAddrPort(pc.LocalAddr().String())
}

func TestKey(t *testing.T) {
	key, err := tsig.New("", "guard.", "c2VjcmV0")
	if err != nil {
		t.Fatal(err)
	}
	other, err := tsig.New("", "guard.", "b3RoZXI=")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		key  tsig.Key
		nets []string
		ok   bool
	}{{"UDP", key, []string{"udp"}, true}, {"TCP", key, []string{"tcp"}, true}, {"forged", other, []string{"udp", "tcp"}, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &server{records: goodOnes, key: tt.key}
			addr := s.start(t, tt.nets...)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			r := Query(ctx, addr, []dns.Question{question("mail0.corp.example.", dns.TypeA)}, Options{Key: key})
			if (r[0].Err == nil) != tt.ok {
				t.Errorf("%v, %v", r[0].Msg, r[0].Err)
			}
		})
	}
}

// TestEnd: the end of the context ends all, soon.
func TestEnd(t *testing.T) {
	addr := serve(t, func(dns.ResponseWriter, *dns.Msg) {})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	r := Query(ctx, addr, []dns.Question{question("mail0.corp.example.", dns.TypeA)}, Options{})
	if !errors.Is(r[0].Err, context.Canceled) || time.Since(began) > 250*time.Millisecond {
		t.Errorf("%v after %v", r[0].Err, time.Since(began))
	}
}
