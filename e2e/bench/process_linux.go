package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that runs beside us.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
	err  error         // why, once it has
}

// command is a process that ends, at the latest, with ctx or with us.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// patience is how long a process may take to end.
const patience = 5 * time.Second

// launch starts a server on a core; what it says goes to the file log.
func launch(ctx context.Context, core int, log, name string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{cmd: command(ctx, name, args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := onCore(core, p.cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and the children that it leaves behind, each by its pid.
func (p *process) stop() {
	orphans := childrenOf(p.pid())
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.done
	}
	for _, child := range orphans {
		syscall.Kill(child, syscall.SIGKILL)
	}
}

// ended is the error of a process that should run, nil while it does.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended (%v): %s", p.cmd.Path, p.err, lastLine(p.log))
	default:
		return nil
	}
}

func lastLine(path string) string {
	content, _ := os.ReadFile(path)
	return lastLineOf(string(content))
}

func lastLineOf(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// cpu is the time that the process and its children, living or not, have spent in user and system.
func (p *process) cpu() (time.Duration, error) {
	total, err := cpuOf(p.pid())
	for _, child := range childrenOf(p.pid()) {
		if more, err := cpuOf(child); err == nil {
			total += more
		}
	}
	return total, err
}

// tick is the unit of /proc/PID/stat; USER_HZ is 100 wherever Go runs.
const tick = 10 * time.Millisecond

// Fields of /proc/PID/stat behind the command's name, proc(5).
const (
	statParent  = 1
	statTimes   = 11 // utime, stime, and those of children that were waited for
	statEnd     = 15
	statMinimum = statEnd
)

func cpuOf(pid int) (time.Duration, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, f := range fields[statTimes:statEnd] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

func stat(pid int) ([]string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < statMinimum {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields, nil
}

func childrenOf(pid int) []int {
	entries, _ := os.ReadDir("/proc")
	var out []int
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if fields, err := stat(child); err == nil && fields[statParent] == strconv.Itoa(pid) {
			out = append(out, child)
		}
	}
	return out
}

// memory reads a line of /proc/PID/status, such as VmRSS, in megabytes (10^6 octets).
func (p *process) memory(key string) (float64, error) { return memoryOf(p.pid(), key) }

func memoryOf(pid int, key string) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", pid, key)
}
