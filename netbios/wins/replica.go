package wins

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
)

// Replicas are records of one owner that a replication partner has sent.
type Replicas struct {
	Partner IPv4 // who sent them
	Owner   IPv4 // whose they are, never zero and never this server
	// From and UpTo are the versions that were asked for. UpTo may be less than the highest of Records, and zero.
	From, UpTo uint64
	// Renew says that this is the owner's own word, or the best that can be had of it because the owner is no
	// partner: records that are here already are confirmed by it.
	Renew bool
	// Records need Name, Kind, State, Static, Node, Version and addresses with their owners, of which zero is this
	// server.
	Records []Record
}

// Applied is what became of replicas.
type Applied struct {
	Stored     int // as they are, in the place of what was there
	Merged     int // their addresses stand beside others
	Kept       int // what was there stayed, or was the same
	Raised     int // what was there stayed and got a new version
	Challenged int // the owner of what was there is asked; the replica is decided later
	Held       int // the policy, a role or a limit kept them out
}

// Changed reports whether partners have something to learn.
func (a Applied) Changed() bool { return a.Stored+a.Merged+a.Raised > 0 }

// appliedCounters is Applied since the start.
type appliedCounters struct {
	stored, merged, kept, raised, challenged, held atomic.Uint64
}

func (c *appliedCounters) add(a *Applied) {
	c.stored.Add(uint64(a.Stored))
	c.merged.Add(uint64(a.Merged))
	c.kept.Add(uint64(a.Kept))
	c.raised.Add(uint64(a.Raised))
	c.challenged.Add(uint64(a.Challenged))
	c.held.Add(uint64(a.Held))
}

// Applied is what became of replicas since the start. Those that were challenged count once more when that is over.
func (d *Database) Applied() Applied {
	c := &d.applied
	return Applied{
		Stored: int(c.stored.Load()), Merged: int(c.merged.Load()), Kept: int(c.kept.Load()), Raised: int(c.raised.Load()),
		Challenged: int(c.challenged.Load()), Held: int(c.held.Load()),
	}
}

// maxOwners bounds the name servers whose records are here.
const maxOwners = 1024

// ErrOwners is what Apply says when there are records of too many name servers.
var ErrOwners = fmt.Errorf("there are records of %d name servers already", maxOwners)

// Apply takes in replicas: what the guard would publish meets the record that is here by the rules of MS-WINSRA,
// and what is kept out is seen all the same, and held. It returns when all is on stable storage. On an error a part
// of it may be, and seen; ask for the others again.
func (d *Database) Apply(ctx context.Context, r Replicas) (Applied, error) {
	var sum Applied
	if !isHost(r.Owner) {
		return sum, fmt.Errorf("replicas of %s, which is no address of a server", r.Owner)
	}
	records := slices.Clone(r.Records)
	slices.SortStableFunc(records, func(a, b Record) int { return cmp.Compare(a.Version, b.Version) })
	for begin := 0; begin == 0 || begin < len(records); begin += maxBatch {
		if err := d.awaitContests(ctx); err != nil {
			return sum, err
		}
		part := records[begin:min(begin+maxBatch, len(records))]
		isLast := begin+len(part) == len(records)
		var full error
		var applied Applied
		err := d.change(ctx, func(w *work) {
			applied = Applied{}
			if full = w.knows(r.Owner); full == nil {
				w.order(true)
				w.beginAnew(&r)
				w.apply(&r, part, &applied)
				w.sees(&r, part, isLast)
			}
		})
		if err = cmp.Or(err, full); err != nil {
			return sum, err
		}
		sum.add(applied)
		d.applied.add(&applied)
	}
	return sum, nil
}

func (a *Applied) add(b Applied) {
	a.Stored += b.Stored
	a.Merged += b.Merged
	a.Kept += b.Kept
	a.Raised += b.Raised
	a.Challenged += b.Challenged
	a.Held += b.Held
}

// knows reports whether there is room for an owner.
func (w *work) knows(ip IPv4) error {
	if w.before.owners[ip] == nil && w.owners[ip] == nil && len(w.ownersNow()) >= maxOwners {
		return ErrOwners
	}
	return nil
}

