// Package storetest is the test suite that every registry.Store passes.
package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nameward/nameward/registry"
)

// Backend is a kind of store under test.
type Backend struct {
	// Open returns an empty store, which the test's cleanup closes.
	Open func(t *testing.T) registry.Store
	// Reopen gives up s, as a process does that ends, and returns a store on what it left.
	Reopen func(t *testing.T, s registry.Store) registry.Store
	// Break makes the next Commit of a large delta fail; mend ends that.
	Break func(t *testing.T, s registry.Store) (mend func())
}

// Run runs the suite.
func Run(t *testing.T, b Backend) {
	t.Run("an empty store loads nothing", func(t *testing.T) {
		expect(t, b.Open(t), registry.Saved{})
	})
	t.Run("what was committed is loaded", func(t *testing.T) { committed(t, b) })
	t.Run("later deltas win", func(t *testing.T) { laterWins(t, b) })
	t.Run("nil deletes", func(t *testing.T) { deletes(t, b) })
	t.Run("a large delta", func(t *testing.T) { large(t, b) })
	t.Run("a commit that fails leaves nothing", func(t *testing.T) { wholeOrNothing(t, b) })
	t.Run("what was loaded is the caller's own", func(t *testing.T) { ownCopy(t, b) })
	t.Run("a closed store refuses", func(t *testing.T) { closed(t, b) })
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func everything() (registry.Delta, registry.Saved) {
	rec := registry.Record{Nodes: []string{"ex1"}, Epoch: 7, Since: noon, Origin: "file /run/mailbox.role"}
	all := registry.Record{Nodes: []string{"ex1", "ex2"}, Epoch: 1 << 62, Since: noon.Add(time.Hour)}
	over := registry.Override{Nodes: []string{"ex2"}, Since: noon, By: "kim", Reason: "disk \"sda\" <slow>"}
	drain := registry.Drain{Since: noon, By: "kim"}
	lowered := registry.Lowered{TTL: 1, Since: noon, Until: noon.Add(time.Hour), Owner: "plan 7", By: "kim"}
	d := registry.Delta{
		Change: 41, Records: map[string]registry.Record{"mailbox": rec, "relay é": all},
		Overrides: map[string]*registry.Override{"mailbox": &over}, Drains: map[string]*registry.Drain{"ex1": &drain},
		Lowered: map[string]*registry.Lowered{"mailbox": &lowered},
	}
	return d, registry.Saved{
		Change: 41, Records: d.Records, Overrides: map[string]registry.Override{"mailbox": over},
		Drains: map[string]registry.Drain{"ex1": drain}, Lowered: map[string]registry.Lowered{"mailbox": lowered},
	}
}

func committed(t *testing.T, b Backend) {
	s := b.Open(t)
	d, want := everything()
	commit(t, s, d)
	expect(t, s, want)
	expect(t, b.Reopen(t, s), want)
}

func laterWins(t *testing.T, b Backend) {
	s := b.Open(t)
	d, want := everything()
	commit(t, s, d)
	rec := registry.Record{Nodes: []string{"ex2"}, Epoch: 8, Since: noon.Add(time.Minute)}
	commit(t, s, registry.Delta{Change: 42, Records: map[string]registry.Record{"mailbox": rec}})
	want.Change, want.Records["mailbox"] = 42, rec
	expect(t, s, want)
	commit(t, s, registry.Delta{Change: 43})
	want.Change = 43
	expect(t, b.Reopen(t, s), want)
}

func deletes(t *testing.T, b Backend) {
	s := b.Open(t)
	d, want := everything()
	commit(t, s, d)
	commit(t, s, registry.Delta{
		Change:    42,
		Overrides: map[string]*registry.Override{"mailbox": nil, "never set": nil},
		Drains:    map[string]*registry.Drain{"ex1": nil, "never drained": nil},
		Lowered:   map[string]*registry.Lowered{"mailbox": nil, "never lowered": nil},
	})
	want.Change, want.Overrides, want.Drains, want.Lowered = 42, nil, nil, nil
	expect(t, s, want)
	expect(t, b.Reopen(t, s), want)
}

func large(t *testing.T, b Backend) {
	s := b.Open(t)
	d := Large(20_000)
	commit(t, s, d)
	expect(t, b.Reopen(t, s), registry.Saved{Change: d.Change, Records: d.Records})
}

func wholeOrNothing(t *testing.T, b Backend) {
	s := b.Open(t)
	d, want := everything()
	commit(t, s, d)
	mend := b.Break(t, s)
	if err := s.Commit(Large(20_000)); err == nil {
		t.Fatal("a commit to a broken store: no error")
	}
	expect(t, s, want)
	mend()
	s = b.Reopen(t, s)
	expect(t, s, want)
	commit(t, s, registry.Delta{Change: 42})
	want.Change = 42
	expect(t, s, want)
}

func ownCopy(t *testing.T, b Backend) {
	s := b.Open(t)
	d, want := everything()
	commit(t, s, d)
	mine, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	clear(mine.Records)
	clear(mine.Overrides)
	clear(mine.Drains)
	clear(mine.Lowered)
	expect(t, s, want)
}

func closed(t *testing.T, b Backend) {
	s := b.Open(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, loadErr := s.Load()
	commitErr := s.Commit(registry.Delta{Change: 1})
	if _, forgetful := s.(*registry.Memory); forgetful {
		return
	}
	if err := errors.Join(loadErr, commitErr); loadErr == nil || commitErr == nil {
		t.Errorf("after Close: Load: %v, Commit: %v, want two errors (%v)", loadErr, commitErr, err)
	}
}

// Large returns a delta with n records.
func Large(n int) registry.Delta {
	d := registry.Delta{Change: 1000, Records: make(map[string]registry.Record, n)}
	for i := range n {
		d.Records[fmt.Sprintf("role-%06d", i)] = registry.Record{
			Nodes: []string{fmt.Sprintf("ex%d", i%16)}, Epoch: uint64(i + 1), Since: noon,
			Origin: fmt.Sprintf("file /var/lib/nameward/role-%06d.role", i),
		}
	}
	return d
}

func commit(t *testing.T, s registry.Store, d registry.Delta) {
	t.Helper()
	if err := s.Commit(d); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, s registry.Store, want registry.Saved) {
	t.Helper()
	got, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
}
