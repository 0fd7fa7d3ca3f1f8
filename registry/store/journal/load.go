package journal

import (
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry/store/boltfile"
)

// Load calls base with every chunk of the base in force, in order, then entry with every batch of the
// log after it, in order. The octets are valid during the call only. An error of base or entry ends it
// and is returned with the place that it is for. Load is for the start: while it runs, the file grows
// with every write and Append may wait for it, so neither function may call the Journal.
func (j *Journal) Load(base func(chunk []byte) error, entry func(batch []byte) error) error {
	if err := j.load(base, entry); err != nil {
		return fmt.Errorf("reading journal %s: %w", j.path, err)
	}
	return nil
}

func (j *Journal) load(base, entry func([]byte) error) error {
	tx, err := j.db.Begin(false)
	if err != nil {
		return err
	}
	defer func() {
		release(tx)
		_ = tx.Rollback()
	}()
	var h head
	var chunks, log *bbolt.Bucket
	var last uint64
	if err := boltfile.Guard(func() (err error) {
		if h, err = readHead(tx); err != nil {
			return err
		}
		log = tx.Bucket(logBucket)
		last = log.Sequence()
		if h.Chunks == 0 {
			return nil
		}
		if chunks = tx.Bucket(baseBucket).Bucket(key(h.Base)); chunks == nil {
			return fmt.Errorf("base %d: %w", h.Base, errMissing)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := each(chunks, 1, h.Chunks, base, fmt.Sprintf("base %d, chunk", h.Base)); err != nil {
		return err
	}
	return each(log, h.UpTo+1, last, entry, "log, batch")
}

// each calls do with the runs from first to last. Only the reading is guarded: a panic in do is no damage
// of the file.
func each(b *bbolt.Bucket, first, last uint64, do func([]byte) error, what string) error {
	for n := first; n <= last; n++ {
		var octets []byte
		if err := boltfile.Guard(func() (err error) {
			octets, err = run(b, n)
			return err
		}); err != nil {
			return fmt.Errorf("%s %d: %w", what, n, err)
		}
		if err := do(octets); err != nil {
			return fmt.Errorf("%s %d: %w", what, n, err)
		}
	}
	return nil
}
