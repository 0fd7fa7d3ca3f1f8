package plan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push"
)

func TestApplyAndRevert(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.make("ex2", "mailbox", "public")
		if p.Wait() != 301*time.Second {
			t.Errorf("waits for %v, want the TTL and a second", p.Wait())
		}
		run, start := l.open(p), time.Now()
		var proof []push.Progress
		var moved registry.Moves
		run.Show.Proof = func(list []push.Progress) { proof = list }
		run.Show.Moves = func(m registry.Moves) { moved = m }
		if err := run.Apply(l.t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < p.Wait() || took > p.Wait()+10*time.Second {
			t.Errorf("took %v, want about %v", took, p.Wait())
		}
		l.expect("mailbox ex2 @2 300", "public ex2 @2 300", "files  @0 300")
		if len(proof) != 2 || !proof[0].IsDone() || proof[0].Roles != 2 || len(moved.Moves) != 2 {
			t.Errorf("proof %+v, moves %+v", proof, moved)
		}
		synctest.Wait()
		for _, peer := range l.peers {
			if has := peer.has["mailbox"]; !slices.Equal(has, []netip.Addr{netip.MustParseAddr("198.51.100.12")}) {
				t.Errorf("%s has %v", peer.name, has)
			}
		}
		if want := []string{"ttl/lower", "push/wait", "switch", "push/wait", "ttl/raise"}; !slices.Equal(l.calls, want) {
			t.Errorf("calls %q, want %q", l.calls, want)
		}
		if s, _ := l.reg.Snapshot().Role("mailbox"); s.Origin != "switch by kim, plan "+p.ID {
			t.Errorf("origin %q", s.Origin)
		}

		// Again: nothing is done.
		l.calls = nil
		if err := l.open(p).Apply(l.t.Context()); err != nil || len(l.calls) > 0 {
			t.Errorf("again: %v, %q", err, l.calls)
		}

		start = time.Now()
		if err := l.open(p).Revert(l.t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < p.Wait() {
			t.Errorf("the way back took %v, want %v", took, p.Wait())
		}
		l.expect("mailbox ex1 @3 300", "public ex1 @3 300")
		if err := l.open(p).Revert(l.t.Context(), false); err != nil {
			t.Errorf("reverted again: %v", err)
		}
		refused(t, l.open(p).Apply(l.t.Context()), "was reverted at 2000-01-01T", "make a new one")
		l.expect("mailbox ex1 @3 300", "public ex1 @3 300")
	}, "ad", "bind")
}

func TestRevertAtOnce(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.make("ex2", "mailbox")
		refused(t, l.open(p).Revert(l.t.Context(), true), "never carried out")
		if err := l.open(p).Apply(l.t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := l.open(p).Revert(l.t.Context(), true); err != nil || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		l.expect("mailbox ex1 @3 300")
	})
}

func TestRevertRefusesWhatMoved(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.make("ex2", "mailbox", "public")
		if err := l.open(p).Apply(l.t.Context()); err != nil {
			t.Fatal(err)
		}
		l.move("ex3", "public")
		refused(t, l.open(p).Revert(l.t.Context(), false), "the state has moved: expected public from ex2 (198.51.100.12) to ex1 (192.0.2.11), epoch 3; it would be public from ex3")
		l.expect("mailbox ex2 @2 300", "public ex3 @3 300")
	})
}

// TestRevertWithoutHolder: who had no holder before has none to go back to.
func TestRevertWithoutHolder(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.make("ex2", "fresh")
		if err := l.open(p).Apply(l.t.Context()); err != nil {
			t.Fatal(err)
		}
		refused(t, l.open(p).Revert(l.t.Context(), false), "role fresh had no one holder before")
	})
}

