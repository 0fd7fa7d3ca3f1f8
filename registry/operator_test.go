package registry

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func operated() *World {
	w := testWorld(
		role("mailbox", SourceOperator, initial("ex1")), role("public", SourceOperator, initial("ex1")),
		role("archive", SourceOperator), role("watched", "file"), role("relay", "probe", inModeAll), role("picked", "probe"))
	w.Roles[2].Nodes = w.Nodes[:2] // nobody at dr
	return w
}

func TestSwitch(t *testing.T) {
	l := start(t, operated())
	l.expect("mailbox", "fresh ex1 @1")
	before := l.Snapshot()
	m := l.mustSwitch(SwitchRequest{Roles: []string{"mailbox", "mailbox"}, To: "ex2", By: "kim"})
	s := l.expect("mailbox", "fresh ex2 @2")
	if s.Origin != "switch by kim" || m.Change != l.Snapshot().Change || m.Change != before.Change+1 {
		t.Errorf("origin %q, change %d after %d", s.Origin, m.Change, before.Change)
	}
	want := []Move{{Role: "mailbox", From: []string{"ex1"}, To: []string{"ex2"}, Epoch: 2,
		Before: []netip.Addr{netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("2001:db8::11")}, After: []netip.Addr{netip.MustParseAddr("192.0.2.12")}}}
	if diff := cmp.Diff(want, m.Moves, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("moves (-want +got):\n%s", diff)
	}
	l.expect("public", "fresh ex1 @1")
	if describe(mustRole(t, before, "mailbox")) != "fresh ex1 @1" {
		t.Error("an old snapshot changed")
	}
	// To the holder: nothing moves, no epoch is spent.
	m = l.mustSwitch(SwitchRequest{Roles: []string{"mailbox"}, To: "ex2"})
	if m.Moves[0].Moved() {
		t.Errorf("moved %+v", m.Moves)
	}
	l.expect("mailbox", "fresh ex2 @2")
}

func mustRole(t *testing.T, s *Snapshot, name string) *RoleState {
	t.Helper()
	r, ok := s.Role(name)
	if !ok {
		t.Fatal("no role " + name)
	}
	return r
}

func TestSwitchToSite(t *testing.T) {
	l := start(t, operated())
	before := l.Snapshot()
	dry := l.mustSwitch(SwitchRequest{Roles: []string{"mailbox", "public"}, Site: "dr", DryRun: true})
	if l.Snapshot() != before || dry.Change != 0 || !dry.DryRun {
		t.Error("a dry run changed something")
	}
	done := l.mustSwitch(SwitchRequest{Roles: []string{"mailbox", "public"}, Site: "dr"})
	if diff := cmp.Diff(dry.Moves, done.Moves, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("done against dry (-dry +done):\n%s", diff)
	}
	l.expect("mailbox", "fresh ex3 @2")
	l.expect("public", "fresh ex3 @2")
	if done.Change != before.Change+1 {
		t.Errorf("change %d after %d, want one change", done.Change, before.Change)
	}
	// All or nothing: archive has no node there.
	l.refuses(`role archive has no node at site "dr"; its nodes are ex1 (hq), ex2 (hq)`, func() error {
		_, err := l.Switch(t.Context(), SwitchRequest{All: true, Site: "dr"})
		return err
	})
	l.mustSwitch(SwitchRequest{All: true, Site: "hq"})
	for name, want := range map[string]string{"mailbox": "fresh ex1 @3", "public": "fresh ex1 @3", "archive": "fresh ex1 @1", "watched": "lost  @0", "relay": "lost  @0"} {
		l.expect(name, want)
	}
}

