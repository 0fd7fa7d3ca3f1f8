package registry

import "slices"

// serving holds, for each public address, the roles that are served from it, sorted by their place in
// the configuration. The first one that has a DNS name is the PTR target.
type serving [][]int32

func (s serving) add(addr, role int32) {
	if i, found := slices.BinarySearch(s[addr], role); !found {
		s[addr] = slices.Insert(s[addr], i, role)
	}
}

func (s serving) remove(addr, role int32) {
	if i, found := slices.BinarySearch(s[addr], role); found {
		s[addr] = slices.Delete(s[addr], i, i+1)
	}
}

// repoint follows the roles that moved and returns the PTR states of the next snapshot.
func (r *Registry) repoint(ch *change, next *Snapshot) vector[*PTRState] {
	if len(ch.answers) == 0 {
		return ch.before.ptrs
	}
	touched := map[int32]bool{}
	for _, id := range ch.answers {
		if len(ch.before.World.Roles[id].DNS) == 0 {
			continue
		}
		r.leave(id, ch.before.roles.at(int(id)), touched)
		r.enter(id, ch.states[id], touched)
	}
	ptrs := ch.before.ptrs.edit()
	for addr := range touched {
		ptrs.set(int(addr), r.pointer(next, addr))
	}
	return ptrs.done()
}

func (r *Registry) leave(role int32, s *RoleState, touched map[int32]bool) {
	r.eachAddr(s, func(addr int32) { r.serving.remove(addr, role); touched[addr] = true })
}

func (r *Registry) enter(role int32, s *RoleState, touched map[int32]bool) {
	r.eachAddr(s, func(addr int32) { r.serving.add(addr, role); touched[addr] = true })
}

func (r *Registry) eachAddr(s *RoleState, do func(addr int32)) {
	addrs := r.Snapshot().ix.addrs
	for _, n := range s.Served {
		for _, a := range n.Public {
			do(addrs[a])
		}
	}
}

// pointer says what the PTR of an address names: the first role served there, else the node itself,
// else nothing.
func (r *Registry) pointer(next *Snapshot, addr int32) *PTRState {
	if roles := r.serving[addr]; len(roles) > 0 {
		s := next.roles.at(int(roles[0]))
		return &PTRState{Target: s.Role.DNS[0], TTL: s.TTL}
	}
	if host := next.ix.addrList[addr].host; host != "" {
		return &PTRState{Target: host, TTL: HostTTL}
	}
	return nil
}

// HostTTL is the TTL in seconds of a node's own address and PTR records. Short, because a PTR that
// names the host today names a role as soon as the node takes one over.
const HostTTL = 60
