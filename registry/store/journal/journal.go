package journal

import (
	"encoding/binary"
	"fmt"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry/store/boltfile"
)

// Journal is a log and a base in one file. Make it with Open.
type Journal struct {
	db   *bbolt.DB
	path string

	checkpoint sync.Mutex // held by the one Checkpoint that runs

	write  sync.Mutex // held over a transaction that writes, and what it changes below
	unsure bool       // a commit failed, and the file may have it nevertheless

	state  sync.Mutex // guards what follows
	head   head
	sizes  []uint32 // octets of the batches after the base
	octets int64    // their sum
}

// The buckets.
var (
	logBucket  = []byte("log")
	baseBucket = []byte("bases")
)

// layout is what this package writes. A later one gets another number.
var layout = boltfile.Layout{
	Kind:    "a nameward journal",
	Format:  `"nameward journal 1"`,
	Buckets: [][]byte{logBucket, baseBucket},
}

// Open opens the file at path, or makes it (mode 0600) with the directories above it (mode 0700). To an
// existing file it writes nothing.
func Open(path string) (*Journal, error) {
	db, err := layout.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening journal %s: %w", path, err)
	}
	j := &Journal{db: db, path: path}
	if err := boltfile.Guard(func() error { return db.View(j.count) }); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("opening journal %s: %w", path, err)
	}
	j.releaseMap()
	return j, nil
}

// count finds what is in the log.
func (j *Journal) count(tx *bbolt.Tx) (err error) {
	if j.head, err = readHead(tx); err != nil {
		return err
	}
	log := tx.Bucket(logBucket)
	end := j.head.UpTo
	if k, _ := log.Cursor().Last(); k != nil {
		end = binary.BigEndian.Uint64(k)
	}
	if end != log.Sequence() || end < j.head.UpTo {
		return boltfile.Damaged(fmt.Errorf("the log is written to batch %d, its last one is %d and the base stands for %d", log.Sequence(), end, j.head.UpTo))
	}
	for n := j.head.UpTo + 1; n <= end; n++ {
		size, err := sizeOf(log, n)
		if err != nil {
			return fmt.Errorf("log, batch %d: %w", n, err)
		}
		j.sizes = append(j.sizes, size)
		j.octets += int64(size)
	}
	return nil
}

// Close lets go of the file. An Append or a step of a Checkpoint that runs is waited for, a Load too.
func (j *Journal) Close() error { return j.db.Close() }

// Backlog says how many batches the log has after the base, and their octets.
func (j *Journal) Backlog() (entries int, octets int64) {
	j.state.Lock()
	defer j.state.Unlock()
	return len(j.sizes), j.octets
}

// Last is the number of the last batch, 0 if there never was one.
func (j *Journal) Last() uint64 {
	j.state.Lock()
	defer j.state.Unlock()
	return j.last()
}

func (j *Journal) last() uint64 { return j.head.UpTo + uint64(len(j.sizes)) }
