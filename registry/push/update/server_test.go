package update

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/servetest"
	"github.com/nameward/nameward/registry/tsig"
)

// server is a primary of some zones that takes updates as RFC 2136, Section 3, says.
type server struct {
	addr  netip.AddrPort
	zones []string
	key   tsig.Key

	mu      sync.Mutex
	sets    map[string][]dns.RR // by "name type"
	updates []*dns.Msg
	// act has the say about an update first: what it returns is sent as it is, or carried out if that is nil.
	act func(m *dns.Msg) *dns.Msg
	// late are messages that are carried out when the test wants it.
	late []*dns.Msg
}

func newServer(t *testing.T, key tsig.Key, records ...string) *server {
	t.Helper()
	s := &server{zones: []string{"corp.example.", "2.0.192.in-addr.arpa."}, sets: map[string][]dns.RR{}, key: key}
	s.set(t, records...)
	l, pc := servetest.Listen(t)
	s.addr = netip.MustParseAddrPort(l.Addr().String())
	for _, srv := range []*dns.Server{{Listener: l, MaxTCPQueries: -1}, {PacketConn: pc}} {
		srv.Handler, srv.MsgAcceptFunc = s, func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		if !key.IsZero() {
			srv.TsigProvider = key.Provider()
		}
		servetest.Serve(t, srv)
	}
	return s
}

func rr(t testing.TB, text string) dns.RR {
	t.Helper()
	r, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func keyOf(name string, t uint16) string { return dns.CanonicalName(name) + " " + dns.TypeToString[t] }

// set puts records in the place of the RRsets that they are of.
func (s *server) set(t *testing.T, records ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := map[string]bool{}
	for _, text := range records {
		r := rr(t, text)
		k := keyOf(r.Header().Name, r.Header().Rrtype)
		if !fresh[k] {
			s.sets[k], fresh[k] = nil, true
		}
		s.sets[k] = append(s.sets[k], r)
	}
}

func (s *server) remove(name string, t uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sets, keyOf(name, t))
}

// has lists what stands at a name: "A 192.0.2.11". The ID of a marker is left out.
func (s *server) has(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for k, set := range s.sets {
		for _, r := range set {
			if n, _, _ := strings.Cut(k, " "); n == name {
				text := strings.TrimPrefix(r.String(), r.Header().String())
				text, _, _ = strings.Cut(text, " id=")
				all = append(all, dns.TypeToString[r.Header().Rrtype]+" "+strings.Trim(text, `"`))
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (s *server) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	reply := s.reply(w, m)
	if t := m.IsTsig(); t != nil && w.TsigStatus() == nil && reply.IsTsig() == nil && !s.key.IsZero() {
		s.key.Sign(reply)
	}
	if t := reply.IsTsig(); t != nil && t.MAC != "" { // it is to be so
		raw, err := reply.Pack()
		if err != nil {
			panic(err)
		}
		_, _ = w.Write(raw)
		return
	}
	_ = w.WriteMsg(reply)
}

func (s *server) reply(w dns.ResponseWriter, m *dns.Msg) *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Opcode != dns.OpcodeUpdate {
		return s.answer(m)
	}
	s.updates = append(s.updates, m.Copy())
	if !s.key.IsZero() && (m.IsTsig() == nil || w.TsigStatus() != nil) {
		return new(dns.Msg).SetRcode(m, dns.RcodeRefused)
	}
	if s.act != nil {
		if reply := s.act(m); reply != nil {
			return reply
		}
	}
	return new(dns.Msg).SetRcode(m, s.update(m))
}

func (s *server) answer(m *dns.Msg) *dns.Msg {
	q := m.Question[0]
	reply := new(dns.Msg).SetReply(m)
	reply.Authoritative = true
	if alias := s.sets[keyOf(q.Name, dns.TypeCNAME)]; alias != nil {
		reply.Answer = alias
		return reply
	}
	if reply.Answer = s.sets[keyOf(q.Name, q.Qtype)]; reply.Answer == nil && !s.exists(q.Name) {
		for _, r := range s.sets[keyOf("*."+registry.Parent(q.Name), q.Qtype)] {
			r = dns.Copy(r)
			r.Header().Name = q.Name
			reply.Answer = append(reply.Answer, r)
		}
	}
	return reply
}

// exists reports whether something stands at a name or below it.
func (s *server) exists(name string) bool {
	for k, set := range s.sets {
		if n, _, _ := strings.Cut(k, " "); len(set) > 0 && dns.IsSubDomain(name, n) {
			return true
		}
	}
	return false
}

// update is RFC 2136, Sections 3.2 and 3.4.
func (s *server) update(m *dns.Msg) int {
	zone := dns.CanonicalName(m.Question[0].Name)
	if !slices.Contains(s.zones, zone) {
		return dns.RcodeNotAuth
	}
	values := map[string][]dns.RR{}
	for _, p := range m.Answer {
		h := p.Header()
		k := keyOf(h.Name, h.Rrtype)
		switch {
		case h.Ttl != 0:
			return dns.RcodeFormatError
		case !dns.IsSubDomain(zone, h.Name):
			return dns.RcodeNotZone
		case h.Class == dns.ClassNONE && len(s.sets[k]) > 0:
			return dns.RcodeYXRrset
		case h.Class == dns.ClassINET:
			values[k] = append(values[k], p)
		}
	}
	for k, set := range values {
		if !same(set, s.sets[k]) {
			return dns.RcodeNXRrset
		}
	}
	for _, u := range m.Ns {
		if !dns.IsSubDomain(zone, u.Header().Name) {
			return dns.RcodeNotZone
		}
	}
	for _, u := range m.Ns {
		h := u.Header()
		k := keyOf(h.Name, h.Rrtype)
		switch {
		case h.Class == dns.ClassANY:
			delete(s.sets, k)
		case h.Rrtype != dns.TypeCNAME && s.sets[keyOf(h.Name, dns.TypeCNAME)] != nil: // Section 3.4.2.2
		case h.Class == dns.ClassINET:
			s.sets[k] = append(s.sets[k], u)
		default:
			panic(fmt.Sprint("not written by this package: ", u))
		}
	}
	return dns.RcodeSuccess
}

// count is how many updates came since it was last asked.
func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.updates)
	s.updates = nil
	return n
}

func (s *server) acts(f func(m *dns.Msg) *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.act = f
}

// delay keeps the next update, says nothing to it, and has the rest carried out at once.
func (s *server) delay() {
	s.acts(func(m *dns.Msg) *dns.Msg {
		s.late, s.act = append(s.late, m.Copy()), nil
		return new(dns.Msg).SetRcode(m, dns.RcodeServerFailure) // its client has no idea
	})
}

// arrive carries out what was kept.
func (s *server) arrive(t *testing.T, want int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.late {
		if got := s.update(m); got != want {
			t.Errorf("the late update: %s, want %s", dns.RcodeToString[got], dns.RcodeToString[want])
		}
	}
	s.late = nil
}
