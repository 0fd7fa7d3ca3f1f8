package zone

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/journal"
)

// Limits bound what others can put into the zones.
type Limits struct {
	Records int // registered ones of one zone; large ones count for several, each 256 octets
	Queue   int // updates that wait for the disk
}

// DefaultLimits are for a site of some ten thousand nodes.
var DefaultLimits = Limits{Records: 1_000_000, Queue: 8192}

// DB is the owned zones of a registry. Open makes it; then keep Run running.
type DB struct {
	log      zerolog.Logger
	journal  journal.Log
	registry func() *registry.Snapshot
	limits   atomic.Pointer[Limits]
	cur      atomic.Pointer[state]
	commands chan *command
	stopped  chan struct{}

	wake chan struct{} // has a token while updates wait

	mu      sync.Mutex // guards what follows
	waiting []*Update
	held    int // octets of them in memory

	// What follows belongs to the writer.
	parked  map[string]*kept // zones that the configuration does not have at present
	doubt   bool             // the journal has not all that was told before the start
	unsaved []byte           // what the disk has still to be given
	saved   map[string]*kept // what it has, while there is anything unsaved
	outage  int              // of the disk, counted
	lastTry time.Time        // of a disk that took nothing
	packer  packer
}

// command is work that is no update.
type command struct {
	do   func(*work)
	done func(error) // called when it is saved, or cannot be
}

// state is all zones at once.
type state struct {
	snap       *registry.Snapshot // that the zones stand for
	views      map[string]*atomic.Pointer[View]
	superseded chan struct{} // closed when a view or the set of zones has changed
	seq        uint64        // of the last batch in it
	err        error         // why changes cannot be saved, nil when they are
}

// ErrStopped is what callers get when Run has ended.
var ErrStopped = errors.New("the zones' writer has stopped")

// Open reads the journal and brings the zones to the registry's state of now. The history of a zone in which
// the registry had other records when the journal was written begins anew.
func Open(j journal.Log, limits Limits, latest func() *registry.Snapshot, log zerolog.Logger) (*DB, error) {
	l := loader{zones: map[string]*kept{}}
	if err := j.Load(l.load, l.load); err != nil {
		return nil, fmt.Errorf("reading the zones: %w", err)
	}
	d := &DB{
		log: log, journal: j, registry: latest, commands: make(chan *command, 16), stopped: make(chan struct{}),
		wake: make(chan struct{}, 1), parked: l.zones, doubt: l.dirty,
	}
	for _, k := range l.zones {
		k.doubt = l.dirty
	}
	d.limits.Store(&limits)
	d.cur.Store(&state{views: map[string]*atomic.Pointer[View]{}, superseded: make(chan struct{})})
	if err := d.step(nil, nil, true); err != nil {
		return nil, fmt.Errorf("writing the zones: %w", err)
	}
	return d, nil
}

// Configure puts limits in force for the updates to come.
func (d *DB) Configure(l Limits) { d.limits.Store(&l) }

// View returns a zone as it is now, nil when it is not owned. The name is lower case.
func (d *DB) View(zone string) *View {
	if p, ok := d.cur.Load().views[zone]; ok {
		return p.Load()
	}
	return nil
}

// State is the registry's state that the zones stand for.
func (d *DB) State() *registry.Snapshot { return d.cur.Load().snap }

// Superseded is closed when any zone has a newer view than at the time of the call, or there are other zones.
func (d *DB) Superseded() <-chan struct{} { return d.cur.Load().superseded }

// Err is why changes cannot be saved, nil when they are.
func (d *DB) Err() error { return d.cur.Load().err }

// maxHeld bounds in octets of memory the updates that wait, as messages may have 64 KiB.
const maxHeld = 64 << 20

// Submit hands an update that was checked to the writer. It is false when too many wait already.
func (d *DB) Submit(u *Update) bool {
	u.weigh()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.waiting) >= d.limits.Load().Queue || d.held+u.octets > maxHeld {
		return false
	}
	d.waiting = append(d.waiting, u)
	d.held += u.octets
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return true
}

// Waiting is the number of updates that wait for the disk.
func (d *DB) Waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.waiting)
}

// What one write to the disk serves at most, which bounds how long the first of it waits.
const (
	maxBatch       = 1024
	maxBatchOctets = 4 << 20
)

