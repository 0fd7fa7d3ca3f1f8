package wins

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
)

// owner is what is known of a name server whose records are here. It is never changed once it was published.
type owner struct {
	versions *versions // of its records; nil: see Snapshot.ordered
	// seen is the highest version up to which its records were looked at, kept or not.
	seen uint64
	// heldFrom is the lowest version that was kept out, 0 for none: what keeps it out may change.
	heldFrom uint64
	// waitsFrom is the lowest version for which a challenge is under way, 0 for none: it is asked for again
	// when that is lost with the process.
	waitsFrom uint64
	verified  Stamp
}

// OwnerVersion is how much of a name server's records is here: an entry of the owner-version map, MS-WINSRA,
// Section 3.1.1.
type OwnerVersion struct {
	Owner IPv4 // zero for this server
	// Max is the highest version here: for partners.
	Max uint64
	// Seen is the highest one up to which all were looked at, kept or not. It goes back to before what was kept out
	// when the policy or the world changes. It is Max for this server.
	Seen uint64
	// Verified is when all of its records were looked at last, by the owner's own word.
	Verified Stamp
	Records  int
}

// Versions returns the owner-version map, this server first and the others by their addresses.
func (s *Snapshot) Versions() []OwnerVersion {
	out := make([]OwnerVersion, 0, len(s.owners))
	for ip, o := range s.owners {
		list := s.versionsOf(ip)
		v := OwnerVersion{Owner: ip, Max: list.last(), Seen: o.seen, Verified: o.verified, Records: list.count()}
		if ip == (IPv4{}) {
			v.Max, v.Seen = s.Version, s.Version
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b OwnerVersion) int { return a.Owner.Addr().Compare(b.Owner.Addr()) })
	return out
}

// Next is the first version of an owner to ask a partner for: the one after all that were looked at. When half of the
// time is over in which the owner has to confirm its records it is 1, if renew says that the partner is the owner,
// or that the owner is no partner: see Replicas.Renew. There is nothing to ask for if the partner has less.
func (s *Snapshot) Next(of IPv4, renew bool, now Stamp) uint64 {
	o := s.owners[of]
	if o == nil || renew && now >= o.verified.add(s.timers.Verify/2) {
		return 1
	}
	return o.seen + 1
}

// Moved is closed when a later snapshot has a higher Version: partners have something to ask for.
func (s *Snapshot) Moved() <-chan struct{} { return s.moved }

// Records yields what partners are to know of an owner's records with versions from low to high, in their order:
// active ones and tombstones, those of roles among those of this server, which is the zero owner. Addresses that
// isHidden names are left out, nil naming none, and an active record with the last of them; a tombstone may have
// none. The cost is that of what it yields, if the versions are kept in order: Settings.Partners.
func (s *Snapshot) Records(of IPv4, low, high uint64, now Stamp, isHidden func(IPv4) bool) iter.Seq[*Record] {
	return func(yield func(*Record) bool) {
		for k := range s.versionsOf(of).between(low, high) {
			r, ok := s.numbered(of, k)
			if !ok {
				r, ok = s.roles.numbered(of, k)
			}
			if ok && r.isTold(now, s.timers) && r.hide(isHidden) && !yield(&r) {
				return
			}
		}
	}
}

// isTold reports whether partners learn of a record: released ones are not replicated, MS-WINSRA, Section
// 3.1.4. What time alone has changed they learn of by the version that the sweep gives it.
func (r *Record) isTold(now Stamp, t *Timers) bool {
	state, _ := r.stateAt(now, t)
	return r.State == state && state != Released
}

// hide takes out addresses and reports whether there is something left to tell.
func (r *Record) hide(isHidden func(IPv4) bool) bool {
	if isHidden == nil || r.Kind == Group {
		return true
	}
	for i := range r.Len() {
		if isHidden(r.At(i).Addr) {
			r.SetMembers(slices.DeleteFunc(r.Members(), func(m Member) bool { return isHidden(m.Addr) }))
			break
		}
	}
	return r.Len() > 0 || r.State == Tombstone
}

// Raise has the next version of this server be above one that partners have of it: they would take nothing that is
// not newer.
func (d *Database) Raise(ctx context.Context, version uint64) error {
	if version > maxVersion {
		return fmt.Errorf("version %d leaves no room for others", version)
	}
	return d.change(ctx, func(w *work) {
		if version > w.version {
			w.version, w.changed = version, true
		}
	})
}

// maxVersion is the highest version that this server takes from others for its own.
const maxVersion = math.MaxUint64 >> 8

// forget has everything asked for again that waited when the process ended.
func (o *owner) forget() {
	if o.waitsFrom > 0 {
		o.seen, o.waitsFrom = min(o.seen, o.waitsFrom-1), 0
	}
}

// owner returns what is known of a name server, ready to be changed.
func (w *work) owner(ip IPv4) *owner {
	if o := w.owners[ip]; o != nil {
		return o
	}
	o := &owner{}
	if before := w.before.owners[ip]; before != nil {
		*o = *before
	}
	w.changed = true
	if w.orders {
		o.versions = o.versions.forEdit(w.edit.edit)
	}
	if w.owners == nil {
		w.owners = map[IPv4]*owner{}
	}
	w.owners[ip] = o
	return o
}

// order has the versions of owners in order from here on, or no more.
func (w *work) order(on bool) {
	if on == w.orders {
		return
	}
	w.orders = on
	var lists map[IPv4]*versions
	if on {
		lists = versionsOf(&w.edit.t, &w.roles.t)
	}
	for ip := range w.ownersNow() {
		w.owner(ip).versions = nil
	}
	for ip, v := range lists {
		w.owner(ip).versions = v
	}
	for _, o := range w.owners {
		if on {
			o.versions = o.versions.forEdit(w.edit.edit)
		}
	}
}

// versionsOf is the versions of an owner's records, nil for none.
func (s *Snapshot) versionsOf(ip IPv4) *versions {
	if !s.ordered {
		return versionsOf(s.Table, s.roles)[ip]
	}
	if o := s.owners[ip]; o != nil {
		return o.versions
	}
	return nil
}

// number keeps the versions of owners when a record takes the place of another one; nil is none.
func (w *work) number(cur, next *Record) {
	if !w.orders {
		return
	}
	if cur != nil && next != nil && cur.Owner == next.Owner && cur.Version == next.Version {
		return
	}
	if cur != nil {
		w.owner(cur.Owner).versions.remove(numberOf(cur))
	}
	if next != nil {
		w.owner(next.Owner).versions.add(numberOf(next))
	}
}

// ownersNow is the owners with what this batch made of them.
func (w *work) ownersNow() map[IPv4]*owner {
	if len(w.owners) == 0 {
		return w.before.owners
	}
	out := maps.Clone(w.before.owners)
	maps.Copy(out, w.owners)
	return out
}
