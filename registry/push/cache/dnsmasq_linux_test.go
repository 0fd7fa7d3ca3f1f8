package cache

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDnsmasq has a process that has the name of dnsmasq, others, and none.
func TestDnsmasq(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "dnsmasq")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntrap 'echo hung up; exit' HUP\necho ready\nwhile :; do sleep 0.05; done\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	// Under nohup the shell could not trap it: what is ignored when a shell starts stays so. Children of who takes it start anew.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	cmd := exec.Command(script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	lines.Scan() // it minds the signal now
	pidFile := filepath.Join(dir, "pid")
	for _, tt := range []struct{ text, want string }{
		{"", "has no process number"}, {"0\n", "has no process number"}, {"1\n", "has no process number"}, {"-5\n", "has no process number"},
		{"x\n", "has no process number"}, {strings.Repeat("1", 100), "has no process number"},
		{"2147483646\n", "is gone"},
		{fmt.Sprintln(os.Getpid()), "and not dnsmasq, it gets no signal"},
		{fmt.Sprintln(cmd.Process.Pid), "<nil>"},
	} {
		if err := os.WriteFile(pidFile, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		errs := (&dnsmasq{pidFile}).flush(t.Context(), []string{"a.", "b."})
		if got := fmt.Sprint(errs[1]); len(errs) != 2 || !strings.Contains(got, tt.want) {
			t.Errorf("%.20q: %q, want %q", tt.text, got, tt.want)
		}
	}
	if lines.Scan(); lines.Text() != "hung up" {
		t.Errorf("it says %q", lines.Text())
	}
	if err := (&dnsmasq{pidFile + "none"}).flush(t.Context(), []string{"a."})[0]; !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
}
