package registry

import (
	"net"
	"net/netip"
	"slices"
)

// addrSet is what a node, or several, publish, in the forms that answers need. It is shared by every
// state that serves it and never changes.
type addrSet struct {
	v4, v6  []netip.Addr
	a, aaaa []net.IP
}

func newAddrSet(nodes ...*Node) *addrSet {
	s := &addrSet{}
	for _, n := range nodes {
		for _, addr := range n.Public {
			s.add(addr)
		}
	}
	return s
}

func (s *addrSet) add(addr netip.Addr) {
	list, raw := &s.v6, &s.aaaa
	if addr.Is4() {
		list, raw = &s.v4, &s.a
	}
	if slices.Contains(*list, addr) {
		return
	}
	*list = append(*list, addr)
	*raw = append(*raw, addr.AsSlice())
}

var noAddrs = &addrSet{}
