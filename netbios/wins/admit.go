package wins

import (
	"slices"

	"github.com/nameward/nameward/netbios"
)

// judge asks the guard about a record. Each address of a replica is judged as if its node had registered it here,
// which it did at another server: so a rule that names sources means the same nodes wherever they register.
func (d *Database) judge(r *Record) Verdict {
	if r.Owner == (IPv4{}) {
		return d.guard.Admit(claimOf(r))
	}
	var kept []netbios.Address
	var out *Verdict // of the first address that is not kept
	for i := range max(1, r.Len()) {
		one := *r
		one.SetMembers([]Member{r.At(i)})
		v := d.guard.Admit(claimOf(&one))
		switch {
		case v.Guarded:
			return v
		case v.Action == Publish && len(v.Addrs) >= one.Len():
			kept = append(kept, v.Addrs...)
		case out == nil:
			out = &v
		}
	}
	if out == nil {
		return Verdict{Action: Publish, Addrs: kept}
	}
	out.Action, out.Addrs = Quarantine, kept
	if len(kept) > 0 {
		out.Action = Publish
	}
	return *out
}

// admit asks the guard what of a replica may be kept, and reports whether anything may. A name that belongs to a role
// is never taken from a replica; a tombstone publishes nothing, so that it loses addresses and is kept.
func (w *work) admit(from *Replicas, next *Record) bool {
	h := heldReplica(from, next)
	if next.State == Active && !mayBe(next.Name, next.Kind) {
		h.Fate, h.Reason = IsQuarantined, ReasonMalformed
		w.keepOut(from, next.Version, h)
		return false
	}
	v := w.d.judge(next)
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
	}
	isOut := func(a IPv4) bool {
		return !slices.ContainsFunc(v.Addrs, func(k netbios.Address) bool { return IPv4Of(k.Addr) == a })
	}
	if next.Kind == Group || len(v.Addrs) == next.Len() {
		return true
	}
	if next.State == Active {
		h.Fate = IsQuarantined
		h.Claimed = slices.DeleteFunc(h.Claimed, func(a netbios.Address) bool { return !isOut(IPv4Of(a.Addr)) })
		w.keepOut(from, next.Version, h)
	}
	next.SetMembers(slices.DeleteFunc(next.Members(), func(m Member) bool { return isOut(m.Addr) }))
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
