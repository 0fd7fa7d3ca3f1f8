package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry/store/boltfile"
	"github.com/nameward/nameward/registry/store/boltfile/boltfiletest"
)

func open(t testing.TB, path string) *Journal {
	t.Helper()
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func ignore([]byte) error { return nil }

func fileSize(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// contents is what a journal has in it, or ought to have.
type contents struct{ base, log []string }

func load(j *Journal) (c contents, err error) {
	err = j.Load(
		func(chunk []byte) error { c.base = append(c.base, string(chunk)); return nil },
		func(batch []byte) error { c.log = append(c.log, string(batch)); return nil })
	return c, err
}

func (c contents) equal(o contents) bool {
	return slices.Equal(c.base, o.base) && slices.Equal(c.log, o.log)
}

func (c contents) String() string {
	return fmt.Sprintf("%d chunks (%.40q), %d batches (%.40q)", len(c.base), c.base, len(c.log), c.log)
}

func checkContents(t *testing.T, j *Journal, want contents) {
	t.Helper()
	if got, err := load(j); err != nil || !got.equal(want) {
		t.Fatalf("Load: %v, %v; want %v", got, err, want)
	}
	octets := int64(len(strings.Join(want.log, "")))
	if n, size := j.Backlog(); n != len(want.log) || size != octets {
		t.Fatalf("Backlog: %d, %d; want %d, %d", n, size, len(want.log), octets)
	}
}

func appendAll(t *testing.T, j *Journal, batches ...string) {
	t.Helper()
	for _, b := range batches {
		want := j.Last() + 1
		if seq, err := j.Append([]byte(b)); err != nil || seq != want || j.Last() != seq {
			t.Fatalf("Append: %d, %v; want %d", seq, err, want)
		}
	}
}

func checkpoint(t *testing.T, j *Journal, upTo uint64, chunks ...string) {
	t.Helper()
	if err := j.Checkpoint(context.Background(), upTo, sequence(chunks)); err != nil {
		t.Fatal(err)
	}
}

// sequence gives the chunks in one buffer, which is used again.
func sequence(chunks []string) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		var buf []byte
		for _, c := range chunks {
			buf = append(buf[:0], c...)
			if !yield(buf) {
				return
			}
		}
	}
}

func TestJournal(t *testing.T) {
	large := strings.Repeat("x", 3<<20)
	tests := []struct {
		name string
		do   func(t *testing.T, j *Journal)
		want contents
		last uint64
	}{
		{"empty", func(*testing.T, *Journal) {}, contents{}, 0},
		{"batches", func(t *testing.T, j *Journal) { appendAll(t, j, "a", "", large, "d") }, contents{log: []string{"a", "", large, "d"}}, 4},
		{"a base of all", func(t *testing.T, j *Journal) {
			appendAll(t, j, "a", "b")
			checkpoint(t, j, 2, "A", "", large[:MaxChunk], "B")
		}, contents{base: []string{"A", "", large[:MaxChunk], "B"}}, 2},
		{"a base of a part", func(t *testing.T, j *Journal) {
			appendAll(t, j, "a", "b", "c")
			checkpoint(t, j, 2, "AB")
			appendAll(t, j, "d")
		}, contents{base: []string{"AB"}, log: []string{"c", "d"}}, 4},
		{"an empty base", func(t *testing.T, j *Journal) {
			appendAll(t, j, "a")
			checkpoint(t, j, 1)
		}, contents{}, 1},
		{"a base of nothing new", func(t *testing.T, j *Journal) {
			appendAll(t, j, "a")
			checkpoint(t, j, 1, "A")
			checkpoint(t, j, 1, "A2")
		}, contents{base: []string{"A2"}}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			j := open(t, path)
			tt.do(t, j)
			checkContents(t, j, tt.want)
			_ = j.Close()
			j = open(t, path)
			checkContents(t, j, tt.want)
			if j.Last() != tt.last {
				t.Errorf("last batch %d, want %d", j.Last(), tt.last)
			}
		})
	}
}

