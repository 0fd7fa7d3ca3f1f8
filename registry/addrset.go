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
	first   []netip.Addr // of v4, that of each node which comes first
	a, aaaa []net.IP
}

func newAddrSet(nodes ...*Node) *addrSet {
	s := &addrSet{}
	for _, n := range nodes {
		for _, addr := range n.Public {
			s.add(addr)
		}
	}
	s.first = firstV4(nodes, s.v4)
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

// firstV4 are the first IPv4 addresses of nodes, those of all of them being v4. Two nodes may share one.
func firstV4(nodes []*Node, v4 []netip.Addr) []netip.Addr {
	if len(nodes) == 1 {
		return v4[:min(1, len(v4))]
	}
	var out []netip.Addr
	for _, n := range nodes {
		if i := slices.IndexFunc(n.Public, netip.Addr.Is4); i >= 0 && !slices.Contains(out, n.Public[i]) {
			out = append(out, n.Public[i])
		}
	}
	return out
}
