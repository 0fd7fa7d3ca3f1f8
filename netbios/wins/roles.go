package wins

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/nameward/nameward/netbios"
)

// RoleName is what a role's state says of one of its names: the addresses that are answered, none while it is
// withdrawn.
type RoleName struct {
	Name  netbios.Name
	Addrs []IPv4
	// Unknown says that nothing is known of the role yet, as after a start: its record stays as it is.
	Unknown bool
}

// maxRoleNames bounds what one batch has of them.
const maxRoleNames = 1 << 16

// SetRoles has partners learn what the names of roles stand for. Each name that changed gets a record with a new version of
// this server: active with its addresses, or a tombstone. With all, names that are not among these are no role's
// any more. It returns when the records are on stable storage; the versions never go back.
//
// The records are for partners alone. Queries are answered from the role's state, no node can register the names, and
// no limit counts the records.
func (d *Database) SetRoles(ctx context.Context, names []RoleName, all bool) error {
	for part := range slices.Chunk(names, maxRoleNames) {
		if err := d.change(ctx, func(w *work) { w.setRoles(part) }); err != nil {
			return err
		}
	}
	if !all {
		return nil
	}
	is := make(map[netbios.Name]bool, len(names))
	for i := range names {
		is[names[i].Name.Fold()] = true
	}
	return d.change(ctx, func(w *work) { w.endRoles(is) })
}

func (w *work) setRoles(names []RoleName) {
	for i := range names {
		w.setRole(&names[i])
	}
}

func (w *work) setRole(n *RoleName) {
	if n.Unknown {
		return
	}
	next := Record{Name: n.Name.Fold(), Kind: roleKind(n.Name, len(n.Addrs)), Node: netbios.HNode, Ends: forEver}
	var members []Member
	for _, a := range n.Addrs {
		if isHost(a) && len(members) < MaxMembers {
			members = append(members, Member{Addr: a, Ends: forEver})
		}
	}
	next.SetMembers(members)
	cur, ok := w.roles.t.Find(next.Name)
	switch {
	case len(members) > 0 && ok && cur.State == Active && cur.Kind == next.Kind && cur.sameMembers(&next):
	case len(members) > 0:
		w.putRole(&cur, ok, &next)
	case ok && cur.State == Active:
		w.endRole(&cur)
	}
}

// forEver is the end of what time does not end.
const forEver = Stamp(math.MaxUint32)

func roleKind(n netbios.Name, addrs int) Kind {
	switch {
	case n.Suffix() == suffixControllers:
		return Internet
	case addrs > 1:
		return Multihomed
	}
	return Unique
}

// endRoles ends the records of names that are no role's any more.
func (w *work) endRoles(roles map[netbios.Name]bool) {
	var out []Record
	for r := range w.roles.t.All() {
		if r.State == Active && !roles[r.Name] {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b Record) int { return cmp.Compare(a.Version, b.Version) })
	for i := range out {
		w.endRole(&out[i])
	}
}

// endRole makes a tombstone of a role's record.
func (w *work) endRole(cur *Record) {
	next := *cur
	next.State, next.Ends = Tombstone, w.now.add(w.set.Timers.ExtinctionTimeout)
	w.putRole(cur, true, &next)
}

func (w *work) putRole(cur *Record, has bool, next *Record) {
	if !has {
		cur = nil
	}
	w.version++
	next.Version = w.version
	w.number(cur, next)
	w.roles.put(next)
	w.changed = true
	w.delta = appendRole(w.delta, next)
}

// dropRole takes out a role's record without a word to partners, who have learnt something newer.
func (w *work) dropRole(n netbios.Name) {
	if w.roles.t.len == 0 {
		return
	}
	if cur, ok := w.roles.t.Find(n); ok {
		w.number(&cur, nil)
		w.roles.remove(n)
		w.changed = true
		w.delta = appendRoleGone(w.delta, n)
	}
}

// hasRole reports whether partners know a name as that of a role.
func (w *work) hasRole(n netbios.Name) bool {
	r, ok := w.roles.t.Find(n)
	return ok && r.State == Active
}

// sweepRoles takes out tombstones whose time has come.
func (w *work) sweepRoles() {
	if time.Since(w.d.opened) < graveTime {
		return
	}
	t := w.before.roles
	for i := range t.leaves {
		for n := range t.due(i, w.now) {
			if r, ok := w.roles.t.Find(n); ok && r.State == Tombstone && r.Ends <= w.now {
				w.dropRole(n)
			}
		}
	}
}

// contradictEvery is how often a role's record gets a new version because a partner says something else.
const contradictEvery = 10 * time.Minute

// contradicted deals with a replica for the name of a role: it is never taken. If the partner has been told of an active
// role and says something else, it is told again.
func (w *work) contradicted(from *Replicas, r *Record, h Held) {
	h.Name, h.Fate, h.Kept = h.Name.Fold(), IsIgnored, nil
	if h.Reason == "" {
		h.Reason = ReasonGuarded
	}
	cur, known := w.roles.t.Find(h.Name)
	if isSame := r.State == Active && cur.State == Active && r.covers(&cur, sameAddr) && cur.covers(r, sameAddr); known && isSame {
		return
	}
	if r.State != Active && (!known || cur.State != Active) {
		return
	}
	w.keepOut(from, r.Version, h)
	if known && cur.State == Active && w.now-w.d.contradicted[h.Name] >= Stamp(contradictEvery/time.Second) {
		w.d.contradicted[h.Name] = w.now
		next := cur
		w.putRole(&cur, true, &next)
	}
}