func TestRefusedCalls(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	appendAll(t, j, "a", "b", "c")
	checkpoint(t, j, 2, "AB")
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	failing := errors.New("it fails")
	tests := []struct {
		name string
		do   func() error
		want string
	}{
		{"a checkpoint behind the base", func() error { return j.Checkpoint(context.Background(), 1, sequence(nil)) }, "up to batch 1: the base stands for the batches up to 2"},
		{"a checkpoint ahead of the log", func() error { return j.Checkpoint(context.Background(), 4, sequence(nil)) }, "the last one is 3"},
		{"an ended checkpoint", func() error { return j.Checkpoint(ended, 3, sequence([]string{"X"})) }, "context canceled"},
		{"a large chunk", func() error {
			return j.Checkpoint(context.Background(), 3, sequence([]string{"X", strings.Repeat("x", MaxChunk+1)}))
		}, "a chunk of 1048577 octets is larger"},
		{"a large batch", func() error { _, err := j.Append(make([]byte, MaxBatch+1)); return err }, "a batch of"},
		{"a chunk that is not understood", func() error { return j.Load(func([]byte) error { return failing }, ignore) }, "base 1, chunk 1: it fails"},
		{"a batch that is not understood", func() error { return j.Load(ignore, func([]byte) error { return failing }) }, "log, batch 3: it fails"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.do(); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), j.path) {
				t.Errorf("error %v, want %q and the path", err, tt.want)
			}
			checkContents(t, j, contents{base: []string{"AB"}, log: []string{"c"}})
		})
	}
	appendAll(t, j, "d")
	checkContents(t, j, contents{base: []string{"AB"}, log: []string{"c", "d"}})
}

// TestPanicIsOurs: a panic of the caller's function is not taken for damage.
func TestPanicIsOurs(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	appendAll(t, j, "a")
	func() {
		defer func() {
			if r := recover(); r != "ours" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = j.Load(ignore, func([]byte) error { panic("ours") })
	}()
	appendAll(t, j, "b")
}

func TestCancelledCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	appendAll(t, j, "a")
	checkpoint(t, j, 1, "A")
	appendAll(t, j, "b")
	want := contents{base: []string{"A"}, log: []string{"b"}}
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	err := j.Checkpoint(ctx, 2, func(yield func([]byte) bool) {
		for yield(make([]byte, stepOctets/2)) {
			if n++; n == 9 {
				cancel()
			}
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	checkContents(t, j, want)
	checkBuckets(t, j, 1, 1)
	if err := j.db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	_ = j.Close()
	checkContents(t, open(t, path), want)
}

// checkBuckets counts what is in the file, needed or not.
func checkBuckets(t *testing.T, j *Journal, bases, batches int) {
	t.Helper()
	_ = j.db.View(func(tx *bbolt.Tx) error {
		for name, want := range map[string]int{"bases": bases, "log": batches} {
			n := 0
			_ = tx.Bucket([]byte(name)).ForEachBucket(func([]byte) error { n++; return nil })
			if n != want {
				t.Errorf("%d buckets in %s, want %d", n, name, want)
			}
		}
		return nil
	})
}

// TestLeftovers is a process that ended amid the steps of a Checkpoint.
func TestLeftovers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	appendAll(t, j, "a", "b", "c")
	checkpoint(t, j, 1, "A")
	w := baseWriter{j: j, id: 2}
	if err := w.writeAll(context.Background(), sequence([]string{"unfinished"})); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	j = open(t, path)
	checkContents(t, j, contents{base: []string{"A"}, log: []string{"b", "c"}})
	checkBuckets(t, j, 2, 2)
	w = baseWriter{j: j, id: 3}
	if err := errors.Join(w.writeAll(context.Background(), sequence([]string{"AB"})), j.switchTo(head{Base: 3, Chunks: 1, UpTo: 2})); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	j = open(t, path)
	checkContents(t, j, contents{base: []string{"AB"}, log: []string{"c"}})
	checkBuckets(t, j, 3, 2)
	checkpoint(t, j, 3, "ABC")
	checkContents(t, j, contents{base: []string{"ABC"}})
	checkBuckets(t, j, 1, 0)
}

// TestUnsureCommit is an Append and a switch whose last sync failed: bbolt has them, the caller has not.
func TestUnsureCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	appendAll(t, j, "a", "b")
	if err := j.db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(appendTo(tx, 3, []byte("phantom")), writeHead(tx, head{Base: 7, UpTo: 2}))
	}); err != nil {
		t.Fatal(err)
	}
	j.unsure = true
	appendAll(t, j, "c", "d")
	want := contents{log: []string{"a", "b", "c", "d"}}
	checkContents(t, j, want)
	_ = j.Close()
	checkContents(t, open(t, path), want)
}

// TestModel runs random calls against slices.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	var want contents
	var upTo uint64
	for range 400 {
		switch n := r.IntN(20); {
		case n < 14:
			batch := randomText(r, []int{10, 1000, 5000, 100_000}[r.IntN(4)])
			appendAll(t, j, batch)
			want.log = append(want.log, batch)
		case n < 17:
			part := r.IntN(len(want.log) + 1)
			upTo += uint64(part)
			want.base, want.log = nil, want.log[part:]
			for range r.IntN(12) {
				want.base = append(want.base, randomText(r, 200_000))
			}
			checkpoint(t, j, upTo, want.base...)
			checkBuckets(t, j, min(1, len(want.base)), len(want.log))
		case n < 18:
			checkContents(t, j, want)
		default:
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			j = open(t, path)
			checkContents(t, j, want)
		}
	}
}

