package wrepl

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nameward/nameward/netbios/wins"
)

const a, b, c = "192.0.2.1", "192.0.2.2", "192.0.2.3"

func once(p *Partner) { p.Persistent = false }

// TestInform: two servers that tell each other on connections that stay open.
func TestInform(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		one, two := w.server(a, to(b)), w.server(b, to(a))
		synctest.Wait()
		w.talk()
		begin := time.Now()
		version := one.put(t, "MAIL<20>", "192.0.2.11")
		sent := false
		if err := one.Tell(t.Context(), two.addr, version, func() { sent = true }); err != nil || !sent {
			t.Errorf("Tell: %v, sent %t", err, sent)
		}
		synctest.Wait()
		same(t, "what the other one has", two.has(a), "MAIL<20> 192.0.2.11")
		same(t, "what was said", w.talk(), "1>2 inform, 2>1 record-query, 1>2 records")
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %s", took)
		}
		time.Sleep(time.Minute)
		one.put(t, "MAIL<20>", "198.51.100.12")
		synctest.Wait()
		same(t, "what the other one has after a switch", two.has(a), "MAIL<20> 198.51.100.12")
		same(t, "what was said", w.talk(), "1>2 inform, 2>1 record-query, 1>2 records")
		same(t, "how it was taken", two.taken(), "MAIL<20> unique active H 1: 192.0.2.11 of 192.0.2.1 from 192.0.2.1; MAIL<20> unique active H 2: 198.51.100.12 of 192.0.2.1 from 192.0.2.1")
		if s := one.Status()[0]; s.Version != 2 || s.PushError != "" || s.PullError != "" || !s.LastPush.Equal(time.Now()) {
			t.Errorf("status %+v", s)
		}
		if s := two.Status()[0]; s.Applied.Stored != 2 || s.Owners != 1 || s.Accepted != 2 {
			t.Errorf("status %+v", s)
		}
		return []*server{one, two}
	})
}

// TestBurst: many changes become a few notifications, and all of them arrive.
func TestBurst(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		one, two := w.server(a, to(b)), w.server(b, to(a))
		synctest.Wait()
		w.talk()
		var version uint64
		for range 1000 {
			version = one.put(t, "MAIL<20>", "192.0.2.11")
			time.Sleep(time.Millisecond)
		}
		if err := one.Tell(t.Context(), two.addr, version, func() {}); err != nil {
			t.Error(err)
		}
		if n := strings.Count(w.talk(), "inform"); n > 1000 || n == 0 {
			t.Errorf("%d notifications", n)
		}
		return []*server{one, two}
	})
}

// TestUpdate: a notification on a connection of its own, where the other server asks back and ends it.
func TestUpdate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		p     Partner
		minor uint16
		word  string
	}{
		{"by choice", to(b, once), 0, "update"},
		{"with NT 4", to(b), 1, "update"},
		{"and propagate", to(b, once, func(p *Partner) { p.Propagate = true }), 0, "update-propagate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world(t, func(t *testing.T, w *wire) []*server {
				w.minor = tt.minor
				one, two := w.server(a, tt.p), w.server(b, to(a, func(p *Partner) { p.Push = false }))
				time.Sleep(10 * time.Second)
				w.talk()
				version := one.put(t, "MAIL<20>", "192.0.2.11")
				if err := one.Tell(t.Context(), two.addr, version, func() {}); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				same(t, "what the other one has", two.has(a), "MAIL<20> 192.0.2.11")
				same(t, "what was said", w.talk(), "1>2 start, 2>1 start-reply, 1>2 "+tt.word+", 2>1 record-query, 1>2 records, 2>1 stop")
				return []*server{one, two}
			})
		})
	}
}

