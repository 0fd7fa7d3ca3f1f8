package nameward

import (
	"strings"

	"github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// Transfer implements transfer.Transferer (AXFR, RFC 5936): all of an owned zone, exactly as queries
// see it in one snapshot. A secondary that is up to date gets the SOA alone; an older one gets all.
func (h *Handler) Transfer(zone string, serial uint32) (<-chan []dns.RR, error) {
	snap := h.State.Snapshot()
	zone = strings.ToLower(zone)
	z := snap.Zone(zone)
	if z == nil || z.Name != zone {
		return nil, transfer.ErrNotAuthoritative
	}
	soa := soaRR(snap, z, z.Name)
	ch := make(chan []dns.RR)
	go func() {
		// The transfer plugin drains the channel whatever happens to its client.
		defer close(ch)
		ch <- []dns.RR{soa}
		if serial != 0 && !newer(soa.Serial, serial) {
			return
		}
		ch <- nsRRs(z, z.Name)
		for _, rrs := range delegations(snap, z) {
			ch <- rrs
		}
		for _, name := range snap.OwnerNames(z) {
			if rrs := recordsAt(snap, name); len(rrs) > 0 {
				ch <- rrs
			}
		}
		ch <- []dns.RR{soa}
	}()
	return ch, nil
}

// newer compares serials: RFC 1982, Section 3.2.
func newer(a, b uint32) bool { return int32(a-b) > 0 }

// recordsAt lists the records of a name of an owned zone, but for SOA and NS of its apex.
func recordsAt(snap *registry.Snapshot, name string) []dns.RR {
	e, _ := snap.Lookup(name)
	switch e.Kind {
	case registry.KindRole:
		s := snap.RoleOf(e)
		return addresses{a: s.A(), aaaa: s.AAAA(), ttl: s.TTL}.records(name)
	case registry.KindHost:
		a, aaaa := snap.HostOf(e)
		return addresses{a: a, aaaa: aaaa, ttl: registry.HostTTL}.records(name)
	case registry.KindNameServer:
		return glue(snap, e).records(name)
	case registry.KindPTR:
		if p := snap.PTROf(e); p != nil {
			return []dns.RR{ptrRR(name, p)}
		}
	}
	return nil
}

// delegations lists NS and glue of the owned zones right below z, which queries answer from the zone
// below and a secondary of z needs in order to find it.
func delegations(snap *registry.Snapshot, z *registry.Zone) [][]dns.RR {
	var out [][]dns.RR
	for _, child := range snap.World.Zones {
		if _, rest, cut := strings.Cut(child.Name, "."); !below(child.Name, z.Name) || !cut || snap.Zone(orRoot(rest)) != z {
			continue
		}
		out = append(out, append(nsRRs(child, child.Name), glueRRs(child)...))
	}
	return out
}

func orRoot(name string) string {
	if name == "" {
		return "."
	}
	return name
}
