package usage

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nameward/nameward/netbios"
)

func TestRunCountsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		tr := New(0)
		r := tr.Recorder()
		done := make(chan error)
		go func() { done <- tr.Run(ctx) }()
		began := time.Now()
		mail := netbios.MustParseName("MAIL<20>")

		time.Sleep(interval / 2)
		r.Note(Note{netbios.MustParseName("mail<20>"), address(1), Query, true})
		time.Sleep(interval / 2)
		synctest.Wait()
		first := time.Now()
		time.Sleep(time.Hour + interval/2)
		r.Note(Note{mail, address(1), Query, true})
		time.Sleep(interval / 2)
		synctest.Wait()
		last := time.Now()

		got := tr.Report(time.Now(), View{})
		if !got.Since.Equal(began) || len(got.ByName) != 1 || got.Queries != 2 {
			t.Fatalf("since %v, %d names, %d queries; want %v, 1, 2", got.Since, len(got.ByName), got.Queries, began)
		}
		row := got.ByName[0].Rows[0]
		if row.Name != mail || row.Count != 2 || !row.First.Equal(first) || !row.Last.Equal(last) {
			t.Errorf("got %v, want %v twice, first %v, last %v", row, mail, first, last)
		}

		r.Note(Note{mail, address(2), Registration, true})
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if n := tr.state.classes[found].totals[Registration]; n != 1 {
			t.Errorf("after Run %d registrations are counted, want the one that waited", n)
		}
	})
}

func TestNoteDrops(t *testing.T) {
	mail := netbios.MustParseName("MAIL<20>")
	for _, tt := range []struct {
		name    string
		note    Note
		dropped bool
	}{
		{"query", Note{mail, address(1), Query, true}, false},
		{"IPv4 in IPv6", Note{mail, netip.MustParseAddr("::ffff:192.0.2.1"), Query, true}, false},
		{"IPv6", Note{mail, netip.MustParseAddr("2001:db8::1"), Query, true}, true},
		{"no address", Note{Name: mail}, true},
		{"no name", Note{Source: address(1)}, true},
		{"no kind", Note{mail, address(1), kinds, true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := New(0)
			tr.Recorder().Note(tt.note)
			got := tr.Report(start, View{})
			if (tr.Dropped() == 1) != tt.dropped || (got.LeftOut.Dropped == 1) != tt.dropped || got.Complete() == tt.dropped {
				t.Errorf("dropped %d, in the report %d, complete %v", tr.Dropped(), got.LeftOut.Dropped, got.Complete())
			}
			if (got.Total() == 1) == tt.dropped {
				t.Errorf("%d requests counted", got.Total())
			}
		})
	}
}

func TestFullRingDropsAndCounts(t *testing.T) {
	tr := New(0)
	r := tr.Recorder()
	for range ringLen + 10 {
		r.Note(Note{netbios.MustParseName("MAIL<20>"), address(1), Query, true})
	}
	got := tr.Report(start, View{})
	if got.Queries != ringLen || got.LeftOut.Dropped != 10 {
		t.Errorf("%d counted, %d dropped, want %d, 10", got.Queries, got.LeftOut.Dropped, ringLen)
	}
	r.Note(Note{netbios.MustParseName("MAIL<20>"), address(1), Query, true})
	if got = tr.Report(start, View{}); got.Queries != ringLen+1 || got.LeftOut.Dropped != 10 {
		t.Errorf("after room was made: %d counted, %d dropped", got.Queries, got.LeftOut.Dropped)
	}
}

func TestClosedRecorderIsEmptiedAndGone(t *testing.T) {
	tr := New(0)
	r, stays := tr.Recorder(), tr.Recorder()
	r.Note(Note{netbios.MustParseName("MAIL<20>"), address(1), Query, true})
	r.Close()
	if got := tr.Report(start, View{}); got.Queries != 1 {
		t.Errorf("%d queries, want 1", got.Queries)
	}
	if len(tr.recorders) != 1 || tr.recorders[0] != stays {
		t.Errorf("%d recorders are left", len(tr.recorders))
	}
}

