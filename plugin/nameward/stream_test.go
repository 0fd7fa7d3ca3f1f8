package nameward

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push/dso"
	"github.com/nameward/nameward/registry/push/stream/streamtest"
	"github.com/nameward/nameward/registry/push/watch"
	"github.com/nameward/nameward/registry/servetest"
)

// streamConfig is a configuration with a server of DNS Push at an address of the loopback.
func streamConfig(t testing.TB, at string) string {
	t.Helper()
	cert, key, err := streamtest.WritePair(t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("push:\n  stream: {listen: %q, certificate: %s, key: %s, name: ns1.corp.example.}\n", at, cert, key)
}

// seen is what a client of DNS Push knows, as lines of text.
type seen struct {
	mu    sync.Mutex
	lines []string
}

func (s *seen) tell(e watch.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Kind {
	case watch.Added, watch.Removed:
		gone := func(line string) bool { return lineOf(e.Record, false) == strings.SplitN(line, " ttl ", 2)[0] }
		s.lines = slices.DeleteFunc(s.lines, gone)
		if e.Kind == watch.Added {
			s.lines = append(s.lines, lineOf(e.Record, true))
		}
	case watch.Lost:
		s.lines = nil
	}
}

func lineOf(rr dns.RR, withTTL bool) string {
	line := rr.Header().Name + " " + dns.TypeToString[rr.Header().Rrtype] + " " + rr.String()[len(rr.Header().String()):]
	if withTTL {
		line += fmt.Sprint(" ttl ", rr.Header().Ttl)
	}
	return line
}

func (s *seen) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.lines))
}

// TestStreamIsWhatIsAnswered: a client that subscribed to every name has, after each change, what DNS answers.
func TestStreamIsWhatIsAnswered(t *testing.T) {
	at := fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))
	g := startGuard(t, writeConfig(t, streamConfig(t, at)))
	inStep(t, g)
	types := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeNS, dns.TypeSOA, dns.TypeSRV}
	var questions []dso.Question
	for _, z := range g.Snapshot().World.Zones {
		for _, owner := range g.Snapshot().OwnerNames(z) {
			for _, qtype := range types {
				questions = append(questions, dso.Question{Name: owner, Type: qtype, Class: dns.ClassINET})
			}
		}
	}
	answered := func() (lines []string) {
		for _, q := range questions {
			m, _ := now{g.Snapshot(), g.Zones()}.answer(question(q.Name, q.Type))
			for _, rr := range m.Answer {
				lines = append(lines, lineOf(rr, true))
			}
		}
		slices.Sort(lines)
		return lines
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var s seen
	c := &watch.Client{Server: at, TLS: &tls.Config{InsecureSkipVerify: true}, Questions: questions, Tell: s.tell}
	go func() { done <- c.Run(ctx) }()
	for _, node := range []string{"ex1", "ex2", "ex1", "ex2"} {
		claim(t, g.reg, "mailbox", node)
		for end := time.Now().Add(10 * time.Second); !slices.Equal(s.all(), answered()); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("pushed:\n%s\nanswered:\n%s", strings.Join(s.all(), "\n"), strings.Join(answered(), "\n"))
			}
		}
	}
	if text := strings.Join(s.all(), "\n"); !strings.Contains(text, "198.51.100.12") || strings.Contains(text, "10.9.") ||
		!strings.Contains(text, "_dns-push-tls._tcp.corp.example. SRV 0 0 "+at[len("127.0.0.1:"):]+" ns1.corp.example.") {
		t.Error(text)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestStreamAnswersQuestions, like the port for DNS, and is in the answers, the transfers and the metrics.
func TestStreamAnswersQuestions(t *testing.T) {
	at := fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))
	plain := fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))
	path := writeConfig(t, streamConfig(t, at))
	start(t, fmt.Sprintf(".:%s {\n    bind 127.0.0.1\n    nameward %s\n}", plain[len("127.0.0.1:"):], path))
	r := running{plain, at, guards.first()}
	claim(t, r.guard.reg, "mailbox", "ex1")
	inStep(t, r.guard)
	if m := r.ask(t, "tcp-tls", question("MAIL.corp.example.", dns.TypeA)); !m.Authoritative || text(m.Answer) != "MAIL.corp.example. 5 A 192.0.2.11" {
		t.Errorf("%v", m)
	}
	if m := r.ask(t, "tcp-tls", question("elsewhere.example.", dns.TypeA)); m.Rcode != dns.RcodeRefused {
		t.Errorf("%v", m)
	}
	const service = "_dns-push-tls._tcp.corp.example."
	want := service + " 3600 SRV 0 0 " + at[len("127.0.0.1:"):] + " ns1.corp.example."
	if m := r.ask(t, "udp", question(service, dns.TypeSRV)); text(m.Answer) != want {
		t.Errorf("%v", m)
	}
	if m := r.ask(t, "udp", question(service, dns.TypeTXT)); m.Rcode != 0 || len(m.Answer) != 0 || len(m.Ns) != 1 {
		t.Errorf("%v", m)
	}
	if m := r.ask(t, "udp", question("_tcp.corp.example.", dns.TypeA)); m.Rcode != 0 {
		t.Errorf("the name above does not exist: %v", m)
	}
	if rrs := text(transferred(t, &Handler{State: r.guard}, "corp.example.", 0)); !strings.Contains(rrs, want) {
		t.Errorf("the transfer: %s", rrs)
	}
	checkMetrics(t, 24)
}

// TestStreamFollowsTheConfiguration: it comes, moves and goes with a reload, and one that cannot be changes nothing.
func TestStreamFollowsTheConfiguration(t *testing.T) {
	path := writeConfig(t, "")
	g := startGuard(t, path)
	without := readText(t, path)
	one, two := fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t)), fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))
	reload := func(more string) error {
		write(t, path, without+more)
		return g.Reload()
	}
	listens := func(want string) {
		t.Helper()
		got := ""
		if a := g.stream.Addr(); a != nil {
			got = a.String()
		}
		if got != want {
			t.Errorf("DNS Push at %q, want %q", got, want)
		}
	}
	srv := func() string {
		m, _ := now{g.Snapshot(), g.Zones()}.answer(question("_dns-push-tls._tcp.corp.example.", dns.TypeSRV))
		return text(m.Answer)
	}
	listens("")
	if got := srv(); got != "" {
		t.Error(got)
	}
	for _, at := range []string{one, two} {
		if err := reload(streamConfig(t, at)); err != nil {
			t.Fatal(err)
		}
		listens(at)
		if got := srv(); !strings.HasSuffix(got, at[len("127.0.0.1:"):]+" ns1.corp.example.") {
			t.Error(got)
		}
	}
	if err := reload(strings.Replace(streamConfig(t, one), "key.pem", "none.pem", 1)); err == nil || !strings.Contains(err.Error(), "none.pem") {
		t.Errorf("a key that is not there: %v", err)
	}
	listens(two)
	if err := reload(""); err != nil {
		t.Fatal(err)
	}
	listens("")
}
