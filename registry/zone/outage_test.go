package zone

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/journal"
)

// landing is a disk that writes a batch, and says that it did not.
type landing struct {
	*journal.Memory
	fails bool
	last  []byte
}

func (d *landing) Append(batch []byte) (uint64, error) {
	if d.fails {
		d.last = append([]byte(nil), batch...)
		return 0, errDisk
	}
	return d.Memory.Append(batch)
}

// TestFailedWriteComesToLight: a failed write has an update in it, in memory the role moves there and back, and
// a secondary has what was in between. After a kill the update is there: no serial stands for both.
func TestFailedWriteComesToLight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.stop()
		disk := &landing{Memory: l.journal}
		open := func(d *landing) *DB {
			db, err := Open(d, DefaultLimits, l.reg.Snapshot, nopLog)
			if err != nil {
				t.Fatal(err)
			}
			return db
		}
		l.db = open(disk)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.db.Run(ctx) }()
		disk.fails = true
		if got := l.update(corp, "+ a 5 A 192.0.2.1"); got != "SERVFAIL" {
			t.Fatal(got)
		}
		landed := disk.last
		l.switchTo("ex2")
		s := &secondary{t: t}
		s.pull(l.db.View(corp))
		l.switchTo("ex1")
		late := &secondary{t: t}
		late.pull(l.db.View(corp))
		left := disk.Copy()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := left.Append(landed); err != nil {
			t.Fatal(err)
		}
		l.db = open(&landing{Memory: left})
		for _, s := range []*secondary{s, late} {
			if v := l.db.View(corp); !Newer(v.Serial, s.serial) {
				t.Errorf("serial %d after %d", v.Serial, s.serial)
			}
			s.pull(l.db.View(corp))
			s.same(l.db.View(corp))
		}
	})
}

// TestKillKeepsHistory: a start after a kill skips serials, and secondaries get differences all the same.
func TestKillKeepsHistory(t *testing.T) {
	l := newLab(t)
	l.update(corp, "+ a 5 A 192.0.2.1")
	s := &secondary{t: t}
	s.pull(l.db.View(corp))
	l.update(corp, "+ b 5 A 192.0.2.1")
	serial := l.db.View(corp).Serial
	l.kill()
	if got := l.db.View(corp).Serial; got != serial+skip {
		t.Errorf("serial %d after a kill at %d", got, serial)
	}
	if !s.pull(l.db.View(corp)) {
		t.Error("no differences")
	}
	s.same(l.db.View(corp))
	serial = s.serial
	l.restart()
	if got := l.db.View(corp).Serial; got != serial {
		t.Errorf("serial %d after an orderly restart at %d", got, serial)
	}
}

// TestParkedZoneAndKill: a zone that is not owned at the start after a kill skips serials too.
func TestParkedZoneAndKill(t *testing.T) {
	l := newLab(t)
	const reverse = "2.0.192.in-addr.arpa."
	l.update(reverse, "+ 77.2.0.192.in-addr.arpa. 5 PTR a.corp.example.")
	serial := l.db.View(reverse).Serial
	w := testWorld()
	w.Zones = w.Zones[:2]
	l.configure(w)
	l.kill()
	l.restart()
	l.configure(testWorld())
	if got := l.db.View(reverse).Serial; !Newer(got, serial+skip-1) {
		t.Errorf("serial %d, was %d before the kill", got, serial)
	}
	l.want(reverse, "77 5 PTR a.corp.example.")
}

func (l *lab) configure(w *registry.World) {
	l.t.Helper()
	if err := l.reg.Configure(context.Background(), w); err != nil {
		l.t.Fatal(err)
	}
	l.sync()
}

// TestLongOutage: when more is unsaved than is kept, what is registered is right all the same.
func TestLongOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		text := ""
		for i := range 300 {
			text += fmt.Sprintf("+ h%d.deep 5 A 192.0.2.1; + k%d 5 A 192.0.2.1;", i, i)
		}
		l.update(corp, text)
		l.journal.Fail(errDisk)
		w := testWorld()
		deep := *w.Zones[1]
		deep.Name = "deep.corp.example."
		w.Zones = append(w.Zones, &deep)
		l.configure(w)
		w2 := testWorld() // and back: what was registered below is gone for good
		w2.Zones = w2.Zones[:2]
		l.configure(w2)
		for i := range 4000 {
			l.switchTo([]string{"ex2", "ex1"}[i%2])
		}
		synctest.Wait()
		if n := len(l.db.unsaved); n > 2*maxUnsaved {
			t.Errorf("%d octets are unsaved", n)
		}
		s := &secondary{t: t}
		s.pull(l.db.View(corp))
		l.journal.Fail(nil)
		time.Sleep(3 * retryDisk)
		if err := l.db.Err(); err != nil {
			t.Fatal(err)
		}
		s.pull(l.db.View(corp))
		l.restart()
		if got := l.db.View(corp); got.Records() != 300 || got.Serial != s.serial {
			t.Errorf("%d records at serial %d, want 300 at %d", got.Records(), got.Serial, s.serial)
		}
		s.same(l.db.View(corp))
	})
}

// TestNobodyWaitsForever: on a disk that takes nothing, and after the end, everybody gets an answer.
func TestNobodyWaitsForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.update(corp, "+ a 5 A 192.0.2.1; + b 5 A 192.0.2.2")
		all := func(string, Record) bool { return true }
		l.journal.Fail(errDisk)
		for range 20 {
			if went, err := l.db.Change(t.Context(), all); !errors.Is(err, errDisk) || went != nil {
				t.Errorf("Change: %v, %v", went, err)
			}
			if err := l.db.Checkpoint(t.Context()); !errors.Is(err, errDisk) {
				t.Errorf("Checkpoint: %v", err)
			}
			if got := l.update(corp, "- a"); got != "SERVFAIL" {
				t.Errorf("update: %s", got)
			}
			time.Sleep(retryDisk / 4)
		}
		l.want(corp, "a 5 A 192.0.2.1; b 5 A 192.0.2.2")
		l.journal.Fail(nil)
		time.Sleep(2 * retryDisk)
		if went, err := l.db.Change(t.Context(), all); err != nil || len(went) != 2 {
			t.Errorf("Change: %v, %v", went, err)
		}
		l.stop()
		if _, err := l.db.Change(t.Context(), all); !errors.Is(err, ErrStopped) {
			t.Errorf("Change after the end: %v", err)
		}
		if err := l.db.Checkpoint(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("Checkpoint after the end: %v", err)
		}
		if _, err := l.db.Do(t.Context(), Update{Zone: corp}); !errors.Is(err, ErrStopped) {
			t.Errorf("Do after the end: %v", err)
		}
	})
}

// TestDone: a result that submits the next update, and one that nobody waits for.
func TestDone(t *testing.T) {
	l := newLab(t)
	results := make(chan Result, 2)
	first := &Update{Zone: corp, Changes: unpacked(t, []dns.RR{rr(t, "+ a 5 A 192.0.2.1")})}
	second := &Update{
		Zone: corp, Changes: unpacked(t, []dns.RR{rr(t, "- a")}), By: &By{Source: netip.MustParseAddr("192.0.2.1")},
		Done: func(r Result) { results <- r },
	}
	if !l.db.Submit(first) {
		t.Error("no room")
	}
	if !l.db.Submit(&Update{Zone: corp, Done: func(r Result) {
		results <- r
		l.db.Submit(second)
	}}) {
		t.Error("no room")
	}
	for range 2 {
		if r := <-results; r.Rcode != 0 {
			t.Error(r.Why)
		}
	}
	l.want(corp, "")
}
