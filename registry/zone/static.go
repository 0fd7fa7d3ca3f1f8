package zone

import (
	"iter"
	"net"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// SOA is the SOA record of a zone.
func SOA(z *registry.Zone, serial uint32) *dns.SOA {
	return &dns.SOA{
		Hdr: header(z.Name, dns.TypeSOA, seconds(z.TTL)),
		Ns:  z.NS[0].Name, Mbox: z.Mbox, Serial: serial, Refresh: seconds(z.Refresh), Retry: seconds(z.Retry),
		Expire: seconds(z.Expire), Minttl: seconds(z.Negative),
	}
}

// NS lists the name servers of a zone.
func NS(z *registry.Zone) []dns.RR {
	rrs := make([]dns.RR, len(z.NS))
	for i, ns := range z.NS {
		rrs[i] = &dns.NS{Hdr: header(z.Name, dns.TypeNS, seconds(z.TTL)), Ns: ns.Name}
	}
	return rrs
}

// Glue lists the addresses of those of the zone's servers that are named inside it.
func Glue(z *registry.Zone) []dns.RR {
	var rrs []dns.RR
	for _, ns := range z.NS {
		if dns.IsSubDomain(z.Name, ns.Name) {
			rrs = append(rrs, serverRRs(ns, seconds(z.TTL))...)
		}
	}
	return rrs
}

func serverRRs(ns registry.NameServer, ttl uint32) []dns.RR {
	var a, aaaa []net.IP
	for _, addr := range ns.Addrs {
		if addr.Is4() {
			a = append(a, addr.AsSlice())
		} else {
			aaaa = append(aaaa, addr.AsSlice())
		}
	}
	return addrRRs(ns.Name, ttl, a, aaaa)
}

func addrRRs(owner string, ttl uint32, a, aaaa []net.IP) []dns.RR {
	rrs := make([]dns.RR, 0, len(a)+len(aaaa))
	for _, ip := range a {
		rrs = append(rrs, &dns.A{Hdr: header(owner, dns.TypeA, ttl), A: ip})
	}
	for _, ip := range aaaa {
		rrs = append(rrs, &dns.AAAA{Hdr: header(owner, dns.TypeAAAA, ttl), AAAA: ip})
	}
	return rrs
}

func header(owner string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// Static lists what the registry puts at a lower-case name, of an owned zone or overlaid, but for SOA and NS of the apex.
func Static(snap *registry.Snapshot, owner string) []dns.RR {
	e, ok := snap.Lookup(owner)
	if !ok {
		return nil
	}
	switch e.Kind {
	case registry.KindRole:
		s := snap.RoleOf(e)
		return addrRRs(owner, s.TTL, s.A(), s.AAAA())
	case registry.KindHost:
		a, aaaa := snap.HostOf(e)
		return addrRRs(owner, registry.HostTTL, a, aaaa)
	case registry.KindNameServer:
		ttl := uint32(registry.HostTTL)
		if e.Zone != nil {
			ttl = seconds(e.Zone.TTL)
		}
		return serverRRs(snap.ServerOf(e), ttl)
	case registry.KindService:
		to := e.Zone.Stream
		return []dns.RR{&dns.SRV{Hdr: header(owner, dns.TypeSRV, seconds(e.Zone.TTL)), Port: to.Port, Target: to.Host}}
	case registry.KindPTR:
		if p := snap.PTROf(e); p != nil {
			return []dns.RR{&dns.PTR{Hdr: header(owner, dns.TypePTR, p.TTL), Ptr: p.Target}}
		}
	}
	return nil
}

// Reserved reports whether records of a type at a lower-case name belong to the registry, so that updates
// do not touch them. An alias or a delegation counts as all types.
func Reserved(snap *registry.Snapshot, owner string, rrtype uint16) bool {
	e, ok := snap.Lookup(owner)
	if !ok {
		return false
	}
	switch rrtype {
	case dns.TypeCNAME:
		return e.Kind != registry.KindEmptyNonTerminal
	case dns.TypeDNAME, dns.TypeNS:
		return true
	case dns.TypeSOA:
		return e.Apex
	case dns.TypeA, dns.TypeAAAA:
		return e.Kind == registry.KindRole || e.Kind == registry.KindHost || e.Kind == registry.KindNameServer
	case dns.TypePTR:
		return e.Kind == registry.KindPTR
	case dns.TypeSRV:
		return e.Kind == registry.KindService
	}
	return false
}

// wholeStatic yields all that the registry puts into a zone but its SOA, name by name.
func wholeStatic(snap *registry.Snapshot, z *registry.Zone) iter.Seq[[]dns.RR] {
	return func(yield func([]dns.RR) bool) {
		if !yield(NS(z)) {
			return
		}
		for _, child := range children(snap, z) {
			if !yield(append(NS(child), Glue(child)...)) {
				return
			}
		}
		for _, owner := range snap.OwnerNames(z) {
			if rrs := Static(snap, owner); len(rrs) > 0 && !yield(rrs) {
				return
			}
		}
	}
}

// children lists the owned zones right below z. Queries are answered from the zone below; a secondary of z
// needs its NS and glue in order to find it.
func children(snap *registry.Snapshot, z *registry.Zone) []*registry.Zone {
	var out []*registry.Zone
	for _, child := range snap.World.Zones {
		if child != z && isBelow(child.Name, z.Name) && snap.Zone(registry.Parent(child.Name)) == z {
			out = append(out, child)
		}
	}
	return out
}

// isBelow reports whether name is strictly below zone.
func isBelow(name, zone string) bool { return name != zone && dns.IsSubDomain(zone, name) }