// beginAnew forgets what is known of an owner that says itself that it has given out no such versions: its file was
// lost, or somebody else has made them up.
func (w *work) beginAnew(r *Replicas) {
	o := w.owner(r.Owner)
	if r.Partner != r.Owner || r.From > 1 || r.UpTo == 0 || r.UpTo >= o.seen {
		return
	}
	w.d.log.Warn().Stringer("owner", r.Owner).Uint64("version", r.UpTo).Uint64("seen", o.seen).
		Msg("a server begins anew with its WINS versions: its records of before are dropped")
	var out []Record
	for k := range o.versions.between(r.UpTo+1, math.MaxUint64) {
		if c, ok := w.edit.t.numbered(r.Owner, k); ok && len(out) < maxAnew {
			out = append(out, c)
		}
	}
	for i := range out {
		w.remove(&out[i])
	}
	o.seen, o.heldFrom, o.waitsFrom = 0, 0, 0
}

// maxAnew bounds what one batch has of them; the others are not confirmed and end by themselves.
const maxAnew = 1 << 17

func (w *work) apply(r *Replicas, part []Record, sum *Applied) {
	for i := range part {
		w.applyOne(r, &part[i], sum)
	}
}

// sees notes how far the owner's records were looked at.
func (w *work) sees(r *Replicas, part []Record, isLast bool) {
	o := w.owner(r.Owner)
	if len(part) > 0 {
		o.seen = max(o.seen, part[len(part)-1].Version)
	}
	if isLast {
		o.seen = max(o.seen, r.UpTo)
	}
	if isLast && r.Renew && r.From <= 1 {
		o.verified = w.now
	}
	w.delta = appendOwner(w.delta, r.Owner, o)
}

// applyOne decides one replica.
func (w *work) applyOne(from *Replicas, r *Record, sum *Applied) {
	if r.Name.Suffix() == suffixBrowser {
		return // every subnet has its own
	}
	cur, state := w.find(r.Name)
	next, less := r.replica(from.Owner, cur, w.now, w.set.Timers)
	if !w.isNews(from, cur, &next) {
		w.confirm(from, cur, &next)
		sum.Kept++
		return
	}
	if !w.admit(from, &next) {
		sum.Held++
		return
	}
	w.meet(from, cur, state, &next, less, sum)
}

// meet does what the rules say to a replica that may be published. If it is less than what was said it is kept as this
// server's, so that the others learn of it.
func (w *work) meet(from *Replicas, cur *Record, state State, next *Record, less bool, sum *Applied) {
	m := keeps
	if w.contestOf(next.Name) != nil {
		m = asks // those who come meanwhile wait for the end
	} else {
		m = meet(cur, state, next)
	}
	switch {
	case m == asks:
		w.contend(from, next)
		sum.Challenged++
	case m == replaces && next.State == Active && (less || cur.isOwnTombstone(state) && next.Kind == Internet):
		// Not all have learnt yet which of our members are gone.
		w.takeIn(from, cur, next, true, &sum.Merged, sum)
	case m == joins:
		w.join(from, cur, next, less, sum)
	case m != raises && less && cur.Kind == Internet:
		w.contradict(cur, state)
		sum.Raised++
	default:
		w.carryOut(m, from, cur, next, sum)
	}
}

// carryOut does what was decided about a replica.
func (w *work) carryOut(m meeting, from *Replicas, cur, next *Record, sum *Applied) {
	switch m {
	case keeps:
		w.confirm(from, cur, next)
		sum.Kept++
	case raises:
		w.raise(cur)
		sum.Raised++
	case joins:
		w.join(from, cur, next, false, sum)
	case spans:
		spanned := cur.spannedWith(next)
		w.takeIn(from, cur, &spanned, false, &sum.Merged, sum)
	case demands:
		w.demand(cur)
		w.takeIn(from, cur, next, false, &sum.Stored, sum)
	case objects:
		w.demand(next)
		sum.Kept++
	default:
		w.takeIn(from, cur, next, false, &sum.Stored, sum)
	}
}

// takeIn puts a record in its place, if there is room for it.
func (w *work) takeIn(from *Replicas, cur, next *Record, fresh bool, count *int, sum *Applied) {
	if !w.fits(cur, next) {
		h := heldReplica(from, next)
		h.Fate, h.Reason = IsQuarantined, ReasonLimit
		w.keepOut(from, next.Version, h)
		sum.Held++
		return
	}
	w.put(cur, next, fresh)
	*count++
}

// contradict tells partners that members that they have for ours are gone.
func (w *work) contradict(cur *Record, state State) {
	next := *cur
	if state != Active {
		next.State, next.Static, next.Ends = Tombstone, false, w.now.add(w.set.Timers.ExtinctionTimeout)
	}
	w.put(cur, &next, true)
}

