package bolt

import (
	"encoding/json"
	"fmt"
	"runtime"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/boltfile"
)

// Load reads all that was committed.
func (s *Store) Load() (registry.Saved, error) {
	var saved registry.Saved
	err := boltfile.Guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error { return read(tx, &saved) })
	})
	if err != nil {
		return registry.Saved{}, fmt.Errorf("reading state %s: %w", s.path, err)
	}
	return saved, nil
}

func read(tx *bbolt.Tx, saved *registry.Saved) (err error) {
	if raw := tx.Bucket(meta).Get(changeKey); raw != nil {
		if err := json.Unmarshal(raw, &saved.Change); err != nil {
			return damaged(meta, changeKey, err)
		}
	}
	if saved.Records, err = readAll[registry.Record](tx, records); err != nil {
		return err
	}
	if saved.Overrides, err = readAll[registry.Override](tx, overrides); err != nil {
		return err
	}
	if saved.Drains, err = readAll[registry.Drain](tx, drains); err != nil || tx.Bucket(lowered) == nil {
		return err
	}
	saved.Lowered, err = readAll[registry.Lowered](tx, lowered)
	return err
}

func damaged(bucket, key []byte, err error) error {
	return boltfile.Damaged(fmt.Errorf("%s %q: %w", bucket, key, err))
}

// entry is a key and its value. The octets belong to the transaction.
type entry struct{ key, raw []byte }

// readAll decodes a bucket. JSON is the greater part of the time, so the processors share it.
func readAll[V any](tx *bbolt.Tx, bucket []byte) (map[string]V, error) {
	var entries []entry
	err := tx.Bucket(bucket).ForEach(func(k, v []byte) error {
		entries = append(entries, entry{k, v})
		return nil
	})
	if err != nil {
		return nil, err
	}
	values := make([]V, len(entries))
	if err := decode(bucket, entries, values); err != nil {
		return nil, err
	}
	out := make(map[string]V, len(entries))
	for i, e := range entries {
		out[string(e.key)] = values[i]
	}
	return out, nil
}

func decode[V any](bucket []byte, entries []entry, values []V) error {
	var g errgroup.Group
	part := max(1000, (len(entries)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	for from := 0; from < len(entries); from += part {
		to := min(from+part, len(entries))
		g.Go(func() error {
			return boltfile.Guard(func() error {
				for i := from; i < to; i++ {
					if err := json.Unmarshal(entries[i].raw, &values[i]); err != nil {
						return damaged(bucket, entries[i].key, err)
					}
				}
				return nil
			})
		})
	}
	return g.Wait()
}
