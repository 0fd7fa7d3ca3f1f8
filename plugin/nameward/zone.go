package nameward

import (
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// negative is an answer without records, with the SOA that says how long it may be cached: RFC 2308,
// Section 3.
func negative(snap *registry.Snapshot, r *dns.Msg, z *registry.Zone, rcode int) *dns.Msg {
	m := reply(r)
	m.Rcode = rcode
	soa := soaRR(snap, z, z.Name)
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	m.Ns = []dns.RR{soa}
	return m
}

// noData says that the name has no address of that type. An overlaid name has no zone of ours to name;
// its own name serves as one, so that caches keep the answer for the role's TTL and no longer.
func noData(snap *registry.Snapshot, r *dns.Msg, e registry.Entry, ttl uint32) *dns.Msg {
	if e.Zone != nil {
		return negative(snap, r, e.Zone, dns.RcodeSuccess)
	}
	m, name := reply(r), r.Question[0].Name
	// No mailbox: in front of a long name there is no room for one.
	m.Ns = []dns.RR{&dns.SOA{
		Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:  name, Mbox: ".", Serial: uint32(snap.Change), Refresh: ttl, Retry: ttl, Expire: ttl, Minttl: ttl,
	}}
	return m
}

// notReady is the answer for a role whose holder was never known: SERVFAIL, which nobody caches for
// long, with the reason as an extended error (RFC 8914, Section 4.15) for those who speak EDNS.
func notReady(r *dns.Msg, s *registry.RoleState) *dns.Msg {
	m := reply(r)
	m.Rcode, m.Authoritative = dns.RcodeServerFailure, false
	if r.IsEdns0() != nil {
		m.SetEdns0(dns.DefaultMsgSize, false)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{
			InfoCode: dns.ExtendedErrorCodeNotReady, ExtraText: "role " + s.Role.Name + " has no holder yet",
		})
	}
	return m
}

func soaRR(snap *registry.Snapshot, z *registry.Zone, owner string) *dns.SOA {
	return &dns.SOA{
		Hdr: header(owner, dns.TypeSOA, seconds(z.TTL)),
		Ns:  z.NS[0].Name, Mbox: z.Mbox, Serial: snap.Serial(z), Refresh: seconds(z.Refresh), Retry: seconds(z.Retry),
		Expire: seconds(z.Expire), Minttl: seconds(z.Negative),
	}
}

func nsRRs(z *registry.Zone, owner string) []dns.RR {
	rrs := make([]dns.RR, len(z.NS))
	for i, ns := range z.NS {
		rrs[i] = &dns.NS{Hdr: header(owner, dns.TypeNS, seconds(z.TTL)), Ns: ns.Name}
	}
	return rrs
}

// glueRRs are the addresses of those of the zone's servers that are named inside it.
func glueRRs(z *registry.Zone) []dns.RR {
	var rrs []dns.RR
	for _, ns := range z.NS {
		if dns.IsSubDomain(z.Name, ns.Name) {
			rrs = append(rrs, fixed(ns.Addrs, seconds(z.TTL)).records(ns.Name)...)
		}
	}
	return rrs
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

func ptrRR(owner string, p *registry.PTRState) dns.RR {
	return &dns.PTR{Hdr: header(owner, dns.TypePTR, p.TTL), Ptr: p.Target}
}

func header(owner string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// below reports whether name is strictly below zone.
func below(name, zone string) bool {
	return name != zone && (zone == "." || strings.HasSuffix(name, "."+zone))
}
