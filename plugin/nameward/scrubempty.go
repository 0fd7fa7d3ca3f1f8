package nameward

import (
	"slices"

	"github.com/miekg/dns"
)

// emptiedTTL is how long an answer that we emptied may be remembered, in seconds: upstream may publish
// another address, or the policy change, any time.
const emptiedTTL = 5

// noData makes an emptied answer a proper "no data" for the name at the end of its chain, RFC 2308,
// Section 2.2. Upstream's SOA stands if there is one. Nothing else may stay: name servers would make a
// referral of it, and NSEC records would prove what upstream has and not what is answered.
func (c *cleaning) noData(m *dns.Msg, name string) {
	soa := slices.IndexFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })
	if soa < 0 || !dns.IsSubDomain(m.Ns[soa].Header().Name, name) {
		m.Ns = []dns.RR{emptiedSOA(name)}
	} else {
		m.Ns = slices.DeleteFunc(m.Ns, func(rr dns.RR) bool {
			sig, ok := rr.(*dns.RRSIG)
			return rr.Header().Rrtype != dns.TypeSOA && !(ok && sig.TypeCovered == dns.TypeSOA)
		})
	}
	c.explain(m)
}

// emptiedSOA is owned by the name itself, as we know no zone of it: that is in its bailiwick, whatever
// the zones are.
func emptiedSOA(name string) dns.RR {
	if name == "" {
		name = "."
	}
	return &dns.SOA{
		Hdr: header(name, dns.TypeSOA, emptiedTTL), Ns: name, Mbox: ".", Serial: 1,
		Refresh: emptiedTTL, Retry: emptiedTTL, Expire: emptiedTTL, Minttl: emptiedTTL,
	}
}

// bare is an answer with the header and the question of upstream's and no records.
func (c *cleaning) bare(rcode int) *dns.Msg {
	out := *c.in
	out.AuthenticatedData, out.Rcode = false, rcode
	out.Answer, out.Ns, out.Extra = nil, nil, nil
	return &out
}

// failed is a negative response that says why.
func (c *cleaning) failed(rcode int) *dns.Msg {
	out := c.bare(rcode)
	out.Authoritative = false
	c.explain(out)
	return out
}

// explain adds the extended error Blocked, "due to an internal security policy" (RFC 8914, Section 4.16),
// for clients that speak EDNS. Filtered (17) would say that the client itself had asked for it.
func (c *cleaning) explain(m *dns.Msg) {
	if c.r.IsEdns0() == nil {
		return
	}
	i := slices.IndexFunc(m.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	if i >= 0 {
		m.Extra[i] = dns.Copy(m.Extra[i])
	} else {
		m.SetEdns0(dns.DefaultMsgSize, false)
	}
	o := m.IsEdns0()
	o.Option = append(o.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeBlocked, ExtraText: "an address that is not public was held back"})
}
