package nameward

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// takeLive puts what is live in the place of another server's word about a guarded name, and reports
// whether the RRset is of that kind. It is left alone if it says the same and is not remembered longer.
func (c *cleaning) takeLive(s *rrset) bool {
	e, ok := c.snap.Lookup(s.name)
	switch {
	case ok && s.rrtype == dns.TypeCNAME && (isGuarded(e) || c.pointer(e) != nil):
		// An alias would take the name away from us: whoever remembers it asks us for its target only.
		s.become(nil)
	case ok && s.rrtype == dns.TypePTR && c.pointer(e) != nil:
		c.takeRecords(s, []dns.RR{ptrRR(s.rrs[0].Header().Name, c.pointer(e))})
	case ok && isGuarded(e) && (s.rrtype == dns.TypeA || s.rrtype == dns.TypeAAAA):
		as := c.liveOf(e)
		if s.rrtype == dns.TypeA {
			as.aaaa = nil
		} else {
			as.a = nil
		}
		c.takeRecords(s, as.records(s.rrs[0].Header().Name))
	default:
		return false
	}
	return true
}

// pointer is what the PTR of an address of ours names now, nil for none.
func (c *cleaning) pointer(e registry.Entry) *registry.PTRState {
	if e.Kind != registry.KindPTR {
		return nil
	}
	return c.snap.PTROf(e)
}

// liveOf is what a guarded name is answered with now.
func (c *cleaning) liveOf(e registry.Entry) addresses {
	switch e.Kind {
	case registry.KindRole:
		s := c.snap.RoleOf(e)
		return addresses{a: s.A(), aaaa: s.AAAA(), ttl: s.TTL}
	case registry.KindHost:
		a, aaaa := c.snap.HostOf(e)
		return addresses{a: a, aaaa: aaaa, ttl: registry.HostTTL}
	}
	return glue(c.snap, e)
}

func (c *cleaning) takeRecords(s *rrset, live []dns.RR) {
	s.live = true
	if !sameRecords(s.rrs, live) {
		s.become(live)
	}
}

// sameRecords reports whether upstream's records are the live ones, with a TTL that is no longer.
func sameRecords(theirs, live []dns.RR) bool {
	return len(theirs) == len(live) && !slices.ContainsFunc(theirs, func(rr dns.RR) bool {
		return rr.Header().Ttl > live[0].Header().Ttl || !slices.ContainsFunc(live, func(l dns.RR) bool { return dns.IsDuplicate(rr, l) })
	})
}

// takeHints takes every hint out of the service bindings of a guarded name, and of those that lead to
// one: they would be remembered for the TTL of the binding, whatever becomes of the role.
func (c *cleaning) takeHints(s *rrset) {
	owner := c.isGuardedName(s.name)
	all := func(netip.Addr) bool { return true }
	out, found := slices.Clone(s.rrs), false
	for i, rr := range out {
		if len(appendAddrs(nil, rr)) > 0 && (owner || c.isGuardedName(bindingTarget(rr))) {
			out[i], found = withoutHints(rr, all), true
		}
	}
	if found {
		s.become(out)
	}
}

func (c *cleaning) isGuardedName(name string) bool {
	e, ok := c.snap.Lookup(strings.ToLower(name))
	return ok && isGuarded(e)
}