func (r *Record) isOwnTombstone(state State) bool {
	return r != nil && r.Owner == IPv4{} && r.Kind == Internet && state == Tombstone
}

// raise gives a record a new version of this server.
func (w *work) raise(cur *Record) {
	next := *cur
	w.put(cur, &next, true)
}

// join puts the members of two internet groups together. If the replica is less than what was said the group is this
// server's, with a new version in any case.
func (w *work) join(from *Replicas, cur, next *Record, less bool, sum *Applied) {
	joined, isOwn := cur.joinedWith(next)
	isOwn = isOwn || less
	switch {
	case joined.State == Tombstone:
		joined.Ends = w.now.add(w.set.Timers.ExtinctionTimeout)
		joined.SetMembers(cur.Members()) // a record has an address to the end
	case isOwn && !less && cur.Owner == IPv4{} && joined.sameMembers(cur) && next.sameMembers(cur):
		// Both know all of it: they would tell each other for ever.
		w.confirm(from, cur, next)
		sum.Kept++
		return
	}
	w.takeIn(from, cur, &joined, isOwn, &sum.Merged, sum)
}

// sameMembers reports whether records have the same addresses of the same owners.
func (r *Record) sameMembers(o *Record) bool {
	same := func(a, b Member) bool { return a.Addr == b.Addr && a.Owner == b.Owner }
	return r.Len() == o.Len() && r.covers(o, same)
}

// replica is a record as it is kept if it is: with the ends that a replica has, and the addresses that can be ones.
// What it says of this server's own members counts only as far as they are here: less tells that it says more.
func (r *Record) replica(of IPv4, cur *Record, now Stamp, t Timers) (next Record, less bool) {
	next = *r
	next.Owner, next.Ends = of, now.add(t.Verify)
	var members []Member
	for _, m := range r.Members() {
		m.Ends = next.Ends
		if m.Owner == (IPv4{}) && cur != nil {
			i := cur.Index(m.Addr)
			if i < 0 {
				less = true
				continue
			}
			m.Ends = max(cur.At(i).Ends, now)
		}
		if isHost(m.Addr) {
			members = append(members, m)
		}
	}
	if next.Kind == Group && len(members) == 0 {
		members = []Member{{Addr: of, Owner: of, Ends: next.Ends}} // nobody is told it, and some servers send none
	}
	if next.Kind == Unique && len(members) > 1 {
		next.Kind = Multihomed
	}
	next.SetMembers(capMembers(members))
	switch {
	case next.State == Active && next.Len() == 0:
		next.State = Released
	case next.State == Active && next.Static:
		next.Ends = 0
	}
	switch next.State {
	case Released:
		next.Ends = now.add(t.ExtinctionInterval)
	case Tombstone:
		next.Static, next.Ends = false, now.add(t.ExtinctionTimeout)
	}
	return next, less
}

// isNews reports whether a replica was not looked at before. One that was, and is not here now, lost to another
// record or was taken out by an operator: it does not come back for being told again, unless it was kept out.
func (w *work) isNews(from *Replicas, cur, next *Record) bool {
	o := w.owner(from.Owner)
	switch {
	case next.Version > o.seen, o.heldFrom > 0 && next.Version >= o.heldFrom:
		return true
	}
	return cur != nil && cur.Owner == from.Owner && !cur.says(next)
}

// says reports whether an active record is what a replica says.
func (r *Record) says(o *Record) bool {
	return r.Version == o.Version && r.Kind == o.Kind && r.Node == o.Node && r.Static == o.Static && r.State == o.State && r.sameMembers(o)
}

// confirm renews what the owner of a record, or of members of a group, says again.
func (w *work) confirm(from *Replicas, cur, next *Record) {
	if !from.Renew || cur == nil || cur.Static || cur.State != Active || next.State != Active {
		return
	}
	isWhole := cur.Owner == from.Owner && cur.Version == next.Version
	members, changed := cur.Members(), false
	for i, m := range members {
		if m.Owner != (IPv4{}) && m.Ends < next.Ends && (isWhole || cur.Kind == Internet && m.Owner == from.Owner && next.Index(m.Addr) >= 0) {
			members[i].Ends, changed = next.Ends, true
		}
	}
	if !changed {
		return
	}
	renewed := *cur
	renewed.SetMembers(members)
	renewed.Ends = lastEnd(members)
	w.put(cur, &renewed, false)
}
