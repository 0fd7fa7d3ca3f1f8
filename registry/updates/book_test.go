package updates

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/held"
	"github.com/nameward/nameward/registry/store/journal"
)

// lab is a book that runs, on a journal in memory. It is for a bubble of synctest.
type lab struct {
	t       *testing.T
	journal *journal.Memory
	log     bytes.Buffer
	book    *Book
	stop    func()
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, journal: &journal.Memory{}}
	l.open()
	return l
}

func (l *lab) open() {
	l.t.Helper()
	var err error
	if l.book, err = Open(l.journal, DefaultLimits, zerolog.New(zerolog.SyncWriter(&l.log))); err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan error, 1)
	go func() { done <- l.book.Run(ctx) }()
	l.stop = func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Error(err)
		}
	}
}

// restart opens the book anew on what a kill leaves.
func (l *lab) restart() {
	l.t.Helper()
	left := l.journal.Copy()
	l.stop()
	l.journal = left
	l.open()
}

// update is entry number n from the source number s.
func update(n, s int) Held {
	return Held{
		Zone: "corp.example.", Name: fmt.Sprintf("pc%d.corp.example.", n), Type: dns.TypeA, Data: "10.9.0.1",
		Source: netip.AddrFrom4([4]byte{192, 0, byte(s >> 8), byte(s)}), Fate: held.Quarantined, Reason: "filtered-class", Rule: "builtin-filtered",
	}
}

func (l *lab) flush() error { return l.book.Flush(l.t.Context()) }

// lines are the log's, each with its level and message.
func (l *lab) lines() []string {
	return slices.DeleteFunc(strings.Split(l.log.String(), "\n"), func(s string) bool { return s == "" })
}

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		for i, f := range held.Fates {
			h := update(i, i)
			h.Fate, h.Role, h.Principal, h.Decision, h.Alert = f, "mailbox", "ex1$@CORP.EXAMPLE", 1<<63+1, i == 1
			l.book.Note(h)
			time.Sleep(time.Second)
		}
		deletes := update(9, 9)
		deletes.Deletes, deletes.Type, deletes.Data = true, dns.TypeANY, ""
		l.book.Note(deletes)
		l.book.Note(deletes)
		if err := l.flush(); err != nil {
			t.Fatal(err)
		}
		want := l.book.List()
		if fates := fmt.Sprintf("%s %s %s", want[0].Fate, want[1].Name, want[2].Fate); len(want) != 5 || fates != "parked pc9.corp.example. quarantined" {
			t.Errorf("%s of %+v", fates, want)
		}
		l.restart()
		if diff := cmp.Diff(want, l.book.List(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("before -, after +:\n%s", diff)
		}
		if got := fmt.Sprint(l.book.Counts(), l.book.Dropped()); got != "map[parked:1 quarantined:2 refused:1 ignored:1] 0" {
			t.Error(got)
		}
		// From the base, and what is forgotten stays so.
		if n := l.book.Forget(func(h *Held) bool { return h.Fate == held.Refused }); n != 1 || l.flush() != nil {
			t.Errorf("%d forgotten", n)
		}
		if err := l.book.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if batches, _ := l.journal.Backlog(); batches != 0 {
			t.Errorf("%d batches beside the base", batches)
		}
		l.restart()
		defer func() { l.stop() }()
		if got := l.book.List(); len(got) != 4 || got[2].Fate == held.Refused {
			t.Errorf("%+v", got)
		}
	})
}

// TestSaves: what nobody waits for is saved soon, and not one by one.
func TestSaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer func() { l.stop() }()
		l.book.Note(update(0, 0))
		synctest.Wait()
		if n := len(l.journal.Batches()); n != 1 {
			t.Errorf("%d batches at once", n)
		}
		for i := range 1000 {
			l.book.Note(update(i, i))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(saveEvery)
		if n := len(l.journal.Batches()); n < 10 || n > 12 || !l.book.table.IsSaved() {
			t.Errorf("%d batches in a second", n)
		}
		// Repetitions cost nothing.
		before := len(l.journal.Batches())
		for range 1000 {
			l.book.Note(update(0, 0))
			time.Sleep(time.Millisecond)
		}
		if n := len(l.journal.Batches()) - before; n != 0 {
			t.Errorf("%d batches for repetitions", n)
		}
		if h := l.book.List(); h[0].Name != "pc0.corp.example." || h[0].Count != 1002 {
			t.Errorf("%+v", h[0])
		}
	})
}

