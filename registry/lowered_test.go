package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slow makes a role with a TTL of minutes.
func slow(r *Role) { r.TTL = 5 * time.Minute }

func changing(ttl, window time.Duration) func(*Role) {
	return func(r *Role) { r.TTLChanging, r.Changing = ttl, window }
}

func slowWorld() *World {
	return testWorld(role("mailbox", SourceOperator, initial("ex1"), slow), role("public", SourceOperator, initial("ex1"), slow),
		role("brief", SourceOperator, initial("ex1"), func(r *Role) { r.TTL = time.Second }),
		role("watched", "file", slow, changing(5*time.Second, time.Minute)))
}

func (l *lab) mustLower(req LowerRequest) TTLs {
	l.t.Helper()
	ttls, err := l.LowerTTL(context.Background(), req)
	if err != nil {
		l.t.Fatal(err)
	}
	return ttls
}

func (l *lab) raise(owner string, roles ...string) TTLs {
	l.t.Helper()
	ttls, err := l.RaiseTTL(context.Background(), RaiseRequest{Roles: roles, Owner: owner})
	if err != nil {
		l.t.Fatal(err)
	}
	return ttls
}

func (l *lab) expectTTL(role string, want uint32) {
	l.t.Helper()
	if s := l.role(role); s.TTL != want {
		l.t.Errorf("%s is answered with TTL %d (%+v), want %d", role, s.TTL, s.Lowered, want)
	}
}

func TestLowerTTL(t *testing.T) {
	inFakeTime(t, slowWorld(), func(t *testing.T, l *lab) {
		before := l.Snapshot()
		got := l.mustLower(LowerRequest{Roles: []string{"mailbox", "brief", "mailbox"}, TTL: 2, For: 600, Owner: "plan 1", By: "kim"})
		if got.Change != before.Change+1 || l.Snapshot().Change != got.Change {
			t.Errorf("change %d after %d, want one change", got.Change, before.Change)
		}
		if r := got.Roles; len(r) != 2 || r[0].Before != 300 || r[0].After != 2 || r[1].Before != 1 || r[1].After != 1 {
			t.Errorf("told %+v", r)
		}
		l.expectTTL("mailbox", 2)
		l.expectTTL("brief", 1)
		l.expectTTL("public", 300)
		l.expect("mailbox", "fresh ex1 @1")
		e, _ := l.Snapshot().Lookup("11.2.0.192.in-addr.arpa.")
		if p := l.Snapshot().PTROf(e); p.TTL != 2 {
			t.Errorf("the PTR has TTL %d, want 2", p.TTL)
		}

		sleep(599 * time.Second)
		l.expectTTL("mailbox", 2)
		change := l.Snapshot().Change
		sleep(time.Second)
		l.expectTTL("mailbox", 300)
		if s := l.role("mailbox"); s.Lowered != nil || l.Snapshot().Change != change+1 {
			t.Errorf("after its end: %+v, change %d after %d", s.Lowered, l.Snapshot().Change, change)
		}
		if n := len(l.store.Saved.Lowered); n > 0 {
			t.Errorf("%d lowered TTLs stay in the store", n)
		}
		e, _ = l.Snapshot().Lookup("11.2.0.192.in-addr.arpa.")
		if p := l.Snapshot().PTROf(e); p.TTL != 300 {
			t.Errorf("the PTR has TTL %d, want 300", p.TTL)
		}
	})
}

// TestLoweredSince: how long the short TTL has held decides how long the old one has to be waited out.
func TestLoweredSince(t *testing.T) {
	inFakeTime(t, slowWorld(), func(t *testing.T, l *lab) {
		start := time.Now()
		lower := func(ttl uint32, want time.Duration) {
			t.Helper()
			got := l.mustLower(LowerRequest{Roles: []string{"mailbox"}, TTL: ttl, For: 60, Owner: "plan 1"}).Roles[0].Lowered
			if since := got.Since.Sub(start); since != want || got.Until.Sub(time.Now()) != time.Minute {
				t.Errorf("lowered to %d: since %v until %v, want since %v", ttl, since, got.Until.Sub(start), want)
			}
		}
		lower(5, 0)
		sleep(10 * time.Second)
		lower(5, 0)
		sleep(10 * time.Second)
		lower(7, 0)
		sleep(10 * time.Second)
		lower(1, 30*time.Second)
		sleep(time.Minute)
		l.expectTTL("mailbox", 300)
		lower(1, 90*time.Second)
	})
}

