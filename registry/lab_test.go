package registry

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
)

// lab is a registry at work, with words for what a test does and expects.
type lab struct {
	*Registry
	t     testing.TB
	store *testStore
}

// testStore is a Memory that a test can break while the registry runs.
type testStore struct {
	Memory
	broken atomic.Pointer[error]
}

func (s *testStore) Commit(d Delta) error {
	if err := s.broken.Load(); err != nil {
		return *err
	}
	return s.Memory.Commit(d)
}

func openLab(t testing.TB, w *World, store *testStore) *lab {
	t.Helper()
	r, err := Open(w, store, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return &lab{Registry: r, t: t, store: store}
}

// run keeps Run running until the test, or the returned function, ends it.
func (l *lab) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx) })
	return func() { cancel(); wg.Wait() }
}

// start opens a registry on an empty store and runs it.
func start(t testing.TB, w *World) *lab {
	t.Helper()
	l := openLab(t, w, &testStore{})
	t.Cleanup(l.run())
	return l
}

// testNodes are ex1 and ex2 at hq, ex3 and ex4 at dr.
func testNodes() []*Node {
	var nodes []*Node
	for i := range 4 {
		n := &Node{
			Name: fmt.Sprintf("ex%d", i+1), Cluster: "mail", Site: "hq", Host: fmt.Sprintf("ex%d.corp.example.", i+1),
			Public: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)})},
			Other:  []ClassAddr{{"management", netip.AddrFrom4([4]byte{10, 9, 0, byte(11 + i)})}},
		}
		if i >= 2 {
			n.Site = "dr"
		}
		nodes = append(nodes, n)
	}
	nodes[0].Public = append(nodes[0].Public, netip.MustParseAddr("2001:db8::11"))
	return nodes
}

func testZone(name string) *Zone {
	return &Zone{Name: name, NS: []NameServer{{Name: "ns." + name, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.53")}}}, Mbox: "hostmaster." + name, TTL: time.Hour}
}

// testWorld has four nodes, two owned zones and a reverse zone, and the roles given.
func testWorld(roles ...*Role) *World {
	w := &World{
		Nodes: testNodes(), Roles: roles, Zones: []*Zone{testZone("corp.example."), testZone("other.example."), testZone("2.0.192.in-addr.arpa.")},
		Classes: []Class{{Name: "management", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}, {Name: PublicClass}},
	}
	for _, r := range roles {
		if r.Nodes == nil {
			r.Nodes = w.Nodes[:3]
		}
	}
	return w
}

// role makes a role with the DNS name NAME.corp.example.; options change it.
func role(name, kind string, options ...func(*Role)) *Role {
	r := &Role{Name: name, Cluster: "mail", DNS: []string{name + ".corp.example."}, Source: Source{Kind: kind, Detail: "x"}, TTL: 5 * time.Second}
	if nb, err := netbios.NewName(strings.ToUpper(name), 0x20, ""); err == nil {
		r.NetBIOS = []netbios.Name{nb}
	}
	if kind == SourceOperator {
		r.Source.Detail = ""
	}
	for _, o := range options {
		o(r)
	}
	return r
}

func inModeAll(r *Role)            { r.Mode = All }
func initial(n string) func(*Role) { return func(r *Role) { r.Source.Initial = n } }
func onConflict(c Choice) func(*Role) {
	return func(r *Role) { r.OnConflict = c }
}
func onLost(c Choice) func(*Role) { return func(r *Role) { r.OnSourceLost = c } }
func at(names ...string) func(*Role) {
	return func(r *Role) { r.DNS = names }
}

// claim takes one claim "node,node epoch" from an origin.
func (l *lab) claim(role, origin string, epoch uint64, nodes ...string) Outcome {
	l.t.Helper()
	return l.claimed(Claim{Role: role, Origin: origin, Epoch: epoch, Nodes: nodes})
}

func (l *lab) claimed(cl Claim) Outcome {
	l.t.Helper()
	o, err := l.Claim(context.Background(), cl)
	if err != nil {
		l.t.Fatal(err)
	}
	return o[0]
}

func (l *lab) complain(role, origin, why string, gone bool) {
	l.t.Helper()
	if err := l.Complain(context.Background(), Trouble{Role: role, Origin: origin, Why: why, Gone: gone}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) role(name string) *RoleState {
	l.t.Helper()
	s, ok := l.Snapshot().Role(name)
	if !ok {
		l.t.Fatalf("no role %s", name)
	}
	return s
}

// expect checks a role in one line: "fresh ex1 @7", and what it serves if that is another thing:
// "conflict ex1 @7 serves ex1,ex2".
func (l *lab) expect(role, want string) *RoleState {
	l.t.Helper()
	s := l.role(role)
	if got := describe(s); got != want {
		l.t.Errorf("%s is %q (%s), want %q", role, got, s.Why, want)
	}
	return s
}

func describe(s *RoleState) string {
	holder, served := strings.Join(s.Holder, ","), strings.Join(namesOf(s.Served), ",")
	out := fmt.Sprintf("%v %s @%d", s.State, holder, s.Epoch)
	if served != holder {
		out += " serves " + served
	}
	return out
}

func (l *lab) mustSwitch(req SwitchRequest) Moves {
	l.t.Helper()
	m, err := l.Switch(context.Background(), req)
	if err != nil {
		l.t.Fatal(err)
	}
	return m
}

// refuses checks that an operator's command is refused with a text and changes nothing.
func (l *lab) refuses(want string, do func() error) {
	l.t.Helper()
	before := l.Snapshot()
	err := do()
	if err == nil || !strings.Contains(err.Error(), want) {
		l.t.Errorf("error %v\nwant one with %s", err, want)
	}
	if l.Snapshot() != before {
		l.t.Error("a refused command made a new snapshot")
	}
}

func (l *lab) ptr(addr string) string {
	l.t.Helper()
	s := l.Snapshot()
	e, ok := s.Lookup(arpa(netip.MustParseAddr(addr)))
	if !ok || e.Kind != KindPTR {
		l.t.Fatalf("no PTR name for %s", addr)
	}
	if p := s.PTROf(e); p != nil {
		return p.Target
	}
	return ""
}

// inFakeTime runs a test on a registry in fake time.
func inFakeTime(t *testing.T, w *World, do func(t *testing.T, l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := openLab(t, w, &testStore{})
		defer l.run()()
		synctest.Wait()
		do(t, l)
	})
}

func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
