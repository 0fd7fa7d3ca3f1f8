package boltfile

import (
	"bytes"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// Layout is what a file of one kind has in it.
type Layout struct {
	Kind    string   // for people: "a nameward state file"
	Format  string   // is written into the file; a later layout gets another one
	Buckets [][]byte // those that must be there, besides Meta
}

// Meta is the bucket with the format. Its other keys are free to use.
var Meta = []byte("meta")

var formatKey = []byte("format")

// maxDepth is how deep buckets may stand in buckets. Deeper ones are pages that point at each other.
const maxDepth = 8

// walk checks that the file is ours, or empty, and reads every page of it.
func (l Layout) walk(tx *bbolt.Tx, size int64) error {
	if tx.Size() > size {
		return Damaged(fmt.Errorf("cut short: %d octets of %d are there", size, tx.Size()))
	}
	if isEmpty(tx) {
		return nil
	}
	if err := l.check(tx); err != nil {
		return err
	}
	if err := tx.ForEach(func(_ []byte, b *bbolt.Bucket) error { return walkBucket(b, 1) }); err != nil {
		return err
	}
	// A page that claims to go on over millions of others would keep bbolt's search for free pages busy
	// for minutes, and take all memory.
	if s := tx.Cursor().Bucket().Stats(); int64(s.LeafAlloc)+int64(s.BranchAlloc) > tx.Size() {
		return Damaged(fmt.Errorf("its pages claim %d octets of %d", s.LeafAlloc+s.BranchAlloc, tx.Size()))
	}
	return nil
}

func walkBucket(b *bbolt.Bucket, depth int) error {
	if depth > maxDepth {
		return Damaged(errors.New("its buckets have no end"))
	}
	return b.ForEach(func(k, v []byte) error {
		if v != nil {
			return nil
		}
		return walkBucket(b.Bucket(k), depth+1)
	})
}

func isEmpty(tx *bbolt.Tx) bool {
	name, _ := tx.Cursor().First()
	return name == nil
}

func (l Layout) check(tx *bbolt.Tx) error {
	foreign := errors.New("it is a bbolt file of another program; write another path")
	m := tx.Bucket(Meta)
	if m == nil {
		return foreign
	}
	switch have := m.Get(formatKey); {
	case have == nil:
		return foreign
	case !bytes.Equal(have, []byte(l.Format)):
		return fmt.Errorf("its format is %s and this nameward knows %s; write another path, use the nameward that wrote it, or %s", have, l.Format, HowToGoOn)
	}
	for _, b := range l.Buckets {
		if tx.Bucket(b) == nil {
			return Damaged(fmt.Errorf("there is no bucket %q", b))
		}
	}
	return nil
}

// prepare lays out an empty file.
func (l Layout) prepare(db *bbolt.DB) error {
	empty := false
	if err := db.View(func(tx *bbolt.Tx) error {
		empty = isEmpty(tx)
		return nil
	}); err != nil || !empty {
		return err
	}
	return db.Update(l.layOut)
}

func (l Layout) layOut(tx *bbolt.Tx) error {
	for _, b := range l.Buckets {
		if _, err := tx.CreateBucket(b); err != nil {
			return err
		}
	}
	m, err := tx.CreateBucket(Meta)
	if err != nil {
		return err
	}
	return m.Put(formatKey, []byte(l.Format))
}
