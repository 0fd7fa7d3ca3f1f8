package nameward

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// scrubber stands behind the next plugins: what they answer goes through it. Addresses that must never
// be published are taken out of every section, and so is whatever they say of the addresses of a
// guarded name, which is ours to answer. An answer that needs no change is passed on as it is.
type scrubber struct {
	dns.ResponseWriter
	snap *registry.Snapshot
}

// WriteMsg implements dns.ResponseWriter.
func (w *scrubber) WriteMsg(m *dns.Msg) error {
	if clean := scrub(w.snap, m); clean != nil {
		scrubbed.Inc()
		m = clean
	}
	return w.ResponseWriter.WriteMsg(m)
}

// scrub returns a message without what must not be published, or nil if m has nothing of that kind.
// It does not write to m, which may be the cache's.
func scrub(snap *registry.Snapshot, m *dns.Msg) *dns.Msg {
	chain := guardedChain(snap, m)
	if chain == nil && !slices.ContainsFunc(m.Answer, dirty(snap)) && !slices.ContainsFunc(m.Ns, dirty(snap)) &&
		!slices.ContainsFunc(m.Extra, dirty(snap)) {
		return nil
	}
	out := *m
	out.AuthenticatedData = false // it was said of another answer
	out.Answer, out.Ns, out.Extra = cleaned(snap, m.Answer), cleaned(snap, m.Ns), cleaned(snap, m.Extra)
	if chain != nil {
		out.Answer = chain
		endChain(snap, &out)
	}
	if out.Rcode == dns.RcodeSuccess && len(m.Answer) > 0 && !answersQuestion(&out) {
		out.Ns = []dns.RR{emptiedSOA(&out)}
	}
	return &out
}

// dirty reports whether a record must be left out or changed.
func dirty(snap *registry.Snapshot) func(dns.RR) bool {
	return func(rr dns.RR) bool {
		switch rr := rr.(type) {
		case *dns.A:
			return filtered(snap, rr.A) || isGuarded(snap, rr.Hdr.Name)
		case *dns.AAAA:
			return filtered(snap, rr.AAAA) || isGuarded(snap, rr.Hdr.Name)
		case *dns.SVCB:
			return hasHints(snap, rr)
		case *dns.HTTPS:
			return hasHints(snap, &rr.SVCB)
		}
		return false
	}
}

func filtered(snap *registry.Snapshot, ip net.IP) bool {
	addr, ok := netip.AddrFromSlice(ip)
	if !ok {
		return false
	}
	_, is := snap.Filtered(addr)
	return is
}

// isGuarded reports whether the addresses of a name are ours to answer.
func isGuarded(snap *registry.Snapshot, name string) bool {
	e, ok := snap.Lookup(strings.ToLower(name))
	return ok && (e.Kind == registry.KindRole || e.Kind == registry.KindHost || e.Kind == registry.KindNameServer)
}

// hasHints reports whether a service binding carries filtered addresses, RFC 9460, Section 7.3, or any
// addresses for a guarded name.
func hasHints(snap *registry.Snapshot, rr *dns.SVCB) bool {
	guarded := isGuarded(snap, rr.Hdr.Name) || isGuarded(snap, rr.Target)
	for _, v := range rr.Value {
		if ips := hints(v); len(ips) > 0 && (guarded || slices.ContainsFunc(ips, func(ip net.IP) bool { return filtered(snap, ip) })) {
			return true
		}
	}
	return false
}

func hints(v dns.SVCBKeyValue) []net.IP {
	switch v := v.(type) {
	case *dns.SVCBIPv4Hint:
		return v.Hint
	case *dns.SVCBIPv6Hint:
		return v.Hint
	}
	return nil
}

