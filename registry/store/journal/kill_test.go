package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nameward/nameward/registry/store/boltfile/boltfiletest"
)

// childEnv names the file to the child process of TestKill.
const childEnv = "NAMEWARD_TEST_JOURNAL_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		writeForever(path)
	}
	os.Exit(m.Run())
}

// writeForever appends numbered batches, prints the number of each that was acknowledged and makes
// checkpoints meanwhile.
func writeForever(path string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	j, err := Open(path)
	if err != nil {
		fail(err)
	}
	go func() {
		for {
			upTo := j.Last()
			if err := j.Checkpoint(context.Background(), upTo, numberedBase(upTo)); err != nil {
				fail(err)
			}
		}
	}()
	for n := j.Last() + 1; ; n++ {
		if seq, err := j.Append(numbered(n)); err != nil || seq != n {
			fail(fmt.Errorf("batch %d has number %d: %w", n, seq, err))
		}
		fmt.Println(n)
	}
}

// numbered is batch n: its number and filling of a length that depends on it.
func numbered(n uint64) []byte {
	return append(key(n), bytes.Repeat([]byte{byte(n)}, int(n*7919%20_000))...)
}

// numberedBase has some steps' worth of chunks that all say what they stand for and which they are.
func numberedBase(upTo uint64) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range chunksUpTo(upTo) {
			if !yield(numberedChunk(upTo, i)) {
				return
			}
		}
	}
}

func chunksUpTo(upTo uint64) uint64 { return 1 + upTo%30 }

func numberedChunk(upTo, i uint64) []byte {
	chunk := binary.BigEndian.AppendUint64(key(upTo), i)
	return append(chunk, bytes.Repeat([]byte{byte(upTo)}, 90_000)...)
}

func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	rounds, total, bases := 25, uint64(0), map[uint64]bool{}
	for round := range rounds {
		total = max(total, boltfiletest.KilledChild(t, 100*time.Millisecond, childEnv+"="+path))
		last, upTo := checkNumbered(t, path)
		bases[upTo] = true
		if last < total || last > total+1 {
			t.Errorf("round %d: batch %d was acknowledged, the file has %d", round, total, last)
		}
		if t.Failed() {
			return
		}
		total = last // the next child goes on from there
	}
	size := fileSize(t, path)
	t.Logf("%d kills, %d batches, %d bases seen, %d octets", rounds, total, len(bases), size)
	if total < uint64(rounds) || len(bases) < 5 {
		t.Errorf("only %d batches and %d bases in %d rounds: the test proves nothing", total, len(bases), rounds)
	}
	if size > 64<<20 {
		t.Errorf("the file has grown to %d octets", size)
	}
}

// checkNumbered reads all there is and returns the last batch and the one that the base stands for.
func checkNumbered(t *testing.T, path string) (last, upTo uint64) {
	t.Helper()
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	chunks := uint64(0)
	err = j.Load(func(chunk []byte) error {
		upTo = binary.BigEndian.Uint64(chunk)
		if !bytes.Equal(chunk, numberedChunk(upTo, chunks)) {
			return fmt.Errorf("it is not chunk %d up to %d", chunks, upTo)
		}
		chunks, last = chunks+1, upTo
		return nil
	}, func(batch []byte) error {
		last++
		if !bytes.Equal(batch, numbered(last)) {
			return fmt.Errorf("it is not batch %d", last)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if chunks > 0 && chunks != chunksUpTo(upTo) {
		t.Fatalf("%d chunks up to %d, want %d", chunks, upTo, chunksUpTo(upTo))
	}
	if j.Last() != last {
		t.Fatalf("last batch %d, want %d", j.Last(), last)
	}
	return last, upTo
}
