package file

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
)

// lab is a registry whose roles follow files.
type lab struct {
	t   testing.TB
	dir string
	reg *registry.Registry
	src *Source
}

func world(roles ...*registry.Role) *registry.World {
	w := &registry.World{Roles: roles}
	for i := range 3 {
		w.Nodes = append(w.Nodes, &registry.Node{Name: fmt.Sprintf("ex%d", i+1), Public: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)})}})
	}
	for _, r := range roles {
		r.Nodes, r.TTL = w.Nodes, 5*time.Second
	}
	return w
}

func newLab(t testing.TB, w *registry.World) *lab {
	t.Helper()
	reg, err := registry.Open(w, &registry.Memory{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return &lab{t: t, dir: t.TempDir(), reg: reg, src: New(reg, zerolog.Nop())}
}

func (l *lab) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.reg.Run(ctx) })
	wg.Go(func() {
		if err := l.src.Run(ctx); err != nil {
			l.t.Error(err)
		}
	})
	l.t.Cleanup(func() { cancel(); wg.Wait() })
	select {
	case <-l.src.Ready():
	case <-time.After(20 * time.Second):
		l.t.Fatal("never ready")
	}
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

// write replaces a file at once.
func (l *lab) write(name, content string) {
	l.t.Helper()
	if err := os.WriteFile(l.path(name+".new"), []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Rename(l.path(name+".new"), l.path(name)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) state(role string) (*registry.RoleState, []string) {
	s, _ := l.reg.Snapshot().Role(role)
	var served []string
	for _, n := range s.Served {
		served = append(served, n.Name)
	}
	return s, served
}

// expect waits until a role is in a state.
func (l *lab) expect(role string, state registry.State, epoch uint64, served ...string) *registry.RoleState {
	l.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		snap := l.reg.Snapshot()
		s, got := l.state(role)
		if s.State == state && s.Epoch == epoch && slices.Equal(got, served) {
			return s
		}
		select {
		case <-snap.Superseded():
		case <-deadline:
			l.t.Fatalf("%s is %v, epoch %d, with %v (%s); want %v, epoch %d, with %v", role, s.State, s.Epoch, got, s.Why, state, epoch, served)
		}
	}
}

// now checks a state that stands already.
func (l *lab) now(role string, state registry.State, epoch uint64, served ...string) {
	l.t.Helper()
	if s, got := l.state(role); s.State != state || s.Epoch != epoch || !slices.Equal(got, served) {
		l.t.Errorf("%s is %v, epoch %d, with %v (%s); want %v, epoch %d, with %v", role, s.State, s.Epoch, got, s.Why, state, epoch, served)
	}
}

func TestOneFile(t *testing.T) {
	l := newLab(t, world(testRole("mailbox", registry.Single), testRole("relay", registry.All)))
	l.write("mailbox", "ex1\n")
	l.write("relay", "ex3\nex1\n")
	l.src.Configure(map[string][]string{"mailbox": {l.path("mailbox")}, "relay": {l.path("relay")}})
	l.run()
	l.now("mailbox", registry.Fresh, 1, "ex1")
	l.now("relay", registry.Fresh, 1, "ex1", "ex3")

	l.write("mailbox", "holder: ex2\nepoch: 7\n")
	l.expect("mailbox", registry.Fresh, 7, "ex2")
	l.write("mailbox", "holder: ex9\n")
	s := l.expect("mailbox", registry.Stale, 7, "ex2")
	if want := l.path("mailbox") + `:1:9: "ex9" is not a node of role mailbox, its nodes are ex1, ex2, ex3`; s.Why != want {
		t.Errorf("why: %s\nwant %s", s.Why, want)
	}
	if err := os.Remove(l.path("mailbox")); err != nil {
		t.Fatal(err)
	}
	if s := l.expect("mailbox", registry.Lost, 7, "ex2"); !strings.HasPrefix(s.Why, "there is no file") {
		t.Errorf("why: %s", s.Why)
	}
	l.write("mailbox", "ex3\n")
	l.expect("mailbox", registry.Fresh, 8, "ex3")
	l.write("mailbox", "holder: ex1\nepoch: 3\n") // fenced
	l.write("relay", "ex2\n")
	l.expect("relay", registry.Fresh, 2, "ex2")
	l.now("mailbox", registry.Fresh, 8, "ex3")
	l.write("relay", "ex1\n") // what comes later is counted later
	l.expect("relay", registry.Fresh, 3, "ex1")
	if n := l.reg.Counts().Claims[registry.Fenced]; n != 1 {
		t.Errorf("%d fenced claims, want 1", n)
	}
}

func TestOneFileForEachClaimant(t *testing.T) {
	l := newLab(t, world(testRole("mailbox", registry.Single)))
	paths := []string{l.path("ex1.role"), l.path("ex2.role"), l.path("ex3.role")}
	l.write("ex1.role", "holder: ex1\nepoch: 4\n")
	l.write("ex2.role", "holder: ex2\nepoch: 5\n")
	l.src.Configure(map[string][]string{"mailbox": paths}) // there is no third one
	l.run()
	l.now("mailbox", registry.Fresh, 5, "ex2")

	l.write("ex1.role", "holder: ex1\nepoch: 5\n")
	s := l.expect("mailbox", registry.Conflict, 5, "ex2")
	if !strings.Contains(s.Why, "ex1 (file "+paths[0]+")") {
		t.Errorf("why: %s", s.Why)
	}
	l.write("ex1.role", "holder: ex1\nepoch: 4\n") // it gives way
	l.expect("mailbox", registry.Fresh, 5, "ex2")
	l.write("ex1.role", "holder: ex1\nepoch: 6\n")
	l.expect("mailbox", registry.Fresh, 6, "ex1")
	l.write("ex1.role", "ex1\n")
	s = l.expect("mailbox", registry.Stale, 6, "ex1")
	if !strings.Contains(s.Why, "no epoch, role mailbox has several claim files") {
		t.Errorf("why: %s", s.Why)
	}
}

func TestLease(t *testing.T) {
	l := newLab(t, world(testRole("mailbox", registry.Single)))
	l.write("mailbox", "holder: ex1\nlease: 400ms\n")
	l.src.Configure(map[string][]string{"mailbox": {l.path("mailbox")}})
	l.run()
	l.expect("mailbox", registry.Lost, 1, "ex1")
	l.write("mailbox", "holder: ex1\nlease: 1h\n")
	l.expect("mailbox", registry.Fresh, 1, "ex1")
	// The same content again begins the lease anew.
	later := time.Now().Add(time.Hour).Truncate(time.Second)
	if err := os.Chtimes(l.path("mailbox"), later, later); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		snap := l.reg.Snapshot()
		if s, _ := l.state("mailbox"); s.Expires.Equal(later.Add(time.Hour)) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the lease was not renewed")
		}
		select {
		case <-snap.Superseded():
		case <-time.After(time.Second):
		}
	}
}

