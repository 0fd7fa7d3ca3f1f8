package push

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
)

func check(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: - want, + got:\n%s", what, diff)
	}
}

func TestDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail", "web"))
		a, b := &peer{slow: 3 * time.Millisecond}, &peer{slow: 10 * time.Millisecond, settles: 35 * time.Millisecond}
		l.start(Target{Name: "a", Driver: a}, Target{Name: "b", Driver: b}, Target{Name: "c", Driver: mute{&peer{slow: time.Millisecond}}},
			Target{Name: "d", Driver: &peer{}, Roles: map[string]bool{"web": true}})
		defer l.end()
		time.Sleep(time.Second)
		change := l.move("mail", "n2")
		check(t, "progress", "a 1/1 verified 3ms\nb 1/1 verified 73ms\nc 1/1 acked 1ms\ntrue", l.wait(change, time.Minute, 0, "mail"))
		check(t, "pushes", []string{"mail [192.0.2.1] @1", "mail [192.0.2.2] @2"},
			slices.DeleteFunc(a.pushed(), func(s string) bool { return strings.HasPrefix(s, "web") }))
		d := l.row("b", "mail")
		check(t, "times", "10ms 41ms 73ms 1 2", fmt.Sprint(d.Acked.Sub(d.Moved), " ", d.LastStale.Sub(d.Moved), " ", d.Verified.Sub(d.Moved), " ", d.Tries, " ", d.Epoch))
		check(t, "told", "[192.0.2.2]", fmt.Sprint(d.Told))
	})
}

// TestWaitAtStart: who waits before the targets are there waits for them.
func TestWaitAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail"))
		defer l.stopReg()
		ledger, err := OpenLedger(l.journal, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		l.pusher = &Pusher{Ledger: ledger, Snapshot: l.reg.Snapshot, Log: zerolog.Nop()}
		l.pusher.Configure([]Target{{Name: "a", Driver: &peer{slow: time.Millisecond}}})
		waited := make(chan string, 1)
		go func() { waited <- l.wait(0, time.Minute, 0, "mail") }()
		time.Sleep(time.Second)
		defer l.background(ledger.Run)()
		defer l.background(l.pusher.Run)()
		check(t, "progress", "a 1/1 verified 1ms\ntrue", <-waited)
	})
}

// TestLatestWins: a target that was down gets the newest state once, and the ledger says what it never got.
func TestLatestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail"))
		a, b := &peer{}, &peer{slow: time.Millisecond}
		l.start(Target{Name: "a", Driver: a}, Target{Name: "b", Driver: b})
		defer l.end()
		a.setDown(true)
		first := l.move("mail", "n2")
		check(t, "quorum", "a 0/1 failed 0s (connection refused)\nb 1/1 verified 1ms\ntrue", l.wait(first, time.Minute, 1, "mail"))
		time.Sleep(7 * time.Second)
		l.move("mail", "n1")
		time.Sleep(7 * time.Second)
		last := l.move("mail", "n2")
		check(t, "down", "a 0/1 failed 0s (connection refused)\nb 1/1 verified 1ms\nfalse", l.wait(last, time.Minute, 0, "mail"))
		back := time.Now()
		a.setDown(false)
		l.wait(last, time.Minute, 0, "mail")
		if took := time.Since(back); took > lastWait {
			t.Errorf("it was told %s after it was back, and is asked every %s", took, lastWait)
		}
		check(t, "pushes", []string{"mail [192.0.2.1] @1", "mail [192.0.2.2] @4"}, a.pushed())
		var over []string
		for _, d := range l.ledger.History(10) {
			if d.Target == "a" {
				over = append(over, fmt.Sprint(d.Addrs, " ", d.Stage, " by ", d.By))
			}
		}
		check(t, "history", []string{"[192.0.2.2] verified by 0", "[192.0.2.1] superseded by 4", "[192.0.2.2] superseded by 3", "[192.0.2.1] verified by 0"}, over)
	})
}