// TestApplyRefuses: whatever moved between making and applying, nothing is changed.
func TestApplyRefuses(t *testing.T) {
	reconfigure := func(l *lab, edit func(*registry.World)) {
		w := testWorld()
		edit(w)
		if err := l.reg.Configure(context.Background(), w); err != nil {
			l.t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		do   func(l *lab)
		want string
	}{
		{"a role was moved", func(l *lab) { l.move("ex3", "public") }, "the state has moved: expected public from ex1"},
		{"a role was moved to and fro", func(l *lab) { l.move("ex3", "public"); l.move("ex1", "public") }, "epoch 2; it would be public from ex1 (192.0.2.11) to ex2 (198.51.100.12), epoch 4"},
		{"somebody else did all of it", func(l *lab) { l.move("ex2", "mailbox", "public") }, "it was not this plan that moved them"},
		{"a role is forced", func(l *lab) {
			if _, err := l.reg.SetOverride(context.Background(), "mailbox", registry.Override{Nodes: []string{"ex3"}}); err != nil {
				l.t.Fatal(err)
			}
		}, "role mailbox is forced to ex3"},
		{"the new holder is drained", func(l *lab) {
			if _, err := l.reg.Drain(context.Background(), "ex2", registry.Drain{}, true); err != nil {
				l.t.Fatal(err)
			}
		}, "cannot go to ex2, which is drained"},
		{"another address", func(l *lab) {
			reconfigure(l, func(w *registry.World) { w.Nodes[1].Public[0] = netip.MustParseAddr("198.51.100.99") })
		}, "to ex2 (198.51.100.99)"},
		{"another TTL", func(l *lab) { reconfigure(l, func(w *registry.World) { w.Roles[0].TTL = time.Hour }) }, "the TTL of role mailbox was 300 s and is 3600 s"},
		{"another name", func(l *lab) {
			reconfigure(l, func(w *registry.World) { w.Roles[1].DNS = []string{"pub.corp.example."} })
		}, "the names of role public were public.corp.example. and are pub.corp.example."},
		{"another source", func(l *lab) {
			reconfigure(l, func(w *registry.World) { w.Roles[1].Source = registry.Source{Kind: "file", Detail: "y"} })
		}, "role public follows its source (file y)"},
		{"a role is gone", func(l *lab) { reconfigure(l, func(w *registry.World) { w.Roles = w.Roles[1:] }) }, `no role is named "mailbox"`},
		{"a target more", func(l *lab) {
			l.aim(append(l.peers, &peer{name: "new", has: map[string][]netip.Addr{}, ttls: map[string]uint32{}})...)
		}, "target new (peer) is not in the plan"},
		{"a target less", func(l *lab) { l.aim() }, "target ad (peer) is gone"},
		{"a target is dead", func(l *lab) { l.peers[0].setDown(true); l.move("ex1", "fresh") }, "target ad (peer) lacks 1, among them role fresh: "},
		{"a sick node", func(l *lab) {
			l.checks = []control.Check{{Role: "relay", Node: "ex2", Target: "198.51.100.12:25", Verdict: "down", Error: "connection refused"}, {Node: "ex1", Verdict: "down"}}
		}, "ex2 is down, says the check for role relay (198.51.100.12:25) connection refused"},
		{"a node nobody has asked yet", func(l *lab) { l.checks = []control.Check{{Role: "relay", Node: "ex2", Verdict: "unknown"}} }, "ex2 is unknown"},
		{"a full disk", func(l *lab) {
			l.store.Err = errors.New("no space left on device")
			_, _ = l.reg.Claim(context.Background(), registry.Claim{Role: "files", Origin: "file x", Nodes: []string{"ex1"}, Epoch: 7})
		}, "the state cannot be saved: no space left on device"},
		{"TTLs that another plan has lowered", func(l *lab) {
			if _, err := l.reg.LowerTTL(context.Background(), registry.LowerRequest{Roles: []string{"public"}, TTL: 1, For: 3600, Owner: "plan x"}); err != nil {
				l.t.Fatal(err)
			}
		}, "the TTL of role public is lowered by plan x until"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				p := l.make("ex2", "mailbox", "public")
				tt.do(l)
				synctest.Wait()
				before, _ := l.reg.Snapshot().Role("public")
				err := l.open(p).Apply(l.t.Context())
				refused(t, err, tt.want)
				if slices.Contains(l.calls, "switch") {
					t.Errorf("calls %q", l.calls)
				}
				if after, ok := l.reg.Snapshot().Role("public"); !ok || after.Epoch != before.Epoch || after.TTL != before.TTL {
					t.Errorf("public was %+v and is %+v", before, after)
				}
				if f, err := p.Look(l.t.Context(), l, 0); err != nil || len(f.Moved)+len(f.Unfit) == 0 && !f.There && !strings.Contains(tt.name, "another plan") {
					t.Errorf("a look at it finds nothing: %+v %v", f, err)
				}
			}, "ad")
		})
	}
}