func TestSwitchRefuses(t *testing.T) {
	l := start(t, operated())
	if _, err := l.SetOverride(t.Context(), "public", Override{Nodes: []string{"ex3"}, By: "kim", Reason: "disk"}); err != nil {
		t.Fatal(err)
	}
	l.claim("picked", "probe x", 0, "ex1")
	if _, err := l.Drain(t.Context(), "ex3", Drain{}, false); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		req  SwitchRequest
		want []string
	}{
		{"nowhere", SwitchRequest{All: true}, []string{"say where to"}},
		{"two places", SwitchRequest{All: true, To: "ex1", Site: "hq"}, []string{"say where to"}},
		{"no roles", SwitchRequest{To: "ex1"}, []string{"say which roles"}},
		{"all and some", SwitchRequest{All: true, Roles: []string{"mailbox"}, To: "ex1"}, []string{"say which roles"}},
		{"unknown role", SwitchRequest{Roles: []string{"mail"}, To: "ex1"}, []string{`no role is named "mail"; did you mean mailbox?`}},
		{"unknown role, nothing near", SwitchRequest{Roles: []string{"zzz"}, To: "ex1"}, []string{"nameward status lists the roles"}},
		{"unknown node", SwitchRequest{Roles: []string{"mailbox"}, To: "ex9"}, []string{`role mailbox has no node "ex9"; its nodes are ex1 (hq), ex2 (hq), ex3 (dr)`}},
		{"mode all", SwitchRequest{Roles: []string{"relay"}, To: "ex1"}, []string{"served by all its healthy nodes", "nameward drain NODE"}},
		{"a role that follows a file", SwitchRequest{Roles: []string{"watched"}, To: "ex1"}, []string{"follows its source (file x)", "nameward override set watched --to ex1"}},
		{"forced", SwitchRequest{Roles: []string{"public"}, To: "ex1"}, []string{"is forced to ex3 since ", " by kim: disk", "nameward override clear public"}},
		{"to a drained node", SwitchRequest{Roles: []string{"mailbox"}, To: "ex3"}, []string{"cannot go to ex3, which is drained since ", "nameward undrain ex3"}},
		{"every obstacle is named", SwitchRequest{Roles: []string{"mailbox", "relay", "watched", "public"}, To: "ex2"}, []string{"role relay", "role watched", "role public"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, dry := range []bool{false, true} {
				tt.req.DryRun = dry
				for _, want := range tt.want {
					l.refuses(want, func() error { _, err := l.Switch(t.Context(), tt.req); return err })
				}
			}
		})
	}
}

func TestOverride(t *testing.T) {
	w := operated()
	l := openLab(t, w, &testStore{})
	stop := l.run()
	l.claim("watched", "file x", 7, "ex1")
	override := func(role string, nodes ...string) error {
		_, err := l.SetOverride(t.Context(), role, Override{Nodes: nodes, By: "kim", Reason: "tests"})
		return err
	}
	l.refuses("no role is named", func() error { return override("nobody", "ex1") })
	l.refuses("mode single: name one node", func() error { return override("watched", "ex1", "ex2") })
	l.refuses("name one node", func() error { return override("watched") })
	l.refuses(`no node "ex4"`, func() error { return override("watched", "ex4") })
	l.refuses("is not forced", func() error { _, err := l.ClearOverride(t.Context(), "watched"); return err })

	nodes := []string{"ex2"}
	if err := override("watched", nodes...); err != nil {
		t.Fatal(err)
	}
	nodes[0] = "mine"
	if s := l.expect("watched", "forced ex1 @7 serves ex2"); !strings.HasSuffix(s.Why, " by kim: tests") || s.Forced == nil {
		t.Errorf("why: %s", s.Why)
	}
	// The source goes on under it, unseen in the answers.
	if o := l.claim("watched", "file x", 8, "ex3"); o != Accepted {
		t.Errorf("outcome %v", o)
	}
	l.expect("watched", "forced ex3 @8 serves ex2")
	if err := override("relay", "ex3", "ex1"); err != nil {
		t.Fatal(err)
	}
	l.expect("relay", "forced  @0 serves ex1,ex3")
	stop()

	l = openLab(t, w, l.store)
	defer l.run()()
	l.expect("watched", "forced ex3 @8 serves ex2")
	m, err := l.ClearOverride(t.Context(), "watched")
	if err != nil || !slices.Equal(m.Moves[0].From, []string{"ex2"}) || !slices.Equal(m.Moves[0].To, []string{"ex3"}) {
		t.Errorf("clear: %+v, %v", m, err)
	}
	l.expect("watched", "stale ex3 @8")
}

