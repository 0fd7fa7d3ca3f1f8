package wins

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/store/journal"
)

const (
	// sweepEvery is how often a part of the table is looked at; all of it is in sweepParts turns. Time
	// needs no sweep to have its effect on answers: it is for what others have to learn, and for room.
	sweepEvery = time.Second
	sweepParts = 60
	// maxSwept bounds the changes of one turn.
	maxSwept = 4096
	// graveTime is how long no tombstone is taken away after the start: a server that was off must not
	// forget what its partners still have.
	graveTime = 3 * 24 * time.Hour
)

// sweep writes down what time has done to a part of the table.
func (w *work) sweep() {
	if w.failed != nil {
		return
	}
	t := w.before.Table
	if w.d.swept >= t.leaves {
		w.d.swept = 0
	}
	end, done := w.d.swept+t.leaves/sweepParts+1, 0
	for i := w.d.swept; i < end && i < t.leaves && done < maxSwept; i++ {
		for n := range t.due(i, w.now) {
			if cur, ok := w.edit.t.Find(n); ok && w.age(&cur) {
				done++
			}
		}
		w.d.swept = i + 1
	}
	w.sweepRoles()
}

// age brings one record up to date and reports whether it changed.
func (w *work) age(cur *Record) bool {
	if cur.Static {
		return false
	}
	state, ends := cur.stateAt(w.now, &w.set.Timers)
	switch {
	case state == gone && time.Since(w.d.opened) < graveTime && cur.Owner != IPv4{}:
		return false
	case state == gone && time.Since(w.d.opened) < graveTime:
		state, ends = Tombstone, cur.Ends
	case state == gone:
		w.expire(cur)
		return true
	}
	next := *cur
	next.State, next.Ends = state, ends
	fresh := state != Released && cur.Owner == IPv4{}
	if state == Active && cur.Kind != Group {
		next.SetMembers(slices.DeleteFunc(cur.Members(), func(m Member) bool {
			isOut := m.Ends <= w.now
			fresh = fresh || isOut && m.Owner == IPv4{}
			return isOut
		}))
	}
	if next.Equal(cur) {
		return false
	}
	if fresh && w.hasRole(cur.Name) {
		w.remove(cur) // partners know a later word
		return true
	}
	// What another server's record becomes here has that server's version still, but for the loss of our own members.
	w.put(cur, &next, fresh)
	return true
}

// expire takes out what time has ended. A replica that its owner did not confirm comes back if the owner has it
// still.
func (w *work) expire(cur *Record) {
	w.remove(cur)
	if cur.Owner != (IPv4{}) && cur.State != Tombstone {
		o := w.owner(cur.Owner)
		if o.heldFrom == 0 || cur.Version < o.heldFrom {
			o.heldFrom = cur.Version
			w.delta = appendOwner(w.delta, cur.Owner, o)
		}
	}
}

// Vet asks the guard about every record once more, because its mind may have changed: what it would not
// accept now goes. Records that an operator made stay; answers leave filtered addresses out. Replicas that were kept
// out are asked for again.
func (d *Database) Vet(ctx context.Context) error {
	if err := d.drain(ctx); err != nil {
		return err
	}
	if err := d.change(ctx, (*work).reconsider); err != nil {
		return err
	}
	for r := range d.Snapshot().All() {
		if r.Static || d.stands(r) {
			continue
		}
		name := r.Name
		if err := d.change(ctx, func(w *work) { w.vet(name) }); err != nil {
			return err
		}
	}
	return nil
}

// drain returns when what waits now is decided: it was admitted when the guard may have been of another
// mind.
func (d *Database) drain(ctx context.Context) error {
	for range 2 + 2*d.Settings().Limits.Queue/maxBatch {
		if err := d.ask(ctx, func(*work) {}); err != nil || d.queue.waiting.Load() == 0 {
			return err
		}
	}
	return nil
}

func (d *Database) stands(r *Record) bool {
	v := d.judge(r)
	return !v.Guarded && v.Action == Publish && len(v.Addrs) == r.Len()
}

// claimOf is the request that would make a record, from its own address.
func claimOf(r *Record) *Request {
	req := &Request{Op: Refresh, Name: r.Name, Source: portOf(r.At(0).Addr)}
	flags := r.Node
	if r.Kind.isGroup() {
		flags |= netbios.Group
	}
	for i := range r.Len() {
		req.Addrs = append(req.Addrs, netbios.Address{Flags: flags, Addr: r.At(i).Addr.Addr()})
	}
	return req
}