// TestPull: a server that nobody tells anything asks by its timer.
func TestPull(t *testing.T) {
	quiet := func(p *Partner) { p.Push = false }
	world(t, func(t *testing.T, w *wire) []*server {
		one := w.server(a, to(b, quiet))
		one.put(t, "MAIL<20>", "192.0.2.11")
		two := w.server(b, to(a, quiet))
		synctest.Wait()
		same(t, "at the start", two.has(a), "MAIL<20> 192.0.2.11")
		one.put(t, "MAIL<20>", "198.51.100.12")
		time.Sleep(29 * time.Minute)
		same(t, "before the time", two.has(a), "MAIL<20> 192.0.2.11")
		time.Sleep(2 * time.Minute)
		same(t, "after it", two.has(a), "MAIL<20> 198.51.100.12")
		return []*server{one, two}
	})
}

// TestPushOnly: a partner is told and never asked for records.
func TestPushOnly(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		one := w.server(a, to(b, func(p *Partner) { p.Pull = 0 }))
		two := w.server(b, to(a))
		two.put(t, "MAIL<20>", "192.0.2.11")
		one.put(t, "FILE<20>", "192.0.2.12")
		time.Sleep(time.Hour)
		same(t, "what the one has", one.has(b), "")
		same(t, "what the other has", two.has(a), "FILE<20> 192.0.2.12")
		return []*server{one, two}
	})
}

// TestWhoKnowsMost: records of a third server are asked for once, from the partner that has most of them.
func TestWhoKnowsMost(t *testing.T) {
	const x = "192.0.2.99"
	world(t, func(t *testing.T, w *wire) []*server {
		quiet := func(p *Partner) { p.Push = false } // who hears of one thing first asks for it first
		two, three := w.server(b, to(a, quiet)), w.server(c, to(a, quiet))
		for i, s := range []*server{two, three} {
			for v := range i + 3 {
				other := newMemory()
				other.put(t, "MAIL<20>", "192.0.2.11")
				for r := range other.Records(ip("0.0.0.0"), 0, 9) {
					r.Version, r.Owner = uint64(v+1), ip(x)
					if _, err := s.Apply(t.Context(), wins.Replicas{Owner: ip(x), Records: []wins.Record{*r}}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		w.talk()
		one := w.server(a, to(b), to(c))
		time.Sleep(30 * time.Second)
		same(t, "how it was taken", one.taken(), "MAIL<20> unique active H 4: 192.0.2.11 of 192.0.2.99 from 192.0.2.3")
		if talk := w.talk(); strings.Contains(talk, "1>2 record-query") || strings.Count(talk, "1>3 record-query") != 1 {
			t.Errorf("what was said: %s", talk)
		}
		return []*server{one, two, three}
	})
}

// TestPropagate: news go on to a third server if their sender asks for that, and do not come back.
func TestPropagate(t *testing.T) {
	for _, on := range []bool{true, false} {
		world(t, func(t *testing.T, w *wire) []*server {
			propagate := func(p *Partner) { p.Propagate = on }
			one, three := w.server(a, to(b, propagate)), w.server(c, to(b))
			two := w.server(b, to(a), to(c))
			time.Sleep(2 * time.Minute) // after the tries when the others were not there
			w.talk()
			one.put(t, "MAIL<20>", "192.0.2.11")
			synctest.Wait()
			same(t, "the second one", two.has(a), "MAIL<20> 192.0.2.11")
			if !on {
				same(t, "the third one", three.has(a), "")
				return []*server{one, two, three}
			}
			same(t, "the third one", three.has(a), "MAIL<20> 192.0.2.11")
			same(t, "what was said", w.talk(),
				"1>2 inform-propagate, 2>1 record-query, 1>2 records, 2>3 inform-propagate, 3>2 record-query, 2>3 records")
			return []*server{one, two, three}
		})
	}
}

// TestDown: a partner that is away for a while has the latest state soon after it came back, and only that.
func TestDown(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		one, two := w.server(a, to(b)), w.server(b, to(a))
		synctest.Wait()
		two.stop()
		time.Sleep(time.Second)
		one.put(t, "MAIL<20>", "192.0.2.11")
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		err := one.Tell(ctx, two.addr, 1, func() { t.Error("sent") })
		stop()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("telling one that is away: %v", err)
		}
		version := one.put(t, "MAIL<20>", "198.51.100.12")
		time.Sleep(10 * time.Minute)
		if s := one.Status()[0]; s.PushError == "" {
			t.Errorf("status %+v", s)
		}
		if n := strings.Count(w.talk(), "start"); n > 50 {
			t.Errorf("%d tries", n)
		}
		begin := time.Now()
		two.up()
		if err := one.Tell(t.Context(), two.addr, version, func() {}); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("it took %s", took)
		}
		synctest.Wait()
		same(t, "how it was taken", two.taken(), "MAIL<20> unique active H 2: 198.51.100.12 of 192.0.2.1 from 192.0.2.1")
		return []*server{one, two}
	})
}

