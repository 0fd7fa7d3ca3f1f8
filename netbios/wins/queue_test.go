package wins

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nameward/nameward/netbios"
)

func labRequest(source byte, id uint16) *Request {
	return &Request{ID: id, Source: portOf(IPv4{192, 0, 2, source})}
}

func TestQueueShares(t *testing.T) {
	q := newQueue()
	taken := func(limit int) map[byte]int {
		n := map[byte]int{}
		for _, r := range q.take(nil, limit) {
			n[r.Source.Addr().As4()[3]]++
		}
		return n
	}
	for i := range uint16(100) {
		if ok := q.push(labRequest(1, i), 100); ok != (i < 50) {
			t.Fatalf("request %d of a flood was taken: %t", i, ok)
		}
	}
	for i := range uint16(3) {
		if !q.push(labRequest(2, i), 100) || !q.push(labRequest(3, i), 100) {
			t.Fatal("one source has all of the queue")
		}
	}
	if got := taken(14); got[1] != quantum || got[2] != 3 || got[3] != 3 {
		t.Errorf("the first 14 are from %v", got)
	}
	if !q.push(labRequest(1, 100), 100) {
		t.Error("no room where something was taken")
	}
	if got := taken(1000); got[1] != 43 || len(got) != 1 {
		t.Errorf("the rest is from %v", got)
	}
	if q.len != 0 || len(q.lanes) != 0 {
		t.Errorf("%d wait in %d lanes", q.len, len(q.lanes))
	}
}

// TestQueueReserve: those who fill the queue do not shut out those who have little in it.
func TestQueueReserve(t *testing.T) {
	q := newQueue()
	for i := range uint16(100) {
		q.push(labRequest(1, i), 100)
		q.push(labRequest(2, i), 100)
	}
	if q.len != 100 {
		t.Fatalf("two floods have %d places, want 100", q.len)
	}
	for i := range uint16(60) {
		if ok := q.push(labRequest(3, i), 100); ok != (i < 25) {
			t.Fatalf("request %d of a third source was taken: %t", i, ok)
		}
	}
	for s := byte(10); s < 110; s++ {
		q.push(labRequest(s, 1), 100)
	}
	if q.len > 200 {
		t.Errorf("%d wait, want 200 at the most", q.len)
	}
}

// TestQueue compares the queue with lists by source: nothing is lost, nothing comes twice, what is from
// one source stays in order, and there is a token as long as something waits.
func TestQueue(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	q := newQueue()
	want := map[byte][]uint16{}
	waiting, id := 0, uint16(0)
	for range 20000 {
		if rnd.IntN(20) > 0 {
			source := byte(rnd.IntN(40))
			id++
			ok := q.push(labRequest(source, id), 60)
			share := 30
			if waiting >= 60 {
				lanes := 0
				for _, ids := range want {
					lanes += min(1, len(ids))
				}
				share = 60 / (lanes + 1)
			}
			if isRoom := waiting < 120 && len(want[source]) < max(1, share); ok != isRoom {
				t.Fatalf("taken: %t; %d wait, %d of the source", ok, waiting, len(want[source]))
			}
			if ok {
				want[source] = append(want[source], id)
				waiting++
			}
			continue
		}
		for _, r := range q.take(nil, rnd.IntN(40)) {
			source := r.Source.Addr().As4()[3]
			if len(want[source]) == 0 || want[source][0] != r.ID {
				t.Fatalf("request %d of %d, want %v", r.ID, source, want[source])
			}
			want[source] = want[source][1:]
			waiting--
		}
		if q.len != waiting || int(q.waiting.Load()) != waiting {
			t.Fatalf("%d wait, want %d", q.len, waiting)
		}
		if waiting > 0 && len(q.wake) == 0 {
			t.Fatal("something waits and nobody was told")
		}
	}
}

// TestFlood has one address flood a database on a slow disk: another one's request is served with the
// next batch but one, and the flood itself is cut to its share.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer l.stop()
		set := l.db.Settings()
		set.Limits.Queue = 8192
		set.Limits.PerAddress = 1 << 20
		l.db.Configure(set)
		l.journal.Slow(func() { time.Sleep(100 * time.Millisecond) })
		flood := func(n int) {
			for i := range n {
				l.send(fmt.Sprintf("register F%d 192.0.2.66 ttl %d", i, i))
			}
		}
		flood(6000)
		if got := l.db.Count(Register, Shed); got > 6000-4096 || got < 6000-4096-maxBatch {
			t.Errorf("%d of 6000 were shed, want what is above 4096 and a batch", got)
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				for range 5 {
					flood(1000)
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
		for i := range 5 {
			begin := time.Now()
			l.want(fmt.Sprintf("register OTHER%d 192.0.2.1", i), Registered)
			if took := time.Since(begin); took > 250*time.Millisecond {
				t.Errorf("another address waited %s beside a flood", took)
			}
		}
		all.Wait()
	})
}

// TestFloodStops is about a database that is stopped in the middle of a flood.
func TestFloodStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.journal.Slow(func() { time.Sleep(15 * time.Millisecond) })
		stopped := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stopped:
					return
				default:
				}
				for j := range 2000 {
					r := l.request(fmt.Sprintf("register F%d 192.0.2.1", j))
					r.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(j >> 8), byte(j)}), 137)
					l.db.Submit(r)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
		time.Sleep(100 * time.Millisecond)
		begin := time.Now()
		l.stop()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("it took %s to stop", took)
		}
		close(stopped)
		all.Wait()
	})
}

// TestBurst is about a disk that stands still: after a second known and new nodes get a short answer at
// once, but nobody's name is given away and no role's.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.want("register FS1 192.0.2.1", Registered)
		l.admit = func(r *Request) Verdict {
			if r.Name == netbios.MustParseName("MAIL") {
				return Verdict{Action: Park, Guarded: true, Addrs: r.Addrs}
			}
			return Verdict{Action: Publish, Addrs: r.Addrs}
		}
		free := make(chan struct{})
		l.journal.Slow(func() { <-free })
		defer l.stop()
		defer close(free)
		for i := range 2001 {
			r := l.request(fmt.Sprintf("register N%d 10.0.%d.%d", i, i/256, i%256))
			if a := l.db.Submit(r); a.Outcome != Waiting {
				t.Fatalf("%s before the disk stands still", a.Outcome)
			}
			if i == 0 {
				synctest.Wait() // the writer has it
			}
		}
		time.Sleep(burstStall)
		for _, test := range []struct {
			line string
			want Outcome
			ttl  uint32
		}{
			{"register NEW 192.0.2.2", Burst, 50 * 60},
			{"refresh FS1 192.0.2.1", Burst, 50 * 60},
			{"register FS1 192.0.2.9", Waiting, 0},
			{"release FS1 192.0.2.1", Waiting, 0},
			{"register MAIL 192.0.2.1", Waiting, 0},
		} {
			if a := l.db.Submit(l.request(test.line)); a.Outcome != test.want || a.TTL != test.ttl || a.Rcode != 0 {
				t.Errorf("%s: %+v, want %s with %d", test.line, a, test.want, test.ttl)
			}
		}
	})
}