// TestFlush: many who wait cost few writes, and who was told that it is saved finds it after a kill.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.journal.Slow(func() { time.Sleep(10 * time.Millisecond) })
		var saved sync.WaitGroup
		begin := time.Now()
		for i := range 1000 {
			saved.Go(func() {
				l.book.Note(update(i, i))
				if err := l.flush(); err != nil {
					t.Error(err)
				}
			})
		}
		saved.Wait()
		if took := time.Since(begin); took > 30*time.Millisecond {
			t.Errorf("%s for writes of 10 ms", took)
		}
		if n := len(l.journal.Batches()); n > 3 {
			t.Errorf("%d batches", n)
		}
		l.restart()
		defer func() { l.stop() }()
		if n := len(l.book.List()); n != 1000 {
			t.Errorf("%d are left of 1000", n)
		}
	})
}

// TestFlushWhileSaving: what is noted while a write is under way waits for the next one.
func TestFlushWhileSaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.journal.Slow(func() { time.Sleep(time.Second) })
		l.book.Note(update(1, 1))
		synctest.Wait() // the write is under way
		changed := update(1, 1)
		changed.Reason = "reserved"
		l.book.Note(changed)
		if err := l.flush(); err != nil {
			t.Fatal(err)
		}
		l.restart()
		defer func() { l.stop() }()
		if h := l.book.List(); len(h) != 1 || h[0].Reason != "reserved" {
			t.Errorf("%+v", h)
		}
	})
}

var errDisk = errors.New("the disk is full")

func TestDiskFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.journal.Fail(errDisk)
		for i := range 20 {
			l.book.Note(update(i, i))
			begin := time.Now()
			if err := l.flush(); !errors.Is(err, errDisk) {
				t.Errorf("flush %d: %v", i, err)
			}
			if took := time.Since(begin); took > 10*time.Millisecond {
				t.Errorf("flush %d took %s", i, took)
			}
			time.Sleep(500 * time.Millisecond)
		}
		if !errors.Is(l.book.Err(), errDisk) || len(l.book.List()) != 20 {
			t.Errorf("%v, %d entries", l.book.Err(), len(l.book.List()))
		}
		l.journal.Fail(nil)
		time.Sleep(retryDisk)
		synctest.Wait()
		if l.book.Err() != nil || l.flush() != nil {
			t.Error("the disk is good again and nobody has tried it", l.book.Err())
		}
		if n := strings.Count(l.log.String(), `"level":"error"`); n != 1 || strings.Count(l.log.String(), "saved again") != 1 {
			t.Errorf("logged %d times:\n%s", n, l.log.String())
		}
		l.restart()
		defer func() { l.stop() }()
		if n := len(l.book.List()); n != 20 {
			t.Errorf("%d are left of 20", n)
		}
	})
}

// TestStop: the last word is saved, and nobody waits for ever.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.book.Note(update(1, 1))
		time.Sleep(time.Second)
		l.book.Note(update(2, 2))
		l.book.Note(update(3, 3))
		l.stop()
		l.book.Note(update(4, 4))
		if err := l.flush(); !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
		l.open()
		defer func() { l.stop() }()
		if n := len(l.book.List()); n != 3 {
			t.Errorf("%d are left of 3", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		l.journal.Slow(func() { cancel(); time.Sleep(time.Minute) })
		l.book.Note(update(5, 5))
		if err := l.book.Flush(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer func() { l.stop() }()
		h := update(1, 1)
		h.Principal, h.Role, h.Decision = "ex2$", "mailbox", 0xabc
		if !l.book.Note(h) || l.book.Note(h) {
			t.Error("news is what is new")
		}
		h.Fate, h.Alert, h.Rule = held.Refused, true, ""
		if !l.book.Note(h) {
			t.Error("another fate is news")
		}
		want := []string{
			`{"level":"info","zone":"corp.example.","name":"pc1.corp.example.","what":"add A","data":"10.9.0.1","fate":"quarantined","source":"192.0.0.1","reason":"filtered-class","principal":"ex2$","rule":"builtin-filtered","decision":"0000000000000abc","role":"mailbox","message":"update held"}`,
			`{"level":"warn","zone":"corp.example.","name":"pc1.corp.example.","what":"add A","data":"10.9.0.1","fate":"refused","source":"192.0.0.1","reason":"filtered-class","principal":"ex2$","role":"mailbox","message":"update held"}`,
		}
		if diff := cmp.Diff(want, l.lines()); diff != "" {
			t.Errorf("- want, + got:\n%s", diff)
		}
		for i := range 10_000 {
			l.book.Note(update(i, i))
		}
		if n := len(l.lines()); n > 30 {
			t.Errorf("%d lines of a flood", n)
		}
	})
}

