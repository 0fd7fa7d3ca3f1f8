//go:build linux

package e2e

import (
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nobody runs a program without root's rights.
var nobody = []string{"setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"}

var (
	demoExport  = regexp.MustCompile(`(?m)^  (export \S+=\S+)$`)
	demoCommand = regexp.MustCompile(`(?m)^       (\S.*)$`)
)

// TestDemo runs what `make run` starts and then the commands that it prints, word for word, as a user
// without rights on a machine with nothing but lo.
func TestDemo(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	h := l.host("demo")
	dir := l.path("home")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := command("chown", "nobody:nogroup", dir); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	demo := h.startIn(t, dir, append(nobody, nameward, "demo")...)
	soon(t, "the demo is up", 20*time.Second, "true", func() string {
		return map[bool]string{true: "true"}[strings.Contains(demo.output(), "Ctrl-C ends it")]
	})
	printed := demo.output()
	export := demoExport.FindStringSubmatch(printed)
	commands := demoCommand.FindAllStringSubmatch(printed, -1)
	if export == nil || len(commands) != 4 {
		t.Fatalf("the demo does not print one export and four commands:\n%s", printed)
	}
	type shown struct {
		parts  []string
		absent string
	}
	for i, want := range []shown{
		{[]string{"192.0.2.11", "they agree", "ROLE", "mailbox", "ex1", "fresh", "192.0.2.25,198.51.100.25", "3 roles"}, "10.9."},
		{[]string{"mailbox", "ex1", "ex2", "1 role moved", "198.51.100.12", "they agree"}, ""},
		{[]string{"files.demo.example. is a DNS name of role files", "=> 198.51.100.12"}, ""},
		{[]string{"NAME", "unique", "static", "FS1<20>", "203.0.113.7"}, "10.9."},
	} {
		script := export[1] + "\ncd " + dir + "\n" + commands[i][1]
		// The health checks of the first picture, and the file of the third, take a moment.
		var r result
		for range 100 {
			r = h.try(t, nil, append(nobody, "bash", "-c", script)...)
			if strings.Contains(r.out, want.parts[len(want.parts)-1]) && strings.Contains(r.out, want.parts[max(0, len(want.parts)-2)]) || i == 1 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if r.code != 0 {
			t.Errorf("%s: exit code %d", commands[i][1], r.code)
		}
		holds(t, commands[i][1], r.out, want.parts...)
		if want.absent != "" && strings.Contains(r.out, want.absent) {
			t.Errorf("%s: %q is in it:\n%s", commands[i][1], want.absent, r.out)
		}
	}
	holds(t, "metrics", scrapeAt(t, h, "127.0.0.1:10153"), `coredns_nameward_roles{state="fresh"} 3`)
	begin := time.Now()
	demo.signal(syscall.SIGINT)
	if !demo.wait(5 * time.Second) {
		t.Error("the demo does not end on Ctrl-C")
	}
	t.Logf("Ctrl-C to the end: %s", time.Since(begin).Round(time.Millisecond))
	if code := demo.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d after Ctrl-C", code)
	}
}