func (w *work) vet(n netbios.Name) {
	cur, _ := w.find(n)
	if cur == nil || cur.Static {
		return
	}
	if w.d.stands(cur) {
		return
	}
	if cur.Owner != (IPv4{}) {
		w.vetReplica(cur)
		return
	}
	req := claimOf(cur)
	req.verdict = w.d.guard.Admit(req)
	v := &req.verdict
	h := heldOf(req)
	h.Fate = IsQuarantined
	if v.Guarded && (v.Action == Park || v.Action == Publish) {
		h.Fate = IsParked
	}
	w.hold(h)
	if v.Guarded || v.Action != Publish {
		w.withdraw(cur)
		return
	}
	w.reduce(cur, true, func(m Member) bool { return !slices.Contains(h.Kept, m.Addr) })
}

// vetReplica keeps what may be kept of a replica; its owner has it still.
func (w *work) vetReplica(cur *Record) {
	next := *cur
	if !w.admit(&Replicas{Owner: cur.Owner}, &next) {
		w.remove(cur)
		return
	}
	if next.Len() == 0 {
		next.State = Released
	}
	w.put(cur, &next, false)
}

// reconsider has replicas asked for again that were kept out.
func (w *work) reconsider() {
	for ip, before := range w.ownersNow() {
		if before.heldFrom > 0 {
			o := w.owner(ip)
			o.seen, o.heldFrom = min(o.seen, o.heldFrom-1), 0
			w.delta = appendOwner(w.delta, ip, o)
		}
	}
}

// reduce takes addresses out of a record, and the record with the last of them. What is fresh is this server's.
func (w *work) reduce(cur *Record, fresh bool, isOut func(Member) bool) {
	members := slices.DeleteFunc(cur.Members(), isOut)
	if len(members) == 0 {
		w.withdraw(cur)
		return
	}
	next := *cur
	next.SetMembers(members)
	if !cur.Static && cur.State == Active {
		next.Ends = lastEnd(members)
	}
	w.put(cur, &next, fresh)
}

const (
	// The journal is folded into a new base when reading it would take about as long as reading the base.
	backlogBatches = 50_000
	backlogOctets  = 16 << 20
	octetsOfRecord = 56
	chunkOctets    = 256 << 10
)

func (d *Database) upkeep() journal.Upkeep {
	return journal.Upkeep{
		Log: d.journal, Batches: backlogBatches, Octets: backlogOctets, Checkpoint: d.checkpoint,
		Size: func() int64 { return int64(d.Snapshot().Len() * octetsOfRecord) },
		Failed: func(err error) {
			d.log.Error().Err(err).Msg("the journal of WINS registrations cannot be shortened; it goes on growing")
		},
	}
}

// checkpoint writes a new base of the journal, while requests go on. While the disk takes nothing it does nothing.
func (d *Database) checkpoint(ctx context.Context) error {
	s, begin := d.Snapshot(), time.Now()
	if s.Err != nil {
		return nil
	}
	if err := d.journal.Checkpoint(ctx, s.seq, d.base(s)); err != nil {
		return err
	}
	d.log.Debug().Int("records", s.Len()).Dur("took", time.Since(begin)).Msg("the journal of WINS registrations was shortened")
	return nil
}

// base is all that is to be kept, in pieces. What is newer than the snapshot in it stands in later
// batches as well, and comes to the same.
func (d *Database) base(s *Snapshot) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		b := appendCount(appendVersion(make([]byte, 0, chunkOctets+1024), s.Version), s.Len())
		full := func() bool {
			if len(b) < chunkOctets {
				return true
			}
			ok := yield(b)
			b = b[:0]
			return ok
		}
		for _, h := range d.held.All() {
			if b = appendHeld(b, &h); !full() {
				return
			}
		}
		for _, o := range d.outbox.list(d.outbox.len()) {
			if b = appendOut(b, &o); !full() {
				return
			}
		}
		for ip, o := range s.owners {
			if ip == (IPv4{}) {
				continue
			}
			if b = appendOwner(b, ip, o); !full() {
				return
			}
		}
		for r := range s.roles.All() {
			if b = appendRole(b, r); !full() {
				return
			}
		}
		for r := range s.All() {
			if b = appendRecord(b, r); !full() {
				return
			}
		}
		yield(b)
	}
}
