package policy

import (
	"net/netip"
	"slices"

	"github.com/nameward/nameward/registry"
)

// State is what a claimant is to a guarded name.
type State uint8

// The states. The zero State is that of a name that is not guarded.
const (
	Holder   State = iota + 1 // has the role now, or is the host that the name belongs to
	Passive                   // is a node of the role, but has it not
	Stranger                  // is neither
)

// States lists every state.
var States = []State{Holder, Passive, Stranger}

func (s State) String() string { return [...]string{"none", "holder", "passive", "stranger"}[s] }

// MarshalText writes the word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// subject is what a guarded name belongs to: a role, a node (its host name), or a name server of an
// owned zone. All are nil for other names.
type subject struct {
	role   *registry.RoleState
	node   *registry.Node
	server []netip.Addr
}

func subjectOf(s *registry.Snapshot, r *Request) subject {
	if r.NetBIOS.IsValid() {
		role, _ := s.NetBIOS(r.NetBIOS)
		return subject{role: role}
	}
	e, ok := s.Lookup(r.DNS)
	if !ok {
		return subject{}
	}
	switch e.Kind {
	case registry.KindRole:
		return subject{role: s.RoleOf(e)}
	case registry.KindHost:
		return subject{node: s.NodeOf(e)}
	case registry.KindNameServer:
		return subject{server: s.ServerOf(e).Addrs}
	}
	return subject{}
}

func (b subject) guarded() bool { return b.role != nil || b.node != nil || b.server != nil }

// holds reports whether addr is what the name is to be answered with: a public address of the holder.
func (b subject) holds(addr netip.Addr) bool {
	switch {
	case b.role != nil:
		return slices.ContainsFunc(b.role.Served, func(n *registry.Node) bool { return slices.Contains(n.Public, addr) })
	case b.node != nil:
		return slices.Contains(b.node.Public, addr)
	}
	return slices.Contains(b.server, addr)
}

// mayHold reports whether addr is a public address of any member.
func (b subject) mayHold(addr netip.Addr) bool {
	if b.role == nil {
		return b.holds(addr)
	}
	return slices.ContainsFunc(b.role.Role.Nodes, func(n *registry.Node) bool { return slices.Contains(n.Public, addr) })
}

// stateOf is the state of whoever has the address, of whatever class.
func (b subject) stateOf(addr netip.Addr) State {
	has := func(n *registry.Node) bool { return hasAddr(n, addr) }
	switch {
	case !b.guarded():
		return 0
	case b.role != nil && slices.ContainsFunc(b.role.Served, has):
		return Holder
	case b.role != nil && slices.ContainsFunc(b.role.Role.Nodes, has):
		return Passive
	case b.node != nil && has(b.node), slices.Contains(b.server, addr):
		return Holder
	}
	return Stranger
}

func hasAddr(n *registry.Node, addr netip.Addr) bool {
	return slices.Contains(n.Public, addr) ||
		slices.ContainsFunc(n.Other, func(o registry.ClassAddr) bool { return o.Addr == addr })
}

// public is what is published for the subject now, in one family.
func (b subject) public(v4 bool) []netip.Addr {
	if b.role == nil {
		return nil
	}
	if v4 {
		return b.role.V4()
	}
	return b.role.V6()
}
