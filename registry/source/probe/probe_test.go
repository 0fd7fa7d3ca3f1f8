package probe

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
)

// lab is a registry with probed roles whose nodes answer as the test says, in fake time.
type lab struct {
	t      *testing.T
	reg    *registry.Registry
	src    *Source
	world  *registry.World
	probes map[string]*config.Probe

	mu     sync.Mutex
	down   map[netip.Addr]error
	checks atomic.Int64
}

var errRefused = errors.New("connection errRefused")

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func newLab(t *testing.T, store registry.Store, down ...string) *lab {
	t.Helper()
	nodes := []*registry.Node{
		{Name: "ex1", Public: []netip.Addr{addr("192.0.2.11"), addr("2001:db8::11")}, Other: []registry.ClassAddr{{Class: "management", Addr: addr("10.9.0.11")}}},
		{Name: "ex2", Public: []netip.Addr{addr("192.0.2.12")}},
		{Name: "ex3", Public: []netip.Addr{addr("192.0.2.13")}},
	}
	p := config.Probe{Kind: config.ProbeTCP, Class: "public", Port: 25, Interval: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3}
	again, managed := p, p
	managed.Class = "management"
	role := func(name string, mode registry.Mode, p *config.Probe) *registry.Role {
		return &registry.Role{Name: name, Mode: mode, Nodes: nodes, TTL: 5 * time.Second, Source: registry.Source{Kind: "probe", Detail: p.String()}}
	}
	l := &lab{
		t: t, down: map[netip.Addr]error{}, probes: map[string]*config.Probe{"relay": &p, "mailbox": &again, "console": &managed},
		world: &registry.World{Nodes: nodes, Roles: []*registry.Role{
			role("relay", registry.All, &p), role("mailbox", registry.Single, &again), role("console", registry.Single, &managed),
		}},
	}
	for _, a := range down {
		l.set(a, errRefused)
	}
	var err error
	if l.reg, err = registry.Open(l.world, store, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	l.src = New(l.reg, zerolog.Nop())
	l.src.check = func(_ context.Context, t Target) error {
		l.checks.Add(1)
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.down[t.Addr]
	}
	l.src.Configure(l.world, l.probes)
	return l
}

func (l *lab) set(a string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down[addr(a)] = err
}

// run starts registry and source and returns what stops them.
func (l *lab) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.reg.Run(ctx) })
	wg.Go(func() { _ = l.src.Run(ctx) })
	synctest.Wait()
	return func() { cancel(); wg.Wait() }
}

// after lets time pass and checks what a role serves then.
func (l *lab) after(d time.Duration, role string, state registry.State, served ...string) *registry.RoleState {
	l.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	s, _ := l.reg.Snapshot().Role(role)
	var got []string
	for _, n := range s.Served {
		got = append(got, n.Name)
	}
	if s.State != state || !slices.Equal(got, served) {
		l.t.Errorf("%s is %v with %v (%s), want %v with %v", role, s.State, got, s.Why, state, served)
	}
	return s
}

func TestVerdict(t *testing.T) {
	p := &config.Probe{Rise: 2, Fall: 3}
	tests := []struct {
		name, checks, want string // checks: + good, - bad; want: u unknown, H healthy, D down after each
	}{
		{"the first good check counts at once", "+", "H"},
		{"a bad start takes fall checks", "---", "uuD"},
		{"a good check after bad ones", "--+", "uuH"},
		{"down takes fall in sequence", "+--+---", "HHHHHHD"},
		{"up takes rise in sequence", "---+-++", "uuDDDDH"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v verdict
			var got string
			for _, c := range tt.checks {
				var err error
				if c == '-' {
					err = errRefused
				}
				v, _ = v.after(err, p, time.Now())
				switch {
				case !v.known:
					got += "u"
				case v.healthy:
					got += "H"
				default:
					got += "D"
				}
			}
			if got != tt.want {
				t.Errorf("verdicts %s, want %s", got, tt.want)
			}
		})
	}
}

func TestMembershipAndChoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, &registry.Memory{})
		defer l.run()()
		l.after(0, "relay", registry.Fresh, "ex1", "ex2", "ex3")
		l.after(0, "mailbox", registry.Fresh, "ex1")

		l.set("192.0.2.11", errRefused)
		l.after(3*time.Second, "relay", registry.Fresh, "ex1", "ex2", "ex3")
		l.after(5*time.Second, "relay", registry.Fresh, "ex2", "ex3")
		l.after(0, "mailbox", registry.Fresh, "ex2")
		l.set("192.0.2.11", nil)
		l.after(6*time.Second, "relay", registry.Fresh, "ex1", "ex2", "ex3")
		l.after(0, "mailbox", registry.Fresh, "ex1")

		for _, a := range []string{"192.0.2.11", "192.0.2.12", "192.0.2.13"} {
			l.set(a, errRefused)
		}
		time.Sleep(10 * time.Second)
		s := l.after(0, "relay", registry.Lost, lastMembers(l)...)
		if !strings.HasPrefix(s.Why, "no healthy node: ex1 192.0.2.11:25 connection errRefused (3 times), ex2 ") {
			t.Errorf("why: %s", s.Why)
		}
		l.set("192.0.2.13", nil)
		l.after(6*time.Second, "mailbox", registry.Fresh, "ex3")
	})
}

