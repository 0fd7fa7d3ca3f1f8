package zone

import (
	"slices"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// follow notes what has changed since an older state of the registry of the same configuration, given the
// names in the zone that may have changed.
func (e *editor) follow(old *registry.Snapshot, owners []string) {
	for _, owner := range owners {
		e.moved(Static(old, owner), Static(e.state, owner))
	}
}

// moved notes what the registry now has in the place of some records.
func (e *editor) moved(old, now []dns.RR) {
	deleted, added := missing(old, now), missing(now, old)
	e.static.deleted = append(e.static.deleted, deleted...)
	e.static.added = append(e.static.added, added...)
	e.digest = e.digest.without(deleted).with(added)
}

// missing lists the records of a that b does not have with the same TTL.
func missing(a, b []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range a {
		if !slices.ContainsFunc(b, func(o dns.RR) bool { return o.Header().Ttl == rr.Header().Ttl && dns.IsDuplicate(o, rr) }) {
			out = append(out, rr)
		}
	}
	return out
}

// reconfigure brings a zone to the state of another configuration. What was registered and now belongs to
// the registry goes.
func (e *editor) reconfigure(snap *registry.Snapshot, z *registry.Zone) {
	old, oldZone := e.state, e.zone
	e.moved(NS(oldZone), NS(z))
	e.moved(delegations(old, oldZone), delegations(snap, z))
	before, after := old.OwnerNames(oldZone), snap.OwnerNames(z)
	for _, owner := range before {
		if _, still := slices.BinarySearch(after, owner); !still {
			e.moved(Static(old, owner), nil)
		}
	}
	for _, owner := range after {
		var was []dns.RR
		if _, had := slices.BinarySearch(before, owner); had {
			was = Static(old, owner)
		}
		e.moved(was, Static(snap, owner))
	}
	was, is := []dns.RR{SOA(oldZone, 0)}, []dns.RR{SOA(z, 0)}
	e.digest = e.digest.without(was).with(is)
	e.state, e.zone = snap, z
	e.dropReserved()
}

func delegations(snap *registry.Snapshot, z *registry.Zone) []dns.RR {
	var out []dns.RR
	for _, child := range children(snap, z) {
		out = append(append(out, NS(child)...), Glue(child)...)
	}
	return out
}

// dropReserved takes out what was registered at names, and of types, that belong to the registry, and what
// lies in a zone below that is owned now.
func (e *editor) dropReserved() {
	var gone []place
	e.names.Scan(func(_ string, n *Name) bool {
		for _, s := range n.Sets {
			if e.state.Zone(n.Owner) != e.zone || Reserved(e.state, n.Owner, s.Type) || e.excludedNow(n, s.Type) {
				gone = append(gone, place{n.Owner, s.Type})
			}
		}
		return true
	})
	for _, p := range gone {
		e.replace(p.owner, Set{Type: p.rrtype})
	}
}

// excludedNow reports delegations and DNAMEs that stand above names of the registry.
func (e *editor) excludedNow(n *Name, rrtype uint16) bool {
	return (rrtype == dns.TypeNS || rrtype == dns.TypeDNAME) && e.coversRegistry(n.Owner)
}

// ownersOf lists by zone the names whose records may differ between two states of one configuration.
func ownersOf(old, now *registry.Snapshot) map[*registry.Zone][]string {
	out := map[*registry.Zone][]string{}
	note := func(owner string) {
		if e, ok := now.Lookup(owner); ok && e.Zone != nil {
			out[e.Zone] = append(out[e.Zone], owner)
		}
	}
	for s := range now.ChangedSince(old) {
		for _, owner := range s.Role.DNS {
			note(owner)
		}
	}
	for owner := range now.PTRsChangedSince(old) {
		note(owner)
	}
	return out
}
