package registry

import (
	"strings"
	"testing"
	"time"
)

func TestFencing(t *testing.T) {
	type step struct {
		claim Claim
		want  Outcome
		state string
	}
	single := func(epoch uint64, nodes ...string) Claim {
		return Claim{Role: "mailbox", Origin: "file a", Epoch: epoch, Nodes: nodes}
	}
	all := func(epoch uint64, nodes ...string) Claim {
		return Claim{Role: "relay", Origin: "file a", Epoch: epoch, Nodes: nodes}
	}
	picked := func(nodes ...string) Claim {
		return Claim{Role: "mailbox", Origin: "probe", Pick: true, Nodes: nodes}
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"a newer epoch moves the role", []step{
			{single(7, "ex1"), Accepted, "fresh ex1 @7"}, {single(8, "ex2"), Accepted, "fresh ex2 @8"}, {single(100, "ex2"), Accepted, "fresh ex2 @100"}}},
		{"an older epoch is dropped", []step{
			{single(7, "ex1"), Accepted, "fresh ex1 @7"}, {single(6, "ex2"), Fenced, "fresh ex1 @7"}, {single(6, "ex1"), Fenced, "fresh ex1 @7"}, {single(1, "ex2"), Fenced, "fresh ex1 @7"}}},
		{"the epoch in force, again", []step{
			{single(7, "ex1"), Accepted, "fresh ex1 @7"}, {single(7, "ex1"), Renewed, "fresh ex1 @7"}, {single(0, "ex1"), Renewed, "fresh ex1 @7"}}},
		{"the epoch in force, another node", []step{
			{single(7, "ex1"), Accepted, "fresh ex1 @7"}, {single(7, "ex2"), Conflicting, "conflict ex1 @7"}, {single(8, "ex2"), Accepted, "fresh ex2 @8"}}},
		{"without epochs each change takes the next", []step{
			{single(0, "ex1"), Accepted, "fresh ex1 @1"}, {single(0, "ex2"), Accepted, "fresh ex2 @2"}, {single(0, "ex2"), Renewed, "fresh ex2 @2"}, {single(0, "ex1"), Accepted, "fresh ex1 @3"}}},
		{"epochs end before they wrap", []step{
			{single(MaxEpoch, "ex1"), Accepted, "fresh ex1 @9223372036854775807"}, {single(MaxEpoch+1, "ex2"), Malformed, "fresh ex1 @9223372036854775807"},
			{single(1<<64-1, "ex2"), Malformed, "fresh ex1 @9223372036854775807"}, {single(0, "ex2"), Accepted, "fresh ex2 @9223372036854775808"}}},
		{"malformed", []step{{single(7), Malformed, "lost  @0"}, {single(7, "ex1", "ex2"), Malformed, "lost  @0"}}},
		{"unknown node", []step{{single(7, "ex9"), UnknownNode, "lost  @0"}, {single(7, "ex4"), UnknownNode, "lost  @0"}}},
		{"unknown role", []step{{Claim{Role: "nobody", Nodes: []string{"ex1"}}, UnknownRole, ""}}},
		{"members stand in written order", []step{
			{all(3, "ex3", "ex1"), Accepted, "fresh ex1,ex3 @3"}, {all(3, "ex1", "ex3", "ex1"), Renewed, "fresh ex1,ex3 @3"},
			{all(3, "ex1"), Conflicting, "conflict ex1,ex3 @3"}, {all(4, "ex1"), Accepted, "fresh ex1 @4"}, {all(5), Malformed, "fresh ex1 @4"}}},
		{"the first candidate is picked", []step{
			{picked("ex2", "ex3"), Accepted, "fresh ex2 @1"}, {picked("ex2"), Renewed, "fresh ex2 @1"}, {picked("ex1", "ex2"), Accepted, "fresh ex1 @2"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := start(t, testWorld(role("mailbox", "file"), role("relay", "file", inModeAll)))
			var counts [7]uint64
			for i, s := range tt.steps {
				if got := l.claimed(s.claim); got != s.want {
					t.Errorf("step %d: outcome %v, want %v", i+1, got, s.want)
				}
				counts[s.want]++
				if s.state != "" {
					l.expect(s.claim.Role, s.state)
				}
			}
			if got := l.Counts().Claims; got != counts {
				t.Errorf("counted %v, want %v", got, counts)
			}
		})
	}
}