func TestReset(t *testing.T) {
	tr := New(0)
	r := tr.Recorder()
	r.Note(Note{netbios.MustParseName("MAIL<20>"), address(1), Query, true})
	tr.Reset()
	if got := tr.Report(start, View{}); got.Total() != 0 || len(got.ByName) != 0 || !got.Complete() {
		t.Errorf("after Reset: %+v", got)
	}
}

// TestManyWriters is for the race detector, and for notes that get lost.
func TestManyWriters(t *testing.T) {
	tr := New(0)
	ctx, cancel := context.WithCancel(t.Context())
	var run, writers sync.WaitGroup
	run.Go(func() { tr.Run(ctx) })
	const each = 20_000
	shared := tr.Recorder()
	pool := names(t, 50)
	for w := range 4 {
		r := shared
		if w >= 2 {
			r = tr.Recorder()
		}
		writers.Go(func() {
			for i := range each {
				r.Note(Note{pool[i%len(pool)], address(w), Kind(i % kinds), i%3 == 0})
			}
		})
	}
	writers.Go(func() {
		for range 5 {
			tr.Report(time.Now(), View{})
			tr.Snapshot()
		}
	})
	writers.Wait()
	cancel()
	run.Wait()
	got := tr.Report(time.Now(), View{})
	if sum := got.Total() + got.LeftOut.Dropped; sum != 4*each {
		t.Errorf("%d counted and %d dropped, want %d together", got.Total(), got.LeftOut.Dropped, 4*each)
	}
}

func TestNoteDoesNotAllocate(t *testing.T) {
	tr := New(0)
	r := tr.Recorder()
	n := Note{netbios.MustParseName("MAIL<20>"), address(1), Query, true}
	if a := testing.AllocsPerRun(2*ringLen, func() { r.Note(n) }); a != 0 {
		t.Errorf("%v allocations for each note", a)
	}
}

// TestMemoryIsBounded: forged sources and names made up fill every row and sketch.
func TestMemoryIsBounded(t *testing.T) {
	notes := 5_000_000
	if testing.Short() || raceEnabled {
		notes = 500_000
	}
	before := heap()
	tr := New(0)
	r := tr.Recorder()
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range notes {
		n := Note{random(rng), address(int(rng.Uint32() >> 8)), Kind(i % kinds), i%2 == 0}
		if i%4 == 0 { // so that sums have many others
			n.Name = netbios.MustParseName("MAIL<20>")
		}
		r.Note(n)
		if i%wakeEvery == wakeEvery-1 {
			tr.catchUp()
		}
	}
	used := heap() - before
	t.Logf("%d notes: %d octets of heap", notes, used)
	if used > 20<<20 {
		t.Errorf("%d octets of heap, want 20 MiB at most", used)
	}
	if tr.Dropped() > 0 {
		t.Errorf("%d notes were dropped", tr.Dropped())
	}
	runtime.KeepAlive(tr)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestNewRounds(t *testing.T) {
	for _, tt := range []struct{ rows, want int }{
		{0, DefaultRows}, {-1, DefaultRows}, {1, minRows}, {1025, 2048}, {4096, 4096}, {1 << 30, maxRows},
	} {
		if tt.want == maxRows {
			continue // 400 MB
		}
		if got := New(tt.rows).rows; got != tt.want {
			t.Errorf("New(%d) keeps %d rows, want %d", tt.rows, got, tt.want)
		}
	}
}

func TestKindText(t *testing.T) {
	for _, k := range []Kind{Query, Registration} {
		text, err := k.MarshalText()
		var back Kind
		if err != nil || back.UnmarshalText(text) != nil || back != k {
			t.Errorf("%v: %q, %v, back %v", k, text, err, back)
		}
	}
	if _, err := Kind(kinds).MarshalText(); err == nil {
		t.Error("Kind(2) has text")
	}
	if err := new(Kind).UnmarshalText([]byte("release")); err == nil {
		t.Error("release is a kind")
	}
}
