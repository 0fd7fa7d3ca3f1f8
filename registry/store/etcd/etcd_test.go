//go:build unix

package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/servetest"
	"github.com/nameward/nameward/registry/store/storetest"
)

// server is a real etcd with one member.
type server struct {
	t    *testing.T
	url  string
	cmd  *exec.Cmd
	next int
}

func newServer(t *testing.T) *server {
	t.Helper()
	path, err := exec.LookPath("etcd")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("etcd is not installed: e2e/peers.sh installs it")
		}
		t.Skip("etcd is not installed: e2e/peers.sh installs it")
	}
	s := &server{t: t, url: fmt.Sprintf("http://127.0.0.1:%d", servetest.FreePort(t))}
	peer := fmt.Sprintf("http://127.0.0.1:%d", servetest.FreePort(t))
	s.cmd = exec.Command(path, "--name", "s1", "--data-dir", filepath.Join(t.TempDir(), "data"), "--listen-client-urls", s.url, "--advertise-client-urls", s.url,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "s1="+peer, "--heartbeat-interval", "10", "--election-timeout", "100",
		"--log-level", "error")
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); _ = s.cmd.Wait() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := clientv3.New(s.config())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for {
		if _, err := c.Get(ctx, "ready"); err == nil {
			return s
		} else if ctx.Err() != nil {
			t.Fatalf("etcd does not answer: %v", err)
		}
	}
}

func (s *server) config() clientv3.Config {
	return clientv3.Config{Endpoints: []string{s.url}, DialTimeout: opTime, Logger: zap.NewNop()}
}

func (s *server) prefix() string { s.next++; return fmt.Sprintf("/test%d", s.next) }

