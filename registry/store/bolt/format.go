package bolt

import (
	"bytes"
	"fmt"

	"go.etcd.io/bbolt"
)

// The buckets. meta holds the format and the change number.
var (
	meta      = []byte("meta")
	records   = []byte("records")
	overrides = []byte("overrides")
	drains    = []byte("drains")
	serials   = []byte("serials")

	formatKey = []byte("format")
	changeKey = []byte("change")
)

// format is what this package writes. A later one gets another number.
const format = `"nameward state 1"`

// walk checks that the file is ours, or empty, and reads every page of it.
func walk(tx *bbolt.Tx) error {
	if isEmpty(tx) {
		return nil
	}
	if err := checkFormat(tx); err != nil {
		return err
	}
	return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
		return b.ForEach(func(_, _ []byte) error { return nil })
	})
}

func isEmpty(tx *bbolt.Tx) bool {
	name, _ := tx.Cursor().First()
	return name == nil
}

// prepare lays out an empty file.
func (s *Store) prepare() error {
	empty := false
	if err := s.db.View(func(tx *bbolt.Tx) error {
		empty = isEmpty(tx)
		return nil
	}); err != nil || !empty {
		return err
	}
	return s.db.Update(layOut)
}

func checkFormat(tx *bbolt.Tx) error {
	m := tx.Bucket(meta)
	if m == nil {
		return fmt.Errorf("it is a bbolt file of another program; write another path for the store")
	}
	switch have := m.Get(formatKey); {
	case have == nil:
		return fmt.Errorf("it is a bbolt file of another program; write another path for the store")
	case !bytes.Equal(have, []byte(format)):
		return fmt.Errorf("its format is %s and this nameward knows %s; use the nameward that wrote it, or %s", have, format, howToGoOn)
	}
	for _, b := range [][]byte{records, overrides, drains, serials} {
		if tx.Bucket(b) == nil {
			return fmt.Errorf("it is damaged (there is no bucket %q); %s", b, howToGoOn)
		}
	}
	return nil
}

func layOut(tx *bbolt.Tx) error {
	for _, b := range [][]byte{meta, records, overrides, drains, serials} {
		if _, err := tx.CreateBucket(b); err != nil {
			return err
		}
	}
	return tx.Bucket(meta).Put(formatKey, []byte(format))
}
