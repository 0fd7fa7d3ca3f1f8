package push

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
)

// worker carries changes to one target. What it schedules belongs to the goroutine of run.
type worker struct {
	Target
	ledger *Ledger
	log    zerolog.Logger
	meter  *Meter
	source func() *registry.Snapshot
	leads  func() (is bool, changed <-chan struct{}) // whether it is for this guard to tell anybody

	settled time.Time // nobody is told before

	seen  atomic.Uint64 // the change up to which everything is in the ledger
	kicks chan kick

	snap    *registry.Snapshot
	looked  time.Time        // when snap was taken
	tasks   map[string]*task // by role
	waiting [steps]agenda    // those that are not at rest, nor held, nor part of the job, by step
	job     *job             // under way; nil: none
	done    chan *job
	ids     uint64
	out     bool // the last try failed
	checked time.Time
	turn    []string // roles that are to be checked in the next turns
	checks  Verifier // nil: the target cannot be asked
}

// kick asks a worker to try again now.
type kick struct {
	roles map[string]bool // nil for all
	all   bool            // what is delivered already, too
}

// task is what is to be done next for one role.
type task struct {
	item   *Item
	id     uint64
	do     step
	due    time.Time
	wait   time.Duration // the last one before a question
	failed time.Duration // the last wait after a failure
	early  float64       // which part of that is left out, so that guards that failed together do not come back together
	acked  time.Time     // when asking began
	isHeld bool          // the source has not confirmed the state since the start
	place  int           // in the agenda, from 1; 0: it is in none
}

type step uint8

const (
	rest   step = iota // nothing but the check from time to time
	push               // tell the target
	verify             // ask it
	steps  = iota
)

// job is one call of the driver.
type job struct {
	do     step
	tasks  []*task
	items  []*Item
	cancel context.CancelFunc

	overtaken bool
}

func (w *worker) run(ctx context.Context) {
	w.tasks, w.done = map[string]*task{}, make(chan *job, 1)
	w.checks, _ = w.Driver.(Verifier)
	defer w.finish()
	for {
		snap := w.source()
		w.follow(snap)
		leads, changed := w.leads()
		var timer <-chan time.Time
		wait := time.Until(w.settled)
		switch {
		case wait > 0:
			timer = time.After(wait)
		case leads && w.job == nil:
			w.start(ctx)
		case !leads && w.job != nil:
			w.abandon() // what it says late could come after the next guard's word
		}
		if at := w.next(); wait <= 0 && leads && w.job == nil && !at.IsZero() {
			timer = time.After(time.Until(at))
		}
		select {
		case <-snap.Superseded():
		case <-changed:
		case j := <-w.done:
			w.take(j)
		case <-timer:
		case k := <-w.kicks:
			w.kick(k)
		case <-ctx.Done():
			return
		}
	}
}

// finish waits for the call that is under way.
func (w *worker) finish() {
	if w.job != nil {
		w.job.cancel()
		<-w.done
	}
}

// follow queues what a newer snapshot has for the target.
func (w *worker) follow(snap *registry.Snapshot) {
	if snap == w.snap {
		return
	}
	for role := range snap.ChangedSince(w.snap) {
		w.consider(snap, role)
	}
	if w.snap == nil || w.snap.World != snap.World {
		w.forget(snap)
	}
	w.snap, w.looked = snap, time.Now()
	w.seen.Store(snap.Change)
	w.ledger.touch()
	w.overtake()
}

// forget drops what is no role any more.
func (w *worker) forget(snap *registry.Snapshot) {
	for name := range w.tasks {
		if role, ok := snap.Role(name); !ok || w.content(snap, role) == "" {
			w.put(name, nil)
		}
	}
	w.ledger.keepOnly(func(target, role string) bool { return target != w.Name || w.tasks[role] != nil })
}

// consider looks whether the target has to be told of a role.
func (w *worker) consider(snap *registry.Snapshot, role *registry.RoleState) {
	name, content := role.Role.Name, w.content(snap, role)
	switch {
	case content == "":
		w.put(name, nil) // when it comes back it is told anew
		w.ledger.drop(key{w.Name, name})
		return
	case role.Unknown():
		return
	}
	row, known := w.ledger.Row(w.Name, name)
	t := w.tasks[name]
	// Of an epoch that the ledger does not know something may be under way to the target, although the role is back.
	isMissed := t == nil && row.Epoch != role.Epoch
	if known && row.Content == content && !isMissed {
		if t == nil {
			t = w.resume(snap, role, row)
			w.put(name, t)
		}
		if isHeld := !role.Confirmed; t.isHeld != isHeld {
			t.isHeld = isHeld
			w.plan(t, t.do)
		}
		return
	}
	w.ids++
	next := &task{id: w.ids, do: push, isHeld: !role.Confirmed}
	next.item = w.item(snap, role, next.id, row.Told)
	w.put(name, next)
	moved := time.Now()
	// Else it is another thing that is new, or long ago, or the clock was set back since the state was stored.
	if w.snap != nil && role.Changed.After(w.looked) && role.Changed.Before(moved) {
		moved = role.Changed
	}
	superseded := w.ledger.queue(Delivery{
		Target: w.Name, Role: name, Change: snap.Change, Epoch: role.Epoch, Content: content, Addrs: role.Addrs(), Moved: moved,
		id: next.id, final: w.checks == nil,
	})
	if superseded {
		w.meter.superseded.Add(1)
	}
}