func (s *server) open(t *testing.T, prefix string) *Store {
	t.Helper()
	st, err := Open(s.config(), prefix, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// loaded is a store that has read what there is.
func (s *server) loaded(t *testing.T, prefix string) *Store {
	t.Helper()
	st := s.open(t, prefix)
	if _, err := st.Load(); err != nil {
		t.Fatal(err)
	}
	return st
}

// broken is an etcd that takes no transaction; with lost it takes them, and the answer is lost.
type broken struct {
	clientv3.KV
	lost bool
}

type brokenTxn struct {
	clientv3.Txn
	lost bool
}

var errBroken = errors.New("etcd is broken")

func (b broken) Txn(ctx context.Context) clientv3.Txn { return brokenTxn{b.KV.Txn(ctx), b.lost} }

func (b brokenTxn) If(c ...clientv3.Cmp) clientv3.Txn {
	return brokenTxn{b.Txn.If(c...), b.lost}
}
func (b brokenTxn) Then(o ...clientv3.Op) clientv3.Txn {
	return brokenTxn{b.Txn.Then(o...), b.lost}
}
func (b brokenTxn) Commit() (*clientv3.TxnResponse, error) {
	if b.lost {
		if _, err := b.Txn.Commit(); err != nil {
			return nil, err
		}
	}
	return nil, errBroken
}

// breakIt has transactions fail until mend is called.
func breakIt(s *Store, lost bool) (mend func()) {
	whole := s.client.KV
	s.client.KV = broken{whole, lost}
	return func() { s.client.KV = whole }
}

func TestStore(t *testing.T) {
	srv := newServer(t)
	storetest.Run(t, storetest.Backend{
		Open: func(t *testing.T) registry.Store { return srv.loaded(t, srv.prefix()) },
		Reopen: func(t *testing.T, s registry.Store) registry.Store {
			old := s.(*Store)
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
			return srv.loaded(t, old.prefix)
		},
		Break: func(_ *testing.T, s registry.Store) func() { return breakIt(s.(*Store), false) },
	})
}

func record(holder string, epoch uint64) registry.Record {
	return registry.Record{Nodes: []string{holder}, Epoch: epoch, Since: time.Unix(1_800_000_000, 0).UTC()}
}

func delta(change uint64, role, holder string, epoch uint64) registry.Delta {
	return registry.Delta{Change: change, Records: map[string]registry.Record{role: record(holder, epoch)}}
}

// TestConflict: nobody commits on a state that he has not read.
func TestConflict(t *testing.T) {
	srv := newServer(t)
	prefix := srv.prefix()
	a, b := srv.loaded(t, prefix), srv.loaded(t, prefix)
	if err := a.Commit(delta(1, "mail", "ex1", 1)); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(delta(1, "mail", "ex2", 1)); !errors.Is(err, registry.ErrConflict) {
		t.Fatalf("want a conflict, got %v", err)
	}
	got, err := b.Pull()
	if diff := cmp.Diff([]registry.Delta{delta(1, "mail", "ex1", 1)}, got); err != nil || diff != "" {
		t.Fatalf("%v, - want, + got:\n%s", err, diff)
	}
	if err := b.Commit(delta(2, "mail", "ex2", 2)); err != nil {
		t.Fatal(err)
	}
}

// TestLostAnswer: what was committed and not acknowledged is found, whoever has read it by then.
func TestLostAnswer(t *testing.T) {
	srv := newServer(t)
	for _, others := range []bool{false, true} {
		t.Run(fmt.Sprint("others ", others), func(t *testing.T) {
			prefix := srv.prefix()
			a, b := srv.loaded(t, prefix), srv.loaded(t, prefix)
			mend := breakIt(a, true)
			if err := a.Commit(delta(1, "mail", "ex1", 1)); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			mend()
			if others {
				if _, err := b.Pull(); err != nil {
					t.Fatal(err)
				}
				if err := b.Commit(delta(2, "mail", "ex2", 2)); err != nil {
					t.Fatal(err)
				}
				if err := a.Commit(delta(1, "mail", "ex1", 1)); !errors.Is(err, registry.ErrConflict) {
					t.Fatalf("want a conflict, got %v", err)
				}
				got, err := a.Pull()
				if diff := cmp.Diff([]registry.Delta{delta(1, "mail", "ex1", 1), delta(2, "mail", "ex2", 2)}, got); err != nil || diff != "" {
					t.Errorf("%v, - want, + got:\n%s", err, diff)
				}
				return
			}
			if err := a.Commit(delta(1, "mail", "ex1", 1)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestFold: the log stays short, and nothing is lost; a guard that was away for too long is told so.
func TestFold(t *testing.T) {
	srv := newServer(t)
	prefix := srv.prefix()
	a, away := srv.loaded(t, prefix), srv.loaded(t, prefix)
	want := registry.Saved{}
	commit := func(d registry.Delta) {
		t.Helper()
		if err := a.Commit(d); err != nil {
			t.Fatal(err)
		}
		want.Apply(d)
	}
	commit(storetest.Large(10_000))
	for i := range keepLog + 2*foldEvery {
		commit(delta(uint64(i+2000), fmt.Sprint("r", i%100), "ex1", uint64(i+1)))
	}
	a.folds.Wait()
	if err := a.foldNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := srv.open(t, prefix).Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Records, got.Records); diff != "" || want.Change != got.Change {
		t.Errorf("- want, + got:\n%s", diff)
	}
	count := func(below string) int {
		r, err := a.client.Get(t.Context(), a.prefix+below, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			t.Fatal(err)
		}
		return int(r.Count)
	}
	if n := count("log/"); n > keepLog+1 {
		t.Errorf("the log has %d entries", n)
	}
	if n := count("part/"); n != 0 {
		t.Errorf("%d parts of entries that are gone are left", n)
	}
	if _, err := away.Pull(); !errors.Is(err, registry.ErrGap) {
		t.Errorf("want a gap, got %v", err)
	}
}

func run(t *testing.T, task func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := task(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func world(roles int) *registry.World {
	w := &registry.World{}
	for i, name := range []string{"ex1", "ex2", "ex3"} {
		w.Nodes = append(w.Nodes, &registry.Node{Name: name, Public: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})}})
	}
	for i := range roles {
		w.Roles = append(w.Roles, &registry.Role{
			Name: fmt.Sprint("r", i), DNS: []string{fmt.Sprintf("r%d.corp.example.", i)}, Nodes: w.Nodes, TTL: time.Second,
			Source: registry.Source{Kind: registry.SourceOperator, Initial: "ex1"},
		})
	}
	return w
}

func (s *server) guard(t *testing.T, prefix string, w *registry.World) *registry.Registry {
	t.Helper()
	st := s.open(t, prefix)
	reg, err := registry.Open(w, st, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	run(t, st.Run)
	run(t, reg.Run)
	return reg
}

// state is what a guard serves, a line for each role.
func state(reg *registry.Registry) (out []string) {
	for s := range reg.Snapshot().Roles() {
		out = append(out, fmt.Sprintf("%s %v @%d %s", s.Role.Name, s.Holder, s.Epoch, s.State))
	}
	return out
}

// same waits until all guards serve the same.
func same(t *testing.T, guards []*registry.Registry) {
	t.Helper()
	until := time.Now().Add(10 * time.Second)
	for {
		first, differ := state(guards[0]), false
		for _, g := range guards[1:] {
			differ = differ || !slices.Equal(first, state(g))
		}
		if !differ {
			return
		}
		if time.Now().After(until) {
			for _, g := range guards {
				t.Log(state(g))
			}
			t.Fatal("the guards do not agree")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestGuards: three guards move roles at once; each move is one epoch, none is lost, and all agree in the end.
func TestGuards(t *testing.T) {
	srv := newServer(t)
	prefix, w := srv.prefix(), world(5)
	var guards []*registry.Registry
	for range 3 {
		guards = append(guards, srv.guard(t, prefix, w))
	}
	const moves = 40
	var wg sync.WaitGroup
	var mu sync.Mutex
	epochs := map[string][]uint64{}
	for g, reg := range guards {
		wg.Go(func() {
			for i := range moves {
				role := fmt.Sprint("r", rand.IntN(5))
				m, err := reg.Switch(t.Context(), registry.SwitchRequest{Roles: []string{role}, To: w.Nodes[(g+i)%3].Name})
				if err != nil {
					t.Error(err)
					return
				}
				if m.Moves[0].Moved() {
					mu.Lock()
					epochs[role] = append(epochs[role], m.Moves[0].Epoch)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	same(t, guards)
	for s := range guards[0].Snapshot().Roles() {
		got := epochs[s.Role.Name]
		slices.Sort(got)
		for i, e := range got {
			if e != uint64(i+2) { // the initial holder has epoch 1
				t.Fatalf("role %s: epochs %v", s.Role.Name, got)
			}
		}
		if s.Epoch != uint64(len(got)+1) {
			t.Errorf("role %s has epoch %d after %d moves", s.Role.Name, s.Epoch, len(got))
		}
	}
}

// TestOrders: overrides and drains of one guard are those of all.
func TestOrders(t *testing.T) {
	srv := newServer(t)
	prefix, w := srv.prefix(), world(2)
	w.Roles[1].Mode = registry.All
	guards := []*registry.Registry{srv.guard(t, prefix, w), srv.guard(t, prefix, w)}
	if _, err := guards[0].SetOverride(t.Context(), "r0", registry.Override{Nodes: []string{"ex3"}}); err != nil {
		t.Fatal(err)
	}
	same(t, guards)
	if s, _ := guards[1].Snapshot().Role("r0"); s.State != registry.Forced || s.Served[0].Name != "ex3" {
		t.Errorf("%v %v", s.State, s.ServedNames())
	}
	if _, err := guards[1].ClearOverride(t.Context(), "r0"); err != nil {
		t.Fatal(err)
	}
	same(t, guards)
	if _, err := guards[1].Drain(t.Context(), "ex2", registry.Drain{By: "kim"}, true); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(5 * time.Second)
	for {
		if _, is := guards[0].Snapshot().Drained("ex2"); is {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the drain does not reach the other guard")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestNoMajority: while etcd does not answer nothing is decided, and what waits is decided afterwards.
func TestNoMajority(t *testing.T) {
	srv := newServer(t)
	w := world(1)
	w.Roles[0].Source = registry.Source{Kind: "file", Detail: "x"}
	reg := srv.guard(t, srv.prefix(), w)
	claim := func(holder string, epoch uint64) error {
		_, err := reg.Claim(t.Context(), registry.Claim{Role: "r0", Origin: "file x", Nodes: []string{holder}, Epoch: epoch})
		return err
	}
	if err := claim("ex1", 1); err != nil {
		t.Fatal(err)
	}
	if err := srv.cmd.Process.Signal(stop); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- claim("ex2", 2) }()
	for until := time.Now().Add(20 * time.Second); reg.Snapshot().StoreErr == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the guard does not see that etcd is away")
		}
	}
	if s, _ := reg.Snapshot().Role("r0"); s.Epoch != 1 {
		t.Errorf("epoch %d", s.Epoch)
	}
	select {
	case err := <-done:
		t.Errorf("the claim was answered: %v", err)
	default:
	}
	if err := srv.cmd.Process.Signal(cont); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the claim is not answered")
	}
	if s, _ := reg.Snapshot().Role("r0"); s.Epoch != 2 || s.Holder[0] != "ex2" {
		t.Errorf("epoch %d, holder %v", s.Epoch, s.Holder)
	}
}

// TestLeads: one guard leads at a time, and another one as soon as that ends.
func TestLeads(t *testing.T) {
	srv := newServer(t)
	prefix := srv.prefix()
	a, b := srv.open(t, prefix), srv.open(t, prefix)
	wait := func(s *Store, want bool) {
		t.Helper()
		for until := time.After(10 * time.Second); ; {
			is, changed := s.Leads()
			if is == want {
				return
			}
			select {
			case <-changed:
			case <-until:
				t.Fatalf("leads: %v", is)
			}
		}
	}
	stopA := run(t, a.Run)
	wait(a, true)
	run(t, b.Run)
	time.Sleep(300 * time.Millisecond)
	if is, _ := b.Leads(); is {
		t.Fatal("both lead")
	}
	begin := time.Now()
	stopA()
	wait(a, false)
	wait(b, true)
	if took := time.Since(begin); took > leaseSeconds*time.Second/2 {
		t.Errorf("it took %s, as if the first one had not said that it ends", took)
	}
}

// TestLeaderCutOff: a guard that cannot reach etcd leads no longer when its lease is over, and it ends soon when it is told to.
func TestLeaderCutOff(t *testing.T) {
	srv := newServer(t)
	a := srv.open(t, srv.prefix())
	stop := run(t, a.Run)
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if is, _ := a.Leads(); is {
			break
		} else if time.Now().After(until) {
			t.Fatal("nobody leads")
		}
	}
	srv.pause(t)
	_, changed := a.Leads()
	select {
	case <-changed:
	case <-time.After(2 * leaseSeconds * time.Second):
		t.Error("it leads still")
	}
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > 2*leaseSeconds*time.Second {
		t.Errorf("it ends after %s", took)
	}
}

// pause has the server do nothing until the end of the test.
func (s *server) pause(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(stop); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Signal(cont) })
}
