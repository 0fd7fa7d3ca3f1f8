package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Registry is the live state of all roles. Make it with Open, then keep Run running.
type Registry struct {
	log    zerolog.Logger
	store  Store
	shared Shared // the same, if other guards write to it; else nil
	cur    atomic.Pointer[Snapshot]
	queue  chan *command
	worlds chan *newWorld
	// stopped is closed when Run has ended.
	stopped chan struct{}

	claims  [7]atomic.Uint64 // by Outcome
	commits atomic.Uint64
	failed  atomic.Uint64

	// What follows belongs to the writer.
	cells   []*cell
	unsaved *Delta     // published but not committed: the store failed
	parked  []*command // what waits for a shared store that fails
	serving serving
	alarms  alarms
}

// command is something that the writer is asked to do.
type command struct {
	// do stages the command. An error means that it staged nothing. It may be called twice.
	do func(*change) error
	// durable commands are refused when the store fails; others take effect in memory and are saved
	// when the store works again.
	durable bool
	err     error
	done    chan struct{}
}

// ErrNotSaved is what operators get when the store fails; nothing was changed.
var ErrNotSaved = errors.New("nothing was changed, the state cannot be saved")

// ErrStopped is what callers get when Run has ended.
var ErrStopped = errors.New("the registry has stopped")

// queueLen bounds what waits for one commit; callers beyond it wait for their turn.
const queueLen = 4096

// saveRetry is how often a failed commit is tried again.
const saveRetry = time.Second

// Open loads the durable state from the store, brings it together with the world and publishes the
// first snapshot, in which every source has yet to speak.
func Open(w *World, store Store, log zerolog.Logger) (*Registry, error) {
	r := &Registry{
		log: log, store: store, queue: make(chan *command, queueLen), worlds: make(chan *newWorld),
		stopped: make(chan struct{}),
	}
	r.shared, _ = store.(Shared)
	if err := r.reconfigure(w); err != nil {
		return nil, err
	}
	return r, nil
}

// Snapshot returns the state of now. It never blocks.
func (r *Registry) Snapshot() *Snapshot { return r.cur.Load() }

// Counts are the registry's counters since Open.
type Counts struct {
	Claims       [7]uint64 // by Outcome
	Commits      uint64
	CommitErrors uint64
}

// Counts reads the counters.
func (r *Registry) Counts() Counts {
	c := Counts{Commits: r.commits.Load(), CommitErrors: r.failed.Load()}
	for i := range c.Claims {
		c.Claims[i] = r.claims[i].Load()
	}
	return c
}

// Run is the writer. It returns when ctx ends; what was asked before is answered.
func (r *Registry) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer close(r.stopped)
	for {
		timer.Reset(r.untilNext())
		select {
		case <-ctx.Done():
			r.refuseWaiting()
			return nil
		case <-timer.C:
			r.step(nil)
		case <-r.news():
			r.hear()
		case w := <-r.worlds:
			w.done <- r.reconfigure(w.world)
		case first := <-r.queue:
			r.step(r.gather(first))
		}
	}
}

// gather takes all that waits, so that one commit serves them all.
func (r *Registry) gather(first *command) []*command {
	batch := []*command{first}
	for len(batch) < queueLen {
		select {
		case c := <-r.queue:
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

func (r *Registry) untilNext() time.Duration {
	wait := time.Hour
	if at, ok := r.alarms.next(); ok {
		wait = max(0, time.Until(at))
	}
	if r.Snapshot().StoreErr != nil {
		wait = min(wait, saveRetry)
	}
	return wait
}

// step stages a batch, saves it, publishes it and answers. With no batch it does what time asks for.
func (r *Registry) step(batch []*command) {
	batch = append(r.parked, batch...)
	r.parked = nil
	now := time.Now()
	due := r.alarms.due(now)
	ch, err := r.decide(now, batch, due)
	if err != nil {
		soft := softOf(batch, err)
		if r.shared != nil {
			// Without a majority nothing changes: whoever is on the other side of a split may decide otherwise.
			r.parked, soft = soft, nil
			batch = slices.DeleteFunc(batch, func(c *command) bool { return slices.Contains(r.parked, c) })
		}
		ch = r.newChange(now)
		ch.stage(soft, due)
		r.unsaved, ch.storeErr = r.pending(ch.delta), err
	}
	r.publish(ch)
	for _, c := range batch {
		close(c.done)
	}
}

// decide stages a batch and saves it. When another guard has committed something first, it is decided anew on that.
func (r *Registry) decide(now time.Time, batch []*command, due []int32) (*change, error) {
	for tries := 0; ; tries++ {
		ch := r.newChange(now)
		ch.stage(batch, due)
		err := r.commit(ch)
		if !errors.Is(err, ErrConflict) || tries == maxConflicts {
			return ch, err
		}
		if err := r.catchUp(); err != nil {
			return ch, err
		}
	}
}

// softOf refuses the durable commands of a batch with the store's error and returns the others.
func softOf(batch []*command, err error) []*command {
	var soft []*command
	for _, c := range batch {
		if !c.durable {
			soft = append(soft, c)
		} else if c.err == nil {
			c.err = fmt.Errorf("%w: %w", ErrNotSaved, err)
		}
	}
	return soft
}

// commit saves what the change staged, together with what an earlier failure left unsaved.
func (r *Registry) commit(ch *change) error {
	d := r.pending(ch.delta)
	if d == nil && ch.storeErr == nil {
		return nil
	}
	if d == nil {
		// Nothing waits, but the last word of the store was an error: ask it again.
		d = &Delta{Change: ch.number}
	}
	err := r.store.Commit(*d)
	if errors.Is(err, ErrConflict) {
		return err
	}
	if err != nil {
		r.failed.Add(1)
		if r.Snapshot().StoreErr == nil {
			r.log.Error().Err(err).Msg("the state cannot be saved: claims take effect in memory, operators' commands are refused")
		}
		return err
	}
	r.commits.Add(1)
	if ch.storeErr != nil {
		r.log.Info().Msg("the state is saved again")
	}
	r.unsaved, ch.storeErr = nil, nil
	return nil
}

// pending is all that the store does not hold once d is added, nil for nothing.
func (r *Registry) pending(d Delta) *Delta {
	switch {
	case r.unsaved != nil:
		return r.unsaved.with(d)
	case d.empty() && d.Change == r.Snapshot().Change:
		return nil
	}
	return &d
}

func (r *Registry) refuseWaiting() {
	for _, c := range r.parked {
		c.err = ErrStopped
		close(c.done)
	}
	for {
		select {
		case c := <-r.queue:
			c.err = ErrStopped
			close(c.done)
		default:
			return
		}
	}
}

// ask hands a command to the writer and waits for its outcome.
func (r *Registry) ask(ctx context.Context, durable bool, do func(*change) error) error {
	c := &command{do: do, durable: durable, done: make(chan struct{})}
	select {
	case r.queue <- c:
	case <-r.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-c.done:
		return c.err
	case <-r.stopped:
		select {
		case <-c.done: // it was done before Run ended
			return c.err
		default:
			return ErrStopped
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}
