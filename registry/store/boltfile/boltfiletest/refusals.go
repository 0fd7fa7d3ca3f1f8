package boltfiletest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry/store/boltfile"
)

const otherFormat = `"nameward other 1"`

// refusals are those of every layout.
func (f File) refusals() []Refusal {
	list := []Refusal{
		{"a file in use", f.open, []string{"in use by another nameward"}},
		{"a text file", content(strings.Repeat("hello\n", 5000)), []string{"damaged or not " + f.Layout.Kind, boltfile.HowToGoOn}},
		{"a short file", content("x"), []string{"damaged or not " + f.Layout.Kind, boltfile.HowToGoOn}},
		{"a directory", directory, []string{"directory"}},
		{"a bbolt file of another program", foreign([]byte("etcd")), []string{"another program", "another path"}},
		{"another meta", foreign(boltfile.Meta), []string{"another program", "another path"}},
		{"another format", f.edited(func(tx *bbolt.Tx) error {
			return tx.Bucket(boltfile.Meta).Put([]byte("format"), []byte(otherFormat))
		}), []string{otherFormat, f.Layout.Format, "another path", "use the nameward that wrote it", boltfile.HowToGoOn}},
		{"a file that was cut short", f.cut,
			[]string{"damaged", fmt.Sprintf("cut short: %d octets", cutSize()), boltfile.HowToGoOn}},
		{"pages that go on without end", f.endless, []string{"damaged", "its pages claim", boltfile.HowToGoOn}},
	}
	for _, b := range f.Layout.Buckets {
		list = append(list, Refusal{
			"no bucket " + string(b), f.edited(func(tx *bbolt.Tx) error { return tx.DeleteBucket(b) }),
			[]string{"damaged", fmt.Sprintf("no bucket %q", b), boltfile.HowToGoOn},
		})
	}
	return list
}

func content(text string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func directory(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func foreign(bucket []byte) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		Edit(t, path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(bucket); return err })
	}
}

// edited is a new file of the kind in which do changed something.
func (f File) edited(do func(*bbolt.Tx) error) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		f.make(t, path)
		Edit(t, path, do)
	}
}

func (f File) make(t *testing.T, path string) {
	t.Helper()
	c, err := f.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func (f File) cut(t *testing.T, path string) {
	t.Helper()
	f.edited(func(tx *bbolt.Tx) error {
		return tx.Bucket(boltfile.Meta).Put([]byte("filling"), make([]byte, 10*cutSize()))
	})(t, path)
	if err := os.Truncate(path, int64(cutSize())); err != nil {
		t.Fatal(err)
	}
}

// cutSize is long enough for the two first pages, which say how long the file ought to be.
func cutSize() int { return 3 * os.Getpagesize() }

func (f File) endless(t *testing.T, path string) {
	t.Helper()
	f.make(t, path)
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for page := 2 * os.Getpagesize(); page < len(image); page += os.Getpagesize() {
		image[page+15] = 0xff // of the number of pages that it goes on over
	}
	content(string(image))(t, path)
}
