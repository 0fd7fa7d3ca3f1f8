package nameward

import (
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/zone"
)

// negative is an answer without records, with the SOA that says how long it may be cached: RFC 2308,
// Section 3.
func (n now) negative(r *dns.Msg, z *registry.Zone, rcode int) (*dns.Msg, Outcome) {
	v := n.zones.View(z.Name)
	if v == nil {
		return notServed(r, z), NotReady
	}
	m := reply(r)
	m.Rcode = rcode
	soa := v.SOA()
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	m.Ns = []dns.RR{soa}
	if rcode == dns.RcodeNameError {
		return m, NameError
	}
	return m, NoData
}

// noData says that the name has no address of that type. An overlaid name has no zone of ours to name;
// its own name serves as one, so that caches keep the answer for the role's TTL and no longer.
func (n now) noData(r *dns.Msg, e registry.Entry, ttl uint32) (*dns.Msg, Outcome) {
	if e.Zone != nil {
		return n.negative(r, e.Zone, dns.RcodeSuccess)
	}
	m, name := reply(r), r.Question[0].Name
	// No mailbox: in front of a long name there is no room for one.
	m.Ns = []dns.RR{&dns.SOA{
		Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:  name, Mbox: ".", Serial: uint32(n.snap.Change), Refresh: ttl, Retry: ttl, Expire: ttl, Minttl: ttl,
	}}
	return m, NoData
}

// notReady is the answer for a role whose holder was never known.
func notReady(r *dns.Msg, s *registry.RoleState) *dns.Msg {
	return failed(r, "role "+s.Role.Name+" has no holder yet")
}

// notServed is the answer in the moment in which a zone of a new configuration is not served yet.
func notServed(r *dns.Msg, z *registry.Zone) *dns.Msg {
	return failed(r, "zone "+z.Name+" is not served yet")
}

// failed is SERVFAIL, which nobody caches for long, with the reason as an extended error (RFC 8914,
// Section 4.15) for those who speak EDNS.
func failed(r *dns.Msg, why string) *dns.Msg {
	m := reply(r)
	m.Rcode, m.Authoritative = dns.RcodeServerFailure, false
	if r.IsEdns0() != nil {
		m.SetEdns0(dns.DefaultMsgSize, false)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeNotReady, ExtraText: why})
	}
	return m
}

// ownedBy writes an owner's name as it was asked into records that are ours.
func ownedBy(owner string, rrs []dns.RR) []dns.RR {
	for _, rr := range rrs {
		rr.Header().Name = owner
	}
	return rrs
}

// answerApex answers for SOA and NS.
func (n now) answerApex(r *dns.Msg, z *registry.Zone) (*dns.Msg, Outcome) {
	m, owner := reply(r), r.Question[0].Name
	if r.Question[0].Qtype == dns.TypeSOA {
		v := n.zones.View(z.Name)
		if v == nil {
			return notServed(r, z), NotReady
		}
		m.Answer = ownedBy(owner, []dns.RR{v.SOA()})
		return m, Answered
	}
	m.Answer = ownedBy(owner, zone.NS(z))
	m.Extra = zone.Glue(z)
	return m, Answered
}

func glue(snap *registry.Snapshot, e registry.Entry) addresses {
	ttl := uint32(registry.HostTTL)
	if e.Zone != nil {
		ttl = seconds(e.Zone.TTL)
	}
	return fixed(snap.ServerOf(e).Addrs, ttl)
}

func fixed(addrs []netip.Addr, ttl uint32) addresses {
	as := addresses{ttl: ttl}
	for _, a := range addrs {
		if a.Is4() {
			as.a = append(as.a, a.AsSlice())
		} else {
			as.aaaa = append(as.aaaa, a.AsSlice())
		}
	}
	return as
}

// records lists all addresses as records of an owner name.
func (as addresses) records(owner string) []dns.RR {
	rrs := make([]dns.RR, 0, len(as.a)+len(as.aaaa))
	for _, ip := range as.a {
		rrs = append(rrs, &dns.A{Hdr: header(owner, dns.TypeA, as.ttl), A: ip})
	}
	for _, ip := range as.aaaa {
		rrs = append(rrs, &dns.AAAA{Hdr: header(owner, dns.TypeAAAA, as.ttl), AAAA: ip})
	}
	return rrs
}

func header(owner string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

func ptrRR(owner string, p *registry.PTRState) dns.RR {
	return &dns.PTR{Hdr: header(owner, dns.TypePTR, p.TTL), Ptr: p.Target}
}