func TestConfigureAgain(t *testing.T) {
	l := newLab(t, world(testRole("mailbox", registry.Single)))
	l.write("mailbox", "ex9\n")
	l.write("relay", "ex2\n")
	files := map[string][]string{"mailbox": {l.path("mailbox")}}
	l.src.Configure(files)
	l.run()
	l.now("mailbox", registry.Lost, 0)

	// A reload brings the node and another role that shares the file.
	w := world(testRole("mailbox", registry.Single), testRole("copy", registry.Single), testRole("relay", registry.All))
	w.Nodes = append(w.Nodes, &registry.Node{Name: "ex9"})
	for _, r := range w.Roles {
		r.Nodes = w.Nodes
	}
	if err := l.reg.Configure(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	l.src.Configure(map[string][]string{"mailbox": {l.path("mailbox")}, "copy": {l.path("mailbox")}, "relay": {l.path("relay")}})
	l.expect("mailbox", registry.Fresh, 1, "ex9")
	l.expect("copy", registry.Fresh, 1, "ex9")
	l.expect("relay", registry.Fresh, 1, "ex2")
	l.src.Configure(files)
	l.write("relay", "ex1\n") // nobody follows it now
	l.write("mailbox", "ex1\n")
	l.expect("mailbox", registry.Fresh, 2, "ex1")
	l.now("relay", registry.Fresh, 1, "ex2")
}

func TestNoFiles(t *testing.T) {
	l := newLab(t, world(testRole("mailbox", registry.Single)))
	l.src.Configure(nil)
	l.run()
}

func TestManyFiles(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 100
	}
	l, files := many(t, n)
	l.src.Configure(files)
	l.run()
	for s := range l.reg.Snapshot().Roles() {
		if s.State != registry.Fresh {
			t.Fatalf("%s is %v when ready: %s", s.Role.Name, s.State, s.Why)
		}
	}
	if c := l.reg.Counts().Commits; c > uint64(n/10+10) {
		t.Errorf("%d commits for %d files: they are not read in batches", c, n)
	}
}

func many(t testing.TB, n int) (*lab, map[string][]string) {
	t.Helper()
	roles, files := make([]*registry.Role, n), make(map[string][]string, n)
	for i := range roles {
		roles[i] = testRole(fmt.Sprintf("role-%06d", i), registry.Single)
	}
	l := newLab(t, world(roles...))
	for _, r := range roles {
		files[r.Name] = []string{l.path(r.Name)}
		if err := os.WriteFile(l.path(r.Name), []byte("ex1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return l, files
}

// BenchmarkFileToSnapshot is the time from the rename of a claim file to the snapshot that follows it.
func BenchmarkFileToSnapshot(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l, files := many(b, n)
			l.src.Configure(files)
			began := time.Now()
			l.run()
			ready := time.Since(began)
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				name, node := fmt.Sprintf("role-%06d", i*7919%n), "ex2"
				if _, served := l.state(name); served[0] == "ex2" {
					node = "ex1"
				}
				if err := os.WriteFile(l.path(name+".new"), []byte(node+"\n"), 0o600); err != nil {
					b.Fatal(err)
				}
				before := time.Now()
				if err := os.Rename(l.path(name+".new"), l.path(name)); err != nil {
					b.Fatal(err)
				}
				for {
					snap := l.reg.Snapshot()
					if s, _ := snap.Role(name); s.Served[0].Name == node {
						break
					}
					<-snap.Superseded()
				}
				took = append(took, time.Since(before))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-median")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
			b.ReportMetric(float64(ready.Milliseconds()), "ms-ready")
		})
	}
}
