package usage

import (
	"sync/atomic"

	"github.com/nameward/nameward/netbios"
)

const (
	// ringLen is the number of notes that wait for Run at most: 20 ms at 200,000 packets a second,
	// twice what the scheduler lets a busy packet loop go on when there is one processor.
	ringLen = 4096
	// wakeEvery is how many notes Run is left asleep for, so that it works in batches.
	wakeEvery = ringLen / 4
)

// Recorder takes the notes of one packet loop. It may be used by any number of goroutines, as answers
// that take time are noted from their own; a recorder for each socket keeps them out of each other's way.
type Recorder struct {
	tracker *Tracker
	closed  atomic.Bool
	_       [64]byte // the writers' counter has a cache line of its own
	tail    atomic.Uint64
	_       [64]byte
	head    uint64 // only of the one who drains, under the tracker's lock
	slots   []slot
}

// slot is a place in the ring. The writer of position p may write when turn is p, and what he wrote may
// be read when it is p+1 (D. Vyukov's bounded queue, for many writers and one reader).
type slot struct {
	turn  atomic.Uint64
	pair  pair
	found bool
}

func newRecorder(t *Tracker) *Recorder {
	r := &Recorder{tracker: t, slots: make([]slot, ringLen)}
	for i := range r.slots {
		r.slots[i].turn.Store(uint64(i))
	}
	return r
}

// Note takes a note. It neither blocks nor allocates: if there is no room it drops the note and counts
// that.
func (r *Recorder) Note(n Note) {
	source := n.Source.Unmap()
	if !source.Is4() || !n.Name.IsValid() || n.Name.IsDomain() || n.Kind >= kinds {
		r.tracker.dropped.Add(1)
		return
	}
	pos := r.tail.Load()
	for {
		s := &r.slots[pos%ringLen]
		switch ahead := int64(s.turn.Load() - pos); {
		case ahead < 0:
			r.tracker.dropped.Add(1)
			return
		case ahead == 0 && r.tail.CompareAndSwap(pos, pos+1):
			s.pair, s.found = pair{n.Name, source.As4(), n.Kind}, n.Found
			s.turn.Store(pos + 1)
			if pos%wakeEvery == wakeEvery-1 {
				r.tracker.rouse()
			}
			return
		}
		pos = r.tail.Load()
	}
}

// Close gives the recorder back once its notes are counted. Notes taken afterwards are lost.
func (r *Recorder) Close() { r.closed.Store(true) }

// drain counts at most limit notes and returns how many it did.
func (r *Recorder) drain(s *state, now int64, limit int) int {
	for n := range limit {
		at := &r.slots[r.head%ringLen]
		if at.turn.Load() != r.head+1 {
			return n
		}
		p, wasFound := at.pair, at.found
		at.pair.name = netbios.Name{} // its scope may be a string of its own
		at.turn.Store(r.head + ringLen)
		r.head++
		p.name = p.name.Fold()
		s.note(p, wasFound, now)
	}
	return limit
}