// TestBounds: a client's words are cut, and one that has a whole IPv6 prefix is one source.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer func() { l.stop() }()
		h := update(1, 1)
		h.Type, h.Data, h.Principal = dns.TypeTXT, strings.Repeat("ä", 40_000), "host\x1b[31m\n\xff"
		h.Source, h.Fate = netip.MustParseAddr("::ffff:192.0.2.1"), 0
		l.book.Note(h)
		got := l.book.List()[0]
		if len(got.Data) > MaxData || !strings.HasSuffix(got.Data, "ä...") || got.Principal != "host?[31m??" || got.Source != netip.MustParseAddr("192.0.2.1") || got.Fate != held.Ignored {
			t.Errorf("%+v", got)
		}
		addr := netip.MustParseAddr("2001:db8::1")
		for i := range 2 * DefaultLimits.OfSource {
			h := update(i, 1)
			h.Source, addr = addr, addr.Next()
			l.book.Note(h)
		}
		if n := l.book.Counts()[held.Quarantined]; n != DefaultLimits.OfSource || l.book.Dropped() != uint64(DefaultLimits.OfSource) {
			t.Errorf("%d entries, %d dropped", n, l.book.Dropped())
		}
	})
}

// TestCheckpoints: the journal does not grow for ever, and no checkpoint takes anything away.
func TestCheckpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		for i := range 2*backlogBatches + 100 {
			h := update(i%100, i%100)
			h.Decision = uint64(i)
			l.book.Note(h)
			if err := l.flush(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Millisecond)
		}
		if n, _ := l.journal.Backlog(); n > backlogBatches+int(journal.UpkeepEvery/(2*time.Millisecond)) {
			t.Errorf("%d batches", n)
		}
		want := l.book.List()
		l.restart()
		defer func() { l.stop() }()
		if got := l.book.List(); len(got) != 100 || got[0].Decision != want[0].Decision || got[99].Decision != want[99].Decision {
			t.Errorf("%d entries: %+v", len(got), got)
		}
	})
}

// TestAtOnce has everything at the same time, for the race detector.
func TestAtOnce(t *testing.T) {
	j := &journal.Memory{}
	b, err := Open(j, held.Limits{Total: 100, OfSource: 50, Parked: 50}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var tasks, run sync.WaitGroup
	run.Go(func() { _ = b.Run(ctx) })
	var flushed atomic.Int64
	for s := range 4 {
		tasks.Go(func() {
			for i := range 500 {
				h := update(i%70, s)
				h.Fate, h.Decision = held.Fates[i%4], uint64(i/100)
				b.Note(h)
				switch i % 10 {
				case 0:
					if b.Flush(ctx) == nil {
						flushed.Add(1)
					}
				case 1:
					b.List()
				case 2:
					b.Forget(func(o *Held) bool { return o.Name == h.Name })
				case 3:
					_ = b.Checkpoint(ctx)
				}
			}
		})
	}
	tasks.Wait()
	if err := b.Flush(ctx); err != nil || flushed.Load() != 200 {
		t.Errorf("%v, %d times saved", err, flushed.Load())
	}
	want := b.List()
	after, err := Open(j.Copy(), DefaultLimits, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	names := func(list []Held) (out []string) {
		for _, h := range list {
			out = append(out, fmt.Sprint(h.Name, h.Source, h.Fate, h.Decision))
		}
		slices.Sort(out)
		return out
	}
	if diff := cmp.Diff(names(want), names(after.List())); diff != "" {
		t.Errorf("before -, after +:\n%s", diff)
	}
	cancel()
	run.Wait()
}

// TestHalfSaved: of many entries the first ones are saved when the disk fails, and then the others.
func TestHalfSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		for i := range 5000 {
			l.book.table.Note(update(i, i), time.Now())
		}
		appends := 0
		l.journal.Slow(func() {
			if appends++; appends == 2 {
				l.journal.Fail(errDisk)
			}
		})
		if err := l.flush(); !errors.Is(err, errDisk) || appends != 2 {
			t.Errorf("%v after %d writes", err, appends)
		}
		// The last try is made at once.
		l.journal.Fail(nil)
		l.stop()
		l.open()
		defer func() { l.stop() }()
		if n := len(l.book.List()); n != 5000 {
			t.Errorf("%d are left of 5000", n)
		}
	})
}
