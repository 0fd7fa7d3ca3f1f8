package updates

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/held"
	"github.com/nameward/nameward/registry/store/journal"
)

// DefaultLimits have room for a DHCP server that updates for its clients, all from one address.
var DefaultLimits = held.Limits{Total: 16384, OfSource: 1024, Parked: 65536}

// Book keeps what is held. Open makes it; then keep Run running.
type Book struct {
	log, sampled zerolog.Logger
	journal      journal.Log
	table        *table
	saved        atomic.Uint64 // number of the last batch, 0 when there is none yet
	news         chan struct{} // has a token when something was noted
	wake         chan struct{} // has a token when somebody waits
	stopped      chan struct{}

	mu      sync.Mutex // guards what follows
	waiting []chan error
	failed  error // why nothing can be saved, nil when it can

	lastTry time.Time // of the disk; belongs to the writer
}

// ErrStopped is what callers get when Run has ended.
var ErrStopped = errors.New("the book of DNS updates is closed")

// Open reads the journal.
func Open(j journal.Log, limits held.Limits, log zerolog.Logger) (*Book, error) {
	b := &Book{
		log: log, sampled: log.Sample(&zerolog.BurstSampler{Burst: 20, Period: time.Second}), journal: j, table: newTable(limits),
		news: make(chan struct{}, 1), wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	load := func(batch []byte) error { return unpack(batch, b.table) }
	if err := j.Load(load, load); err != nil {
		return nil, fmt.Errorf("reading what is held of DNS updates: %w", err)
	}
	b.table.Loaded()
	return b, nil
}

// Note adds an entry, or counts it once more, and reports whether it is news: new, or with another fate. It waits
// for nothing.
func (b *Book) Note(h Held) (isNew bool) {
	h.bound()
	if isNew = b.table.Note(h, time.Now()); isNew {
		b.report(&h)
	}
	signal(b.news)
	return isNew
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// report logs what is held for the first time: strangers can make a lot of it, so that no more than some lines a
// second are written.
func (b *Book) report(h *Held) {
	level := zerolog.InfoLevel
	if h.Alert {
		level = zerolog.WarnLevel
	}
	e := b.sampled.WithLevel(level).Str("zone", h.Zone).Str("name", h.Name).Str("what", h.What()).Str("data", h.Data).
		Stringer("fate", h.Fate).Stringer("source", h.Source).Str("reason", h.Reason)
	if h.Principal != "" {
		e.Str("principal", h.Principal)
	}
	if h.Rule != "" {
		e.Str("rule", h.Rule).Str("decision", fmt.Sprintf("%016x", h.Decision))
	}
	if h.Role != "" {
		e.Str("role", h.Role)
	}
	e.Msg("update held")
}

// Flush waits until all that was noted before is on stable storage. Many callers cost one write. While the disk
// takes nothing, they are told so at once.
func (b *Book) Flush(ctx context.Context) error {
	if b.table.IsSaved() {
		return nil
	}
	done := make(chan error, 1)
	b.mu.Lock()
	b.waiting = append(b.waiting, done)
	b.mu.Unlock()
	signal(b.wake)
	select {
	case err := <-done:
		return err
	case <-b.stopped:
		// The last write may have been for this caller.
		select {
		case err := <-done:
			return err
		default:
			return ErrStopped
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// List copies the entries by fate, parked ones first, then by the latest word.
func (b *Book) List() []Held {
	out := b.table.All()
	slices.SortFunc(out, compare)
	return out
}

// Forget takes the entries out that the caller means, and returns how many there were. Flush makes that durable.
func (b *Book) Forget(is func(*Held) bool) int {
	n := b.table.ForgetAll(is)
	signal(b.news)
	return n
}

// Counts returns the numbers of entries by their fate.
func (b *Book) Counts() map[held.Fate]int { return b.table.ByFate() }

// Dropped is how many entries were given up for want of room, since the start.
func (b *Book) Dropped() uint64 { return b.table.Counts().Dropped }

// Err is why nothing can be saved, nil when it can.
func (b *Book) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}
