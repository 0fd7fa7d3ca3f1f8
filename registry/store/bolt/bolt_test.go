package bolt

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/boltfile"
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

func TestOpenMakesPrivateFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are of Unix")
	}
	dir := filepath.Join(t.TempDir(), "var", "lib")
	path := filepath.Join(dir, "state.db")
	open(t, path)
	for name, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, path: 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want []string
	}{
		{"a file in use", func(t *testing.T, path string) { open(t, path) }, []string{"in use by another nameward"}},
		{"a text file", func(t *testing.T, path string) { writeFile(t, path, []byte(strings.Repeat("hello\n", 5000))) },
			[]string{"damaged or not a nameward state file", boltfile.HowToGoOn}},
		{"a short file", func(t *testing.T, path string) { writeFile(t, path, []byte("x")) }, []string{"damaged or not", boltfile.HowToGoOn}},
		{"a bbolt file of another program", func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("etcd")); return err })
		}, []string{"another program", "another path"}},
		{"another meta", func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(meta); return err })
		}, []string{"another program"}},
		{"a later format", func(t *testing.T, path string) {
			_ = open(t, path).Close()
			edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(meta).Put([]byte("format"), []byte(`"nameward state 2"`)) })
		}, []string{"nameward state 2", "use the nameward that wrote it"}},
		{"a bucket is missing", func(t *testing.T, path string) {
			_ = open(t, path).Close()
			edit(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket(drains) })
		}, []string{`no bucket "drains"`}},
		{"a file that was cut short", func(t *testing.T, path string) {
			s := open(t, path)
			if err := s.Commit(storetest.Large(2000)); err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
			if err := os.Truncate(path, 3*int64(os.Getpagesize())); err != nil {
				t.Fatal(err)
			}
		}, []string{"damaged", boltfile.HowToGoOn}},
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, []string{"directory"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			tt.make(t, path)
			before, _ := os.ReadFile(path)
			s, err := Open(path)
			if err == nil {
				_ = s.Close()
				t.Fatal("no error")
			}
			for _, want := range append(tt.want, "opening state "+path+": ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			after, _ := os.ReadFile(path)
			if sha256.Sum256(before) != sha256.Sum256(after) {
				t.Error("the refused file was written to")
			}
		})
	}
}

func TestDamagedValue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	if err := s.Commit(storetest.Large(3)); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(records).Put([]byte("role-000001"), []byte("{")) })
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

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, path string, do func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(do); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
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

// BenchmarkCommit is what a switch waits for: one record and one serial in a file with 100,000.
func BenchmarkCommit(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "state.db"))
	large := storetest.Large(100_000)
	if err := s.Commit(large); err != nil {
		b.Fatal(err)
	}
	d := registry.Delta{Change: 1, Records: map[string]registry.Record{"role-050000": large.Records["role-050000"]}, Serials: map[string]uint32{"corp.example.": 1}}
	for b.Loop() {
		d.Change++
		if err := s.Commit(d); err != nil {
			b.Fatal(err)
		}
	}
}
