package updates

import (
	"context"
	"iter"
	"math"
	"sync"
	"time"

	"github.com/nameward/nameward/registry/store/journal"
)

const (
	// saveEvery is how often what is new is saved while nobody waits for it.
	saveEvery = 100 * time.Millisecond
	// retryDisk is how often a disk that took nothing is tried again.
	retryDisk = time.Second

	// backlogBatches and backlogOctets are how much the journal may have beside its base, at least.
	backlogBatches = 20_000
	backlogOctets  = 8 << 20
	octetsOfEntry  = 512
)

// Run saves what is new: at once for those who wait, else a few times a second. It returns when ctx has ended
// and the last word is saved.
func (b *Book) Run(ctx context.Context) error {
	defer close(b.stopped)
	var checkpoints sync.WaitGroup
	defer checkpoints.Wait()
	checkpoints.Go(func() { b.upkeep().Run(ctx) })
	for {
		var retry <-chan time.Time
		if b.Err() != nil {
			retry = time.After(time.Until(b.lastTry.Add(retryDisk)))
		}
		select {
		case <-ctx.Done():
		case <-b.wake:
		case <-retry:
		case <-b.news:
			b.rest(ctx)
		}
		ended := ctx.Err() != nil // what ends it from here on is seen next time
		if b.save(ended); ended {
			return nil
		}
	}
}

// rest lets some time pass between two writes unless somebody waits.
func (b *Book) rest(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-b.wake:
	case <-time.After(time.Until(b.lastTry.Add(saveEvery))):
	}
}

// save serves all who wait. A disk that took nothing a moment ago is left alone unless this is the last time.
func (b *Book) save(isLast bool) {
	b.mu.Lock()
	waiting, failed := b.waiting, b.failed
	b.waiting = nil
	b.mu.Unlock()
	err := failed
	if err == nil || isLast || time.Since(b.lastTry) >= retryDisk {
		err = b.append()
	}
	switch {
	case failed == nil && err != nil:
		b.log.Error().Err(err).Msg("what is held of DNS updates cannot be saved: it is kept in memory")
	case failed != nil && err == nil:
		b.log.Info().Msg("what is held of DNS updates is saved again")
	}
	b.mu.Lock()
	b.failed = err
	b.mu.Unlock()
	for _, done := range waiting {
		done <- err
	}
}

// append saves what is unsaved now; what comes meanwhile is for the next time.
func (b *Book) append() error {
	changes := b.table.Unsaved(math.MaxInt)
	for len(changes) > 0 {
		batch, n := pack(changes)
		b.lastTry = time.Now()
		seq, err := b.journal.Append(batch)
		if err != nil {
			return err
		}
		b.table.Saved(changes[:n], time.Now())
		b.saved.Store(seq)
		changes = changes[n:]
	}
	return nil
}

func (b *Book) upkeep() journal.Upkeep {
	return journal.Upkeep{
		Log: b.journal, Batches: backlogBatches, Octets: backlogOctets, Checkpoint: b.Checkpoint,
		Size: func() int64 {
			c := b.table.Counts()
			return int64((c.Parked + c.Others) * octetsOfEntry)
		},
		Failed: func(err error) {
			b.log.Error().Err(err).Msg("the journal of what is held of DNS updates cannot be shortened; it goes on growing")
		},
	}
}

// Checkpoint writes a new base of the journal, while entries are noted and saved.
func (b *Book) Checkpoint(ctx context.Context) error {
	seq := b.saved.Load()
	if seq == 0 {
		return nil // nothing was written since the start
	}
	// What is newer than seq stands in later batches as well, and comes to the same.
	return b.journal.Checkpoint(ctx, seq, b.base())
}

func (b *Book) base() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for all := allOf(b.table); len(all) > 0; {
			chunk, n := pack(all)
			if !yield(chunk) {
				return
			}
			all = all[n:]
		}
	}
}
