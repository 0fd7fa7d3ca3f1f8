package update

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push"
)

// entry is one owner name whose records are replaced.
type entry struct {
	zone, name string
	types      []uint16 // RRsets that are replaced: A and AAAA, or PTR
	want       []dns.RR
	role       *registry.RoleState // whose epoch the marker has
	snap       *registry.Snapshot
	ours       func(dns.RR) bool // what may be replaced at a name that has no marker
	orders     []*order          // who waits for it

	stood  *standing // what stands there, as far as is known; nil: it is not known
	marker marker    // of the write under way or done
	tries  int
}

// standing is what stands at a name.
type standing struct {
	marker []dns.RR            // TXT
	sets   map[uint16][]dns.RR // by type
	alias  []dns.RR            // CNAME
}

// order is one item with its entries.
type order struct {
	*push.Item
	forward, reverse []*entry
	left             int  // entries that are not settled
	over             bool // one has failed
}

// outcome is what became of an entry: it was written, unless there is a reason, or something foreign that stays.
type outcome struct {
	err     error
	foreign bool
	found   []netip.Addr
}

// settle says what became of one of the entries. The item is told of the first that failed, or when all are written.
func (o *order) settle(of outcome) {
	o.left--
	switch {
	case o.over:
	case of.foreign:
		o.over = true
		o.Foreign(of.found)
	case of.err != nil:
		o.over = true
		o.Fail(of.err)
	case o.left == 0:
		o.Acked()
	}
}

// settle says what became of the entry to all that wait for it.
func (e *entry) settle(of outcome) {
	for _, o := range e.orders {
		o.settle(of)
	}
}

// found are the addresses that stand at the name, or that of which a PTR record stands there.
func (s *standing) found() (all []netip.Addr) {
	for _, set := range s.sets {
		for _, rr := range set {
			all = append(all, addrOf(rr))
		}
	}
	return all
}

// addrOf is the address of an A or AAAA record, or that of which a PTR record is.
func addrOf(rr dns.RR) netip.Addr {
	var a netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		a, _ = netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		a, _ = netip.AddrFromSlice(rr.AAAA.To16())
	case *dns.PTR:
		a, _ = registry.ReverseAddr(rr.Hdr.Name)
	}
	return a
}

// forward makes the entries of a role's names in the zone.
func (d *Driver) forward(snap *registry.Snapshot, role *registry.RoleState, told []netip.Addr) (all []*entry) {
	var members []netip.Addr
	for _, n := range role.Role.Nodes {
		members = append(members, n.Public...)
	}
	for _, name := range role.Role.DNS {
		if !dns.IsSubDomain(d.cfg.Zone, name) {
			continue
		}
		e := &entry{zone: d.cfg.Zone, name: name, types: []uint16{dns.TypeA, dns.TypeAAAA}, snap: snap, role: role}
		for _, a := range role.Addrs() {
			e.want = append(e.want, addressRecord(name, role.TTL, a))
		}
		e.ours = func(rr dns.RR) bool {
			a := addrOf(rr)
			return slices.Contains(members, a) || slices.Contains(told, a)
		}
		all = append(all, e)
	}
	return all
}

func addressRecord(name string, ttl uint32, a netip.Addr) dns.RR {
	h := dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}
	if a.Is4() {
		return &dns.A{Hdr: h, A: net.IP(a.AsSlice())}
	}
	h.Rrtype = dns.TypeAAAA
	return &dns.AAAA{Hdr: h, AAAA: net.IP(a.AsSlice())}
}

// reverse makes the entries of the PTR records that a role's moves may change: those of all its nodes' addresses.
func (d *Driver) reverse(snap *registry.Snapshot, role *registry.RoleState) (all []*entry) {
	if len(d.cfg.Reverse) == 0 {
		return nil
	}
	for _, n := range role.Role.Nodes {
		for _, a := range n.Public {
			name, err := dns.ReverseAddr(a.String())
			if err != nil {
				continue // there is none for that
			}
			i := slices.IndexFunc(d.cfg.Reverse, func(zone string) bool { return dns.IsSubDomain(zone, name) })
			if i < 0 || slices.ContainsFunc(all, func(e *entry) bool { return e.name == name }) {
				continue
			}
			e := &entry{zone: d.cfg.Reverse[i], name: name, types: []uint16{dns.TypePTR}, snap: snap, role: role}
			if ptr := pointerOf(snap, name); ptr != nil {
				h := dns.RR_Header{Name: name, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: ptr.TTL}
				e.want = []dns.RR{&dns.PTR{Hdr: h, Ptr: ptr.Target}}
			}
			e.ours = func(rr dns.RR) bool { return isKnown(snap, rr.(*dns.PTR).Ptr) }
			all = append(all, e)
		}
	}
	return all
}

func pointerOf(snap *registry.Snapshot, name string) *registry.PTRState {
	if e, ok := snap.Lookup(name); ok && e.Kind == registry.KindPTR {
		return snap.PTROf(e)
	}
	return nil
}

// isKnown reports whether a PTR record that names this may be one of ours.
func isKnown(snap *registry.Snapshot, target string) bool {
	e, ok := snap.Lookup(strings.ToLower(target))
	return ok && (e.Kind == registry.KindRole || e.Kind == registry.KindHost)
}
