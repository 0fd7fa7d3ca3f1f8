package wins

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nameward/nameward/netbios"
)

func labHeld(name int, source IPv4, fate Fate) Held {
	n, err := netbios.NewName(fmt.Sprint("H", name), 0, "")
	if err != nil {
		panic(err)
	}
	return Held{
		Name: n, What: What(Register), Fate: fate, Source: source.Addr(), Reason: "policy",
		Claimed: []netbios.Address{{Flags: netbios.HNode, Addr: source.Addr()}},
	}
}

func sourceOf(i int) IPv4 { return IPv4{10, byte(i >> 16), byte(i >> 8), byte(i)} }

// TestHeldOrderLives says that what was quiet for longest is known after a restart, from batches and from
// a base.
func TestHeldOrderLives(t *testing.T) {
	for _, isBase := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t)
			defer func() { l.stop() }()
			for i := range 50 {
				l.db.Note(labHeld(i, sourceOf(i), IsIgnored))
				time.Sleep(2 * time.Second)
			}
			if isBase {
				s := l.db.Snapshot()
				if err := l.journal.Checkpoint(t.Context(), s.seq, l.db.base(s)); err != nil {
					t.Fatal(err)
				}
			}
			l.restart()
			// Others take the places of the 20 that were quiet for longest.
			for i := range heldLimits.Total - 30 {
				l.db.note(labHeld(0, sourceOf(1000+i), IsRefused), StampOf(time.Now()))
			}
			left := map[netip.Addr]bool{}
			for _, h := range l.db.Held() {
				left[h.Source] = true
			}
			for i := range 50 {
				if left[sourceOf(i).Addr()] != (i >= 20) {
					t.Errorf("base %t: that of %s, which came as number %d: still there %t", isBase, sourceOf(i), i, i < 20)
				}
			}
		})
	}
}

// TestHeldFlood is about a flood of what is not published while the disk takes nothing: it costs no
// more than the table, and the first batch after it is not larger than others.
func TestHeldFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer func() { l.stop() }()
		l.admit = func(r *Request) Verdict { return Verdict{Action: Quarantine} }
		flood := func(from, n int) {
			for i := range n {
				r := l.request("register WPAD 192.0.2.1")
				r.Source = netip.AddrPortFrom(sourceOf(from+i).Addr(), 137)
				l.db.Submit(r)
				if i%4000 == 3999 {
					synctest.Wait()
				}
			}
			synctest.Wait()
		}
		flood(0, 1000)
		time.Sleep(2 * time.Second)
		l.journal.Fail(errDisk)
		flood(1000, 60_000)
		if dirty := len(l.db.held.Unsaved(math.MaxInt)); dirty > heldLimits.Total+1000 {
			t.Errorf("%d entries are to be saved, and the table has room for %d", dirty, heldLimits.Total)
		}
		l.journal.Fail(nil)
		batches, _ := l.journal.Backlog()
		time.Sleep(20 * time.Second)
		written := l.journal.Batches()[batches:]
		for _, b := range written {
			if len(b) > 1<<20 {
				t.Errorf("a batch of %d octets", len(b))
			}
		}
		last := func() map[netip.Addr]bool {
			out := map[netip.Addr]bool{}
			for _, h := range l.db.Held() {
				out[h.Source] = true
			}
			return out
		}
		want := last()
		l.restart()
		got := last()
		if len(want) != heldLimits.Total || len(got) != len(want) {
			t.Errorf("%d entries, after a restart %d", len(want), len(got))
		}
		for a := range want {
			if !got[a] {
				t.Fatalf("the entry of %s was not saved", a)
			}
		}
	})
}

// TestHeldWritesLittle says that repetitions are not written down each time.
func TestHeldWritesLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer func() { l.stop() }()
		l.admit = func(r *Request) Verdict { return Verdict{Action: Quarantine} }
		l.want("register WPAD 192.0.2.66", Quarantined)
		before, _ := l.journal.Backlog()
		for range 100 {
			l.want("register WPAD 192.0.2.66", Quarantined)
			time.Sleep(2 * time.Minute)
		}
		after, _ := l.journal.Backlog()
		if n := after - before; n < 1 || n > 4 {
			t.Errorf("%d batches in 200 minutes, want one an hour", n)
		}
		if h := l.db.Held(); len(h) != 1 || h[0].Count != 101 {
			t.Errorf("%+v", h)
		}
	})
}
