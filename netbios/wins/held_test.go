package wins

import (
	"fmt"
	"math/rand/v2"
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

func TestHeldBounds(t *testing.T) {
	h := newHeldTable()
	table := &h
	for i := range 100 {
		table.note(labHeld(i, sourceOf(1), IsParked), 1)
	}
	// One address: what is new is left out, what is known is counted.
	for i := range 1000 {
		table.note(labHeld(i+1000, sourceOf(2), IsQuarantined), 2)
	}
	table.note(labHeld(1000, sourceOf(2), IsQuarantined), 3)
	if c := table.counts(); c.Others != maxHeldOfSource || c.Dropped != 1000-maxHeldOfSource || c.Parked != 100 {
		t.Errorf("%+v", c)
	}
	// All: the entry that was quiet for longest goes, and that is not the one that was counted just now.
	for i := range maxHeld {
		table.note(labHeld(0, sourceOf(1000+i), IsRefused), 4)
		if i == maxHeld/2 {
			table.note(labHeld(1000, sourceOf(2), IsQuarantined), 5)
		}
	}
	if c := table.counts(); c.Others != maxHeld || c.Parked != 100 {
		t.Errorf("%+v", c)
	}
	if n := table.bySource[sourceOf(2)]; n != 1 {
		t.Errorf("%d entries of the source that was quiet, want the one that was not", n)
	}
	found := false
	for _, e := range table.list() {
		found = found || e.Source == sourceOf(2).Addr() && e.Count == 3 && e.First == 2 && e.Last == 5
	}
	if !found {
		t.Error("the entry that was counted again is not there")
	}
	for i := range 100 {
		k := labHeld(i, sourceOf(1), IsParked)
		if !table.forget(k.key(), IsParked) {
			t.Fatalf("parked entry %d was pushed out", i)
		}
	}
}

// TestHeldCounts compares the counts with the list over random histories.
func TestHeldCounts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	h := newHeldTable()
	table := &h
	for i := range 50_000 {
		e := labHeld(rnd.IntN(400), sourceOf(rnd.IntN(60)), Fate(1+rnd.IntN(4)))
		if rnd.IntN(5) == 0 {
			table.forget(e.key(), e.Fate)
		} else {
			table.note(e, Stamp(i))
		}
	}
	parked, others, bySource := 0, 0, map[IPv4]int{}
	for _, e := range table.list() {
		if e.Fate == IsParked {
			parked++
			continue
		}
		others++
		bySource[IPv4Of(e.Source)]++
	}
	if c := table.counts(); c.Parked != parked || c.Others != others || len(table.entries) != parked+others {
		t.Errorf("%+v, want %d parked, %d others", c, parked, others)
	}
	for s, n := range bySource {
		if table.bySource[s] != n || n > maxHeldOfSource {
			t.Errorf("%d entries of %s, want %d", table.bySource[s], s, n)
		}
	}
}

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
			i := 0
			for e := l.db.held.quiet.Front(); e != nil; e = e.Next() {
				if got := e.Value.(*heldEntry).Source; got != sourceOf(i).Addr() {
					t.Fatalf("base %t: place %d is %s's", isBase, i, got)
				}
				i++
			}
			if i != 50 {
				t.Errorf("%d entries", i)
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
		l.db.held.mu.Lock()
		dirty := len(l.db.held.dirty)
		l.db.held.mu.Unlock()
		if dirty > maxHeld+1000 {
			t.Errorf("%d entries are to be saved, and the table has room for %d", dirty, maxHeld)
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
		if len(want) != maxHeld || len(got) != len(want) {
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