// lastMembers is what relay serves when nobody is healthy: who was the last to fall ill stays.
func lastMembers(l *lab) []string {
	s, _ := l.reg.Snapshot().Role("relay")
	return s.Holder
}

func TestNoClaimBeforeEveryVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := time.Now()
		store := &registry.Memory{Saved: registry.Saved{Records: map[string]registry.Record{
			"relay":   {Nodes: []string{"ex1", "ex2"}, Epoch: 4, Since: since, Origin: "probe tcp 25"},
			"mailbox": {Nodes: []string{"ex2"}, Epoch: 9, Since: since, Origin: "probe tcp 25"},
		}}}
		l := newLab(t, store, "192.0.2.12")
		defer l.run()()
		// ex1 and ex3 are known at once, ex2 only after three checks.
		l.after(time.Second, "relay", registry.Stale, "ex1", "ex2")
		l.after(0, "mailbox", registry.Stale, "ex2")
		l.after(6*time.Second, "relay", registry.Fresh, "ex1", "ex3")
		if s := l.after(0, "mailbox", registry.Fresh, "ex1"); s.Epoch != 10 {
			t.Errorf("epoch %d, want 10", s.Epoch)
		}
	})
}

func TestSharedChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, &registry.Memory{})
		stop := l.run()
		time.Sleep(20*time.Second + time.Millisecond)
		stop()
		// Three public targets for two roles and one management target, every two seconds.
		if n := l.checks.Load(); n < 4*10 || n > 4*12 {
			t.Errorf("%d checks in 20 s, want about %d", n, 4*11)
		}
	})
}

func TestClassOfAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, &registry.Memory{}, "192.0.2.11")
		defer l.run()()
		// console asks 10.9.0.11, and the other nodes have no management address.
		l.after(0, "console", registry.Fresh, "ex1")
		l.set("10.9.0.11", errRefused)
		s := l.after(10*time.Second, "console", registry.Lost, "ex1")
		if want := "no healthy node: ex1 10.9.0.11:25 connection errRefused (3 times), ex2 has no management address, ex3 has no management address"; s.Why != want {
			t.Errorf("why: %s\nwant %s", s.Why, want)
		}
	})
}

func TestConfigureKeepsVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, &registry.Memory{}, "192.0.2.12")
		defer l.run()()
		l.after(10*time.Second, "relay", registry.Fresh, "ex1", "ex3")
		before := l.checks.Load()
		l.src.Configure(l.world, l.probes)
		l.after(0, "relay", registry.Fresh, "ex1", "ex3")
		if n := l.checks.Load(); n != before {
			t.Errorf("%d checks by Configure, want none", n-before)
		}
		l.src.Configure(l.world, nil)
		time.Sleep(5 * time.Second)
		before = l.checks.Load()
		time.Sleep(time.Minute)
		if n := l.checks.Load(); n != before {
			t.Errorf("%d checks without a role, want none", n-before)
		}
		if st := l.src.Statuses(); len(st) != 0 {
			t.Errorf("statuses %v, want none", st)
		}
	})
}

func TestDrainedNodeIsNotPicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, &registry.Memory{})
		defer l.run()()
		if _, err := l.reg.Drain(t.Context(), "ex1", registry.Drain{}, false); err != nil {
			t.Fatal(err)
		}
		l.after(0, "mailbox", registry.Fresh, "ex2")
		l.after(0, "relay", registry.Fresh, "ex2", "ex3")
		if _, err := l.reg.Undrain(t.Context(), "ex1"); err != nil {
			t.Fatal(err)
		}
		l.after(0, "mailbox", registry.Fresh, "ex1")
	})
}

func TestStatuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, &registry.Memory{}, "192.0.2.12")
		defer l.run()()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		var got []string
		for _, s := range l.src.Statuses() {
			word := "healthy"
			if !s.Healthy {
				word = s.Error
			}
			got = append(got, s.Role+" "+s.Node+" "+word)
		}
		want := []string{
			"console ex1 healthy", "console ex2 no management address", "console ex3 no management address",
			"mailbox ex1 healthy", "mailbox ex2 connection errRefused", "mailbox ex3 healthy",
			"relay ex1 healthy", "relay ex2 connection errRefused", "relay ex3 healthy",
		}
		if !slices.Equal(got, want) {
			t.Errorf("statuses %q\nwant %q", got, want)
		}
	})
}

func TestAtMostSoManyChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, &registry.Memory{})
		l.src.slots = make(chan struct{}, 2)
		var now, most atomic.Int64
		l.src.check = func(context.Context, Target) error {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(10 * time.Millisecond)
			now.Add(-1)
			return nil
		}
		stop := l.run()
		time.Sleep(10 * time.Second)
		stop()
		if most.Load() != 2 {
			t.Errorf("%d checks at one time, want 2", most.Load())
		}
	})
}