// TestOvertaken: a push that nobody wants any more is ended, and the newest state follows at once.
func TestOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail", "web"))
		a := &peer{}
		l.start(Target{Name: "a", Driver: a})
		defer l.end()
		a.slow = 4 * time.Second
		l.move("mail", "n2")
		time.Sleep(time.Second)
		change := l.move("mail", "n1")
		check(t, "progress", "a 1/1 verified 4s\ntrue", l.wait(change, time.Minute, 0, "mail"))
		check(t, "pushes", 3, len(a.pushed()))
	})
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail", "web", "db"))
		a := &peer{}
		l.start(Target{Name: "a", Driver: a})
		defer l.end()
		a.setDown(true)
		l.move("mail", "n2")
		l.move("web", "n2")
		time.Sleep(time.Hour)
		d := l.row("a", "mail")
		if d.Tries < 600 || d.Tries > 1200 {
			t.Errorf("%d tries in an hour, of which one is made every %s at most", d.Tries, lastWait)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		check(t, "items at once", 3, a.most)
	})
}

func TestForeign(t *testing.T) {
	other := netip.MustParseAddr("198.51.100.9")
	for _, repair := range []bool{false, true} {
		t.Run(fmt.Sprint("repair ", repair), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, world("mail"))
				a := &peer{}
				l.start(Target{Name: "a", Driver: a, Check: time.Minute, Repair: repair})
				defer l.end()
				time.Sleep(time.Second)
				a.set("mail", other)
				time.Sleep(2 * time.Minute)
				d := l.row("a", "mail")
				want := "foreign, answers [198.51.100.9], 1 push"
				if repair {
					want = "verified, answers [], 2 pushes"
				}
				check(t, "delivery", want, fmt.Sprintf("%s, answers %v, %s", d.Stage, d.Found, map[int]string{1: "1 push", 2: "2 pushes"}[len(a.pushed())]))
				// A retry by hand that says all writes it over in any case.
				if _, err := l.pusher.Retry(context.Background(), []string{"a"}, nil, true); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				check(t, "after a retry", Verified, l.row("a", "mail").Stage)
			})
		})
	}
}

// TestOldAddressBack: our own address of before is written over, whoever brought it back.
func TestOldAddressBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail"))
		a := &peer{}
		l.start(Target{Name: "a", Driver: a, Check: time.Minute})
		defer l.end()
		l.move("mail", "n2")
		time.Sleep(time.Second)
		a.set("mail", netip.MustParseAddr("192.0.2.1"))
		time.Sleep(90 * time.Second)
		check(t, "stage", Verified, l.row("a", "mail").Stage)
		check(t, "pushes", 3, len(a.pushed()))
	})
}

// TestNewer: a guard that is behind does not fight.
func TestNewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail"))
		a := &peer{newer: true}
		l.start(Target{Name: "a", Driver: a})
		defer l.end()
		time.Sleep(time.Minute)
		d := l.row("a", "mail")
		check(t, "delivery", "failed 1 epoch 9 is there: "+ErrNewer.Error(), fmt.Sprint(d.Stage, " ", d.Tries, " ", d.Why))
	})
}

// TestTaken: what a driver does not write over is told, and once it is gone the target is told.
func TestTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail"))
		a := &peer{taken: []netip.Addr{netip.MustParseAddr("203.0.113.9")}}
		l.start(Target{Name: "a", Driver: a})
		defer l.end()
		time.Sleep(time.Minute)
		d := l.row("a", "mail")
		check(t, "delivery", "foreign [203.0.113.9]", fmt.Sprint(d.Stage, " ", d.Found))
		a.mu.Lock()
		a.taken = nil
		a.mu.Unlock()
		time.Sleep(2 * lastWait)
		check(t, "delivery", "verified", l.row("a", "mail").Stage.String())
	})
}

func TestKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail", "web"))
		a := &peer{}
		l.start(Target{Name: "a", Driver: a})
		time.Sleep(time.Second)
		a.mu.Lock()
		a.slow = time.Second
		a.mu.Unlock()
		change := l.move("mail", "n2")
		time.Sleep(500 * time.Millisecond)
		check(t, "before the kill", Sent, l.row("a", "mail").Stage)
		l.kill()
		l.start(Target{Name: "a", Driver: a})
		defer l.end()
		l.wait(change, time.Minute, 0, "mail", "web")
		check(t, "pushes", []string{"mail [192.0.2.2] @2"}, a.pushed()[2:])
		d := l.row("a", "mail")
		check(t, "delivery", "verified [192.0.2.2]", fmt.Sprint(d.Stage, " ", d.Told))
	})
}

