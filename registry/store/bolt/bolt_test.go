package bolt

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/boltfile/boltfiletest"
	"github.com/nameward/nameward/registry/store/storetest"
)

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Backend{
		Open: func(t *testing.T) registry.Store { return open(t, filepath.Join(t.TempDir(), "state.db")) },
		Reopen: func(t *testing.T, s registry.Store) registry.Store {
			old := s.(*Store)
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, old.path)
		},
		Break: func(_ *testing.T, s registry.Store) func() {
			db := s.(*Store).db
			db.MaxSize = 128 << 10
			return func() { db.MaxSize = 0 }
		},
	})
}

var file = boltfiletest.File{
	Layout:  layout,
	Open:    func(path string) (io.Closer, error) { return Open(path) },
	Opening: "opening state",
}

func TestOpenMakesPrivateFiles(t *testing.T) { file.Private(t) }

func TestOpenRefuses(t *testing.T) { file.Refuses(t) }

func TestDamagedValue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	if err := s.Commit(storetest.Large(3)); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	boltfiletest.Edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(records).Put([]byte("role-000001"), []byte("{")) })
	_, err := open(t, path).Load()
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "role-000001") {
		t.Errorf("Load: %v, want an error with the path and the role", err)
	}
}

// TestHumanReadable keeps the promise that an operator can read the file with the bbolt tool.
func TestHumanReadable(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	if err := s.Commit(storetest.Large(1)); err != nil {
		t.Fatal(err)
	}
	const want = `{"nodes":["ex0"],"epoch":1,"since":"2026-03-01T12:00:00.123456789Z","origin":"file /var/lib/nameward/role-000000.role"}`
	_ = s.db.View(func(tx *bbolt.Tx) error {
		if got := tx.Bucket(records).Get([]byte("role-000000")); !bytes.Equal(got, []byte(want)) {
			t.Errorf("value %s, want %s", got, want)
		}
		return nil
	})
}

func BenchmarkLoad(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "state.db"))
	if err := s.Commit(storetest.Large(100_000)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if saved, err := s.Load(); err != nil || len(saved.Records) != 100_000 {
			b.Fatal(len(saved.Records), err)
		}
	}
}

// BenchmarkOpen opens a file with 100,000 records: the list of free pages is found again.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "state.db")
	s := open(b, path)
	if err := s.Commit(storetest.Large(100_000)); err != nil {
		b.Fatal(err)
	}
	_ = s.Close()
	for b.Loop() {
		s, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		_ = s.Close()
	}
}

// BenchmarkCommit is what a switch waits for: one record in a file with 100,000.
func BenchmarkCommit(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "state.db"))
	large := storetest.Large(100_000)
	if err := s.Commit(large); err != nil {
		b.Fatal(err)
	}
	d := registry.Delta{Change: 1, Records: map[string]registry.Record{"role-050000": large.Records["role-050000"]}}
	for b.Loop() {
		d.Change++
		if err := s.Commit(d); err != nil {
			b.Fatal(err)
		}
	}
}