func (d *DB) take() []*Update {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, octets := 0, 0
	for n < min(len(d.waiting), maxBatch) && octets < maxBatchOctets {
		octets += d.waiting[n].octets
		n++
	}
	batch := slices.Clone(d.waiting[:n])
	d.waiting = slices.Delete(d.waiting, 0, n) // it also lets go of what it moves
	d.held -= octets
	if len(d.waiting) > 0 {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
	return batch
}

// retryDisk is how often a disk that took nothing is tried again.
const retryDisk = time.Second

// Run is the writer. It returns when ctx ends; updates that wait then are left without a result, and their
// clients ask again.
func (d *DB) Run(ctx context.Context) error {
	defer close(d.stopped)
	defer d.finish()
	var checkpoints sync.WaitGroup
	defer checkpoints.Wait()
	checkpoints.Go(func() { d.upkeep().Run(ctx) })
	tick := time.NewTicker(retryDisk)
	defer tick.Stop()
	for {
		cur := d.cur.Load()
		var cmd *command
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
			runtime.Gosched() // those who are about to submit go into this batch
		case <-cur.snap.Superseded():
		case cmd = <-d.commands:
		case <-tick.C:
			if cur.err == nil {
				continue
			}
		}
		// An error is in the state, for all to see.
		_ = d.step(d.take(), cmd, false)
	}
}

// finish notes that all that was told is saved. If it cannot, the next start takes care: see doubt.
func (d *DB) finish() {
	if _, err := d.append(append(slices.Clone(d.unsaved), tagClean, 0)); err != nil {
		d.log.Error().Err(err).Msg("the zones could not be closed; their serials will leap")
	}
}

// step serves a batch: decide, save, publish, answer. What the registry has changed takes effect even if it
// cannot be saved; updates do not. While the disk takes nothing, it is given what has taken effect alone:
// what a failed write may have left in the file then never has a serial that was told with other content.
func (d *DB) step(batch []*Update, cmd *command, isStart bool) error {
	before := d.cur.Load()
	w := d.begin(before, d.registry())
	w.follow()
	if before.err != nil {
		return w.again(batch, cmd)
	}
	w.mark()
	w.run(batch)
	if w.cmd = cmd; cmd != nil {
		cmd.do(w)
	}
	seq, err := w.save(isStart)
	if err == nil {
		w.publish(seq, nil)
		return nil
	}
	if isStart {
		return err
	}
	d.log.Error().Err(err).Msg("zones cannot be saved: roles are followed in memory, dynamic updates are refused")
	d.lastTry = time.Now()
	d.outage++
	w.outage = d.outage
	w.rollBack()
	w.refuse(batch, err)
	w.pack()
	w.publish(before.seq, err)
	return err
}

// again is step while the disk takes nothing.
func (w *work) again(batch []*Update, cmd *command) error {
	d, err, seq := w.d, w.before.err, w.before.seq
	w.cmd, w.outage = cmd, d.outage
	w.refuse(batch, err)
	if time.Since(d.lastTry) < retryDisk {
		w.pack()
	} else if seq, err = w.save(true); err != nil {
		d.lastTry, seq = time.Now(), w.before.seq
	} else {
		d.log.Info().Msg("zones are saved again")
	}
	w.publish(seq, err)
	return err
}

// append puts a batch on stable storage.
func (d *DB) append(batch []byte) (seq uint64, err error) {
	for part := range parts(batch, partOctets) {
		if seq, err = d.journal.Append(part); err != nil {
			return 0, err
		}
	}
	return seq, nil
}

// Change has the writer take records out of the zones, durably: those of which gone says so. It is for a
// policy that has changed. It returns what went; on an error nothing did, unless ctx or the writer ended first.
func (d *DB) Change(ctx context.Context, gone func(zone string, r Record) bool) ([]Record, error) {
	var went []Record
	if err := d.command(ctx, func(w *work) { went = w.removeWhere(gone) }, func() {}); err != nil {
		return nil, err
	}
	return went, nil
}

// command has the writer do something, and then, when that is saved, something else.
func (d *DB) command(ctx context.Context, do func(*work), then func()) error {
	done := make(chan error, 1)
	cmd := &command{do, func(err error) {
		if err == nil {
			then()
		}
		done <- err
	}}
	select {
	case d.commands <- cmd:
	case <-d.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-d.stopped:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done: // just before
		return err
	default:
		return ErrStopped
	}
}

// Sync waits until the zones stand for the registry's state of now, or a later one.
func (d *DB) Sync(ctx context.Context) error {
	want := d.registry().Change
	for {
		cur := d.cur.Load()
		if cur.snap.Change >= want {
			return nil
		}
		select {
		case <-cur.superseded:
		case <-d.stopped:
			return ErrStopped
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Do is Submit that waits for the result. If it ends with an error, the update may be done nevertheless.
func (d *DB) Do(ctx context.Context, u Update) (Result, error) {
	done := make(chan Result, 1)
	u.Done = func(r Result) { done <- r }
	if !d.Submit(&u) {
		return resultf(dns.RcodeServerFailure, "too many updates wait"), nil
	}
	select {
	case r := <-done:
		return r, nil
	case <-ctx.Done():
		return Result{}, ctx.Err()
	case <-d.stopped:
	}
	select {
	case r := <-done: // just before
		return r, nil
	default:
		return Result{}, ErrStopped
	}
}
