package journal

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry/store/boltfile"
)

// MaxChunk is how many octets a chunk of a base may have.
const MaxChunk = 1 << 20

// What one transaction of a Checkpoint does at most. An Append waits for at most one of them.
const (
	stepOctets  = 512 << 10 // a larger chunk goes alone
	dropOctets  = 4 << 20   // nothing of it is written
	dropRunsMax = 1000
)

// Checkpoint writes a new base from the chunks, which stands for every batch up to upTo, switches over to
// it and drops the old base and those batches. Appends go on meanwhile. The octets of a chunk may be
// used again when the next one is asked for.
//
// If ctx ends or something fails before the switch, the old base stays and what was written of the
// new one is dropped, now or by the next Checkpoint. After the switch, an ended ctx is no error: the next
// Checkpoint drops the rest. Checkpoints go one after the other.
func (j *Journal) Checkpoint(ctx context.Context, upTo uint64, chunks iter.Seq[[]byte]) error {
	j.checkpoint.Lock()
	defer j.checkpoint.Unlock()
	if err := j.replaceBase(ctx, upTo, chunks); err != nil {
		return fmt.Errorf("checkpoint of journal %s: %w", j.path, err)
	}
	err := j.sweep(ctx)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("checkpoint of journal %s: done, but what it replaced could not be dropped: %w", j.path, err)
	}
	j.releaseMap()
	return nil
}

func (j *Journal) replaceBase(ctx context.Context, upTo uint64, chunks iter.Seq[[]byte]) error {
	j.state.Lock()
	old, last := j.head, j.last()
	j.state.Unlock()
	if upTo < old.UpTo || upTo > last {
		return fmt.Errorf("up to batch %d: the base stands for the batches up to %d and the last one is %d", upTo, old.UpTo, last)
	}
	if err := j.sweep(ctx); err != nil {
		return err
	}
	w := baseWriter{j: j, id: old.Base + 1}
	err := w.writeAll(ctx, chunks)
	if err == nil {
		err = j.switchTo(head{Base: w.id, Chunks: w.chunks, UpTo: upTo})
	}
	if err != nil {
		_ = j.sweep(context.WithoutCancel(ctx)) // the next Checkpoint tries again and says why not
	}
	return err
}

// baseWriter collects chunks and writes them in steps.
type baseWriter struct {
	j      *Journal
	id     uint64
	chunks uint64 // in the file
	octets []byte // of the chunks to come
	ends   []int  // where they end in octets
}

func (w *baseWriter) writeAll(ctx context.Context, chunks iter.Seq[[]byte]) error {
	for chunk := range chunks {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(chunk) > MaxChunk {
			return fmt.Errorf("a chunk of %d octets is larger than %d", len(chunk), MaxChunk)
		}
		if len(w.octets)+len(chunk) > stepOctets {
			if err := w.flush(); err != nil {
				return err
			}
		}
		w.octets = append(w.octets, chunk...)
		w.ends = append(w.ends, len(w.octets))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return w.flush()
}

func (w *baseWriter) flush() error {
	if len(w.ends) == 0 {
		return nil
	}
	w.j.write.Lock()
	defer w.j.write.Unlock()
	if err := w.j.commit(w.put); err != nil {
		return err
	}
	w.chunks += uint64(len(w.ends))
	w.octets, w.ends = w.octets[:0], w.ends[:0]
	return nil
}

func (w *baseWriter) put(tx *bbolt.Tx) error {
	b, err := tx.Bucket(baseBucket).CreateBucketIfNotExists(key(w.id))
	if err != nil {
		return err
	}
	start := 0
	for i, end := range w.ends {
		if err := putRun(b, w.chunks+uint64(i)+1, w.octets[start:end]); err != nil {
			return err
		}
		start = end
	}
	return nil
}

// switchTo puts another base in force.
func (j *Journal) switchTo(next head) error {
	j.write.Lock()
	defer j.write.Unlock()
	if err := j.commit(func(tx *bbolt.Tx) error { return writeHead(tx, next) }); err != nil {
		return err
	}
	j.state.Lock()
	defer j.state.Unlock()
	done := next.UpTo - j.head.UpTo
	for _, size := range j.sizes[:done] {
		j.octets -= int64(size)
	}
	j.head, j.sizes = next, slices.Clone(j.sizes[done:])
	return nil
}

// sweep drops in steps what does not count: bases that are not in force and batches that the one in
// force stands for.
func (j *Journal) sweep(ctx context.Context) error {
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if more, err = j.sweepStep(); err != nil {
			return err
		}
	}
	return nil
}

func (j *Journal) sweepStep() (more bool, err error) {
	j.write.Lock()
	defer j.write.Unlock()
	err = boltfile.Guard(func() error { return j.db.View(func(tx *bbolt.Tx) error { more = j.hasLeftovers(tx); return nil }) })
	if err != nil || !more {
		return false, err
	}
	return true, j.commit(j.dropSome)
}

func (j *Journal) hasLeftovers(tx *bbolt.Tx) bool {
	first, _ := tx.Bucket(logBucket).Cursor().First()
	return first != nil && binary.BigEndian.Uint64(first) <= j.head.UpTo || j.leftBase(tx) != nil
}

// leftBase is the key of a base that is not in force.
func (j *Journal) leftBase(tx *bbolt.Tx) []byte {
	c := tx.Bucket(baseBucket).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if binary.BigEndian.Uint64(k) != j.head.Base {
			return slices.Clone(k)
		}
	}
	return nil
}

func (j *Journal) dropSome(tx *bbolt.Tx) error {
	bases := tx.Bucket(baseBucket)
	if k := j.leftBase(tx); k != nil {
		more, err := dropRuns(bases.Bucket(k), math.MaxUint64)
		if err != nil || more {
			return err
		}
		return bases.DeleteBucket(k)
	}
	_, err := dropRuns(tx.Bucket(logBucket), j.head.UpTo)
	return err
}

// releaseMap gives back the memory of pages that were read through the map. If it cannot, nothing is lost.
func (j *Journal) releaseMap() {
	_ = boltfile.Guard(func() error { return j.db.View(func(tx *bbolt.Tx) error { release(tx); return nil }) })
}