func TestLowerRefuses(t *testing.T) {
	l := start(t, slowWorld())
	l.mustLower(LowerRequest{Roles: []string{"public"}, TTL: 1, For: 600, Owner: "plan 1"})
	good := LowerRequest{Roles: []string{"mailbox"}, TTL: 1, For: 60, Owner: "plan 2"}
	for _, tt := range []struct {
		name string
		edit func(*LowerRequest)
		want string
	}{
		{"no role", func(r *LowerRequest) { r.Roles = nil }, "say which roles"},
		{"no owner", func(r *LowerRequest) { r.Owner = "" }, "say who"},
		{"TTL 0", func(r *LowerRequest) { r.TTL = 0 }, "a TTL of 0 s is out of range, want 1 to 3600"},
		{"TTL too long", func(r *LowerRequest) { r.TTL = 3601 }, "a TTL of 3601 s is out of range"},
		{"no time", func(r *LowerRequest) { r.For = 0 }, "cannot be lowered for 0 s, want 1 to 86400"},
		{"for ever", func(r *LowerRequest) { r.For = 1 << 31 }, "cannot be lowered for"},
		{"unknown role", func(r *LowerRequest) { r.Roles = []string{"mailbox", "mail"} }, `no role is named "mail"; did you mean mailbox?`},
		{"another's", func(r *LowerRequest) { r.Roles = []string{"mailbox", "public"} }, "the TTL of role public is lowered by plan 1 until "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := good
			tt.edit(&req)
			l.refuses(tt.want, func() error { _, err := l.LowerTTL(t.Context(), req); return err })
		})
	}
	if got := l.raise("plan 2", "public", "mailbox", "nobody"); len(got.Roles) > 0 {
		t.Errorf("another's were raised: %+v", got)
	}
	l.expectTTL("public", 1)
	if got := l.raise("plan 1", "public", "nobody", "mailbox"); len(got.Roles) != 1 || got.Roles[0].Before != 1 || got.Roles[0].After != 300 {
		t.Errorf("raised %+v", got)
	}
	l.expectTTL("public", 300)
	l.mustLower(good)
	l.store.broken.Store(new(errors.New("no space left on device")))
	if _, err := l.LowerTTL(t.Context(), good); !errors.Is(err, ErrNotSaved) {
		t.Errorf("with a full disk: %v", err)
	}
}

// TestLoweredAndOthers: a lowered TTL outlives claims, switches, overrides and drains, and gives way to a shorter
// ttl_changing.
func TestLoweredAndOthers(t *testing.T) {
	inFakeTime(t, slowWorld(), func(t *testing.T, l *lab) {
		l.claim("watched", "file x", 1, "ex1")
		sleep(2 * time.Minute)
		l.expectTTL("watched", 300)
		l.mustLower(LowerRequest{Roles: []string{"watched", "mailbox"}, TTL: 20, For: 3600, Owner: "plan 1"})
		l.expectTTL("watched", 20)
		l.claim("watched", "file x", 2, "ex2")
		l.expectTTL("watched", 5)
		sleep(time.Minute)
		l.expectTTL("watched", 20)
		l.mustSwitch(SwitchRequest{Roles: []string{"mailbox"}, To: "ex2"})
		l.expectTTL("mailbox", 20)
		if _, err := l.SetOverride(t.Context(), "mailbox", Override{Nodes: []string{"ex3"}}); err != nil {
			t.Fatal(err)
		}
		l.expectTTL("mailbox", 20)
		l.mustLower(LowerRequest{Roles: []string{"mailbox"}, TTL: 10, For: 3600, Owner: "plan 1"})
		l.expect("mailbox", "forced ex2 @2 serves ex3")
		l.raise("plan 1", "mailbox")
		l.expect("mailbox", "forced ex2 @2 serves ex3")
		l.expectTTL("mailbox", 300)
		l.mustLower(LowerRequest{Roles: []string{"mailbox"}, TTL: 10, For: 3600, Owner: "plan 1"})
		if _, err := l.ClearOverride(t.Context(), "mailbox"); err != nil {
			t.Fatal(err)
		}
		l.expectTTL("mailbox", 10)
		// A reload keeps it.
		if err := l.Configure(t.Context(), slowWorld()); err != nil {
			t.Fatal(err)
		}
		l.expectTTL("mailbox", 10)
		sleep(time.Hour)
		l.expectTTL("mailbox", 300)
	})
}

// TestLoweredOverRestart: what is lowered stays so, and ends in its time even if nobody was there.
func TestLoweredOverRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &testStore{}
		l := openLab(t, slowWorld(), store)
		stop := l.run()
		l.mustLower(LowerRequest{Roles: []string{"mailbox", "public"}, TTL: 1, For: 600, Owner: "plan 1"})
		stop()

		time.Sleep(time.Minute)
		l = openLab(t, slowWorld(), store)
		l.expectTTL("mailbox", 1)
		stop = l.run()
		sleep(9 * time.Minute)
		l.expectTTL("mailbox", 300)
		l.mustLower(LowerRequest{Roles: []string{"mailbox"}, TTL: 1, For: 600, Owner: "plan 1"})
		stop()

		time.Sleep(time.Hour)
		l = openLab(t, testWorld(role("public", SourceOperator)), store)
		if n := len(store.Saved.Lowered); n > 0 {
			t.Errorf("%d lowered TTLs that are over stay in the store, of a role that is gone", n)
		}
		l = openLab(t, slowWorld(), store)
		l.expectTTL("mailbox", 300)
	})
}