func TestDrain(t *testing.T) {
	l := start(t, operated())
	drain := func(node string, force bool) error {
		_, err := l.Drain(t.Context(), node, Drain{By: "kim"}, force)
		return err
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	l.claim("relay", "probe x", 0, "ex1", "ex2")
	l.claimed(Claim{Role: "picked", Origin: "probe x", Pick: true, Nodes: []string{"ex1", "ex2"}})
	l.expect("picked", "fresh ex1 @1")
	l.refuses("no node is named", func() error { return drain("ex9", false) })
	l.refuses("ex1 is not drained", func() error { _, err := l.Undrain(t.Context(), "ex1"); return err })

	ok(drain("ex1", false))
	l.expect("relay", "fresh ex1,ex2 @1 serves ex2")
	l.expect("picked", "fresh ex2 @2")
	l.expect("mailbox", "fresh ex1 @1") // the operator moves it
	if _, is := l.Snapshot().Drained("ex1"); !is {
		t.Error("ex1 is not shown as drained")
	}
	l.refuses("ex2 is the last node that serves relay", func() error { return drain("ex2", false) })
	// A new member is not refused, a drained one is not taken in.
	l.claim("relay", "probe x", 0, "ex1", "ex2", "ex3")
	l.expect("relay", "fresh ex1,ex2,ex3 @2 serves ex2,ex3")
	ok(drain("ex2", false))
	l.expect("relay", "fresh ex1,ex2,ex3 @2 serves ex3")
	l.expect("picked", "fresh ex1 @3") // nobody is left: a drained node is better than none
	ok(drain("ex3", true))
	l.expect("relay", "fresh ex1,ex2,ex3 @2")
	for _, n := range []string{"ex1", "ex2", "ex3"} {
		_, err := l.Undrain(t.Context(), n)
		ok(err)
	}
	l.expect("relay", "fresh ex1,ex2,ex3 @2")
	l.expect("picked", "fresh ex1 @3")
}

// TestDrainHoldsTrouble: who drains a node must not make a probed role look healthy.
func TestDrainHoldsTrouble(t *testing.T) {
	l := start(t, operated())
	l.claimed(Claim{Role: "picked", Origin: "probe x", Pick: true, Nodes: []string{"ex1", "ex2"}})
	l.complain("picked", "probe x", "no healthy node", true)
	if _, err := l.Drain(t.Context(), "ex1", Drain{}, false); err != nil {
		t.Fatal(err)
	}
	l.expect("picked", "lost ex1 @1")
}

// TestDrainsAtOnce: two drains in one commit see each other.
func TestDrainsAtOnce(t *testing.T) {
	l := openLab(t, operated(), &testStore{})
	errs := make(chan error, 2)
	commands := func(node string) {
		_, err := l.Drain(context.Background(), node, Drain{}, false)
		errs <- err
	}
	l.cells[4] = &cell{rec: Record{Nodes: []string{"ex1", "ex2"}, Epoch: 1}, confirmed: true, orders: noOrders, word: nothing}
	ch := l.newChange(time.Now())
	ch.put(4, l.cells[4])
	ch.settle()
	l.publish(ch)
	go commands("ex1")
	go commands("ex2")
	for len(l.queue) < 2 {
		runtime.Gosched()
	}
	defer l.run()()
	a, b := <-errs, <-errs
	if (a == nil) == (b == nil) {
		t.Errorf("drains of both members: %v and %v, want one refused", a, b)
	}
}

func TestStoreFails(t *testing.T) {
	inFakeTime(t, operated(), func(t *testing.T, l *lab) {
		full := errors.New("no space left on device")
		l.store.broken.Store(&full)
		// A failover does not wait for a disk.
		if o := l.claim("watched", "file x", 7, "ex2"); o != Accepted {
			t.Errorf("outcome %v", o)
		}
		l.expect("watched", "fresh ex2 @7")
		if err := l.Snapshot().StoreErr; !errors.Is(err, full) {
			t.Errorf("StoreErr %v", err)
		}
		for name, do := range map[string]func() error{
			"switch": func() error {
				_, err := l.Switch(t.Context(), SwitchRequest{Roles: []string{"mailbox"}, To: "ex2"})
				return err
			},
			"override": func() error {
				_, err := l.SetOverride(t.Context(), "watched", Override{Nodes: []string{"ex1"}})
				return err
			},
			"drain": func() error { _, err := l.Drain(t.Context(), "ex1", Drain{}, false); return err },
		} {
			if err := do(); !errors.Is(err, full) || !strings.Contains(err.Error(), "nothing was changed") {
				t.Errorf("%s: %v", name, err)
			}
		}
		l.expect("mailbox", "fresh ex1 @1")
		if l.store.Saved.Records["watched"].Epoch != 0 || l.Counts().CommitErrors < 4 {
			t.Errorf("saved %+v, errors %d", l.store.Saved.Records, l.Counts().CommitErrors)
		}
		l.claim("watched", "file x", 8, "ex3")
		// A reload in this state keeps what is not saved.
		if err := l.Configure(t.Context(), operated()); err != nil {
			t.Fatal(err)
		}
		l.expect("watched", "fresh ex3 @8")

		failed := l.Snapshot()
		l.store.broken.Store(nil)
		sleep(2 * saveRetry)
		if err := l.Snapshot().StoreErr; err != nil {
			t.Errorf("StoreErr %v after the store works again", err)
		}
		select {
		case <-failed.Superseded():
		default:
			t.Error("the end of the failure was not announced")
		}
		if got := l.store.Saved.Records["watched"]; got.Epoch != 8 || got.Nodes[0] != "ex3" {
			t.Errorf("saved %+v", got)
		}
		if l.store.Saved.Change < failed.Change {
			t.Errorf("saved change %d, served %d", l.store.Saved.Change, failed.Change)
		}
		l.mustSwitch(SwitchRequest{Roles: []string{"mailbox"}, To: "ex2"})
	})
}
