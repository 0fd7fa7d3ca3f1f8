package bolt

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/boltfile"
)

// Commit writes the delta in one transaction and returns when it is on stable storage.
func (s *Store) Commit(d registry.Delta) error {
	err := boltfile.Guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error { return write(tx, d) })
	})
	if err != nil {
		return fmt.Errorf("writing state %s: %w", s.path, err)
	}
	return nil
}

func write(tx *bbolt.Tx, d registry.Delta) error {
	if err := put(tx.Bucket(meta), string(changeKey), d.Change); err != nil {
		return err
	}
	if err := putAll(tx.Bucket(records), d.Records); err != nil {
		return err
	}
	if err := putOrDelete(tx.Bucket(overrides), d.Overrides); err != nil {
		return err
	}
	if err := putOrDelete(tx.Bucket(drains), d.Drains); err != nil {
		return err
	}
	if len(d.Lowered) == 0 {
		return nil
	}
	b, err := tx.CreateBucketIfNotExists(lowered)
	if err != nil {
		return err
	}
	return putOrDelete(b, d.Lowered)
}

// bulk is how many records at once are taken for a first filling.
const bulk = 1000

// putAll goes in the order of keys, which is the order of pages.
func putAll[V any](b *bbolt.Bucket, values map[string]V) error {
	if len(values) > bulk {
		// In order and at once: pages need no room for what comes between.
		b.FillPercent = 0.95
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := put(b, key, values[key]); err != nil {
			return err
		}
	}
	return nil
}

func putOrDelete[V any](b *bbolt.Bucket, values map[string]*V) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key] == nil {
			if err := b.Delete([]byte(key)); err != nil {
				return err
			}
			continue
		}
		if err := put(b, key, values[key]); err != nil {
			return err
		}
	}
	return nil
}

func put(b *bbolt.Bucket, key string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("%q: %w", key, err)
	}
	return b.Put([]byte(key), raw)
}
