package registry

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

func zoned() *World {
	return testWorld(
		role("mailbox", SourceOperator, initial("ex1")),
		role("other", SourceOperator, initial("ex1"), at("other.other.example.")),
		role("outside", SourceOperator, initial("ex1"), at("outside.example.")),
		role("silent", SourceOperator, initial("ex1"), at()))
}

// TestChangeSurvivesWithdrawal: what changes answers counts, also when no record does.
func TestChangeSurvivesWithdrawal(t *testing.T) {
	l := openLab(t, testWorld(role("mailbox", "file", at("mail.example."), onLost(Withdraw))), &testStore{})
	stop := l.run()
	l.claim("mailbox", "file x", 7, "ex1")
	l.complain("mailbox", "file x", "deleted", true)
	change := l.Snapshot().Change
	stop()
	if got := l.store.Saved.Change; got != change {
		t.Errorf("saved change %d, served %d", got, change)
	}
}

func TestPTR(t *testing.T) {
	l := start(t, zoned())
	expect := func(addr, want string) {
		t.Helper()
		if got := l.ptr(addr); got != want {
			t.Errorf("PTR of %s is %q, want %q", addr, got, want)
		}
	}
	move := func(role, to string) { t.Helper(); l.mustSwitch(SwitchRequest{Roles: []string{role}, To: to}) }
	// Three roles on ex1: the first in written order gives the name.
	expect("192.0.2.11", "mailbox.corp.example.")
	expect("2001:db8::11", "mailbox.corp.example.")
	expect("192.0.2.12", "ex2.corp.example.")
	move("mailbox", "ex2")
	expect("192.0.2.11", "other.other.example.")
	expect("192.0.2.12", "mailbox.corp.example.")
	move("other", "ex2")
	expect("192.0.2.11", "outside.example.")
	expect("192.0.2.12", "mailbox.corp.example.")
	move("outside", "ex2")
	expect("192.0.2.11", "ex1.corp.example.") // silent has no name to give
	l.mustSwitch(SwitchRequest{All: true, To: "ex1"})
	expect("192.0.2.11", "mailbox.corp.example.")
	expect("192.0.2.12", "ex2.corp.example.")
}

