package updates

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/store/boltfile/boltfiletest"
	"github.com/nameward/nameward/registry/store/journal"
)

// childEnv names the file to the child process of TestKill.
const childEnv = "NAMEWARD_TEST_UPDATES_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		fmt.Fprintln(os.Stderr, noteForever(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// noteForever notes numbered entries, of which the table has room for the last ones, prints the number of each
// that was saved and makes checkpoints meanwhile.
func noteForever(path string) error {
	j, err := journal.Open(path)
	if err != nil {
		return err
	}
	b, err := Open(j, DefaultLimits, zerolog.Nop())
	if err != nil {
		return err
	}
	ctx := context.Background()
	go func() { _ = b.Run(ctx) }()
	go func() {
		for {
			if err := b.Checkpoint(ctx); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			time.Sleep(time.Millisecond)
		}
	}()
	for n := highest(b) + 1; ; n++ {
		b.Note(numbered(n))
		if err := b.Flush(ctx); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func numbered(n uint64) Held {
	h := update(0, int(n%5000))
	h.Name, h.Decision = fmt.Sprintf("n%d.corp.example.", n), n
	return h
}

func highest(b *Book) (n uint64) {
	for _, h := range b.List() {
		n = max(n, h.Decision)
	}
	return n
}

func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "updates.db")
	total, rounds := uint64(0), 10
	for round := range rounds {
		total = max(total, boltfiletest.KilledChild(t, 150*time.Millisecond, childEnv+"="+path))
		last, err := check(path)
		if err != nil || last < total || last > total+1 {
			t.Fatalf("round %d: entry %d was saved, the file has %d; %v", round, total, last, err)
		}
		total = last
	}
	t.Logf("%d kills, %d entries", rounds, total)
	if total < uint64(rounds) {
		t.Errorf("only %d entries in %d rounds: the test proves nothing", total, rounds)
	}
}

// check returns the number of the last entry, after which there is none missing before it.
func check(path string) (last uint64, err error) {
	j, err := journal.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	b, err := Open(j, DefaultLimits, zerolog.Nop())
	if err != nil {
		return 0, err
	}
	last = highest(b)
	if n := uint64(len(b.List())); n != min(last, uint64(DefaultLimits.Total)) {
		return last, fmt.Errorf("%d entries up to number %d", n, last)
	}
	return last, nil
}
