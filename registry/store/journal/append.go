package journal

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry/store/boltfile"
)

// MaxBatch is how many octets a batch may have.
const MaxBatch = 16 << 20

// Append puts the batch at the end of the log and returns its number when it is on stable storage. On an
// error nothing was appended, and a later Append may succeed. Only if the last of its syncs failed and
// the process or the machine ends before anything else is written, the batch may be in the file, at
// its end.
func (j *Journal) Append(batch []byte) (seq uint64, err error) {
	if len(batch) > MaxBatch {
		return 0, fmt.Errorf("writing journal %s: a batch of %d octets is larger than %d", j.path, len(batch), MaxBatch)
	}
	j.write.Lock()
	defer j.write.Unlock()
	seq = j.Last() + 1
	if err := j.commit(func(tx *bbolt.Tx) error { return appendTo(tx, seq, batch) }); err != nil {
		return 0, fmt.Errorf("writing journal %s: %w", j.path, err)
	}
	j.state.Lock()
	defer j.state.Unlock()
	j.sizes = append(j.sizes, uint32(len(batch)))
	j.octets += int64(len(batch))
	return seq, nil
}

func appendTo(tx *bbolt.Tx, seq uint64, batch []byte) error {
	log := tx.Bucket(logBucket)
	if err := putRun(log, seq, batch); err != nil {
		return err
	}
	return log.SetSequence(seq)
}

// commit is one transaction. The caller holds write.
func (j *Journal) commit(do func(*bbolt.Tx) error) error {
	err := boltfile.Guard(func() error {
		return j.db.Update(func(tx *bbolt.Tx) error {
			if j.unsure {
				if err := j.settle(tx); err != nil {
					return err
				}
			}
			return do(tx)
		})
	})
	j.unsure = err != nil
	return err
}

// settle takes back what a failed commit left. bbolt goes on from its last page of all even if the sync
// after that page is what failed.
func (j *Journal) settle(tx *bbolt.Tx) error {
	j.state.Lock()
	h, last := j.head, j.last()
	j.state.Unlock()
	if err := writeHead(tx, h); err != nil {
		return err
	}
	log := tx.Bucket(logBucket)
	for {
		k, _ := log.Cursor().Last()
		if k == nil || binary.BigEndian.Uint64(k) <= last {
			return log.SetSequence(last)
		}
		if err := log.DeleteBucket(k); err != nil {
			return err
		}
	}
}
