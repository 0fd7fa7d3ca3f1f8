package journal

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// damageable is the image of a small file with everything in it, and what Load says of it.
func damageable(t testing.TB) (image []byte, want contents) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(150) {
		if _, err := j.Append(numbered(n)[:8+n*n%3000%uint64(len(numbered(n))-7)]); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Checkpoint(context.Background(), 40, sequence([]string{"first", strings.Repeat("second", 5000), "third"})); err != nil {
		t.Fatal(err)
	}
	if want, err = load(j); err != nil {
		t.Fatal(err)
	}
	var used int64
	_ = j.db.View(func(tx *bbolt.Tx) error { used = tx.Size(); return nil })
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if image, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return image[:used], want
}

// FuzzDamage changes octets of a file. It is refused, or all of it is there. If only the newest of its
// two first pages is damaged, bbolt goes back one transaction, as after a write that a power cut tore:
// here that was a step of dropping, which changes nothing of what Load says.
func FuzzDamage(f *testing.F) {
	image, want := damageable(f)
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		f.Add(r.Uint32(), []byte{byte(r.Uint32()) | 1})
	}
	page := uint32(os.Getpagesize())
	for n := range uint32(len(image)) / page {
		f.Add(n*page+12, []byte{0, 0, 0, 0xff}) // the number of pages that it goes on over
	}
	f.Add(2*page, bytes.Repeat([]byte{0xff}, int(page)))
	f.Fuzz(func(t *testing.T, at uint32, mask []byte) {
		damaged := bytes.Clone(image)
		for i, m := range mask {
			damaged[(int(at)+i)%len(damaged)] ^= m
		}
		path := filepath.Join(t.TempDir(), "journal.db")
		writeFile(t, path, damaged)
		j, err := Open(path)
		if err != nil {
			return
		}
		defer func() { _ = j.Close() }()
		if got, err := load(j); err == nil && !got.equal(want) {
			t.Errorf("it has %v, want %v", got, want)
		}
	})
}
