package wins

import (
	"context"
	"slices"
	"time"

	"github.com/nameward/nameward/netbios"
)

// contest is a name for which the node that has it here is asked, because a replica says that another one has it.
type contest struct {
	name netbios.Name
	// record is what was here when the node was asked, nil before that.
	record *Record
	// replicas are in the order in which they came; the first is what the node is asked for.
	replicas []arrival
}

// arrival is a replica that waits for the end of a contest.
type arrival struct {
	from   Replicas // without records
	record Record
}

// maxContests is how many contests wait before no more replicas are taken in; contestShare of the challenges that are
// under way at a time may be for them, the others being for nodes, who wait. maxArrivals is how many replicas
// wait for the end of one: more than there are partners.
const (
	maxContests  = 1 << 16
	contestShare = 4
	maxArrivals  = 64
)

// contests is what the writer knows of them.
type contests struct {
	of      map[netbios.Name]*contest
	queue   []*contest // those that were not begun
	running int
}

// awaitContests waits until there is room for more contests.
func (d *Database) awaitContests(ctx context.Context) error {
	for d.contesting.Load() > maxContests {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.stopped:
			return ErrStopped
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// contestOf is the contest of a name as this batch has it, nil for none.
func (w *work) contestOf(n netbios.Name) *contest {
	if c := w.contests[n]; c != nil {
		return c
	}
	if c := w.d.contests.of[n]; c != nil && !slices.Contains(w.settled, c) {
		return c
	}
	return nil
}

// contend has the node that is here asked, and the replica wait for what it says.
func (w *work) contend(from *Replicas, next *Record) {
	a := arrival{*from, *next}
	a.from.Records = nil
	o := w.owner(from.Owner)
	if o.waitsFrom == 0 || next.Version < o.waitsFrom {
		o.waitsFrom = next.Version
	}
	w.delta = appendOwner(w.delta, from.Owner, o)
	c := w.contestOf(next.Name)
	if c == nil {
		c = &contest{name: next.Name}
		if w.contests == nil {
			w.contests = map[netbios.Name]*contest{}
		}
		w.contests[next.Name] = c
	}
	w.arrivals = append(w.arrivals, arriving{c, a})
}

// arriving is a replica that comes to a contest.
type arriving struct {
	c *contest
	arrival
}

// settleContests puts in force what a batch did to contests, and begins those that there is room for.
func (w *work) settleContests() {
	all := &w.d.contests
	for _, c := range w.settled {
		delete(all.of, c.name)
		all.running--
	}
	for n, c := range w.contests {
		all.of[n] = c
		all.queue = append(all.queue, c)
	}
	for _, a := range w.arrivals {
		a.c.add(a.arrival)
	}
	for _, c := range w.deferred {
		c.record = nil
		all.queue = append(all.queue, c)
		all.running--
	}
	w.d.contesting.Store(int64(len(all.of)))
	w.begins(all)
}

func (w *work) begins(all *contests) {
	// What could not be saved is tried again with the next batch: the sweep makes one each second.
	most := max(1, w.set.Limits.Challenges/contestShare)
	for w.failed == nil && len(all.queue) > 0 && all.running < most {
		c := all.queue[0]
		all.queue[0], all.queue = nil, all.queue[1:]
		all.running++
		if r, ok := w.edit.t.Find(c.name); ok {
			c.record = &r
		}
		w.d.asking.Go(func() { w.d.runContest(c) })
	}
}

// add adds a replica in the place of an earlier one of the same owner.
func (c *contest) add(a arrival) {
	i := slices.IndexFunc(c.replicas, func(o arrival) bool { return o.record.Owner == a.record.Owner })
	switch {
	case i >= 0:
		c.replicas[i] = a
	case len(c.replicas) < maxArrivals:
		c.replicas = append(c.replicas, a)
	}
}

func (d *Database) runContest(c *contest) {
	var said []Challenged
	var err error
	if c.record != nil {
		said, err = d.challenge(d.asks, c.name, addrsOf(c.record))
	}
	select {
	case d.commands <- &command{do: func(w *work) { w.decide(c, said, err) }}:
	case <-d.asks.Done():
	}
}

func addrsOf(r *Record) []IPv4 {
	out := make([]IPv4, r.Len())
	for i := range out {
		out[i] = r.At(i).Addr
	}
	return out
}

// decide ends a contest. Role state and policy may have changed meanwhile, and so may the record: then whoever
// changed it is alive.
func (w *work) decide(c *contest, said []Challenged, err error) {
	if w.failed != nil {
		w.deferred = append(w.deferred, c)
		return
	}
	w.settled = append(w.settled, c)
	waiting := c.replicas
	for _, a := range w.arrivals {
		if a.c == c {
			waiting = append(slices.Clip(waiting), a.arrival)
		}
	}
	for i := range waiting {
		a := &waiting[i]
		w.decideOne(c, a, said, err)
		w.waitsNoMore(a)
	}
}

func (w *work) decideOne(c *contest, a *arrival, said []Challenged, err error) {
	var sum Applied
	cur, state := w.find(c.name)
	next := a.record
	if !w.admit(&a.from, &next) {
		return
	}
	m := meet(cur, state, &next)
	switch {
	case m == asks && err != nil:
		w.d.log.Warn().Err(err).Stringer("name", c.name).Msg("the recorded owner of a name could not be asked about a replica")
		m = keeps
	case m == asks && c.record != nil && cur.Equal(c.record):
		m = cur.answered(&next, said)
	case m == asks:
		m = keeps
	}
	w.carryOut(m, &a.from, cur, &next, &sum)
	w.d.applied.add(&sum)
}

// waitsNoMore notes that a replica does not wait any more, if it was the last one of its owner.
func (w *work) waitsNoMore(a *arrival) {
	of := a.record.Owner
	for _, c := range w.d.contests.of {
		if !slices.Contains(w.settled, c) && slices.ContainsFunc(c.replicas, func(o arrival) bool { return o.record.Owner == of }) {
			return
		}
	}
	if slices.ContainsFunc(w.arrivals, func(o arriving) bool { return o.record.Owner == of && !slices.Contains(w.settled, o.c) }) {
		return
	}
	o := w.owner(of)
	o.waitsFrom = 0
	w.delta = appendOwner(w.delta, of, o)
}
