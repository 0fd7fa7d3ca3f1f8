package notify

import (
	"maps"
	"net/netip"
	"sync"

	"github.com/nameward/nameward/registry/zone"
)

// board is what is known of a secondary. Its worker writes there, and drivers read.
type board struct {
	wake chan struct{} // has a token while there is anything in behind

	mu      sync.Mutex
	zones   map[string]progress
	changed chan struct{}     // closed when zones has changed
	behind  map[string]uint32 // serials that zones do not have at the secondary, by their names
}

// progress is how far a secondary is with a zone.
type progress struct {
	sent, acked mark
	refusal     error // what it says to the serial that was sent last, instead of acknowledging it
	trouble     error // why the last try failed
}

// mark is the newest serial to which something has happened.
type mark struct {
	serial uint32
	is     bool
}

// covers reports whether a serial, or one behind it, is what the mark says: RFC 1982, Section 3.2.
func (m mark) covers(serial uint32) bool { return m.is && !zone.Newer(serial, m.serial) }

func (m mark) raised(serial uint32) mark {
	if m.is && zone.Newer(m.serial, serial) {
		return m
	}
	return mark{serial, true}
}

// board returns the one of a secondary. It stays when the secondary leaves the configuration, for it may come back.
func (s *Sender) board(target netip.AddrPort) *board {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.boards[target]
	if b == nil {
		b = &board{wake: make(chan struct{}, 1), zones: map[string]progress{}, changed: make(chan struct{}), behind: map[string]uint32{}}
		s.boards[target] = b
	}
	return b
}

func (b *board) note(zone string, f func(*progress)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.zones[zone]
	f(&p)
	b.zones[zone] = p
	close(b.changed)
	b.changed = make(chan struct{})
}

// read returns what is known, and a channel that is closed when more is.
func (b *board) read() (map[string]progress, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.zones), b.changed
}

// isBehind has the worker told that the secondary does not have a serial that it has acknowledged.
func (b *board) isBehind(zone string, serial uint32) {
	b.mu.Lock()
	b.behind[zone] = serial
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *board) takeBehind() map[string]uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	behind := b.behind
	b.behind = map[string]uint32{}
	return behind
}