func randomText(r *rand.Rand, most int) string {
	text := make([]byte, 0, most+8)
	for n := r.IntN(most); len(text) < n; {
		text = binary.BigEndian.AppendUint64(text, r.Uint64())
	}
	return string(text)
}

// TestSizeStays: the pages of old bases and batches are used again.
func TestSizeStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	j.db.NoSync = true
	for i := range 40 {
		for k := range 50 {
			if _, err := j.Append(make([]byte, 100+(k*7919+i*104729)%40_000)); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Checkpoint(context.Background(), j.Last()-uint64(i%20), chunksOf(50+i%7, 64<<10-i*301)); err != nil {
			t.Fatal(err)
		}
	}
	// Two bases of at most 3.6 MB and a log of 1.4 MB; bbolt takes 16 MiB at a time.
	if size := fileSize(t, path); size > 20<<20 {
		t.Errorf("the file has grown to %d octets", size)
	}
}

// TestAppendDuringCheckpoint: nothing of either is lost if both run.
func TestAppendDuringCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := j.Append(key(j.Last() + 1)); err != nil {
				done <- err
				return
			}
		}
	}()
	upTo := uint64(0)
	for range 10 {
		upTo = j.Last()
		checkpoint(t, j, upTo, string(key(upTo)), strings.Repeat("x", MaxChunk), strings.Repeat("y", MaxChunk))
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := contents{base: []string{string(key(upTo)), strings.Repeat("x", MaxChunk), strings.Repeat("y", MaxChunk)}}
	for n := upTo + 1; n <= j.Last(); n++ {
		want.log = append(want.log, string(key(n)))
	}
	checkContents(t, j, want)
	_ = j.Close()
	checkContents(t, open(t, path), want)
}

var file = boltfiletest.File{
	Layout:  layout,
	Open:    func(path string) (io.Closer, error) { return Open(path) },
	Opening: "opening journal",
}

func TestOpenMakesPrivateFiles(t *testing.T) { file.Private(t) }

func TestOpenRefuses(t *testing.T) {
	file.Refuses(t,
		boltfiletest.Refusal{Name: "a batch is missing", Make: func(t *testing.T, path string) {
			j := open(t, path)
			appendAll(t, j, "a", "b", "c")
			_ = j.Close()
			boltfiletest.Edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(logBucket).DeleteBucket(key(2)) })
		}, Want: []string{"log, batch 2: it is damaged (it is missing)", boltfile.HowToGoOn}},
		boltfiletest.Refusal{Name: "the last batch is missing", Make: func(t *testing.T, path string) {
			j := open(t, path)
			appendAll(t, j, "a", "b", "c")
			_ = j.Close()
			boltfiletest.Edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(logBucket).DeleteBucket(key(3)) })
		}, Want: []string{"written to batch 3, its last one is 2", boltfile.HowToGoOn}},
		boltfiletest.Refusal{Name: "another head", Make: func(t *testing.T, path string) {
			j := open(t, path)
			checkpoint(t, j, 0, "A")
			_ = j.Close()
			boltfiletest.Edit(t, path, func(tx *bbolt.Tx) error {
				return tx.Bucket(boltfile.Meta).Put(headKey, []byte(`{"base":1,"chunks":0,"up_to":0}`))
			})
		}, Want: []string{"meta, head: it is damaged (the checksum is wrong)"}},
	)
}

func TestLoadFindsDamage(t *testing.T) {
	tests := []struct {
		name, old, with, want string
	}{
		{"an octet of a chunk", "second chunk", "sEcond chunk", "base 1, chunk 2: it is damaged (the checksum is wrong)"},
		{"an octet of a large batch", "end of batch 4", "end of batch 5", "log, batch 4: it is damaged (the checksum is wrong)"},
		{"an octet of a small batch", "batch 3", "batch 7", "log, batch 3: it is damaged (the checksum is wrong)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			j := open(t, path)
			appendAll(t, j, "batch 1", "batch 2")
			checkpoint(t, j, 2, "first chunk", "second chunk")
			appendAll(t, j, "batch 3", strings.Repeat(" ", 30_000)+"end of batch 4")
			_ = j.Close()
			image, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, bytes.ReplaceAll(image, []byte(tt.old), []byte(tt.with)))
			err = open(t, path).Load(ignore, ignore)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range []string{"reading journal " + path, tt.want, boltfile.HowToGoOn} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
