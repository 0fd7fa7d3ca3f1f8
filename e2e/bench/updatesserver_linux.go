package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/miekg/dns"
)

// updateServer is a server that takes updates of a zone, with what was measured of it.
type updateServer struct {
	*process
	*updateKind
	kind    int
	records int // that the zone has beside those of the load
	dir     string
	addr    netip.AddrPort
	began   time.Time // of its start, before exec
	next    int       // change of the load
	fresh   int       // names that were added one by one

	loads  map[updateLoad]*updateFigures
	first  samples // ms from an update to the first changed answer
	acked  samples // ms from NOERROR to the secondary's first changed answer
	told   samples // ms from the update to the same
	paced  *pacedRun
	starts samples // ms from exec to the first right answer
	rss    samples // megabytes after it
}

// updateFigures are those of one kind of load, a sample for each round.
type updateFigures struct {
	rate, cpu, p50, p99 samples // NOERRORs a second, CPU µs for each, ms
	lost                int
	others              map[int]int
}

// firstFresh is the first of the names that are added one by one.
const firstFresh = 10_000_000

// newUpdateServer makes a server with a zone of so many records, and runs it.
func (b *bench) newUpdateServer(ctx context.Context, kind, records int) (*updateServer, error) {
	dir, err := os.MkdirTemp(b.dir, "u")
	if err != nil {
		return nil, err
	}
	s := &updateServer{updateKind: &updateKinds[kind], kind: kind, records: records, dir: dir, loads: map[updateLoad]*updateFigures{}}
	if s.addr, err = freePort(); err != nil {
		return nil, err
	}
	if err := s.start(ctx, b, netip.AddrPort{}); err != nil || kind != kindOurs {
		return s, err
	}
	// What is registered comes by updates, and is there after a start.
	if err := s.register(); err != nil {
		return s, err
	}
	s.stop()
	return s, s.start(ctx, b, netip.AddrPort{})
}

func (s *updateServer) String() string {
	return fmt.Sprintf("%s, %s records", s.name, thousands(s.records))
}

// start runs the server; it may be called again after stop.
func (s *updateServer) start(ctx context.Context, b *bench, secondary netip.AddrPort) (err error) {
	if err := s.write(s, secondary); err != nil {
		return err
	}
	line := s.command(b, s)
	s.began = time.Now()
	if s.process, err = launch(ctx, serverCore(), filepath.Join(s.dir, "log"), line[0], line[1:]...); err != nil {
		return err
	}
	if s.kind == kindOurs && s.fresh == 0 {
		return s.ready()
	}
	return untilServed(s.process, s.addr)
}

// ready waits until the server has its socket.
func (s *updateServer) ready() error {
	return tries(context.Background(), 10*time.Millisecond, startLimit, func() error {
		c, err := dns.DialTimeout("tcp", s.addr.String(), time.Second)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// registerAtOnce is how many records one update has while the zone is filled.
const registerAtOnce = 400

// register adds the records that the zone has in the beginning.
func (s *updateServer) register() error {
	client := dns.Client{Net: "tcp", TsigSecret: map[string]string{updateKey: updateSecret}, Timeout: longest}
	for first := 0; first < s.records; first += registerAtOnce {
		m := new(dns.Msg).SetUpdate(zone)
		for i := first; i < min(first+registerAtOnce, s.records); i++ {
			rr, err := dns.NewRR(fmt.Sprintf("%s %d %s", dnsName(i), updateTTL, recordData(i)))
			if err != nil {
				return err
			}
			m.Ns = append(m.Ns, rr)
		}
		m.SetTsig(updateKey, dns.HmacSHA256, signatureTime, time.Now().Unix())
		r, _, err := client.Exchange(m, s.addr.String()) // the library signs a second request of a connection wrong
		if err != nil {
			return fmt.Errorf("registering records: %w", err)
		}
		if r.Rcode != dns.RcodeSuccess {
			return fmt.Errorf("registering records: %s", dns.RcodeToString[r.Rcode])
		}
	}
	s.fresh++ // names that may be asked for after a start
	return nil
}

// load runs a load, and then sees that an update still has effect.
func (s *updateServer) load(l updateLoad, span time.Duration) error {
	before, err := s.cpu()
	if err != nil {
		return err
	}
	run, err := l.run(s, span)
	if err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	f := s.loads[l]
	if f == nil {
		f = &updateFigures{others: map[int]int{}}
		s.loads[l] = f
	}
	f.lost += run.lost
	for rcode, n := range run.others {
		f.others[rcode] += n
	}
	if run.noerror == 0 {
		return fmt.Errorf("%s: no update of %s was taken: %v, %d lost", s, l, run.others, run.lost)
	}
	f.rate.add(run.rate)
	f.cpu.add(float64(after-before) / float64(time.Microsecond) / float64(run.noerror))
	f.p50.add(run.times.median())
	f.p99.add(run.times.p99())
	return s.once(nil)
}

// once adds a record, waits for the first answer with it, and deletes it. took is the time from the update to that
// answer.
func (s *updateServer) once(took *samples) error {
	a, err := newUpdateAsker(s.addr)
	if err != nil {
		return err
	}
	defer a.close()
	c, err := dialUpdates(s.addr, false)
	if err != nil {
		return err
	}
	defer c.close()
	name := firstFresh + s.fresh
	s.fresh++
	return onCore(loadCore(), func() error {
		if _, err := a.ask(name); err != nil { // the socket is warm
			return err
		}
		began := time.Now()
		if err := c.send(change{name: name}); err != nil {
			return err
		}
		at, _, err := a.until(name, updateAddr, longest)
		if err != nil {
			return err
		}
		if took != nil {
			took.addTime(at.Sub(began))
		}
		return c.exchange(change{name: name, deletes: true})
	})
}

// askSecondary is how often the secondary is asked. A client that asks without a pause would be what it is busy with.
const askSecondary = 500 * time.Microsecond

// follow adds a record and waits until the secondary has it.
func (s *updateServer) follow(secondary netip.AddrPort) error {
	a, err := newUpdateAsker(secondary)
	if err != nil {
		return err
	}
	defer a.close()
	c, err := dialUpdates(s.addr, false)
	if err != nil {
		return err
	}
	defer c.close()
	name := firstFresh + s.fresh
	s.fresh++
	// Updates that come alone: a burst is told as one.
	time.Sleep(60*time.Millisecond + rand.N(60*time.Millisecond))
	began := time.Now()
	if err := c.exchange(change{name: name}); err != nil {
		return err
	}
	acked := time.Now()
	for {
		addr, err := a.ask(name)
		now := time.Now()
		switch {
		case err == nil && addr == updateAddr:
			s.acked.addTime(now.Sub(acked))
			s.told.addTime(now.Sub(began))
			return nil
		case now.Sub(began) > startLimit:
			return fmt.Errorf("%s: its secondary does not have a record after %s: %v", s, startLimit, err)
		}
		time.Sleep(askSecondary)
	}
}