func TestConflict(t *testing.T) {
	tests := []struct {
		choice Choice
		during string
	}{{Hold, "conflict ex1 @7"}, {Withdraw, "conflict ex1 @7 serves "}, {AnswerAll, "conflict ex1 @7 serves ex1,ex2"}}
	for _, tt := range tests {
		conflict := func(t *testing.T) *lab {
			l := start(t, testWorld(role("mailbox", "file", onConflict(tt.choice))))
			l.claim("mailbox", "file a", 7, "ex1")
			l.claim("mailbox", "file b", 7, "ex2")
			s := l.expect("mailbox", tt.during)
			if want := "epoch 7 is claimed by ex1 (file a) and by ex2 (file b); on_conflict: " + tt.choice.String(); s.Why != want {
				t.Errorf("why: %s\nwant %s", s.Why, want)
			}
			return l
		}
		t.Run(tt.choice.String()+", a newer epoch ends it", func(t *testing.T) {
			l := conflict(t)
			l.claim("mailbox", "file b", 8, "ex2")
			l.expect("mailbox", "fresh ex2 @8")
		})
		t.Run(tt.choice.String()+", the rival agrees", func(t *testing.T) {
			l := conflict(t)
			l.claim("mailbox", "file a", 7, "ex1") // insists
			l.expect("mailbox", tt.during)
			l.claim("mailbox", "file b", 7, "ex1")
			l.expect("mailbox", "fresh ex1 @7")
		})
		t.Run(tt.choice.String()+", the rival goes", func(t *testing.T) {
			l := conflict(t)
			l.complain("mailbox", "file b", "not understood", false)
			l.expect("mailbox", tt.during)
			l.complain("mailbox", "file b", "deleted", true)
			l.expect("mailbox", "fresh ex1 @7")
		})
		t.Run(tt.choice.String()+", the rival falls back", func(t *testing.T) {
			l := conflict(t)
			if o := l.claim("mailbox", "file b", 6, "ex2"); o != Fenced {
				t.Errorf("outcome %v", o)
			}
			l.expect("mailbox", "fresh ex1 @7")
		})
		t.Run(tt.choice.String()+", two rivals", func(t *testing.T) {
			l := conflict(t)
			l.claim("mailbox", "file c", 7, "ex3")
			if got := strings.Join(l.role("mailbox").Rivals, " "); got != "ex2 ex3" {
				t.Errorf("rivals %s", got)
			}
			l.complain("mailbox", "file b", "deleted", true)
			l.claim("mailbox", "file c", 7, "ex1")
			l.expect("mailbox", "fresh ex1 @7")
		})
	}
}

func TestRivalLeaseRunsOut(t *testing.T) {
	inFakeTime(t, testWorld(role("mailbox", "file", onConflict(Withdraw))), func(t *testing.T, l *lab) {
		l.claim("mailbox", "file a", 7, "ex1")
		l.claimed(Claim{Role: "mailbox", Origin: "file b", Epoch: 7, Nodes: []string{"ex2"}, Expires: time.Now().Add(10 * time.Second)})
		sleep(9 * time.Second)
		l.expect("mailbox", "conflict ex1 @7 serves ")
		sleep(time.Second)
		l.expect("mailbox", "fresh ex1 @7")
	})
}

func TestSourceLost(t *testing.T) {
	for _, tt := range []struct {
		choice       Choice
		lost, before string
	}{{Hold, "lost ex1 @7", "lost  @0"}, {Withdraw, "lost ex1 @7 serves ", "lost  @0"}} {
		t.Run(tt.choice.String(), func(t *testing.T) {
			l := start(t, testWorld(role("mailbox", "file", onLost(tt.choice))))
			if s := l.expect("mailbox", tt.before); !s.Unknown() || s.Why != "file x has not spoken yet" {
				t.Errorf("unknown %v, why %s", s.Unknown(), s.Why)
			}
			l.complain("mailbox", "file x", "f:1:1: what?", false)
			l.expect("mailbox", tt.before)
			l.claim("mailbox", "file x", 7, "ex1")
			l.expect("mailbox", "fresh ex1 @7")

			l.complain("mailbox", "file x", "f:1:1: what?", false)
			if s := l.expect("mailbox", "stale ex1 @7"); s.Why != "f:1:1: what?" {
				t.Errorf("why: %s", s.Why)
			}
			l.complain("mailbox", "file x", "deleted", true)
			l.expect("mailbox", tt.lost)
			l.complain("mailbox", "file x", "f:1:1: what?", false) // nonsense brings nothing back
			l.expect("mailbox", tt.lost)
			l.complain("mailbox", "file of another role", "deleted", true)
			l.complain("nobody", "file x", "deleted", true)
			l.claim("mailbox", "file x", 7, "ex1")
			l.expect("mailbox", "fresh ex1 @7")
			l.complain("mailbox", "file y", "deleted", true) // not whose word stands
			l.expect("mailbox", "fresh ex1 @7")
		})
	}
}

