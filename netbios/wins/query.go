package wins

import (
	"github.com/nameward/nameward/netbios"
)

// Found is the answer to a name query.
type Found struct {
	Addrs  []netbios.Address
	TTL    uint32 // seconds
	Static bool   // an operator's word
}

var broadcast = IPv4{255, 255, 255, 255}

// Query appends the addresses of a name to dst, RFC 1002, Section 5.1.4.2: those of a node; the members of
// an internet group, the domain's master browser first; 255.255.255.255 for any other group, whose
// members are to be asked themselves. The name *<1B> stands for all master browsers. It reports false if
// nobody has the name.
func (s *Snapshot) Query(dst []netbios.Address, n netbios.Name, now Stamp) (found Found, ok bool) {
	if n.Suffix() == suffixMaster && n.Base() == "*" {
		return s.allMasters(dst, now)
	}
	r, ok := s.Find(n)
	if !ok {
		return found, false
	}
	state, ends := r.stateAt(now, s.timers)
	if state != Active {
		return found, false
	}
	found.TTL = uint32(s.timers.MaxTTL.Seconds())
	found.Static = r.Static
	if !r.Static {
		found.TTL = min(found.TTL, uint32(ends-now)) // the clock may have been wrong when it was registered
	}
	switch r.Kind {
	case Group:
		found.Addrs = append(dst, netbios.Address{Flags: netbios.Group, Addr: broadcast.Addr()})
		return found, true
	case Internet:
		dst = s.appendMaster(dst, n, now)
	}
	found.Addrs = r.appendAlive(dst, now)
	return found, len(found.Addrs) > 0
}

// appendAlive appends the addresses that have not run out, with the flags of the name there, as far as
// the limit of members goes.
func (r *Record) appendAlive(dst []netbios.Address, now Stamp) []netbios.Address {
	flags := r.Node
	if r.Kind.isGroup() {
		flags |= netbios.Group
	}
	for i := range r.Len() {
		m := r.At(i)
		if !r.Static && m.Ends <= now || len(dst) == MaxMembers {
			continue
		}
		a := netbios.Address{Flags: flags, Addr: m.Addr.Addr()}
		if r.Kind == Internet && len(dst) > 0 && dst[0].Addr == a.Addr {
			continue // the master browser stands first already
		}
		dst = append(dst, a)
	}
	return dst
}

// appendMaster appends the address of the domain's master browser if it is one of a group's members or
// not: clients take the first one for it.
func (s *Snapshot) appendMaster(dst []netbios.Address, n netbios.Name, now Stamp) []netbios.Address {
	r, ok := s.Find(n.WithSuffix(suffixMaster))
	if state, _ := r.stateAt(now, s.timers); !ok || state != Active {
		return dst
	}
	if i := r.firstAlive(now); i >= 0 {
		dst = append(dst, netbios.Address{Flags: r.Node | netbios.Group, Addr: r.At(i).Addr.Addr()})
	}
	return dst
}

func (r *Record) firstAlive(now Stamp) int {
	for i := range r.Len() {
		if r.Static || r.At(i).Ends > now {
			return i
		}
	}
	return -1
}

// allMasters lists the master browsers of all domains.
func (s *Snapshot) allMasters(dst []netbios.Address, now Stamp) (found Found, ok bool) {
	found.TTL = uint32(s.timers.MaxTTL.Seconds())
	for _, n := range s.masters {
		if len(dst) == MaxMembers {
			break
		}
		r, _ := s.Find(n)
		state, ends := r.stateAt(now, s.timers)
		i := r.firstAlive(now)
		if state != Active || i < 0 {
			continue
		}
		dst = append(dst, netbios.Address{Flags: r.Node, Addr: r.At(i).Addr.Addr()})
		if !r.Static {
			found.TTL = min(found.TTL, uint32(ends-now))
		}
	}
	found.Addrs = dst
	return found, len(dst) > 0
}

// StateAt is what time has made of a record, and when that state ends; the zero Stamp is never.
func (s *Snapshot) StateAt(r *Record, now Stamp) (State, Stamp) { return r.stateAt(now, s.timers) }
