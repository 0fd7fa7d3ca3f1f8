package nameward

import (
	"strings"

	"github.com/miekg/dns"
)

// gate is what the SOA of a gated zone has to name as its primary, "" when it may stay as it is. Clients send
// their updates to the server named there, RFC 2136, Section 4.3, so that is this guard. Those that prove
// signatures are no such clients, and get what was signed.
func (v *review) gate(soa *dns.SOA) string {
	name := v.choice.gates[strings.ToLower(soa.Hdr.Name)]
	if name == "" || strings.EqualFold(name, soa.Ns) || v.wantsProof() {
		return ""
	}
	return name
}

// takeGate names this guard in the SOA of a gated zone, and reports whether the RRset is one.
func (c *cleaning) takeGate(s *rrset) bool {
	soa, ok := s.rrs[0].(*dns.SOA)
	if !ok {
		return false
	}
	name := c.gate(soa)
	if name == "" {
		return false
	}
	soa = dns.Copy(soa).(*dns.SOA)
	soa.Ns = name
	s.become([]dns.RR{soa})
	c.changed[s.setKey] = true
	c.note(ScrubGate)
	return true
}