func TestLease(t *testing.T) {
	for _, tt := range []struct {
		choice Choice
		lost   string
	}{{Hold, "lost ex1 @7"}, {Withdraw, "lost ex1 @7 serves "}} {
		t.Run(tt.choice.String(), func(t *testing.T) {
			inFakeTime(t, testWorld(role("mailbox", "file", onLost(tt.choice))), func(t *testing.T, l *lab) {
				lease := func(d time.Duration) {
					l.claimed(Claim{Role: "mailbox", Origin: "file a", Epoch: 7, Nodes: []string{"ex1"}, Expires: time.Now().Add(d)})
				}
				lease(10 * time.Second)
				for range 20 { // renewed in time
					sleep(5 * time.Second)
					l.expect("mailbox", "fresh ex1 @7")
					lease(10 * time.Second)
				}
				sleep(10*time.Second - time.Nanosecond)
				l.expect("mailbox", "fresh ex1 @7")
				sleep(time.Nanosecond)
				if s := l.expect("mailbox", tt.lost); !strings.HasPrefix(s.Why, "the lease of ex1 ran out at 2000-") {
					t.Errorf("why: %s", s.Why)
				}
				lease(time.Minute)
				l.expect("mailbox", "fresh ex1 @7")
				lease(time.Hour) // longer: the old alarm means nothing
				sleep(2 * time.Minute)
				l.expect("mailbox", "fresh ex1 @7")
				lease(time.Second) // shorter
				sleep(time.Second)
				l.expect("mailbox", tt.lost)
				l.claim("mailbox", "file a", 8, "ex2") // no lease
				sleep(24 * time.Hour)
				l.expect("mailbox", "fresh ex2 @8")
			})
		})
	}
}

func TestAlarmsStayFew(t *testing.T) {
	inFakeTime(t, testWorld(role("mailbox", "file")), func(t *testing.T, l *lab) {
		for range 10_000 {
			l.claimed(Claim{Role: "mailbox", Origin: "a", Nodes: []string{"ex1"}, Expires: time.Now().Add(24 * time.Hour)})
			time.Sleep(time.Second)
		}
		sleep(0)
		if n := len(l.alarms.heap); n > 2*minAlarms {
			t.Errorf("%d alarms for one role", n)
		}
	})
}

func TestChangingTTL(t *testing.T) {
	w := testWorld(role("mailbox", "file", func(r *Role) {
		r.TTL, r.TTLChanging, r.Changing = time.Minute, 2*time.Second, 30*time.Second
	}))
	inFakeTime(t, w, func(t *testing.T, l *lab) {
		l.claim("mailbox", "file a", 1, "ex1")
		ttl := func(want uint32) {
			t.Helper()
			if got := l.role("mailbox").TTL; got != want {
				t.Errorf("TTL %d, want %d", got, want)
			}
		}
		ttl(2)
		sleep(30*time.Second - time.Nanosecond)
		ttl(2)
		sleep(time.Nanosecond)
		ttl(60)
		l.claim("mailbox", "file a", 2, "ex1") // another epoch, nothing moves
		ttl(60)
		l.claim("mailbox", "file a", 3, "ex2")
		ttl(2)
		sleep(20 * time.Second)
		l.claim("mailbox", "file a", 4, "ex1") // the window begins anew
		sleep(20 * time.Second)
		ttl(2)
		sleep(10 * time.Second)
		ttl(60)
		// A reload without a change of the role opens no window.
		again := testWorld(role("mailbox", "file", func(r *Role) {
			r.TTL, r.TTLChanging, r.Changing = time.Minute, 2*time.Second, 30*time.Second
		}))
		if err := l.Configure(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		ttl(60)
	})
}