func TestReload(t *testing.T) {
	files := func(detail string) *World {
		return testWorld(role("mailbox", "file", func(r *Role) { r.Source.Detail = detail }, onConflict(Withdraw)),
			role("relay", "file", inModeAll), role("public", SourceOperator, initial("ex1")))
	}
	l := start(t, files("/a"))
	configure := func(w *World) {
		t.Helper()
		if err := l.Configure(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	l.claim("mailbox", "file /a", 7, "ex1")
	l.claim("relay", "file x", 3, "ex1", "ex2")
	since := l.role("mailbox").Since
	before := l.Snapshot()
	configure(files("/a"))
	if s := l.expect("mailbox", "fresh ex1 @7"); !s.Since.Equal(since) {
		t.Errorf("since %v, before %v", s.Since, since)
	}
	select {
	case <-before.Superseded():
	default:
		t.Error("the reload was not announced")
	}
	l.claim("mailbox", "file /b", 7, "ex2")
	configure(files("/a"))
	l.expect("mailbox", "conflict ex1 @7 serves ")

	// Another source: the last known state holds until it speaks, and its troubles count.
	configure(files("/new"))
	l.expect("mailbox", "stale ex1 @7")
	l.complain("mailbox", "file /new", "there is no file", true)
	l.expect("mailbox", "lost ex1 @7")
	if o := l.claim("mailbox", "file /new", 6, "ex2"); o != Fenced {
		t.Errorf("an older epoch from a new source: %v", o)
	}
	l.claim("mailbox", "file /new", 7, "ex1")
	if s := l.expect("mailbox", "fresh ex1 @7"); s.Origin != "file /new" {
		t.Errorf("origin %s", s.Origin)
	}
	l.complain("mailbox", "file /new", "there is no file", true)
	l.expect("mailbox", "lost ex1 @7")

	// A role that is removed comes back with its epoch.
	configure(testWorld(role("public", SourceOperator)))
	if _, ok := l.Snapshot().Role("mailbox"); ok {
		t.Error("a removed role is still there")
	}
	if o := l.claim("mailbox", "file /new", 9, "ex2"); o != UnknownRole {
		t.Errorf("a claim on a removed role: %v", o)
	}
	l.expect("public", "fresh ex1 @1")
	configure(files("/new"))
	l.expect("mailbox", "stale ex1 @7")
	if o := l.claim("mailbox", "file /new", 6, "ex2"); o != Fenced {
		t.Errorf("an older epoch after the return: %v", o)
	}

	// Another order of nodes is no other set of members.
	l.claim("relay", "file x", 3, "ex1", "ex2")
	w := files("/new")
	w.Roles[1].Nodes = []*Node{w.Nodes[1], w.Nodes[0]}
	configure(w)
	if o := l.claim("relay", "file x", 3, "ex1", "ex2"); o != Renewed {
		t.Errorf("the same members in another order: %v", o)
	}
	// A holder that the configuration dropped is not served.
	w = files("/new")
	w.Roles[0].Nodes = w.Nodes[1:3]
	configure(w)
	if s := l.expect("mailbox", "lost ex1 @7 serves "); s.Why != "ex1 is not a node of the role any more" {
		t.Errorf("why: %s", s.Why)
	}
}

func TestRestart(t *testing.T) {
	w := func() *World {
		return testWorld(role("mailbox", "file"), role("public", SourceOperator, initial("ex2")))
	}
	l := openLab(t, w(), &testStore{})
	stop := l.run()
	l.claimed(Claim{Role: "mailbox", Origin: "file x", Epoch: 7, Nodes: []string{"ex1"}, Expires: time.Now().Add(time.Hour)})
	l.mustSwitch(SwitchRequest{Roles: []string{"public"}, To: "ex3"})
	stop()
	if _, err := l.Claim(context.Background(), Claim{Role: "mailbox", Nodes: []string{"ex2"}}); err != ErrStopped {
		t.Errorf("a claim after the end: %v", err)
	}
	if err := l.Configure(context.Background(), w()); err != ErrStopped {
		t.Errorf("a reload after the end: %v", err)
	}

	l = openLab(t, w(), l.store)
	defer l.run()()
	if s := l.expect("mailbox", "stale ex1 @7"); s.Why != "last known state: file x has not confirmed it since the start" {
		t.Errorf("why: %s", s.Why)
	}
	l.expect("public", "fresh ex3 @2")
	if o := l.claim("mailbox", "file x", 6, "ex2"); o != Fenced {
		t.Errorf("an older epoch after a restart: %v", o)
	}
	l.claim("mailbox", "file x", 7, "ex1")
	l.expect("mailbox", "fresh ex1 @7")
}

// TestFollowersSeeTheLatest: a slow follower of Superseded misses steps and never the last one.
func TestFollowersSeeTheLatest(t *testing.T) {
	l := start(t, zoned())
	const switches = 500
	done := make(chan uint64)
	go func() {
		seen := uint64(0)
		for s := l.Snapshot(); ; s = l.Snapshot() {
			r, _ := s.Role("mailbox")
			if r.Epoch < seen {
				t.Errorf("epoch %d after %d", r.Epoch, seen)
			}
			if seen = r.Epoch; seen == switches+1 {
				done <- seen
				return
			}
			<-s.Superseded()
		}
	}()
	for i := range switches {
		m := l.mustSwitch(SwitchRequest{Roles: []string{"mailbox"}, To: fmt.Sprintf("ex%d", 2-i%2)})
		if s := l.role("mailbox"); s.Epoch != uint64(i+2) || m.Change > l.Snapshot().Change {
			t.Fatalf("acknowledged switch %d: the snapshot has epoch %d", i, s.Epoch)
		}
	}
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the follower missed the last state")
	}
}

// TestSnapshotsDoNotChange has readers go through all of a snapshot while the writer goes on; the race
// detector is the judge, and a copy of the answers.
func TestSnapshotsDoNotChange(t *testing.T) {
	l := start(t, zoned())
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s := l.Snapshot()
				if first, again := render(s), render(s); first != again {
					t.Errorf("a snapshot changed:\n%s\n%s", first, again)
					return
				}
			}
		})
	}
	for i := range 300 {
		to := fmt.Sprintf("ex%d", 1+i%3)
		l.mustSwitch(SwitchRequest{All: true, To: to})
		switch i % 50 {
		case 10:
			_, _ = l.Drain(t.Context(), "ex1", Drain{}, true)
			_, _ = l.Undrain(t.Context(), "ex1")
		case 20:
			_, _ = l.SetOverride(t.Context(), "outside", Override{Nodes: []string{"ex2"}})
			_, _ = l.ClearOverride(t.Context(), "outside")
		case 30:
			if err := l.Configure(t.Context(), zoned()); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	wg.Wait()
}

// render writes down all that answers are made from.
func render(s *Snapshot) string {
	out := fmt.Sprint(s.Change, len(s.drained))
	for r := range s.Roles() {
		out += fmt.Sprint(describe(r), r.A(), r.AAAA(), r.V4(), r.V6(), r.TTL, r.Why)
	}
	for i := range s.ptrs.n {
		if p := s.ptrs.at(i); p != nil {
			out += fmt.Sprint(p.Target, p.TTL)
		}
	}
	return out
}

func TestLookups(t *testing.T) {
	l := start(t, zoned())
	s := l.Snapshot()
	tests := []struct {
		name string
		kind Kind // 0: none
		apex bool
	}{
		{"mailbox.corp.example.", KindRole, false}, {"ex1.corp.example.", KindHost, false}, {"ns.corp.example.", KindNameServer, false},
		{"corp.example.", KindApex, true}, {"other.other.example.", KindRole, false}, {"outside.example.", KindRole, false},
		{"11.2.0.192.in-addr.arpa.", KindPTR, false}, {"2.0.192.in-addr.arpa.", KindApex, true}, {"nobody.corp.example.", 0, false}, {".", 0, false},
		{"1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", KindPTR, false},
	}
	for _, tt := range tests {
		if e, ok := s.Lookup(tt.name); ok != (tt.kind != 0) || e.Kind != tt.kind || e.Apex != tt.apex {
			t.Errorf("%s: %+v, %v", tt.name, e, ok)
		}
	}
	if r, ok := s.NetBIOS(netbios.MustParseName("mailbox<20>")); !ok || r.Role.Name != "mailbox" {
		t.Errorf("MAILBOX<20>: %v", ok)
	}
	if a, aaaa := s.HostOf(mustLookup(t, s, "ex1.corp.example.")); len(a) != 1 || len(aaaa) != 1 || !a[0].Equal(net.IPv4(192, 0, 2, 11)) {
		t.Errorf("ex1: %v %v", a, aaaa)
	}
	for addr, want := range map[string]string{"10.9.0.11": "management", "10.9.7.7": "management", "::ffff:10.9.0.11": "management", "64:ff9b::a09:b": "management", "64:ff9b:1::10.9.7.7": "management", "64:ff9b::192.0.2.11": "", "192.0.2.11": "", "10.8.0.1": ""} {
		if got, _ := s.Filtered(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Filtered(%s) = %q, want %q", addr, got, want)
		}
	}
}

func mustLookup(t *testing.T, s *Snapshot, name string) Entry {
	t.Helper()
	e, ok := s.Lookup(name)
	if !ok {
		t.Fatal("no name " + name)
	}
	return e
}