// TestMovedDuringTheWait: what moves while caches are waited for ends the run soon, and the TTLs are raised.
func TestMovedDuringTheWait(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(l *lab)
		want string
		soon bool
	}{
		"a role moves":                {func(l *lab) { l.move("ex3", "public") }, "the state has moved", true},
		"somebody else does the same": {func(l *lab) { l.move("ex2", "mailbox", "public") }, "somebody else has moved the roles", true},
		"the TTL is raised": {func(l *lab) {
			_, _ = l.reg.RaiseTTL(context.Background(), registry.RaiseRequest{Roles: []string{"public"}, Owner: l.owner()})
		}, "the TTL of role public was not low all the time", false},
		"the new holder falls ill": {func(l *lab) { l.checks = []control.Check{{Role: "relay", Node: "ex2", Verdict: "down"}} }, "ex2 is down", false},
		"a target dies":            {func(l *lab) { l.peers[0].setDown(true); l.move("ex1", "fresh") }, "target ad (peer) lacks 1", false},
		"a target is added": {func(l *lab) {
			l.aim(l.peers[0], &peer{name: "new", has: map[string][]netip.Addr{}, ttls: map[string]uint32{}})
		}, "target new (peer) is not in the plan", false},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				p := l.make("ex2", "mailbox", "public")
				start, run := time.Now(), l.open(p)
				run.at(240*time.Second, func() { tt.do(l) })
				err := run.Apply(l.t.Context())
				refused(t, err, tt.want, "the TTLs are as they were")
				if took := time.Since(start); tt.soon != (took < 70*time.Second) {
					t.Errorf("ended after %v", took)
				}
				if slices.Contains(l.calls, "switch") {
					t.Errorf("calls %q", l.calls)
				}
				for s := range l.reg.Snapshot().Roles() {
					if s.Lowered != nil {
						t.Errorf("%s still has TTL %d", s.Role.Name, s.TTL)
					}
				}
			}, "ad")
		})
	}
}

// at does something when so much of the wait is left.
func (r *Run) at(when time.Duration, do func()) {
	others := r.Show.Wait
	r.Show.Wait = func(left, total time.Duration) {
		if others != nil {
			others(left, total)
		}
		if left == when {
			do()
		}
	}
}

// owner is whose lowered TTLs there are.
func (l *lab) owner() string {
	for s := range l.reg.Snapshot().Roles() {
		if s.Lowered != nil {
			return s.Lowered.Owner
		}
	}
	return ""
}

// TestRestartDuringTheWait of the guard: the run goes on.
func TestRestartDuringTheWait(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.make("ex2", "mailbox")
		start, run := time.Now(), l.open(p)
		run.at(240*time.Second, l.end)
		run.at(220*time.Second, l.begin)
		if err := run.Apply(l.t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > p.Wait()+10*time.Second {
			t.Errorf("took %v", took)
		}
		l.expect("mailbox ex2 @2 300")
	})
}

func TestInterrupted(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.make("ex2", "mailbox")
		ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
		defer cancel()
		refused(t, l.open(p).Apply(ctx), "stopped: nothing was switched", "the TTLs are as they were")
		l.expect("mailbox ex1 @1 300")
		// It may be carried out later all the same.
		if err := l.open(p).Apply(l.t.Context()); err != nil {
			t.Error(err)
		}
		l.expect("mailbox ex2 @2 300")
	}, "ad")
}

