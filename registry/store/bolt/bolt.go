package bolt

import (
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry/store/boltfile"
)

// Store is a registry.Store in one file. Make it with Open.
type Store struct {
	db   *bbolt.DB
	path string
}

// The buckets. meta holds the format and the change number.
var (
	meta      = boltfile.Meta
	records   = []byte("records")
	overrides = []byte("overrides")
	drains    = []byte("drains")
	// lowered is made when it is first written to: files of before have none.
	lowered = []byte("lowered")

	changeKey = []byte("change")
)

// layout is what this package writes. A later one gets another number.
var layout = boltfile.Layout{
	Kind:    "a nameward state file",
	Format:  `"nameward state 1"`,
	Buckets: [][]byte{records, overrides, drains},
}

// Open opens the file at path, or makes it (mode 0600) with the directories above it (mode 0700).
func Open(path string) (*Store, error) {
	db, err := layout.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening state %s: %w", path, err)
	}
	return &Store{db: db, path: path}, nil
}

// Close lets go of the file.
func (s *Store) Close() error { return s.db.Close() }
