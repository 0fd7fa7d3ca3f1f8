package nameward

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
)

// section is one of the sections of a message that hold records, RFC 1035, Section 4.1.
type section uint8

const (
	answerSection section = iota
	authoritySection
	additionalSection
)

// setKey names an RRset: owner in lower case, whatever the class.
type setKey struct {
	name   string
	rrtype uint16
}

// rrset is an RRset of a section with what becomes of it.
type rrset struct {
	setKey
	section section
	rrs     []dns.RR // as upstream has them
	out     []dns.RR // instead of them, when changed
	changed bool
	live    bool // it has what a guarded name has now
	refused bool
	written bool // out stands in the new section already
}

// left are the records that are passed on.
func (s *rrset) left() []dns.RR {
	if s.changed {
		return s.out
	}
	return s.rrs
}

func (s *rrset) become(rrs []dns.RR) { s.changed, s.out = true, rrs }

// gather makes the RRsets of a section. Signatures and OPT are in none.
func (c *cleaning) gather(at section, rrs []dns.RR) {
	sets := map[setKey]*rrset{}
	for _, rr := range rrs {
		h := rr.Header()
		if h.Rrtype == dns.TypeOPT || h.Rrtype == dns.TypeRRSIG {
			continue
		}
		key := setKey{strings.ToLower(h.Name), h.Rrtype}
		s := sets[key]
		if s == nil {
			s = &rrset{setKey: key, section: at}
			sets[key] = s
			c.order = append(c.order, s)
		}
		s.rrs = append(s.rrs, rr)
	}
	c.sets[at] = sets
}

// setOf finds the RRset that a record of a section is in, nil for none.
func (c *cleaning) setOf(at section, rr dns.RR) *rrset {
	h := rr.Header()
	return c.sets[at][setKey{strings.ToLower(h.Name), h.Rrtype}]
}

// decide asks the policy about an RRset and takes out what must not be published. Of guarded names
// nothing but what is live is left.
func (c *cleaning) decide(s *rrset) {
	if c.takeGate(s) {
		return
	}
	d := c.ask(s)
	if bindingValues(s.rrs[0]) != nil {
		c.takeHints(s)
	}
	switch {
	case withholds(s, &d):
		s.refused = d.Verdict == policy.Refuse
		s.become(nil)
	case c.takeLive(s):
	case d.Verdict != policy.Forward:
		c.filter(s, &d)
	}
	if c.protect(s); !s.changed {
		return
	}
	c.changed[s.setKey] = true
	if c.rule == "" && !s.live {
		c.rule = d.Rule.ID
	}
	switch {
	case s.refused && s.section == answerSection:
		c.note(ScrubRefused)
	case s.live:
		c.note(ScrubLive)
	}
}

// ask has the policy decide about an RRset with all of its addresses. An alias of a reverse name is asked
// about as what it leads to, RFC 2317, Section 4, and a service binding without its hints once more, as it
// is something without them too.
func (c *cleaning) ask(s *rrset) policy.Decision {
	req := policy.Request{Channel: policy.Answer, DNS: s.name, Type: s.rrtype, Time: c.now}
	for _, rr := range s.rrs {
		req.Addrs = appendAddrs(req.Addrs, rr)
	}
	d := c.policy.Decide(c.snap, &req)
	switch {
	case s.rrtype == dns.TypeCNAME && d.Verdict == policy.Publish:
		if addr, ok := registry.ReverseAddr(s.name); ok {
			req.Type, req.Addrs = dns.TypePTR, []netip.Addr{addr}
			if d = c.policy.Decide(c.snap, &req); d.Reason == policy.Emptied {
				s.become(nil)
			}
		}
	case bindingValues(s.rrs[0]) != nil && d.Reason == policy.Emptied:
		req.Addrs = nil
		if bare := c.policy.Decide(c.snap, &req); withholds(s, &bare) {
			return bare
		}
	}
	return d
}

// withholds reports whether a decision is that the whole RRset is not published, as opposed to one whose
// addresses are gone. Stripping an RRset that has none leaves nothing of it, but for a service binding,
// which needs no hints.
func withholds(s *rrset, d *policy.Decision) bool {
	switch {
	case d.Verdict == policy.Refuse:
		return true
	case d.Verdict != policy.Quarantine, d.Reason == policy.NoHolder:
		return false
	}
	return d.Reason != policy.Emptied || len(d.Fates()) == 0 && bindingValues(s.rrs[0]) == nil
}

// appendAddrs adds the addresses that a record carries: for PTR the one that its owner name stands for.
func appendAddrs(dst []netip.Addr, rr dns.RR) []netip.Addr {
	switch rr := rr.(type) {
	case *dns.A:
		return appendIP(dst, rr.A.To4())
	case *dns.AAAA:
		return appendIP(dst, rr.AAAA)
	case *dns.IPSECKEY:
		return appendIP(dst, rr.GatewayAddr)
	case *dns.AMTRELAY:
		return appendIP(dst, rr.GatewayAddr)
	case *dns.PTR:
		if addr, ok := registry.ReverseAddr(rr.Hdr.Name); ok {
			return append(dst, addr)
		}
	case *dns.SVCB, *dns.HTTPS:
		for _, v := range *bindingValues(rr) {
			for _, ip := range hints(v) {
				dst = appendIP(dst, ip)
			}
		}
	}
	return dst
}

func appendIP(dst []netip.Addr, ip net.IP) []netip.Addr {
	if addr, ok := netip.AddrFromSlice(ip); ok {
		return append(dst, addr)
	}
	return dst
}

// filter keeps the records whose addresses the policy keeps.
func (c *cleaning) filter(s *rrset, d *policy.Decision) {
	bad := map[netip.Addr]bool{}
	for _, f := range d.Fates() {
		if !f.Kept {
			bad[f.Addr] = true
		}
	}
	if len(bad) > 0 {
		s.become(without(s.left(), func(a netip.Addr) bool { return bad[a] }))
	}
}

// protect takes out what the protection against rebinding does not allow.
func (c *cleaning) protect(s *rrset) {
	if !c.choice.on || s.live || s.rrtype == dns.TypePTR {
		return // the name of a PTR record gives nobody an address
	}
	bad := func(a netip.Addr) bool {
		return c.rebinds(c.snap.Plain(a), s.name, s.section == answerSection)
	}
	if !slices.ContainsFunc(s.left(), func(rr dns.RR) bool { return slices.ContainsFunc(appendAddrs(nil, rr), bad) }) {
		return
	}
	s.become(without(s.left(), bad))
	c.note(ScrubRebinding)
}

// without copies records but for those with a bad address. Service bindings lose their bad hints alone.
func without(rrs []dns.RR, bad func(netip.Addr) bool) []dns.RR {
	out := make([]dns.RR, 0, len(rrs))
	for _, rr := range rrs {
		switch {
		case !slices.ContainsFunc(appendAddrs(nil, rr), bad):
			out = append(out, rr)
		case bindingValues(rr) != nil:
			out = append(out, withoutHints(rr, bad))
		}
	}
	return out
}
