package wins

import "slices"

// meeting is what becomes of a replica and the record that is here, by the rules of MS-WINSRA, Section 3.1.5.
type meeting uint8

const (
	keeps    meeting = iota // the record here stays
	raises                  // it stays and gets a new version, so that it propagates
	replaces                // the replica takes its place
	joins                   // internet groups: the members of both
	demands                 // the replica takes its place, and the node that had the name is told to give it up
	asks                    // the node that is here is asked first
	spans                   // after it was asked: one node with the addresses of both, whose record is the replica's owner's
	objects                 // after it was asked: the record stays, and the node of the replica is told to give it up
)

// meet decides between the record here and a replica. cur is nil for none; state is what time has made of it. A
// released replica counts as one that is not active.
func meet(cur *Record, state State, o *Record) meeting {
	isOwn := cur != nil && cur.Owner == IPv4{}
	switch {
	case cur == nil:
		return replaces
	case cur.Owner == o.Owner:
		return cur.updated(state, o)
	case isOwn && cur.Static && o.Static:
		return keeps
	case isOwn && cur.Static:
		return raises
	case cur.Static && state == Active && !o.Static:
		return keeps
	case o.Static && o.State == Active && !cur.Static:
		return replaces
	case isOwn:
		return cur.defended(state, o)
	}
	return cur.superseded(state, o)
}

// updated is a replica from the owner of the record.
func (r *Record) updated(state State, o *Record) meeting {
	switch {
	case o.Version > r.Version, o.Version == r.Version && (state == Active || o.State == Active):
		return replaces
	}
	return keeps // a tombstone does not live longer for being told again
}

// superseded is a replica against that of another owner.
func (r *Record) superseded(state State, o *Record) meeting {
	is := false
	switch {
	case r.Kind == Internet && state == Active:
		return r.joined(o)
	case r.Kind == Internet:
		is = true
	case r.Kind == Group && state == Active:
	case r.Kind == Group && state == Released:
		is = o.Kind == Group
	case r.Kind == Group:
		is = o.Kind != Unique
	case state != Active:
		is = true
	default:
		is = o.State == Active && o.Kind != Internet
	}
	if is {
		return replaces
	}
	return keeps
}

// joined is a replica against an active internet group of another owner.
func (r *Record) joined(o *Record) meeting {
	switch {
	case o.Kind != Internet:
		return keeps
	case o.State == Tombstone:
		return replaces
	case o.State == Released || o.Len() == 0:
		if r.has(o.Owner) {
			return joins
		}
		return keeps
	case r.covers(o, func(a, b Member) bool { return a.Addr == b.Addr && a.Owner == b.Owner }):
		return keeps
	case r.covers(o, sameAddr) && o.covers(r, sameAddr):
		return replaces
	}
	return joins
}

// defended is a replica against a dynamic record of this server.
func (r *Record) defended(state State, o *Record) meeting {
	switch {
	case r.Kind == Group && state == Active && (o.State != Active || o.Kind != Group):
		return raises
	case r.Kind == Group && state == Released && o.Kind != Group:
		return keeps
	case r.Kind == Group, state != Active:
		return replaces
	case r.Kind == Internet && o.Kind == Internet && (o.State == Active || r.has(o.Owner)):
		return joins // what is not active has lost its members, also those that are listed here
	case r.Kind == Internet, o.State != Active:
		return raises
	case o.Kind.isGroup():
		return demands
	case o.covers(r, sameAddr):
		return replaces
	}
	return asks
}

// answered decides once the node that is here was asked.
func (r *Record) answered(o *Record, said []Challenged) meeting {
	var listed []IPv4
	alive := false
	for _, s := range said {
		if s.Has {
			alive = true
			listed = append(listed, s.Lists...)
		}
	}
	lists := func(m Member) bool { return slices.Contains(listed, m.Addr) }
	here, there := r.Members(), o.Members()
	switch {
	case !alive:
		return replaces
	case slices.ContainsFunc(there, not(lists)):
		return keeps
	case !slices.ContainsFunc(here, not(lists)):
		return spans
	case !slices.ContainsFunc(here, lists):
		return objects
	}
	return keeps
}

// has reports whether an address was registered at a server.
func (r *Record) has(owner IPv4) bool {
	return slices.ContainsFunc(r.Members(), func(m Member) bool { return m.Owner == owner })
}

func not(f func(Member) bool) func(Member) bool { return func(m Member) bool { return !f(m) } }

func sameAddr(a, b Member) bool { return a.Addr == b.Addr }

// covers reports whether each address of o is one of r's.
func (r *Record) covers(o *Record, isSame func(a, b Member) bool) bool {
	here := r.Members()
	for _, m := range o.Members() {
		if !slices.ContainsFunc(here, func(h Member) bool { return isSame(h, m) }) {
			return false
		}
	}
	return true
}

// joinedWith is the internet group with the members of both: what the replica's owner lists no longer falls out, and
// what it lists comes in. The group is this server's then, or the replica's owner's if the owner of an address that
// was here has changed: two servers would take the address from each other for ever. But if that one does not list
// all of them, the others would be told to nobody, so that it is this server's all the same. Its state is Tombstone if
// nobody is left.
func (r *Record) joinedWith(o *Record) (joined Record, isOwn bool) {
	members := slices.DeleteFunc(r.Members(), func(m Member) bool {
		return m.Owner == o.Owner && (o.State != Active || o.Index(m.Addr) < 0)
	})
	moved := false
	if o.State == Active {
		for _, m := range o.Members() {
			i := slices.IndexFunc(members, func(h Member) bool { return h.Addr == m.Addr })
			if i < 0 {
				members = append(members, m)
				continue
			}
			moved = moved || members[i].Owner != m.Owner
			members[i] = m
		}
	}
	members = capMembers(members)
	joined = *r
	joined.State, joined.Ends = Active, lastEnd(members)
	joined.SetMembers(members)
	if len(members) == 0 {
		joined.State = Tombstone
	}
	if moved = moved && joined.sameMembers(o); moved {
		joined.Owner, joined.Version, joined.Static = o.Owner, o.Version, o.Static
	}
	return joined, !moved
}

// spannedWith is one node with the addresses of both, under the replica's owner.
func (r *Record) spannedWith(o *Record) Record {
	members := o.Members()
	for _, m := range r.Members() {
		if o.Index(m.Addr) < 0 && len(members) < MaxMembers {
			members = append(members, m)
		}
	}
	out := *o
	out.Kind, out.Ends = Multihomed, lastEnd(members)
	out.SetMembers(members)
	return out
}
