package wins

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/store/journal"
)

// standStill has the writer wait for the disk until the returned function is called: what is sent
// meanwhile is in one batch.
func (l *lab) standStill() (goOn func()) {
	l.t.Helper()
	free := make(chan struct{})
	l.journal.Slow(func() { <-free })
	l.send("register STANDSTILL 192.0.2.250")
	synctest.Wait()
	return sync.OnceFunc(func() {
		close(free)
		synctest.Wait()
	})
}

// TestOneBatch is about requests that meet in one batch with each other and with the end of a challenge.
func TestOneBatch(t *testing.T) {
	alive := func(_ netbios.Name, addrs []IPv4) []Challenged {
		time.Sleep(time.Second)
		return []Challenged{{Addr: addrs[0], Has: true, Lists: addrs}}
	}
	for name, test := range map[string]struct {
		first, meanwhile string // first is sent before the batch, and waits
		fail             bool
		wantFirst, want  Outcome
	}{
		"a claimant comes as the challenge ends":        {"register FS1 192.0.2.2", "register FS1 192.0.2.3", false, Contested, Contested},
		"the owner refreshes as the challenge ends":     {"register FS1 192.0.2.2", "refresh FS1 192.0.2.1 ttl 2400", false, Contested, Refreshed},
		"the owner releases as the challenge ends":      {"register FS1 192.0.2.2", "release FS1 192.0.2.1", false, Registered, ReleasedOwn},
		"a group comes as the challenge ends":           {"register FS1 192.0.2.2", "register FS1 group 192.0.2.3", false, Contested, Contested},
		"a claimant comes, and the disk fails":          {"register FS1 192.0.2.2", "register FS1 192.0.2.3", true, Contested, Unsaved},
		"the owner releases, and the disk fails":        {"register FS1 192.0.2.2", "release FS1 192.0.2.1", true, Contested, Unsaved},
		"another name's challenge begins":               {"register FS1 192.0.2.2", "register FS2 192.0.2.3", false, Contested, Contested},
		"another name's challenge begins, failing disk": {"register FS1 192.0.2.2", "register FS2 192.0.2.3", true, Contested, Unsaved},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t)
				defer func() { l.stop() }()
				l.want("register FS1 192.0.2.1", Registered)
				l.want("register FS2 192.0.2.1", Registered)
				l.owner = alive
				first := l.send(test.first)
				goOn := l.standStill()
				other := l.send(test.meanwhile)
				time.Sleep(2 * time.Second) // the owner has answered
				if test.fail {
					l.send("register EXTRA 192.0.2.200") // so that there is something to save
					l.nextFails()
				}
				goOn()
				time.Sleep(time.Minute)
				for r, want := range map[*Request]Outcome{first: test.wantFirst, other: test.want} {
					got := l.said(r)
					if err := oneAnswer(got); err != nil || got[len(got)-1].Outcome != want {
						t.Errorf("%s %s from %s: %+v (%v), want %s", r.Op, r.Name, r.Source, got, err, want)
					}
				}
			})
		})
	}
}

// nextFails has the batch after the one that is under way fail, and that one alone.
func (l *lab) nextFails() {
	n := 0
	l.journal.Slow(func() {
		if n++; n == 1 {
			l.journal.Fail(errDisk)
			return
		}
		l.journal.Fail(nil)
	})
}

// TestStopInChallenges stops a database with challenges under way, claimants that wait and commands.
func TestStopInChallenges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		var err error
		l.db, err = Open(&journal.Memory{}, l.db.Settings(), l, func(ctx context.Context, _ netbios.Name, _ []IPv4) ([]Challenged, error) {
			<-ctx.Done()
			return nil, nil
		}, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := l.db.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		var waiting []*Request
		for i := range 200 {
			l.want(fmt.Sprintf("register N%d 192.0.2.1", i), Registered)
			waiting = append(waiting, l.send(fmt.Sprintf("register N%d 192.0.2.2", i)), l.send(fmt.Sprintf("register N%d 192.0.2.3", i)))
		}
		synctest.Wait()
		if got := l.db.Load().Challenges; got != 200 {
			t.Errorf("%d challenges under way, want 200", got)
		}
		cancel()
		<-done
		for _, r := range waiting {
			if got := l.said(r); len(got) != 1 || !got[0].Wack {
				t.Fatalf("%+v", got)
			}
		}
		if _, err := l.db.Remove(t.Context(), netbios.MustParseName("N1"), netip.Addr{}); !errors.Is(err, ErrStopped) {
			t.Errorf("after the end: %v", err)
		}
		l.stop()
	})
}

