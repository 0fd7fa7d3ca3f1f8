// Package journaltest has a journal for tests that fails as disks do.
package journaltest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nameward/nameward/registry/store/journal"
)

// ErrDisk is what Append returns when it fails.
var ErrDisk = errors.New("the disk failed")

// BadDisk is a journal that fails at random, and that a kill leaves as the contract of Append allows: with
// a batch at the end that was called an error. Make it with NewBadDisk.
type BadDisk struct {
	*journal.Memory
	Chance atomic.Int32 // of failing, in percent

	mu     sync.Mutex
	rnd    *rand.Rand
	unsure []byte // the last batch that failed, nil when another one was written since
}

// NewBadDisk returns an empty one. It is the only one that uses rnd, but for those that Killed returns.
func NewBadDisk(rnd *rand.Rand) *BadDisk { return &BadDisk{Memory: &journal.Memory{}, rnd: rnd} }

// Append takes up to 20 ms, and fails now and then.
func (b *BadDisk) Append(batch []byte) (uint64, error) {
	b.mu.Lock()
	fails, wait := b.rnd.IntN(100) < int(b.Chance.Load()), time.Duration(b.rnd.IntN(20))*time.Millisecond
	b.mu.Unlock()
	time.Sleep(wait)
	b.mu.Lock()
	defer b.mu.Unlock()
	if fails {
		b.unsure = slices.Clone(batch)
		return 0, ErrDisk
	}
	b.unsure = nil
	return b.Memory.Append(batch)
}

// Killed is what is on the disk now.
func (b *BadDisk) Killed() *BadDisk {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &BadDisk{Memory: b.Memory.Copy(), rnd: b.rnd}
	if b.unsure != nil && b.rnd.IntN(2) == 0 {
		_, _ = c.Memory.Append(b.unsure) // it takes everything
	}
	return c
}