// cleaned copies a section without what is dirty, and without the signatures over that.
func cleaned(snap *registry.Snapshot, section []dns.RR) []dns.RR {
	isDirty := dirty(snap)
	out := make([]dns.RR, 0, len(section))
	changed := map[string]bool{}
	for _, rr := range section {
		if !isDirty(rr) {
			out = append(out, rr)
			continue
		}
		changed[rrsetKey(rr.Header().Name, rr.Header().Rrtype)] = true
		if hintless := withoutHints(rr); hintless != nil {
			out = append(out, hintless)
		}
	}
	return slices.DeleteFunc(out, func(rr dns.RR) bool {
		sig, ok := rr.(*dns.RRSIG)
		return ok && changed[rrsetKey(sig.Hdr.Name, sig.TypeCovered)]
	})
}

func rrsetKey(name string, rrtype uint16) string {
	return strings.ToLower(name) + dns.TypeToString[rrtype]
}

// withoutHints copies a service binding without its address hints, nil for other records. Clients ask
// for the addresses of the target instead.
func withoutHints(rr dns.RR) dns.RR {
	var values *[]dns.SVCBKeyValue
	switch rr.(type) {
	case *dns.SVCB, *dns.HTTPS:
		rr = dns.Copy(rr)
	default:
		return nil
	}
	switch rr := rr.(type) {
	case *dns.SVCB:
		values = &rr.Value
	case *dns.HTTPS:
		values = &rr.Value
	}
	*values = slices.DeleteFunc(*values, func(v dns.SVCBKeyValue) bool { return hints(v) != nil })
	return rr
}

// guardedChain returns the chain of aliases in an answer to a question for addresses up to the one that
// leads to a role's name, or nil. What upstream says beyond that is not wanted.
func guardedChain(snap *registry.Snapshot, m *dns.Msg) []dns.RR {
	if len(m.Question) != 1 || m.Question[0].Qtype != dns.TypeA && m.Question[0].Qtype != dns.TypeAAAA {
		return nil
	}
	for i, rr := range m.Answer {
		c, ok := rr.(*dns.CNAME)
		if !ok {
			continue
		}
		if e, ok := snap.Lookup(strings.ToLower(c.Target)); ok && e.Kind == registry.KindRole {
			return slices.DeleteFunc(slices.Clone(m.Answer[:i+1]), func(rr dns.RR) bool {
				return rr.Header().Rrtype != dns.TypeCNAME && rr.Header().Rrtype != dns.TypeDNAME
			})
		}
	}
	return nil
}

// endChain ends a chain of aliases with the live addresses of the role it leads to.
func endChain(snap *registry.Snapshot, m *dns.Msg) {
	alias := m.Answer[len(m.Answer)-1].(*dns.CNAME).Target
	e, _ := snap.Lookup(strings.ToLower(alias))
	s := snap.RoleOf(e)
	if s.Unknown() {
		m.Rcode, m.Answer, m.Ns = dns.RcodeServerFailure, nil, nil
		return
	}
	as := addresses{aaaa: s.AAAA(), ttl: s.TTL}
	if m.Question[0].Qtype == dns.TypeA {
		as = addresses{a: s.A(), ttl: s.TTL}
	}
	m.Rcode, m.Ns = dns.RcodeSuccess, nil
	m.Answer = append(m.Answer, as.records(alias)...)
}

// answersQuestion reports whether a record of the type asked for is left.
func answersQuestion(m *dns.Msg) bool {
	if len(m.Question) != 1 {
		return len(m.Answer) > 0
	}
	qtype := m.Question[0].Qtype
	return slices.ContainsFunc(m.Answer, func(rr dns.RR) bool { return qtype == dns.TypeANY || rr.Header().Rrtype == qtype })
}

// emptiedSOA makes an emptied answer a proper "no data" (RFC 2308, Section 2.2). It is not cached for
// long, because upstream may publish another address any time.
func emptiedSOA(m *dns.Msg) dns.RR {
	const ttl = 5 // seconds
	name := "."
	if len(m.Question) == 1 {
		name = m.Question[0].Name
	}
	return &dns.SOA{Hdr: header(name, dns.TypeSOA, ttl), Ns: name, Mbox: ".", Serial: 1, Refresh: ttl, Retry: ttl, Expire: ttl, Minttl: ttl}
}
