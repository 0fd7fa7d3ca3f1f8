//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs in a host until it is stopped, or else until the lab's test ends.
type Process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	log  string // file with its output
	done chan struct{}
}

// start starts a program in the host. `ip netns exec` becomes the program, so the process id is its own.
func (h *Host) start(t *testing.T, args ...string) *Process {
	t.Helper()
	return h.startIn(t, h.lab.dir, args...)
}

func (h *Host) startIn(t *testing.T, dir string, args ...string) *Process {
	t.Helper()
	out, err := os.CreateTemp(h.lab.dir, "log-")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := &Process{t: h.lab.t, name: h.name + ": " + args[0], log: out.Name(), done: make(chan struct{})}
	p.cmd = exec.Command("ip", append([]string{"netns", "exec", h.ns}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = out, out, dir
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended is in ProcessState
	}()
	h.lab.t.Cleanup(func() {
		state := "running"
		if !p.running() {
			state = p.cmd.ProcessState.String()
		}
		p.stop()
		if p.t.Failed() {
			p.t.Logf("--- %s (%s) wrote:\n%s", p.name, state, tail(p.output(), 60))
		}
	})
	return p
}

// output is what the process wrote up to now.
func (p *Process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (p *Process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends a signal; a process that is gone is passed over.
func (p *Process) signal(s syscall.Signal) {
	if p.running() {
		_ = p.cmd.Process.Signal(s)
	}
}

// wait waits for the process to end.
func (p *Process) wait(limit time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(limit):
		return false
	}
}

// kill ends the process as a power cut would.
func (p *Process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stop ends the process politely, and for good if that does not help.
func (p *Process) stop() {
	p.signal(syscall.SIGTERM)
	if !p.wait(8 * time.Second) {
		p.t.Errorf("%s does not end on SIGTERM", p.name)
		p.kill()
	}
}
