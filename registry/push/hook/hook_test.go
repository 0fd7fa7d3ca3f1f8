//go:build unix

package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/notice"
	"github.com/nameward/nameward/registry/push/pushtest"
)

// sh is a hook whose program is a script; $1 is a directory of the test.
func sh(t *testing.T, timeout time.Duration, script string) (d push.Driver, dir string) {
	t.Helper()
	dir = t.TempDir()
	return New(&config.Hook{Command: []string{"/bin/sh", "-c", script, "sh", dir}, Timeout: timeout}), dir
}

func TestPush(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		name, script, want string
	}{
		{"good", "exit 0", "acked"},
		{"reads nothing", "exec <&-; exit 0", "acked"},
		{"exit code", "exit 3", "failed: /bin/sh: exit status 3"},
		{"says why", "echo first >&2; echo the last one >&2; echo >&2; exit 1", "failed: /bin/sh: exit status 1: the last one"},
		{"says much", "yes no | head -c 999999 >&2; exit 1", "failed: /bin/sh: exit status 1: no"},
		{"long line", "echo " + long + " >&2; exit 1", "failed: /bin/sh: exit status 1: " + long[:lineRunes] + "\u2026"},
		{"control characters", `printf 'a\033[31mb\377c\n' >&2; exit 1`, "failed: /bin/sh: exit status 1: a [31mb?c"},
		{"standard output is passed over", "echo said; exit 1", "failed: /bin/sh: exit status 1"},
		{"signal", "kill -9 $$", "failed: /bin/sh: signal: killed"},
		{"child keeps stderr", "sleep 5 & echo $! >$1/child; exit 0", "acked"},
		{"child keeps stderr of a failure", "sleep 5 & echo $! >$1/child; echo why >&2; exit 2", "failed: /bin/sh: exit status 2: why"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, dir := sh(t, 10*time.Second, tt.script)
			items := pushtest.Pair(t, 2, false).Items()
			began := time.Now()
			d.Push(t.Context(), items)
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it took %s", took)
			}
			for _, got := range pushtest.Stages(items) {
				if got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
			if pid, ok := pidIn(filepath.Join(dir, "child")); ok {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		})
	}
}

func TestNoProgram(t *testing.T) {
	items := pushtest.Pair(t, 1, false).Items()
	New(&config.Hook{Command: []string{"/nonexistent/moved"}, Timeout: time.Second}).Push(t.Context(), items)
	if _, _, why := items[0].Stage(); !errors.Is(why, os.ErrNotExist) {
		t.Errorf("why: %v", why)
	}
}

// TestOneRun: a thousand roles are one run, and the program reads all of them.
func TestOneRun(t *testing.T) {
	d, dir := sh(t, 10*time.Second, `echo >>$1/runs; cat >$1/notice`)
	reg := pushtest.Pair(t, 1000, false)
	reg.Switch("ex2")
	items := reg.Items("192.0.2.11")
	d.Push(t.Context(), items)
	if got := fmt.Sprint(pushtest.Stages(items)[999], read(t, dir, "runs")); got != "acked\n" {
		t.Errorf("got %q", got)
	}
	var n notice.Notice
	if err := json.Unmarshal([]byte(read(t, dir, "notice")), &n); err != nil || len(n.Roles) != 1000 || n.Roles[999].Addresses[0].String() != "192.0.2.12" {
		t.Errorf("%d roles, %v", len(n.Roles), err)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("NAMEWARD_SECRET", "x")
	d, dir := sh(t, 10*time.Second, `exec env >$1/env`)
	d.Push(t.Context(), pushtest.Pair(t, 1, false).Items())
	for _, line := range strings.Fields(read(t, dir, "env")) {
		if key, _, _ := strings.Cut(line, "="); key != "PATH" && key != "PWD" && key != "_" && key != "OLDPWD" && key != "SHLVL" {
			t.Errorf("the program has %s", line)
		}
	}
}

// TestTimeout ends the group: a program that minds SIGTERM, one that does not, and their children.
func TestTimeout(t *testing.T) {
	for name, script := range map[string]string{
		"polite":   `sleep 60 & echo $! >$1/child; echo $$ >$1/pid; echo working >&2; wait`,
		"stubborn": `trap "" TERM; (trap "" TERM; while :; do sleep 0.1; done) & echo $! >$1/child; echo $$ >$1/pid; echo working >&2; while :; do sleep 0.1; done`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, dir := sh(t, time.Second, script)
			items := pushtest.Pair(t, 1, false).Items()
			began := time.Now()
			d.Push(t.Context(), items)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			if got, want := pushtest.Stages(items)[0], "failed: /bin/sh was ended: it did not end within 1s: working"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			gone(t, filepath.Join(dir, "pid"))
			gone(t, filepath.Join(dir, "child"))
		})
	}
}

// TestCancel: the worker's own end ends the program too.
func TestCancel(t *testing.T) {
	d, dir := sh(t, time.Minute, `echo $$ >$1/pid; exec sleep 60`)
	ctx, cancel := context.WithCancel(t.Context())
	items := pushtest.Pair(t, 1, false).Items()
	done := make(chan struct{})
	go func() { d.Push(ctx, items); close(done) }()
	for range 200 {
		if _, ok := pidIn(filepath.Join(dir, "pid")); ok {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	<-done
	if stage, _, why := items[0].Stage(); stage != push.Failed || !errors.Is(why, context.Canceled) {
		t.Errorf("%s: %v", stage, why)
	}
	gone(t, filepath.Join(dir, "pid"))
}

func TestContent(t *testing.T) {
	reg := pushtest.Pair(t, 1, false)
	d, snap := New(&config.Hook{}), reg.Snapshot()
	before := d.Content(snap, reg.Items()[0].Role)
	reg.Switch("ex2")
	if after := d.Content(reg.Snapshot(), reg.Items()[0].Role); before == after || before == "" {
		t.Errorf("content %q, then %q", before, after)
	}
}

func TestTail(t *testing.T) {
	var tl tail
	for range 1000 {
		fmt.Fprintf(&tl, "%0100d\n", 7)
	}
	if n := len(tl.end); n > tailOctets {
		t.Errorf("%d octets are kept", n)
	}
	if got := tl.line(); len(got) != 100 {
		t.Errorf("line %q", got)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func pidIn(path string) (int, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid, err == nil && pid > 1
}

// gone waits for the end of the process whose number is in a file. One that nobody waits for is gone too.
func gone(t *testing.T, path string) {
	t.Helper()
	pid, ok := pidIn(path)
	if !ok {
		t.Fatalf("%s has no process number", path)
	}
	for range 200 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil && syscall.Kill(pid, 0) != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d runs on", pid)
}
