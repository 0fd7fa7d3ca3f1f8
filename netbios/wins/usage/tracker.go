package usage

import (
	"context"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultRows is the number of (name, client, kind) rows kept in each of the two classes: about
	// 3,000 clients that use 10 names each, in 14 MB at most.
	DefaultRows = 32768
	minRows     = 1024
	maxRows     = 1 << 20
	// interval is how often a quiet tracker counts what was noted, and so how exact its times are.
	interval = time.Second
)

// Tracker counts who uses which names. Its memory does not grow with what comes.
type Tracker struct {
	rows    int
	wake    chan struct{}
	dropped atomic.Uint64

	mu        sync.Mutex
	state     *state
	counted   uint64 // of dropped, what is in the state
	recorders []*Recorder
}

// New returns a tracker that keeps this many rows of names found, and as many of names not found. The
// number is rounded up to a power of two; 0 is DefaultRows, the least is 1,024, the most 1,048,576.
func New(rows int) *Tracker {
	if rows <= 0 {
		rows = DefaultRows
	}
	rows = min(max(rows, minRows), maxRows)
	rows = 1 << bits.Len(uint(rows-1))
	t := &Tracker{rows: rows, wake: make(chan struct{}, 1)}
	t.state = t.empty()
	return t
}

func (t *Tracker) empty() *state { return newState(t.rows, newKeys(), time.Now().UnixMilli()) }

// Recorder returns a new recorder, of which each socket should have one.
func (t *Tracker) Recorder() *Recorder {
	r := newRecorder(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recorders = append(t.recorders, r)
	return r
}

// Dropped is how many notes were lost since New because their ring was full, or because they had no
// NetBIOS name or no IPv4 address.
func (t *Tracker) Dropped() uint64 { return t.dropped.Load() }

// Reset forgets everything: the report begins anew.
func (t *Tracker) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drainAll(time.Now())
	t.state = t.empty()
}

// Run counts what the recorders take until ctx ends, and then once more. It returns nil.
func (t *Tracker) Run(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			t.mu.Lock()
			defer t.mu.Unlock()
			t.drainAll(time.Now())
			return nil
		case <-tick.C:
		case <-t.wake:
		}
		t.catchUp()
	}
}

// catchUp drains until the rings are empty; others get the lock in between.
func (t *Tracker) catchUp() {
	for more := true; more; {
		t.mu.Lock()
		more = t.drain(time.Now(), wakeEvery)
		t.mu.Unlock()
	}
}

// drainAll counts what is in the rings at this moment, but not what comes for ever.
func (t *Tracker) drainAll(now time.Time) { t.drain(now, ringLen) }

// drain counts at most limit notes of each recorder and reports whether there may be more. The lock is
// held.
func (t *Tracker) drain(now time.Time, limit int) (more bool) {
	ms := now.UnixMilli()
	t.recorders = slices.DeleteFunc(t.recorders, func(r *Recorder) bool {
		closed := r.closed.Load()
		full := r.drain(t.state, ms, limit) == limit
		more = more || full
		return closed && !full
	})
	dropped := t.dropped.Load()
	t.state.dropped += dropped - t.counted
	t.counted = dropped
	return more
}

// rouse wakes Run if it sleeps.
func (t *Tracker) rouse() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// copyState returns what is known at this moment.
func (t *Tracker) copyState(now time.Time) *state {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drainAll(now)
	return t.state.clone()
}
