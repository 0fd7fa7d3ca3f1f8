package wins

import (
	"slices"

	"github.com/nameward/nameward/netbios"
)

// admit asks the guard what of a replica may be kept, and reports whether anything may. The node is not there to
// be asked where it is, so that the request comes from the server whose record it is. A name that belongs to a role is never
// taken from a replica; a tombstone publishes nothing, so that it loses addresses and is kept.
func (w *work) admit(from *Replicas, next *Record) bool {
	if next.State == Active && !mayBe(next.Name, next.Kind) {
		h := heldReplica(from, next)
		h.Fate, h.Reason = IsQuarantined, ReasonMalformed
		w.keepOut(from, next.Version, h)
		return false
	}
	req := claimOf(next)
	v := w.d.guard.Admit(req)
	h := heldReplica(from, next)
	h.Role, h.Reason, h.Rule, h.Decision, h.Alert = v.Role, v.Reason, v.Rule, v.Decision, v.Alert
	switch {
	case v.Guarded:
		w.contradicted(from, next, h)
		return false
	case v.Action != Publish && next.State == Active:
		h.Fate = IsQuarantined
		w.keepOut(from, next.Version, h)
		w.replaced(from.Owner, next)
		return false
	case v.Action != Publish:
		v.Addrs = nil
	}
	if len(v.Addrs) == next.Len() || next.Kind == Group {
		return true
	}
	if next.State == Active {
		h.Fate = IsQuarantined
		h.Claimed = slices.DeleteFunc(req.Addrs, func(a netbios.Address) bool { return slices.Contains(v.Addrs, a) })
		w.keepOut(from, next.Version, h)
	}
	next.SetMembers(slices.DeleteFunc(next.Members(), func(m Member) bool {
		return !slices.ContainsFunc(v.Addrs, func(a netbios.Address) bool { return IPv4Of(a.Addr) == m.Addr })
	}))
	return true
}

// replaced takes out what an owner has said of a name before, when what it says now is kept out.
func (w *work) replaced(by IPv4, next *Record) {
	if cur, _ := w.find(next.Name); cur != nil && cur.Owner == by && cur.Version < next.Version {
		w.remove(cur)
	}
}

// keepOut notes what is not taken from a replica, and that it has to be asked for again when the world is another one.
func (w *work) keepOut(from *Replicas, version uint64, h Held) {
	w.hold(h)
	o := w.owner(from.Owner)
	if o.heldFrom == 0 || version < o.heldFrom {
		o.heldFrom = version
	}
	w.delta = appendOwner(w.delta, from.Owner, o)
}

func heldReplica(from *Replicas, r *Record) Held {
	return Held{Name: r.Name, What: Replica, Source: from.Owner.Addr(), Claimed: claimOf(r).Addrs}
}
