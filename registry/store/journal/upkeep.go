package journal

import (
	"context"
	"iter"
	"time"
)

// Log is a journal as those who write it see it: a [Journal], or a [Memory] in tests.
type Log interface {
	// Load gives the base and then each batch after it, as they were written.
	Load(base, batch func([]byte) error) error
	// Append returns when the batch is on stable storage.
	Append(batch []byte) (seq uint64, err error)
	// Checkpoint puts a new base in the place of the batches up to seq, while others are appended.
	Checkpoint(ctx context.Context, seq uint64, base iter.Seq[[]byte]) error
	// Backlog is what Load would have to read beside the base.
	Backlog() (batches int, octets int64)
}

// Upkeep keeps a log short: a new base is written when reading the log would take about as long as reading
// the base, so that what is written stays in proportion to what was changed.
type Upkeep struct {
	Log Log
	// Batches and Octets are how much the log may have beside its base at least.
	Batches int
	Octets  int64
	// Size is about how many octets a base has now. The log may have as much.
	Size func() int64
	// Checkpoint writes a new base.
	Checkpoint func(context.Context) error
	// Failed is told why not.
	Failed func(error)
}

// UpkeepEvery is how often an Upkeep looks at its log.
const UpkeepEvery = 10 * time.Second

// Run looks after the log until ctx ends.
func (u Upkeep) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(UpkeepEvery):
		}
		batches, octets := u.Log.Backlog()
		if batches < u.Batches && octets < max(u.Octets, u.Size()) {
			continue
		}
		if err := u.Checkpoint(ctx); err != nil && ctx.Err() == nil {
			u.Failed(err)
		}
	}
}
