package bolt

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/boltfile/boltfiletest"
)

// childEnv names the state file to the child process of TestKill.
const childEnv = "NAMEWARD_TEST_BOLT_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		commitForever(path)
	}
	os.Exit(m.Run())
}

// commitForever takes up at the last change and prints the number of every one that Commit
// acknowledged.
func commitForever(path string) {
	s, err := Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	saved, err := s.Load()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for n := saved.Change + 1; ; n++ {
		if err := s.Commit(numbered(n)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

// numbered is a delta in which every part says n.
func numbered(n uint64) registry.Delta {
	rec := registry.Record{Nodes: []string{"ex1"}, Epoch: n, Since: time.Unix(int64(n), 0).UTC()}
	return registry.Delta{
		Change: n, Drains: map[string]*registry.Drain{"ex1": {Reason: strconv.FormatUint(n, 10)}},
		Records:   map[string]registry.Record{"mailbox": rec, "role-" + strconv.FormatUint(n%1000, 10): rec},
		Overrides: map[string]*registry.Override{"mailbox": {Nodes: []string{"ex1"}, Reason: strconv.FormatUint(n, 10)}},
	}
}

func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	rounds, total := 25, uint64(0)
	for round := range rounds {
		acked := boltfiletest.KilledChild(t, 60*time.Millisecond, childEnv+"="+path)
		total = max(total, acked)
		checkNumbered(t, path, round, total)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills, %d commits acknowledged", rounds, total)
	if total < uint64(rounds) {
		t.Errorf("only %d commits in %d rounds: the test proves nothing", total, rounds)
	}
}

func checkNumbered(t *testing.T, path string, round int, acked uint64) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	defer func() { _ = s.Close() }()
	saved, err := s.Load()
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	n := saved.Change
	if n < acked {
		t.Errorf("round %d: change %d was acknowledged, the file has %d", round, acked, n)
	}
	if n == 0 {
		return
	}
	if e, s, o := saved.Records["mailbox"].Epoch, saved.Drains["ex1"].Reason, saved.Overrides["mailbox"].Reason; e != n || s != strconv.FormatUint(n, 10) || o != strconv.FormatUint(n, 10) {
		t.Errorf("round %d: change %d is there in part: epoch %d, drain %s, override %s", round, n, e, s, o)
	}
}