// TestAskGivenUp is about callers that do not wait: what they asked for is done whole or not at all, and
// nobody writes to what is theirs.
func TestAskGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer func() { l.stop() }()
		goOn := l.standStill()
		r := labRecord(1, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		errs, err := l.db.Put(ctx, []Record{r})
		if !errors.Is(err, context.DeadlineExceeded) || errs[0] != nil {
			t.Errorf("%v, %v", errs, err)
		}
		goOn()
		if _, ok := l.db.Snapshot().Find(r.Name); ok {
			t.Error("it was done after it was given up")
		}

		// The writer has it already: the caller has to wait for the disk.
		free := make(chan struct{})
		l.journal.Slow(func() { <-free })
		time.AfterFunc(10*time.Second, func() { close(free) })
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		errs, err = l.db.Put(ctx, []Record{r})
		if _, ok := l.db.Snapshot().Find(r.Name); err != nil || errs[0] != nil || !ok {
			t.Errorf("%v, %v; it is there: %t", errs, err, ok)
		}
		l.journal.Slow(nil)
	})
}

// TestManyRenewedWithoutDisk renews more records while the disk takes nothing than one batch has room for.
func TestManyRenewedWithoutDisk(t *testing.T) {
	const n = 3 * maxHardened / 2
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer func() { l.stop() }()
		set := l.db.Settings()
		set.Limits.Queue, set.Limits.PerAddress = math.MaxInt, math.MaxInt
		l.db.Configure(set)
		every := func(op string, want Outcome) {
			t.Helper()
			var sent []*Request
			for i := range n {
				sent = append(sent, l.send(fmt.Sprintf("%s N%d 192.0.2.1", op, i)))
			}
			for i, r := range sent {
				if a, _ := l.last(r); a.Outcome != want {
					t.Fatalf("%s %d: %s, want %s", op, i, a.Outcome, want)
				}
			}
		}
		every("register", Registered)
		time.Sleep(time.Hour)
		want := StampOf(time.Now().Add(300000 * time.Second))
		l.journal.Fail(errDisk)
		every("refresh", Refreshed)
		if got := len(l.db.unsaved); got != n {
			t.Errorf("%d are to be saved, want %d", got, n)
		}
		time.Sleep(10 * time.Second)
		before, _ := l.journal.Backlog()
		l.journal.Fail(nil)
		time.Sleep(10 * time.Second)
		after, _ := l.journal.Backlog()
		if after-before != 2 || len(l.db.unsaved) != 0 {
			t.Errorf("%d batches, %d records left; want 2 and none", after-before, len(l.db.unsaved))
		}
		l.restart()
		for r := range l.db.Snapshot().All() {
			if r.Ends < want {
				t.Fatalf("%s ends at %s: the refresh was lost", r.Name, r.Ends.Time())
			}
		}
	})
}

// TestVetNeedsDisk says that a review of the records that could not be saved is an error.
func TestVetNeedsDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer func() { l.stop() }()
		l.want("register FS1 192.0.2.1", Registered)
		l.admit = func(*Request) Verdict { return Verdict{Action: Quarantine} }
		l.journal.Fail(errDisk)
		if err := l.db.Vet(t.Context()); !errors.Is(err, errDisk) {
			t.Errorf("%v", err)
		}
		l.wantQuery("FS1", "192.0.2.1")
		l.journal.Fail(nil)
		time.Sleep(3 * time.Second)
		if err := l.db.Vet(t.Context()); err != nil {
			t.Error(err)
		}
		l.wantQuery("FS1", "-")
	})
}

