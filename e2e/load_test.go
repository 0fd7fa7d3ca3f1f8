//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Load asks one question in a loop until it is stopped, and judges every answer.
type Load struct {
	t     *testing.T
	what  string
	stop  chan struct{}
	done  sync.WaitGroup
	asked atomic.Uint64

	mu    sync.Mutex
	wrong map[string]int // by what was wrong
}

// load starts to ask, with a pause between two questions. ask returns "" for a right answer and else what
// is wrong with it. Wrong answers fail the test when it ends.
func load(t *testing.T, what string, pause time.Duration, ask func() string) *Load {
	l := &Load{t: t, what: what, stop: make(chan struct{}), wrong: map[string]int{}}
	l.done.Go(func() {
		for {
			select {
			case <-l.stop:
				return
			case <-time.After(pause):
			}
			wrong := ask()
			l.asked.Add(1)
			if wrong != "" {
				l.mu.Lock()
				l.wrong[wrong]++
				l.mu.Unlock()
			}
		}
	})
	t.Cleanup(l.end)
	return l
}

// end stops the load and judges it. It may be called twice.
func (l *Load) end() {
	l.t.Helper()
	select {
	case <-l.stop:
		return
	default:
		close(l.stop)
	}
	l.done.Wait()
	if l.asked.Load() == 0 {
		l.t.Errorf("%s: nothing was asked", l.what)
	}
	for i, wrong := range slices.Sorted(maps.Keys(l.wrong)) {
		if i == 10 {
			l.t.Errorf("%s: and %d other kinds", l.what, len(l.wrong)-i)
			break
		}
		l.t.Errorf("%s: %d of %d answers: %s", l.what, l.wrong[wrong], l.asked.Load(), wrong)
	}
	l.t.Logf("%s: %d questions", l.what, l.asked.Load())
}

// oneOf judges an answer that must be one of several.
func oneOf(got string, want ...string) string {
	if slices.Contains(want, got) {
		return ""
	}
	return got
}

// Dnsperf is a running dnsperf.
type Dnsperf struct{ *Process }

// dnsperf starts the real dnsperf with as many queries a second, for each of the questions in turn.
func (h *Host) dnsperf(t *testing.T, qps int, questions ...string) *Dnsperf {
	t.Helper()
	data := h.lab.write("dnsperf.data", strings.Join(questions, "\n")+"\n")
	return &Dnsperf{h.start(t, "dnsperf", "-s", guardAddr, "-d", data, "-Q", strconv.Itoa(qps), "-q", "50", "-t", "3", "-l", "600")}
}

var (
	perfSent  = regexp.MustCompile(`Queries sent: +(\d+)`)
	perfDone  = regexp.MustCompile(`Queries completed: +(\d+)`)
	perfLost  = regexp.MustCompile(`Queries lost: +(\d+)`)
	perfCodes = regexp.MustCompile(`Response codes: +(.*)`)
)

// end stops dnsperf; it must not have lost a query nor have seen anything but NOERROR.
func (p *Dnsperf) end(t *testing.T) {
	t.Helper()
	p.signal(syscall.SIGINT)
	if !p.wait(15 * time.Second) {
		t.Fatalf("dnsperf does not end")
	}
	text := p.output()
	number := func(re *regexp.Regexp) int {
		m := re.FindStringSubmatch(text)
		if m == nil {
			return -1
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	sent, done, lost := number(perfSent), number(perfDone), number(perfLost)
	codes := perfCodes.FindStringSubmatch(text)
	if sent < 100 || lost != 0 || done > sent || codes == nil || !strings.HasPrefix(codes[1], fmt.Sprintf("NOERROR %d ", done)) {
		t.Errorf("dnsperf lost queries or saw errors:\n%s", tail(text, 25))
	}
	t.Logf("dnsperf: %d queries sent, %d completed, %d lost", sent, done, lost)
}