// TestKillToAndFro: what was sent and is not in the ledger may come late, also when the role is back meanwhile.
func TestKillToAndFro(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail"))
		a := &peer{}
		l.start(Target{Name: "a", Driver: a})
		time.Sleep(time.Second)
		saved := l.journal.Copy()
		l.wait(l.move("mail", "n2"), time.Minute, 0, "mail")
		l.stop()
		l.move("mail", "n1")
		l.journal = saved
		l.start(Target{Name: "a", Driver: a})
		defer l.end()
		time.Sleep(time.Second)
		check(t, "pushes", []string{"mail [192.0.2.1] @1", "mail [192.0.2.2] @2", "mail [192.0.2.1] @3"}, a.pushed())
	})
}

// TestUnconfirmed: the last known state is not pushed before the source has spoken.
func TestUnconfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world("mail")
		w.Roles[0].Source = registry.Source{Kind: "file", Detail: "x"}
		l := newLab(t, w)
		l.claim("mail", "n1", 7)
		l.stopReg()
		reg, err := registry.Open(w, l.store, l.quiet())
		if err != nil {
			t.Fatal(err)
		}
		l.reg, l.stopReg = reg, l.background(reg.Run)
		a := &peer{}
		l.start(Target{Name: "a", Driver: a, Check: time.Second})
		defer l.end()
		time.Sleep(time.Minute)
		check(t, "pushes", 0, len(a.pushed()))
		l.claim("mail", "n2", 8)
		time.Sleep(time.Second)
		check(t, "pushes", []string{"mail [192.0.2.2] @8"}, a.pushed())
	})
}

func TestReconfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail", "private"))
		a, b := &peer{}, &peer{}
		l.start(Target{Name: "a", Driver: a}, Target{Name: "b", Driver: b})
		defer l.end()
		l.pusher.Configure([]Target{{Name: "b", Driver: b}, {Name: "c", Driver: &peer{}}})
		time.Sleep(time.Second)
		if a.mu.Lock(); !a.isClosed {
			t.Error("the driver of a target that is gone is still open")
		}
		a.mu.Unlock()
		check(t, "pushes to b", 1, len(b.pushed()))
		if err := l.reg.Configure(context.Background(), world("web")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		var rows []string
		for _, d := range l.ledger.Rows(nil) {
			rows = append(rows, d.Target+" "+d.Role)
		}
		slices.Sort(rows)
		check(t, "rows", []string{"b web", "c web"}, rows)
		if _, err := l.pusher.Retry(context.Background(), []string{"a"}, nil, false); err == nil || !strings.Contains(err.Error(), "there are b, c") {
			t.Errorf("retry of a target that is gone: %v", err)
		}
	})
}

// TestStandby: a guard that does not lead tells nobody until it does.
func TestStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail"))
		a := &peer{}
		l.start()
		leads, changed := false, make(chan struct{})
		l.pusher.Leads = func() (bool, <-chan struct{}) { return leads, changed }
		l.pusher.Configure([]Target{{Name: "a", Driver: a}})
		defer l.end()
		l.move("mail", "n2")
		time.Sleep(time.Minute)
		check(t, "pushes", 0, len(a.pushed()))
		synctest.Wait()
		was := changed
		leads, changed = true, make(chan struct{})
		close(was)
		synctest.Wait()
		check(t, "pushes", []string{"mail [192.0.2.2] @2"}, a.pushed())

		// Who leads no longer says no word more, and begins anew when it leads again.
		a.mu.Lock()
		a.slow = 2 * time.Second
		a.mu.Unlock()
		l.move("mail", "n1")
		time.Sleep(time.Second)
		check(t, "the push under way", Sent, l.row("a", "mail").Stage)
		synctest.Wait()
		was = changed
		leads, changed = false, make(chan struct{})
		close(was)
		time.Sleep(time.Minute)
		check(t, "pushes of one that leads no longer", 1, len(a.pushed()))
		synctest.Wait()
		was = changed
		leads, changed = true, nil
		close(was)
		time.Sleep(3 * time.Second)
		check(t, "pushes", []string{"mail [192.0.2.1] @3"}, a.pushed()[1:])
	})
}

// TestDiskFull: deliveries go on without a disk, and are saved when there is one again.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail"))
		a := &peer{}
		l.start(Target{Name: "a", Driver: a})
		defer l.end()
		l.journal.Fail(errors.New("no space left on device"))
		change := l.move("mail", "n2")
		check(t, "progress", "a 1/1 verified 0s\ntrue", l.wait(change, time.Minute, 0, "mail"))
		if l.ledger.Err() == nil {
			t.Error("the ledger says that it is saved")
		}
		l.journal.Fail(nil)
		time.Sleep(2 * retryDisk)
		check(t, "error", nil, l.ledger.Err())
		again, err := OpenLedger(l.journal.Copy(), l.quiet())
		if err != nil {
			t.Fatal(err)
		}
		d, _ := again.Row("a", "mail")
		check(t, "saved", "[192.0.2.2] verified", fmt.Sprint(d.Addrs, " ", d.Stage))
	})
}

