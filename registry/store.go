package registry

import (
	"errors"
	"maps"
	"time"
)

// Store keeps what must survive a restart. Load gives what was committed; Commit applies a delta whole
// or not at all and returns when it is on stable storage.
type Store interface {
	Load() (Saved, error)
	Commit(Delta) error
	Close() error
}

// Shared is a Store that several guards write to, in one order.
type Shared interface {
	Store
	// News has a token when somebody may have committed something.
	News() <-chan struct{}
	// Pull returns what was committed since the last Load, Pull or Commit, in order. When it cannot, because too much
	// was, it is ErrGap: Load tells all.
	Pull() ([]Delta, error)
}

// ErrConflict is a Commit to a Shared that would not follow on what this guard has read: nothing was written.
var ErrConflict = errors.New("another guard has committed something meanwhile")

// ErrGap is a Pull of a Shared that cannot tell everything.
var ErrGap = errors.New("too much was committed meanwhile")

// Saved is the durable part of the state. Roles and nodes that the configuration no longer names stay
// in it, so that a role that comes back does not start over at an old epoch.
type Saved struct {
	Change    uint64
	Records   map[string]Record   // by role
	Overrides map[string]Override // by role
	Drains    map[string]Drain    // by node
	Lowered   map[string]Lowered  // by role
}

// Delta is one step of the durable state. A nil value deletes.
type Delta struct {
	Change    uint64
	Records   map[string]Record
	Overrides map[string]*Override
	Drains    map[string]*Drain
	Lowered   map[string]*Lowered
}

func (d Delta) empty() bool {
	return len(d.Records) == 0 && len(d.Overrides) == 0 && len(d.Drains) == 0 && len(d.Lowered) == 0
}

// with returns d followed by later, as one step.
func (d Delta) with(later Delta) *Delta {
	return &Delta{
		Change:  later.Change,
		Records: merge(maps.Clone(d.Records), later.Records), Overrides: merge(maps.Clone(d.Overrides), later.Overrides),
		Drains: merge(maps.Clone(d.Drains), later.Drains), Lowered: merge(maps.Clone(d.Lowered), later.Lowered),
	}
}

// Record is the last claim that a role accepted.
type Record struct {
	Nodes  []string  `json:"nodes"` // the holder, or the members in mode all; empty: nobody
	Epoch  uint64    `json:"epoch"`
	Since  time.Time `json:"since"`
	Origin string    `json:"origin,omitempty"`
}

// Override is an operator's word that stands above every source until it is cleared.
type Override struct {
	Nodes  []string  `json:"nodes"`
	Since  time.Time `json:"since"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// Drain takes a node out of service until it is undrained.
type Drain struct {
	Since  time.Time `json:"since"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// Memory is a Store that forgets with the process: for tests, and for dry runs.
type Memory struct {
	Saved Saved
	// Err, when set, is what Commit returns.
	Err error
}

// Load returns a copy of what was committed.
func (m *Memory) Load() (Saved, error) {
	return Saved{
		Change: m.Saved.Change, Records: maps.Clone(m.Saved.Records), Overrides: maps.Clone(m.Saved.Overrides),
		Drains: maps.Clone(m.Saved.Drains), Lowered: maps.Clone(m.Saved.Lowered),
	}, nil
}

// Commit applies the delta.
func (m *Memory) Commit(d Delta) error {
	if m.Err != nil {
		return m.Err
	}
	m.Saved.Apply(d)
	return nil
}

// Close does nothing.
func (m *Memory) Close() error { return nil }

// Apply makes the step d.
func (s *Saved) Apply(d Delta) {
	s.Change = d.Change
	s.Records = merge(s.Records, d.Records)
	s.Overrides = mergeOrDelete(s.Overrides, d.Overrides)
	s.Drains = mergeOrDelete(s.Drains, d.Drains)
	s.Lowered = mergeOrDelete(s.Lowered, d.Lowered)
}

func merge[V any](to, from map[string]V) map[string]V {
	if to == nil {
		to = make(map[string]V, len(from))
	}
	maps.Copy(to, from)
	return to
}

func mergeOrDelete[V any](to map[string]V, from map[string]*V) map[string]V {
	if to == nil {
		to = make(map[string]V, len(from))
	}
	for k, v := range from {
		if v == nil {
			delete(to, k)
			continue
		}
		to[k] = *v
	}
	return to
}