// TestUpstream is about the word of a server behind.
func TestUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer func() { l.stop() }()
		sent := func(line string, up Upstream) Outcome {
			r := l.request(line)
			r.Upstream, r.UpstreamRcode = up, netbios.RcodeActive
			l.db.Submit(r)
			a, _ := l.last(r)
			return a.Outcome
		}
		l.want("register FS1 192.0.2.1", Registered)
		for _, test := range []struct {
			line string
			up   Upstream
			want Outcome
			outs int
		}{
			{"register FS1 192.0.2.2", Denied, Contested, 0},
			{"register FS1 192.0.2.2", Accepted, TakenOver, 0},
			{"refresh FS1 192.0.2.2", Accepted, Refreshed, 0},
			{"register FS2<1c> 192.0.2.2", Accepted, Forbidden, 0},
			{"register FS2 192.0.2.2", SendToo, Registered, 1},
			{"refresh FS2 192.0.2.2", Unreachable, Refreshed, 1},
			{"release FS2 192.0.2.2 from 192.0.2.66", SendToo, NotReleased, 1},
			{"register FS3 192.0.2.2", SendToo, Registered, 2},
			{"release FS3 192.0.2.2", SendToo, ReleasedOwn, 2},
		} {
			if got := sent(test.line, test.up); got != test.want {
				t.Errorf("%s: %s, want %s", test.line, got, test.want)
			}
			if _, n := l.db.Outbox(10); n != test.outs {
				t.Errorf("%s: %d to be told, want %d", test.line, n, test.outs)
			}
		}
		forever := l.request("register FS4 192.0.2.4")
		forever.Upstream, forever.UpstreamTTL = Accepted, math.MaxUint32
		l.db.Submit(forever)
		if a, _ := l.last(forever); a.Outcome != Registered || a.TTL != math.MaxUint32 {
			t.Errorf("%+v", a)
		}
		l.wantQuery("FS4", "192.0.2.4")
		l.restart()
		outs, _ := l.db.Outbox(10)
		if len(outs) != 2 || outs[0].Op != Refresh || outs[1].Op != Release {
			t.Fatalf("%+v", outs)
		}
		time.Sleep(2 * time.Second)
		sent("refresh FS2 192.0.2.2", SendToo) // newer than what is told now
		if err := l.db.Told(t.Context(), outs); err != nil {
			t.Error(err)
		}
		if left, _ := l.db.Outbox(10); len(left) != 1 || left[0].Since == outs[0].Since {
			t.Errorf("%+v", left)
		}
		l.restart()
		if _, n := l.db.Outbox(10); n != 1 {
			t.Errorf("%d after a restart", n)
		}
	})
}

// TestSnapshotsStay says that nothing reachable from a snapshot changes: it is compared with a copy
// of it after many changes, which the race detector looks at as well.
func TestSnapshotsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer func() { l.stop() }()
		for i := range 20 {
			l.want(fmt.Sprintf("register CORP%d<1c> group 192.0.2.1", i), Registered)
			for j := range MaxMembers {
				l.want(fmt.Sprintf("register CORP%d<1c> group 192.0.2.%d", i, j+2), Refreshed)
			}
		}
		s := l.db.Snapshot()
		want := map[netbios.Name][]Member{}
		for r := range s.All() {
			want[r.Name] = r.Members()
		}
		read := make(chan struct{})
		go func() {
			defer close(read)
			for range 100 {
				for r := range s.All() {
					_ = r.Members()
				}
				time.Sleep(time.Millisecond)
			}
		}()
		for i := range 20 {
			name := netbios.MustParseName(fmt.Sprintf("CORP%d<1c>", i))
			for j := range MaxMembers {
				l.want(fmt.Sprintf("refresh %s group 192.0.2.%d", name, j+2), Refreshed)
				if j%3 == 0 {
					l.want(fmt.Sprintf("release %s group 192.0.2.%d", name, j+2), ReleasedOwn)
				}
			}
			if _, err := l.db.Remove(t.Context(), name, netip.MustParseAddr("192.0.2.9")); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Hour)
		<-read
		for r := range s.All() {
			if got := r.Members(); fmt.Sprint(got) != fmt.Sprint(want[r.Name]) {
				t.Errorf("%s: %v, was %v", r.Name, got, want[r.Name])
			}
		}
	})
}