// TestManyRoles: a change of a thousand roles is one call of the driver.
func TestManyRoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 1000 {
			names = append(names, fmt.Sprint("r", i))
		}
		l := newLab(t, world(names...))
		a := &peer{slow: time.Millisecond}
		l.start(Target{Name: "a", Driver: a})
		defer l.end()
		time.Sleep(time.Second)
		m, err := l.reg.Switch(context.Background(), registry.SwitchRequest{Roles: names, To: "n2"})
		if err != nil {
			t.Fatal(err)
		}
		check(t, "progress", "a 1000/1000 verified 1ms\ntrue", l.wait(m.Change, time.Minute, 0, names...))
	})
}

func TestCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail", "web"))
		l.start(Target{Name: "a", Driver: &peer{}})
		defer l.end()
		l.move("mail", "n2")
		time.Sleep(time.Second)
		before, history := l.row("a", "mail"), len(l.ledger.History(100))
		if err := l.ledger.checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		again, err := OpenLedger(l.journal.Copy(), l.quiet())
		if err != nil {
			t.Fatal(err)
		}
		after, ok := again.Row("a", "mail")
		if !ok || !after.Verified.Equal(before.Verified) || after.Content != before.Content || len(again.Rows(nil)) != 2 {
			t.Errorf("want %+v, got %+v of %d rows", before, after, len(again.Rows(nil)))
		}
		check(t, "history", history, len(again.History(100)))
		if batches, _ := l.journal.Backlog(); batches != 0 {
			t.Errorf("%d batches are left", batches)
		}
	})
}

// TestCheckInTurns: thousands of roles are not asked about at once, and none is left out.
func TestCheckInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 2*maxChecked + 1 {
			names = append(names, fmt.Sprint("r", i))
		}
		l := newLab(t, world(names...))
		a := &peer{}
		l.start(Target{Name: "a", Driver: a, Check: time.Minute})
		defer l.end()
		time.Sleep(time.Second)
		old := netip.MustParseAddr("192.0.2.2")
		for _, n := range names {
			a.set(n, old)
		}
		stale := func() (n int) {
			a.mu.Lock()
			defer a.mu.Unlock()
			for _, has := range a.has {
				if has[0] == old {
					n++
				}
			}
			return n
		}
		time.Sleep(time.Minute + 10*time.Second)
		check(t, "stale after a turn", maxChecked+1, stale())
		time.Sleep(2 * time.Minute)
		check(t, "stale after three turns", 0, stale())
	})
}

// TestComesBack: a role that was not for the target for a while is told anew.
func TestComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail"))
		a := &peer{}
		l.start(Target{Name: "a", Driver: a})
		defer l.end()
		a.hide(true)
		l.move("mail", "n2")
		time.Sleep(time.Second)
		check(t, "rows", 0, len(l.ledger.Rows(nil)))
		a.hide(false)
		l.move("mail", "n1")
		time.Sleep(time.Second)
		check(t, "pushes", []string{"mail [192.0.2.1] @1", "mail [192.0.2.1] @3"}, a.pushed())
	})
}

// TestSettle: what is to be told is in the ledger at once, and told a moment later.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail"))
		a := &peer{}
		var err error
		if l.ledger, err = OpenLedger(l.journal, l.quiet()); err != nil {
			t.Fatal(err)
		}
		l.pusher = &Pusher{Ledger: l.ledger, Snapshot: l.reg.Snapshot, Settle: time.Second, Log: l.quiet()}
		l.pusher.Configure([]Target{{Name: "a", Driver: a}})
		stopLedger, stopPusher := l.background(l.ledger.Run), l.background(l.pusher.Run)
		l.stop = func() { stopPusher(); stopLedger() }
		defer l.end()
		time.Sleep(time.Second / 2)
		check(t, "before", "queued 0", fmt.Sprint(l.row("a", "mail").Stage, len(a.pushed())))
		time.Sleep(time.Second)
		check(t, "after", "verified 1", fmt.Sprint(l.row("a", "mail").Stage, len(a.pushed())))
	})
}