// TestNoProof: a target that dies in the moment of the switch leaves low TTLs, and the same command goes on when it is back.
func TestNoProof(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.make("ex2", "mailbox")
		time.AfterFunc(p.Wait()-time.Second, func() { l.peers[1].setDown(true) })
		err := l.open(p).Apply(l.t.Context())
		refused(t, err, "target bind (peer) has 0 of 1: ", "connection refused", "apply again to go on waiting, or revert")
		l.expect("mailbox ex2 @2 1")
		run := l.open(p)
		run.Quorum = 1
		l.calls = nil
		if err := run.Apply(l.t.Context()); err != nil {
			t.Errorf("with a quorum: %v", err)
		}
		l.expect("mailbox ex2 @2 300")
		if slices.Contains(l.calls, "switch") {
			t.Errorf("calls %q", l.calls)
		}
	}, "ad", "bind")
}

// TestNoProofAndBack: reverted soon, with the TTLs still low, there is nothing to wait for.
func TestNoProofAndBack(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.make("ex2", "mailbox")
		time.AfterFunc(p.Wait()-time.Second, func() { l.peers[0].setDown(true) })
		refused(t, l.open(p).Apply(l.t.Context()), "target ad (peer) has 0 of 1")
		l.peers[0].setDown(false)
		time.Sleep(10 * time.Second)
		start := time.Now()
		if err := l.open(p).Revert(l.t.Context(), false); err != nil || time.Since(start) > 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		l.expect("mailbox ex1 @3 300")
	}, "ad")
}

func TestTargetsDoNotTakeTTLs(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.make("ex2", "mailbox")
		l.peers[0].setDown(true)
		refused(t, l.open(p).Apply(l.t.Context()), "targets do not take the lowered TTLs:", "target ad (peer) has 0 of 1: failed connection refused", "the TTLs are as they were")
		l.expect("mailbox ex1 @1 300")
	}, "ad")
}

func TestQuorumTooLarge(t *testing.T) {
	inLab(t, func(l *lab) {
		run := l.open(l.make("ex2", "mailbox"))
		run.Quorum = 3
		refused(t, run.Apply(l.t.Context()), "a quorum of 3 is more than the 1 target that there are")
	}, "ad")
}

// TestNothingToLower: a TTL that is short already is not waited out.
func TestNothingToLower(t *testing.T) {
	inLab(t, func(l *lab) {
		p, err := Make(l.t.Context(), l, Request{registry.SwitchRequest{Roles: []string{"mailbox"}, To: "ex2"}, 10 * time.Minute})
		if err != nil || p.Wait() != 0 {
			t.Fatalf("%v, wait %v", err, p.Wait())
		}
		start := time.Now()
		if err := l.open(p).Apply(l.t.Context()); err != nil || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		l.expect("mailbox ex2 @2 300")
	})
}

type killed struct{ n int }

// TestKilledAnywhere kills the operator's command before and after every call, goes on at once or after the lowered TTLs
// have ended, and looks that the roles moved once, and not before the old TTLs were waited out.
func TestKilledAnywhere(t *testing.T) {
	for _, later := range []time.Duration{0, 10 * time.Second, 2 * time.Hour} {
		for _, do := range []string{"apply", "revert"} {
			for n, done := 1, false; !done; n++ {
				for _, after := range []bool{false, true} {
					t.Run(fmt.Sprintf("call %d after %v, %s %v later", n, after, do, later), func(t *testing.T) {
						inLab(t, func(l *lab) { done = killAndGoOn(l, n, after, do, later) }, "ad")
					})
				}
				if n > 500 {
					t.Fatal("it does not end")
				}
			}
		}
	}
}