// put has a task in the place of the role's last one, nil for none.
func (w *worker) put(role string, t *task) {
	if old := w.tasks[role]; old != nil {
		w.plan(old, rest)
		delete(w.tasks, role)
	}
	if t != nil {
		w.tasks[role] = t
		w.plan(t, t.do)
	}
}

// plan says what is to be done next for a task, when it is due.
func (w *worker) plan(t *task, do step) {
	if t.place > 0 {
		w.waiting[t.do].drop(t)
	}
	t.do = do
	if do != rest && !t.isHeld {
		w.waiting[do].add(t)
	}
}

// resume goes on with a delivery of the last run: what was verified is checked, and the rest is done again.
func (w *worker) resume(snap *registry.Snapshot, role *registry.RoleState, row Delivery) *task {
	w.ids++
	t := &task{id: w.ids, do: push, acked: time.Now()}
	t.item = w.item(snap, role, t.id, row.Told)
	final := w.checks == nil
	w.ledger.edit(row.key(), func(d *Delivery) bool { d.id, d.final = t.id, final; return true })
	switch row.final = final; {
	case row.IsDone() && final:
		t.do = rest
	case row.Stage == Verified, row.Stage == Acked:
		t.do = verify
	}
	return t
}

func (w *worker) item(snap *registry.Snapshot, role *registry.RoleState, id uint64, told []netip.Addr) *Item {
	it := NewItem(snap, role, told)
	k := key{w.Name, role.Role.Name}
	it.told = func(it *Item, s Stage) { w.reached(k, id, it, s) }
	return it
}

// reached writes down how far an item is. It is called by the driver.
func (w *worker) reached(k key, id uint64, it *Item, s Stage) {
	now := time.Now()
	_, found, why := it.Stage()
	if s == Failed && errors.Is(why, context.Canceled) {
		return // by overtake, or in the end
	}
	var settled Delivery
	w.ledger.edit(k, func(d *Delivery) bool {
		if s == Acked {
			d.Told = it.Addrs() // also if something newer waits: that has to know it
		}
		if d.id != id {
			return s == Acked
		}
		isDone, isSame := d.IsDone(), d.Stage == Verified && s == Verified || d.failsAgain(s, why)
		d.reach(s, now, found, why)
		if !isDone && d.IsDone() {
			settled = *d
			w.ledger.close(*d)
		}
		return !isSame
	})
	if settled.Target != "" {
		w.meter.settled(&settled)
	}
}

// failsAgain reports whether a stage is part of one more try, of which nothing else is known than of the last. A dead
// target has them for every role every few seconds.
func (d *Delivery) failsAgain(s Stage, why error) bool {
	return d.Why != "" && (s == Sent || s == Failed && why.Error() == d.Why)
}

// reach notes a stage.
func (d *Delivery) reach(s Stage, now time.Time, found []netip.Addr, why error) {
	if d.Stage == Verified && s == Verified {
		return // a check
	}
	d.Stage, d.Found = s, found
	switch s {
	case Sent:
		d.Tries++
		if d.Sent.IsZero() {
			d.Sent = now
		}
	case Acked:
		d.Acked, d.Why = now, ""
	case Verified:
		d.Verified, d.Why = now, ""
	case Stale:
		d.LastStale = now
	case Failed:
		d.Why = why.Error()
	}
}

// overtake ends the call under way when none of its items counts any more, or when it only asks and something
// is to be told.
func (w *worker) overtake() {
	if w.job == nil {
		return
	}
	counts := func(t *task) bool { return w.tasks[t.item.Role.Role.Name] == t }
	waits := func() bool {
		at, is := w.waiting[push].first()
		return is && at.IsZero()
	}
	if !slices.ContainsFunc(w.job.tasks, counts) || w.job.do == verify && waits() {
		w.abandon()
	}
}

// abandon ends the call under way.
func (w *worker) abandon() {
	w.job.overtaken = true
	w.job.cancel()
}

// start calls the driver for what is due.
func (w *worker) start(ctx context.Context) {
	now := time.Now()
	w.check(now)
	for _, do := range []step{push, verify} {
		if j := w.gather(do, now); j != nil {
			w.call(ctx, j)
			return
		}
	}
}

// check has what is at rest asked about, from time to time: all of it, or the next maxChecked roles in turn.
func (w *worker) check(now time.Time) {
	if w.checked.IsZero() {
		w.checked = now
	}
	if w.checks == nil || w.Check == 0 || now.Before(w.checked.Add(w.Check)) {
		return
	}
	w.checked = now
	if len(w.turn) == 0 {
		w.turn = slices.Collect(maps.Keys(w.tasks))
	}
	n := min(len(w.turn), maxChecked)
	for _, role := range w.turn[:n] {
		if t := w.tasks[role]; t != nil && t.do == rest && !t.isHeld {
			t.due, t.acked, t.wait = now, now, 0
			w.plan(t, verify)
		}
	}
	w.turn = w.turn[n:]
}

