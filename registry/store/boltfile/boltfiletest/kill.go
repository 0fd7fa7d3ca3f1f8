package boltfiletest

import (
	"bufio"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// KilledChild starts the test's own program with env added to its environment, which makes it write to
// a file and print the number of every write that was acknowledged. It is killed at a random moment in
// the time within, mostly counted from the first number. KilledChild returns the last one, 0 if there was
// none.
func KilledChild(t *testing.T, within time.Duration, env ...string) uint64 {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last atomic.Uint64
	first, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n, err := strconv.ParseUint(lines.Text(), 10, 64)
			if err == nil && last.Swap(n) == 0 {
				close(first)
			}
		}
	}()
	// Every fourth child is killed while it opens the file or soon after.
	if rand.IntN(4) > 0 {
		select {
		case <-first:
		case <-done:
			t.Error("the child ended by itself")
		case <-time.After(20 * time.Second):
			t.Error("the child writes nothing")
		}
	}
	time.Sleep(rand.N(within))
	_ = cmd.Process.Kill()
	<-done
	_ = cmd.Wait()
	return last.Load()
}