// TestLoweredUnderAClockSetBack: what was lowered when the clock was wrong does not last for years.
func TestLoweredUnderAClockSetBack(t *testing.T) {
	store := &testStore{}
	later := time.Now().AddDate(3, 0, 0)
	store.Saved.Lowered = map[string]Lowered{"mailbox": {TTL: 1, Since: later, Until: later.Add(time.Minute), Owner: "plan 1"}}
	l := openLab(t, slowWorld(), store)
	l.expectTTL("mailbox", 300)
	if n := len(store.Saved.Lowered); n > 0 {
		t.Errorf("%d lowered TTLs stay in the store", n)
	}
}

// TestLoweredEndsUnsaved: a full disk does not keep a TTL short, and the end is saved later.
func TestLoweredEndsUnsaved(t *testing.T) {
	inFakeTime(t, slowWorld(), func(t *testing.T, l *lab) {
		l.mustLower(LowerRequest{Roles: []string{"mailbox"}, TTL: 1, For: 60, Owner: "plan 1"})
		l.store.broken.Store(new(errors.New("no space left on device")))
		sleep(61 * time.Second)
		l.expectTTL("mailbox", 300)
		if l.Snapshot().StoreErr == nil || len(l.store.Saved.Lowered) != 1 {
			t.Errorf("store error %v, saved %v", l.Snapshot().StoreErr, l.store.Saved.Lowered)
		}
		l.store.broken.Store(nil)
		sleep(2 * time.Second)
		if l.Snapshot().StoreErr != nil || len(l.store.Saved.Lowered) != 0 {
			t.Errorf("mended: store error %v, saved %v", l.Snapshot().StoreErr, l.store.Saved.Lowered)
		}
	})
}

// TestRandomTTLs plays random sequences in fake time against two rules: a TTL is what the model says, and since
// Lowered.Since no answer had a longer one.
func TestRandomTTLs(t *testing.T) {
	for seed := range 40 {
		synctest.Test(t, func(t *testing.T) { playTTLs(t, rand.New(rand.NewPCG(uint64(seed), 7)), seed) })
	}
}

func playTTLs(t *testing.T, rng *rand.Rand, seed int) {
	type loweredModel struct {
		ttl   uint32
		until time.Time
		owner string
	}
	l := openLab(t, slowWorld(), &testStore{})
	stop := l.run()
	defer func() { stop() }()
	model, longest := loweredModel{}, map[time.Time]uint32{} // the longest TTL seen at each instant
	for step := range 200 {
		what := ""
		owner := fmt.Sprintf("plan %d", rng.IntN(2))
		switch rng.IntN(7) {
		case 0, 1:
			req := LowerRequest{Roles: []string{"mailbox"}, TTL: 1 + rng.Uint32N(400), For: 1 + rng.Uint32N(300), Owner: owner}
			what = fmt.Sprintf("lower %+v", req)
			_, err := l.LowerTTL(t.Context(), req)
			if taken := model.owner != "" && model.owner != owner && time.Now().Before(model.until); (err != nil) != taken {
				t.Fatalf("seed %d, step %d, %s on %+v: %v", seed, step, what, model, err)
			} else if !taken {
				model = loweredModel{req.TTL, time.Now().Add(time.Duration(req.For) * time.Second), owner}
			}
		case 2:
			what = "raise by " + owner
			l.raise(owner, "mailbox")
			if model.owner == owner {
				model = loweredModel{}
			}
		case 3:
			what = "restart"
			stop()
			l = openLab(t, slowWorld(), l.store)
			stop = l.run()
		case 4:
			what = "switch"
			l.mustSwitch(SwitchRequest{Roles: []string{"mailbox"}, To: []string{"ex1", "ex2"}[rng.IntN(2)]})
		default:
			d := time.Duration(rng.IntN(200_000)) * time.Millisecond
			what = "sleep " + d.String()
			// What is over ends on the way.
			if over := time.Until(model.until); over > 0 && over <= d {
				sleep(over)
				longest[time.Now()] = max(longest[time.Now()], l.role("mailbox").TTL)
				d -= over
			}
			sleep(d)
		}
		want := uint32(300)
		if time.Now().Before(model.until) {
			want = min(want, model.ttl)
		}
		s := l.role("mailbox")
		if s.TTL != want || (s.Lowered != nil) != time.Now().Before(model.until) {
			t.Fatalf("seed %d, step %d, %s: TTL %d %+v, the model %+v", seed, step, what, s.TTL, s.Lowered, model)
		}
		longest[time.Now()] = max(longest[time.Now()], s.TTL)
		for at, ttl := range longest {
			if s.Lowered != nil && at.After(s.Lowered.Since) && ttl > s.Lowered.TTL {
				t.Fatalf("seed %d, step %d, %s: lowered to %d since %v, and at %v it was %d", seed, step, what, s.Lowered.TTL, s.Lowered.Since, at, ttl)
			}
		}
	}
}

