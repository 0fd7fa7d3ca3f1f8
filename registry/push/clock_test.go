package push

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
)

// jump ends everything as kill -9 would, and begins anew with a clock that was set: all times that were saved are off by
// so much.
func (l *lab) jump(w *registry.World, by time.Duration, targets ...Target) {
	l.t.Helper()
	l.kill()
	l.stopReg()
	for name, r := range l.store.Saved.Records {
		r.Since = r.Since.Add(by)
		l.store.Saved.Records[name] = r
	}
	ledger, err := OpenLedger(l.journal, zerolog.Nop())
	if err != nil {
		l.t.Fatal(err)
	}
	for _, d := range ledger.Rows(nil) {
		for _, at := range []*time.Time{&d.Moved, &d.Sent, &d.Acked, &d.LastStale, &d.Verified} {
			if !at.IsZero() {
				*at = at.Add(by)
			}
		}
		ledger.edit(d.key(), func(row *Delivery) bool { *row = d; return true })
	}
	ledger.save()
	if l.reg, err = registry.Open(w, l.store, zerolog.Nop()); err != nil {
		l.t.Fatal(err)
	}
	l.stopReg = l.background(l.reg.Run)
	l.start(targets...)
}

// TestClockJump: what is told, and in which order, does not depend on the clock of the wall. While nameward runs a jump
// cannot be seen at all (durations are of the monotonic clock); after a start, times in the ledger and in the store may be
// of the far future, or of long ago.
func TestClockJump(t *testing.T) {
	for _, by := range []time.Duration{-10 * time.Hour, 10 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, world("mail", "web"))
				a, b := &peer{slow: time.Millisecond}, &peer{slow: time.Millisecond}
				targets := []Target{{Name: "a", Driver: a, Check: time.Minute}, {Name: "b", Driver: b, Check: time.Minute}}
				l.start(targets...)
				time.Sleep(time.Second)
				b.setDown(true)
				l.wait(l.move("mail", "n2"), time.Second, 1, "mail")
				l.jump(world("mail", "web"), by, targets...)
				defer l.end()

				// What was under way goes on at once, and what was done is not told again.
				l.wait(0, time.Second, 1, "mail")
				check(t, "a", 3, len(a.pushed()))
				l.wait(l.move("mail", "n1"), time.Second, 1, "mail")
				last := l.move("mail", "n2")
				b.setDown(false)
				begin := time.Now()
				got := l.wait(last, time.Minute, 0, "mail")
				if took := time.Since(begin); took > lastWait {
					t.Errorf("the one that was down is told after %s", took)
				}
				for _, target := range []string{"a", "b"} {
					d := l.row(target, "mail")
					if took := d.Verified.Sub(d.Moved); took < 0 || took > lastWait {
						t.Errorf("%s took %s\n%s", target, took, got)
					}
				}
				check(t, "pushes to the one that was down", []string{"mail [192.0.2.2] @4"}, b.pushed()[2:])

				// Checks go on: what somebody else writes is found by one.
				b.set("mail", node("n1", 1).Public[0])
				time.Sleep(61 * time.Second)
				check(t, "pushes after what went wrong by itself", []string{"mail [192.0.2.2] @4", "mail [192.0.2.2] @4"}, b.pushed()[2:])

				// Another thing than the addresses is new, of a role that last moved at a time that was off.
				w := world("mail", "web")
				w.Roles[1].TTL = time.Second
				if err := l.reg.Configure(context.Background(), w); err != nil {
					t.Fatal(err)
				}
				l.wait(l.reg.Snapshot().Change, time.Minute, 0, "web")
				if d := l.row("b", "web"); d.Stage != Verified || d.Verified.Sub(d.Moved) < 0 || d.Verified.Sub(d.Moved) > lastWait {
					t.Errorf("%+v", d)
				}
			})
		})
	}
}