// TestDeaf: a partner that is told and asks for nothing is told again, not all the time.
func TestDeaf(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		one := w.server(a, to(b))
		two := w.server(b, to(a, func(p *Partner) { p.Pull = 0 }))
		time.Sleep(time.Minute)
		w.talk()
		version := one.put(t, "MAIL<20>", "192.0.2.11")
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		if err := one.Tell(ctx, two.addr, version, func() {}); err == nil || !strings.Contains(err.Error(), "does not ask") {
			t.Errorf("Tell: %v", err)
		}
		if n := strings.Count(w.talk(), "1>2 inform"); n < 15 || n > 25 {
			t.Errorf("%d notifications in ten minutes", n)
		}
		// Each delivery that was not followed may have been lost on the way.
		for range 12 {
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			if err := one.Tell(ctx, two.addr, version, func() {}); err == nil {
				t.Error("it was followed")
			}
			stop()
		}
		if n := strings.Count(w.talk(), "1>2 inform"); n < 11 || n > 15 {
			t.Errorf("%d notifications for 12 deliveries in a minute", n)
		}
		return []*server{one, two}
	})
}

// TestAlreadyThere: a partner that got our records elsewhere does not ask, and its table says so.
func TestAlreadyThere(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		one := w.server(a, to(b))
		two := w.server(b, to(a))
		time.Sleep(time.Minute)
		r := wins.Record{Name: mustName(t, "MAIL<20>"), Owner: ip(a), Version: 1}
		if _, err := two.Apply(t.Context(), wins.Replicas{Owner: ip(a), Records: []wins.Record{r}}); err != nil {
			t.Fatal(err)
		}
		version := one.put(t, "MAIL<20>", "192.0.2.11")
		begin := time.Now()
		if err := one.Tell(t.Context(), two.addr, version, func() {}); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
		return []*server{one, two}
	})
}

// TestLost: a server whose file is gone goes on above the version that its partners know.
func TestLost(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		one, two := w.server(a, to(b)), w.server(b, to(a))
		for range 5 {
			one.put(t, "MAIL<20>", "192.0.2.11")
		}
		time.Sleep(time.Minute)
		one.stop()
		one.memory = newMemory()
		one.up()
		time.Sleep(time.Minute)
		version := one.put(t, "MAIL<20>", "198.51.100.12")
		if version != 6 {
			t.Errorf("version %d", version)
		}
		synctest.Wait()
		same(t, "what the other one has", two.has(a), "MAIL<20> 198.51.100.12")
		return []*server{one, two}
	})
}