func TestSwitchExpects(t *testing.T) {
	l := start(t, operated())
	plan := func(req SwitchRequest) []Move { req.DryRun = true; return l.mustSwitch(req).Moves }
	moves := append(plan(SwitchRequest{Roles: []string{"public"}, To: "ex3"}), plan(SwitchRequest{Roles: []string{"mailbox"}, To: "ex2"})...)
	do := func(moves ...Move) error {
		_, err := l.Switch(t.Context(), SwitchRequest{Expect: moves, By: "kim"})
		return err
	}
	for _, tt := range []struct {
		name string
		edit func(*Move)
		want string
	}{
		{"another epoch", func(m *Move) { m.Epoch++ }, "the state has moved: expected mailbox from ex1 (192.0.2.11, 2001:db8::11) to ex2 (192.0.2.12), epoch 3; it would be mailbox from"},
		{"another holder", func(m *Move) { m.From = []string{"ex3"} }, "the state has moved"},
		{"an address before", func(m *Move) { m.Before = m.Before[:1] }, "the state has moved"},
		{"an address after", func(m *Move) { m.After = nil }, "the state has moved"},
		{"another node", func(m *Move) { m.To = []string{"ex3"} }, "the state has moved"},
		{"no such node", func(m *Move) { m.To = []string{"ex9"} }, `no node "ex9"`},
		{"nowhere", func(m *Move) { m.To = nil }, "expected to go to 0 nodes, want one"},
		{"no such role", func(m *Move) { m.Role = "mail" }, `no role is named "mail"`},
		{"a role twice", func(m *Move) { m.Role = "public" }, "a role is expected twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := moves[1]
			tt.edit(&m)
			l.refuses(tt.want, func() error { return do(moves[0], m) })
		})
	}
	l.refuses("say either what is expected", func() error {
		_, err := l.Switch(t.Context(), SwitchRequest{Expect: moves, Site: "dr"})
		return err
	})
	before := l.Snapshot().Change
	if err := do(moves...); err != nil {
		t.Fatal(err)
	}
	l.expect("mailbox", "fresh ex2 @2")
	l.expect("public", "fresh ex3 @2")
	if l.Snapshot().Change != before+1 {
		t.Errorf("change %d after %d, want one change", l.Snapshot().Change, before)
	}
	l.refuses("the state has moved", func() error { return do(moves...) })
}

// TestSwitchesThatExpectTheSame: of two that come in one commit, one wins.
func TestSwitchesThatExpectTheSame(t *testing.T) {
	l := openLab(t, operated(), &testStore{})
	stop := l.run()
	expect := func(to string) []Move {
		return l.mustSwitch(SwitchRequest{Roles: []string{"mailbox"}, To: to, DryRun: true}).Moves
	}
	two := [][]Move{expect("ex2"), expect("ex3")}
	stop()
	errs := make(chan error, 2)
	again := openLab(t, operated(), l.store)
	for _, moves := range two {
		go func() {
			_, err := again.Switch(context.Background(), SwitchRequest{Expect: moves})
			errs <- err
		}()
	}
	for len(again.queue) < 2 {
		time.Sleep(time.Millisecond)
	}
	defer again.run()()
	a, b := <-errs, <-errs
	if (a == nil) == (b == nil) || !strings.Contains(errors.Join(a, b).Error(), "the state has moved") {
		t.Errorf("two switches from the same state: %v and %v, want one refused", a, b)
	}
}

// TestLowerAfterAnother: what has ended is in nobody's way, also when a guard whose clock is behind has just told of it.
func TestLowerAfterAnother(t *testing.T) {
	l := openLab(t, slowWorld(), &testStore{})
	past := time.Now().Add(-time.Minute)
	l.adopt(Delta{Change: 7, Lowered: map[string]*Lowered{"mailbox": {TTL: 1, Since: past.Add(-time.Hour), Until: past, Owner: "plan 1"}}})
	l.expectTTL("mailbox", 300)
	defer l.run()()
	got := l.mustLower(LowerRequest{Roles: []string{"mailbox"}, TTL: 2, For: 60, Owner: "plan 2"})
	if since := got.Roles[0].Lowered.Since; since.Before(past) || got.Roles[0].After != 2 {
		t.Errorf("lowered %+v since %v", got.Roles[0], since)
	}
}