// BenchmarkDatabase opens a database of a million records and measures its live heap and one batch.
func BenchmarkDatabase(b *testing.B) {
	const n = 1_000_000
	m := &journal.Memory{}
	var pieces [][]byte
	piece := appendCount(nil, n)
	for i := range n {
		r := labRecord(i, uint64(i)+1)
		if piece = appendRecord(piece, &r); len(piece) > chunkOctets {
			pieces, piece = append(pieces, piece), nil
		}
	}
	if err := m.Checkpoint(b.Context(), 0, slices.Values(append(pieces, piece))); err != nil {
		b.Fatal(err)
	}
	l := &lab{}
	d, octets := heapOf(func() *Database {
		d, err := Open(m, Settings{Timers: DefaultTimers, Limits: DefaultLimits}, l, nil, zerolog.Nop())
		if err != nil {
			b.Fatal(err)
		}
		return d
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, err := Open(m, d.Settings(), l, nil, zerolog.Nop()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(octets)/n, "heapB/record")
	})
	b.Run("sweep", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.step(nil, []*command{{do: (*work).sweep}})
		}
	})
	b.Run("refresh1", func(b *testing.B) { benchmarkRefresh(b, d, l, 1) })
	b.Run("refresh100", func(b *testing.B) { benchmarkRefresh(b, d, l, 100) })
	b.Run("roles3000", func(b *testing.B) { benchmarkRoles(b, d) })
	b.Run("replicas1000", func(b *testing.B) { benchmarkApply(b, d) })
	runtime.KeepAlive(d)
}

// benchmarkRoles is a switch of a thousand roles, with what partners then ask for.
func benchmarkRoles(b *testing.B, d *Database) {
	b.ReportAllocs()
	d.journal = forgetful{}
	i := byte(0)
	for b.Loop() {
		i = i%200 + 1
		before, names := d.Snapshot().Version, labRoles(1000, i)
		d.step(nil, []*command{{do: func(w *work) { w.setRoles(names) }}})
		n := 0
		for range d.Snapshot().Records(IPv4{}, before+1, math.MaxUint64, 1, nil) {
			n++
		}
		if n != len(names) {
			b.Fatal(n)
		}
	}
}

// benchmarkApply is a thousand replicas, each newer than the one before it.
func benchmarkApply(b *testing.B, d *Database) {
	b.ReportAllocs()
	d.journal = forgetful{}
	from := Replicas{Partner: IPv4{192, 0, 2, 201}, Owner: IPv4{192, 0, 2, 201}}
	version := uint64(0)
	for b.Loop() {
		var part []Record
		for i := range 1000 {
			version++
			r := labRecord(5_000_000+i*97, version)
			r.Name, r.State = netbios.MustParseName(fmt.Sprintf("REPL%d<20>", i)), Active
			part = append(part, r)
		}
		d.step(nil, []*command{{do: func(w *work) {
			w.apply(&from, part, &Applied{})
			w.sees(&from, part, true)
		}}})
	}
}

type noSink struct{}

func (noSink) Answer(*Request, Answer) {}
func (noSink) Flush()                  {}

// forgetful is a journal that keeps nothing.
type forgetful struct{ *journal.Memory }

func (forgetful) Append([]byte) (uint64, error) { return 1, nil }

func benchmarkRefresh(b *testing.B, d *Database, l *lab, size int) {
	b.ReportAllocs()
	var batch []*Request
	for i := range size {
		r := labRecord(i*97, 0)
		req := claimOf(&r)
		req.To, req.TTL = noSink{}, 300000
		req.verdict = l.Admit(req)
		batch = append(batch, req)
	}
	d.journal = forgetful{}
	for b.Loop() {
		d.step(batch, nil)
	}
}