func (w *worker) gather(do step, now time.Time) *job {
	j := &job{do: do, tasks: w.waiting[do].take(now, maxItems)}
	if len(j.tasks) == 0 {
		return nil
	}
	for _, t := range j.tasks {
		j.items = append(j.items, t.item)
	}
	return j
}

// call has the driver do a job.
func (w *worker) call(ctx context.Context, j *job) {
	limit, do := w.patience(), w.Driver.Push
	if j.do == verify {
		limit, do = verifyTime, w.checks.Verify
	}
	for _, it := range j.items {
		it.begin()
	}
	ctx, j.cancel = context.WithTimeout(ctx, limit)
	w.job = j
	go func() {
		defer j.cancel()
		do(ctx, j.items)
		w.done <- j
	}()
}

var errSilent = errors.New("the target was not told in time")

// take decides what comes next for the items of a job that has ended.
func (w *worker) take(j *job) {
	w.job = nil
	now, some := time.Now(), rand.Float64()/4
	for _, t := range j.tasks {
		if w.tasks[t.item.Role.Role.Name] != t {
			continue // something newer stands
		}
		// Those that failed together come back together, but not with those of other guards.
		t.early = some
		switch stage, _, why := t.item.Stage(); {
		case j.do == push && j.overtaken && stage != Acked: // this guard led no longer
			t.due = now
			w.plan(t, push)
		case j.do == push:
			w.pushed(t, stage, why, now)
		case t.do == push: // somebody wants it to be told meanwhile
		case stage == Verified || !j.overtaken:
			w.asked(t, stage, why, now)
		default:
			w.plan(t, verify)
		}
	}
}

// pushed decides what comes after a push.
func (w *worker) pushed(t *task, stage Stage, why error, now time.Time) {
	switch {
	case stage == Acked && w.checks == nil:
		w.well()
		t.failed = 0
		w.plan(t, rest)
	case stage == Acked:
		t.acked, t.wait, t.due = now, 0, now
		w.plan(t, verify)
	case errors.Is(why, ErrNewer):
		w.report(t, why)
		w.plan(t, rest)
	case stage == Foreign:
		w.report(t, errForeign)
		w.again(t, now) // it may go away
	default:
		if stage != Failed {
			t.item.Fail(errSilent)
			_, _, why = t.item.Stage()
		}
		w.report(t, why)
		w.again(t, now)
	}
}

// again has a task's target told once more, later.
func (w *worker) again(t *task, now time.Time) {
	t.back(now)
	w.plan(t, push)
}

// back puts a task off for twice as long as the last time.
func (t *task) back(now time.Time) {
	t.failed = doubled(t.failed, firstWait, lastWait)
	t.due = now.Add(t.failed - time.Duration(t.early*float64(t.failed)))
}

// asked decides what comes after a question.
func (w *worker) asked(t *task, stage Stage, why error, now time.Time) {
	patient := now.Sub(t.acked) < pollFor
	switch {
	case stage == Verified:
		w.well()
		t.failed, t.wait = 0, 0
		w.plan(t, rest)
	case patient:
		t.wait = doubled(t.wait, firstPoll, lastPoll)
		t.due = now.Add(t.wait)
		w.plan(t, verify)
	case stage == Foreign && !w.Repair:
		w.report(t, errForeign)
		w.plan(t, rest)
	case stage == Stale, stage == Foreign:
		w.report(t, errStale)
		w.again(t, now)
	default: // it does not answer
		w.report(t, why)
		t.back(now)
		w.plan(t, verify)
	}
}

var (
	errStale   = errors.New("it does not answer with what it was told; it is told again")
	errForeign = errors.New("somebody else has written there")
)

// report logs that the target is in trouble, once for each outage.
func (w *worker) report(t *task, why error) {
	w.meter.failures.Add(1)
	level := zerolog.DebugLevel
	if !w.out {
		w.out, level = true, zerolog.WarnLevel
	}
	w.log.WithLevel(level).Err(why).Str("target", w.Name).Str("role", t.item.Role.Role.Name).Msg("the target does not have the state of the role; it is told until it has")
}

func (w *worker) well() {
	if w.out {
		w.out = false
		w.log.Info().Str("target", w.Name).Msg("the target has the state of a role again")
	}
}

// next is when something is due, zero for never.
func (w *worker) next() (at time.Time) {
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if w.checks != nil && w.Check > 0 {
		sooner(w.checked.Add(w.Check))
	}
	for i := range w.waiting {
		if first, is := w.waiting[i].first(); is {
			sooner(first)
		}
	}
	return at
}

// kick has what is not delivered tried now, or everything.
func (w *worker) kick(k kick) {
	now := time.Now()
	for name, t := range w.tasks {
		if k.roles != nil && !k.roles[name] {
			continue
		}
		if d, ok := w.ledger.Row(w.Name, name); k.all || !ok || !d.IsDone() {
			t.due, t.failed = now, 0
			w.plan(t, push)
		}
	}
}