// TestBeginsAnew: a server that has lost its file and begins with low versions is believed, though others still know
// high ones of it, and what it had before does not come back from them.
func TestBeginsAnew(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		one, two, three := w.server(a, to(b), to(c)), w.server(b, to(a), to(c)), w.server(c, to(a), to(b))
		for range 5 {
			one.put(t, "MAIL<20>", "192.0.2.11")
			one.put(t, "GONE<20>", "192.0.2.11")
		}
		time.Sleep(time.Minute)
		one.stop()
		one.memory = newMemory()
		one.stubborn = true
		one.put(t, "MAIL<20>", "198.51.100.12")
		one.up()
		time.Sleep(2 * time.Minute)
		for _, s := range []*server{two, three} {
			same(t, "what the others have", s.has(a), "MAIL<20> 198.51.100.12")
		}
		time.Sleep(3 * time.Hour)
		for _, s := range []*server{two, three} {
			same(t, "in the long run", s.has(a), "MAIL<20> 198.51.100.12")
		}
		// While it is away others are believed again, and have nothing old.
		two.stop()
		one.put(t, "MAIL<20>", "192.0.2.11")
		time.Sleep(time.Minute)
		one.stop()
		two.up()
		time.Sleep(2 * time.Minute)
		same(t, "from the third", two.has(a), "MAIL<20> 192.0.2.11")
		return []*server{two, three}
	})
}

// TestContradiction: two partners that each know more of the other one than that one says keep nobody busy.
func TestContradiction(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		two, three := w.server(b), w.server(c)
		two.set, three.set = Settings{Address: ip(b), Partners: []Partner{to(a)}}, Settings{Address: ip(c), Partners: []Partner{to(a)}}
		for s, other := range map[*server]string{two: c, three: b} {
			s.stop()
			s.stubborn = true
			s.versions[ip(other)], s.seen[ip(other)] = 900, 900
			s.put(t, "MAIL<20>", "192.0.2.11")
			s.up()
		}
		one := w.server(a, to(b), to(c))
		time.Sleep(time.Minute)
		w.talk()
		time.Sleep(time.Hour)
		if n := strings.Count(w.talk(), "1>"); n > 2*2*6*60 {
			t.Errorf("%d messages in an hour", n)
		}
		same(t, "what it has of one", one.has(b), "MAIL<20> 192.0.2.11")
		same(t, "what it has of the other", one.has(c), "MAIL<20> 192.0.2.11")
		return []*server{one, two, three}
	})
}

// TestUnsaved: what the database does not take is asked for again.
func TestUnsaved(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		one, two := w.server(a, to(b)), w.server(b, to(a))
		time.Sleep(time.Minute)
		two.memory.mu.Lock()
		two.err = errors.New("no space left on device")
		two.memory.mu.Unlock()
		one.put(t, "MAIL<20>", "192.0.2.11")
		time.Sleep(time.Minute)
		if s := two.Status()[0]; !strings.Contains(s.PullError, "no space left") {
			t.Errorf("status %+v", s)
		}
		two.memory.mu.Lock()
		two.err = nil
		two.memory.mu.Unlock()
		time.Sleep(2 * time.Minute)
		same(t, "what the other one has", two.has(a), "MAIL<20> 192.0.2.11")
		return []*server{one, two}
	})
}

// TestVerify: from time to time an owner is asked for everything, though it has nothing new.
func TestVerify(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		one, two := w.server(a, to(b)), w.server(b, to(a))
		one.put(t, "MAIL<20>", "192.0.2.11")
		time.Sleep(11 * 24 * time.Hour)
		two.taken()
		w.talk()
		time.Sleep(2 * 24 * time.Hour)
		same(t, "what came again", two.taken(), "MAIL<20> unique active H 1: 192.0.2.11 of 192.0.2.1 from 192.0.2.1")
		if n := strings.Count(w.talk(), "record-query"); n != 1 {
			t.Errorf("%d questions for records", n)
		}
		return []*server{one, two}
	})
}

func TestTellStranger(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		one := w.server(a, to(b, func(p *Partner) { p.Push = false }))
		for _, addr := range []string{b, c} {
			if err := one.Tell(t.Context(), ip(addr).Addr(), 1, func() {}); !errors.Is(err, ErrNoPartner) {
				t.Errorf("%s: %v", addr, err)
			}
		}
		return []*server{one}
	})
}
