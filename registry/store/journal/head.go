package journal

import (
	"encoding/json"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry/store/boltfile"
)

// head says which base is in force.
type head struct {
	Base   uint64 `json:"base"`   // its number, 0 if there is none yet
	Chunks uint64 `json:"chunks"` // in it
	UpTo   uint64 `json:"up_to"`  // the last batch that it stands for
}

var headKey = []byte("head")

func readHead(tx *bbolt.Tx) (head, error) {
	m := tx.Bucket(boltfile.Meta)
	raw := m.Get(headKey)
	if uint64(crc32.Checksum(raw, castagnoli)) != m.Sequence() {
		return head{}, fmt.Errorf("meta, head: %w", errChecksum)
	}
	if raw == nil {
		return head{}, nil
	}
	var h head
	if err := json.Unmarshal(raw, &h); err != nil {
		return head{}, boltfile.Damaged(fmt.Errorf("meta, head: %w", err))
	}
	return h, nil
}

func writeHead(tx *bbolt.Tx, h head) error {
	raw, err := json.Marshal(h)
	if err != nil {
		return err
	}
	m := tx.Bucket(boltfile.Meta)
	if err := m.SetSequence(uint64(crc32.Checksum(raw, castagnoli))); err != nil {
		return err
	}
	return m.Put(headKey, raw)
}