// killAndGoOn reports whether the run ended before it could be killed.
func killAndGoOn(l *lab, n int, after bool, do string, later time.Duration) (done bool) {
	w := testWorld()
	for _, r := range w.Roles {
		r.TTL = 20 * time.Second
	}
	if err := l.reg.Configure(context.Background(), w); err != nil {
		l.t.Fatal(err)
	}
	p := l.make("ex2", "mailbox", "public")
	l.n = 0
	var low time.Time // since when public had TTL 1
	epoch := uint64(1)
	watch := func(int, bool) {
		s, _ := l.reg.Snapshot().Role("public")
		switch {
		case s.TTL != 1:
			low = time.Time{}
		case low.IsZero():
			low = time.Now()
		}
		if s.Epoch != epoch && (low.IsZero() || time.Since(low) < 20*time.Second) {
			l.t.Errorf("switched to epoch %d when TTLs were low since %v, now %v", s.Epoch, low, time.Now())
		}
		epoch = s.Epoch
	}
	l.disturb = func(at int, isAfter bool) {
		watch(at, isAfter)
		if at == n && isAfter == after {
			panic(killed{n})
		}
	}
	func() {
		defer func() {
			if k := recover(); k != nil {
				if _, ok := k.(killed); !ok {
					panic(k)
				}
				return
			}
			done = true
		}()
		if err := l.open(p).Apply(context.Background()); err != nil {
			l.t.Error(err)
		}
	}()
	l.disturb = watch
	l.tear(p)
	time.Sleep(later)
	if do == "apply" {
		if err := l.open(p).Apply(context.Background()); err != nil {
			l.t.Error(err)
		}
		l.expect("mailbox ex2 @2 20", "public ex2 @2 20")
		return done
	}
	s, _ := l.reg.Snapshot().Role("public")
	moved := s.Epoch == 2
	if err := l.open(p).Revert(context.Background(), false); err != nil {
		var r *Refused
		if !errors.As(err, &r) || !strings.Contains(err.Error(), "never carried out") || moved {
			l.t.Error(err)
		}
		time.Sleep(2 * time.Hour) // what nobody has written down ends by itself
	}
	if moved {
		l.expect("mailbox ex1 @3 20", "public ex1 @3 20")
	} else {
		l.expect("mailbox ex1 @1 20", "public ex1 @1 20")
	}
	return done
}

// tear leaves the beginning of a line in the journal, as a kill in the middle of a write does.
func (l *lab) tear(p *Plan) {
	l.t.Helper()
	path := l.open(p).Journal.path
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, os.ErrNotExist) {
		return
	} else if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(`{"time":"2000-01-01T00:`); err != nil {
		l.t.Fatal(err)
	}
}

// TestGuardKilled: the guard goes away in the moment of the switch, with it done or not, and the same command goes on.
func TestGuardKilled(t *testing.T) {
	for _, after := range []bool{false, true} {
		inLab(t, func(l *lab) {
			p := l.make("ex2", "mailbox")
			gone := &cutOff{lab: l, after: after}
			run := l.open(p)
			run.Guard = gone
			err := run.Apply(l.t.Context())
			var r *Refused
			if err == nil || errors.As(err, &r) || !strings.Contains(err.Error(), "whether the roles have moved is not known") {
				t.Errorf("got %v", err)
			}
			start := time.Now()
			if err := l.open(p).Apply(l.t.Context()); err != nil || time.Since(start) > 10*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			l.expect("mailbox ex2 @2 300")
		}, "ad")
	}
}

// cutOff is a guard whose answer to a switch is lost.
type cutOff struct {
	*lab
	after bool
}

func (c *cutOff) Switch(ctx context.Context, r registry.SwitchRequest) (registry.Moves, error) {
	if r.DryRun {
		return c.lab.Switch(ctx, r)
	}
	if c.after {
		if _, err := c.lab.Switch(ctx, r); err != nil {
			return registry.Moves{}, err
		}
	}
	return registry.Moves{}, errors.New("connection reset by peer")
}

// TestTwoAtOnce: two operators carry one plan out, and the roles move once.
func TestTwoAtOnce(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.make("ex2", "mailbox")
		errs := make(chan error, 2)
		for range 2 {
			run := l.open(p)
			go func() { errs <- run.Apply(context.Background()) }()
		}
		a, b := <-errs, <-errs
		if a != nil && b != nil {
			t.Errorf("both failed: %v and %v", a, b)
		}
		l.expect("mailbox ex2 @2 300")
	}, "ad")
}
