package wins

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/store/journal"
)

// lab is a database with a guard, an owner to challenge and a sink, all in memory.
type lab struct {
	t       *testing.T
	db      *Database
	journal *journal.Memory
	stop    func()

	mu    sync.Mutex
	admit func(*Request) Verdict
	owner func(netbios.Name, []IPv4) []Challenged
	// cannotAsk is why owners cannot be asked, nil when they can.
	cannotAsk error
	answers   map[*Request][]Answer
	demands   []string
	id        uint16
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, journal: &journal.Memory{}, answers: map[*Request][]Answer{}}
	l.owner = func(netbios.Name, []IPv4) []Challenged { return nil }
	l.start(Settings{Timers: DefaultTimers, Limits: DefaultLimits})
	return l
}

func (l *lab) start(set Settings) {
	l.t.Helper()
	challenge := func(_ context.Context, n netbios.Name, addrs []IPv4) ([]Challenged, error) {
		l.mu.Lock()
		owner, err := l.owner, l.cannotAsk
		l.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return owner(n, addrs), nil
	}
	db, err := Open(l.journal, set, l, challenge, zerolog.Nop())
	if err != nil {
		l.t.Fatal(err)
	}
	db.OnDemand(func(_ context.Context, n netbios.Name, addrs []IPv4) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.demands = append(l.demands, strings.NewReplacer("[", "", "]", "").Replace(fmt.Sprint(n, " ", addrs)))
	})
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		db.Run(ctx)
	}()
	l.db, l.stop = db, sync.OnceFunc(func() {
		cancel()
		<-done
	})
	l.t.Cleanup(l.stop)
}

// restart is a new process on the same journal.
func (l *lab) restart() {
	l.t.Helper()
	set := *l.db.settings.Load()
	l.stop()
	l.start(set)
}

// Admit publishes everything unless the test says otherwise.
func (l *lab) Admit(r *Request) Verdict {
	l.mu.Lock()
	admit := l.admit
	l.mu.Unlock()
	if admit != nil {
		return admit(r)
	}
	return Verdict{Action: Publish, Addrs: r.Addrs}
}

// Answer is the sink.
func (l *lab) Answer(r *Request, a Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[r] = append(l.answers[r], a)
}

func (l *lab) Flush() {}

// request makes one from a line such as "register MAIL<20> 192.0.2.1 from 192.0.2.1". Without from it
// comes from the first address; "ttl 3600" says the seconds.
func (l *lab) request(line string) *Request {
	l.t.Helper()
	words := strings.Fields(line)
	r := &Request{Name: netbios.MustParseName(words[1]), TTL: 300000, To: l}
	flags := netbios.HNode
	for i, op := range []string{"", "register", "multihomed", "refresh", "release"} {
		if op == words[0] {
			r.Op = Op(i)
		}
	}
	rest := words[2:]
	if rest[0] == "group" {
		flags |= netbios.Group
		rest = rest[1:]
	}
	var source netip.Addr
	for ; len(rest) > 0; rest = rest[1:] {
		if rest[0] == "from" {
			source, rest = netip.MustParseAddr(rest[1]), rest[1:]
			continue
		}
		if rest[0] == "ttl" {
			ttl, err := strconv.ParseUint(rest[1], 10, 32)
			if err != nil {
				l.t.Fatal(err)
			}
			r.TTL, rest = uint32(ttl), rest[1:]
			continue
		}
		r.Addrs = append(r.Addrs, netbios.Address{Flags: flags, Addr: netip.MustParseAddr(rest[0])})
	}
	if !source.IsValid() {
		source = r.Addrs[0].Addr
	}
	r.Source = netip.AddrPortFrom(source, 137)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id++
	r.ID = l.id
	return r
}

// send submits and does not wait for the answer.
func (l *lab) send(line string) *Request {
	l.t.Helper()
	r := l.request(line)
	if a := l.db.Submit(r); a.Outcome != Waiting {
		l.Answer(r, a)
	}
	return r
}

// last waits for the last word on a request, and returns whether it was told to wait before.
func (l *lab) last(r *Request) (a Answer, wacked bool) {
	l.t.Helper()
	for range 5000 {
		l.mu.Lock()
		got := l.answers[r]
		l.mu.Unlock()
		if n := len(got); n > 0 && !got[n-1].Wack {
			return got[n-1], n == 2
		}
		time.Sleep(time.Millisecond)
	}
	l.t.Fatalf("no answer to %s %s", r.Op, r.Name)
	return a, false
}

// said is what a request was answered up to now.
func (l *lab) said(r *Request) []Answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.answers[r])
}

// want sends and compares the outcome.
func (l *lab) want(line string, o Outcome) Answer {
	l.t.Helper()
	a, _ := l.last(l.send(line))
	if a.Outcome != o {
		l.t.Errorf("%s: outcome %s, want %s", line, a.Outcome, o)
	}
	return a
}

// query returns the addresses of a name as text, "-" for none.
func (l *lab) query(name string) string {
	found, ok := l.db.Snapshot().Query(nil, netbios.MustParseName(name), StampOf(time.Now()))
	if !ok {
		return "-"
	}
	var out []string
	for _, a := range found.Addrs {
		text := a.Addr.String()
		if a.Flags.IsGroup() {
			text = "group " + text
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func (l *lab) wantQuery(name, want string) {
	l.t.Helper()
	if got := l.query(name); got != want {
		l.t.Errorf("query %s: %q, want %q", name, got, want)
	}
}

func mustAddr(text string) netip.Addr { return netip.MustParseAddr(text) }
