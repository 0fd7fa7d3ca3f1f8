// Package boltfiletest is what the tests of every user of boltfile share: the files that it makes and
// refuses, and a child process that is killed while it writes one.
package boltfiletest

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry/store/boltfile"
)

// File is a kind of file under test.
type File struct {
	Layout boltfile.Layout
	// Open opens the file at path, or makes it.
	Open func(path string) (io.Closer, error)
	// Opening begins the errors of Open, before the path: "opening state".
	Opening string
}

// Private checks that nobody else may read a new file or list the directories made for it.
func (f File) Private(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("modes are of Unix")
	}
	dir := filepath.Join(t.TempDir(), "var", "lib")
	path := filepath.Join(dir, "file.db")
	f.open(t, path)
	for name, want := range map[string]os.FileMode{filepath.Dir(dir): os.ModeDir | 0o700, dir: os.ModeDir | 0o700, path: 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

// Refusal is a file that Open refuses and leaves as it is.
type Refusal struct {
	Name string
	Make func(t *testing.T, path string)
	Want []string // what the error says, besides what it begins with
}

// Refuses checks the refusals that every layout has in common, and own.
func (f File) Refuses(t *testing.T, own ...Refusal) {
	for _, r := range append(f.refusals(), own...) {
		t.Run(r.Name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file.db")
			r.Make(t, path)
			before, _ := os.ReadFile(path)
			c, err := f.Open(path)
			if err == nil {
				_ = c.Close()
				t.Fatal("no error")
			}
			if begin := f.Opening + " " + path + ": "; !strings.HasPrefix(err.Error(), begin) {
				t.Errorf("error %q does not begin with %q", err, begin)
			}
			for _, want := range r.Want {
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

// Edit changes the file at path behind the back of the package that it belongs to.
func Edit(t *testing.T, path string, do func(*bbolt.Tx) error) {
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

func (f File) open(t *testing.T, path string) {
	t.Helper()
	c, err := f.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
}
