package journal

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
)

// Memory is a journal that forgets with the process: for tests, and for dry runs.
type Memory struct {
	mu      sync.Mutex
	base    [][]byte
	batches [][]byte
	first   uint64 // the number of the last batch in base
	err     error  // what Append returns
	wait    func() // what it calls first
}

// Fail has Append return err from now on, nil for success.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// Slow has Append call wait first.
func (m *Memory) Slow(wait func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wait = wait
}

// Load gives what was appended.
func (m *Memory) Load(base, batch func([]byte) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.base {
		if err := base(b); err != nil {
			return err
		}
	}
	for _, b := range m.batches {
		if err := batch(b); err != nil {
			return err
		}
	}
	return nil
}

// Append keeps a copy.
func (m *Memory) Append(batch []byte) (uint64, error) {
	m.mu.Lock()
	wait := m.wait
	m.mu.Unlock()
	if wait != nil {
		wait()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return 0, m.err
	}
	m.batches = append(m.batches, bytes.Clone(batch))
	return m.first + uint64(len(m.batches)), nil
}

// Checkpoint takes the base.
func (m *Memory) Checkpoint(_ context.Context, seq uint64, base iter.Seq[[]byte]) error {
	var pieces [][]byte
	for b := range base {
		pieces = append(pieces, bytes.Clone(b))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := int(seq - m.first)
	if n < 0 || n > len(m.batches) {
		return fmt.Errorf("checkpoint up to batch %d: the base is up to %d and the last one is %d", seq, m.first, m.first+uint64(len(m.batches)))
	}
	m.base, m.batches, m.first = pieces, slices.Clone(m.batches[n:]), seq
	return nil
}

// Backlog is what was appended since the base.
func (m *Memory) Backlog() (batches int, octets int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.batches {
		octets += int64(len(b))
	}
	return len(m.batches), octets
}

// Batches returns what was appended since the base.
func (m *Memory) Batches() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.batches)
}

// Copy returns a journal with the same content, as a kill would leave it.
func (m *Memory) Copy() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{base: m.base, batches: slices.Clone(m.batches), first: m.first}
}
