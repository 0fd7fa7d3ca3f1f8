package main

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// What comes in a paced run, in each second, and how many records are added before they are deleted.
const (
	pacedUpdates = 10_000
	pacedQueries = 1_000
	pacedBlock   = 5_000
)

// pacedRun is what came of updates and queries that come at a steady rate.
type pacedRun struct {
	sent, noerror, asked, answered int
	updates, queries               samples // ms
	before, after                  float64 // resident megabytes
	cpu                            float64 // share of a core
}

// pace is one of the two streams.
type pace struct {
	every time.Duration
	sent  int
	at    [1 << 16]time.Duration // by id; 0: nobody waits for it
	took  samples
}

func newPace(perSecond int) *pace {
	return &pace{every: time.Second / time.Duration(perSecond), took: make(samples, 0, 1<<18)}
}

// due reports whether the next one has to be sent.
func (p *pace) due(now time.Duration) bool { return time.Duration(p.sent)*p.every <= now }

func (p *pace) goesOut(id uint16, now time.Duration) {
	p.sent++
	p.at[id] = max(now, 1)
}

func (p *pace) came(id uint16, now time.Duration) bool {
	if p.at[id] == 0 {
		return false
	}
	p.took.addTime(now - p.at[id])
	p.at[id] = 0
	return true
}

// pace sends updates and queries at their rates for so long.
func (s *updateServer) pace(ctx context.Context, span time.Duration) error {
	c, err := dialUpdates(s.addr, false)
	if err != nil {
		return err
	}
	defer c.close()
	a, err := newDNSAsker(s.addr)
	if err != nil {
		return err
	}
	defer a.close()
	s.paced = &pacedRun{}
	if s.paced.before, err = s.memory("VmRSS"); err != nil {
		return err
	}
	before, err := s.cpu()
	if err != nil {
		return err
	}
	if err := onCore(loadCore(), func() error { return s.paced.run(ctx, c, a, s.records, span) }); err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	s.paced.cpu = (after - before).Seconds() / span.Seconds()
	if s.paced.after, err = s.memory("VmRSS"); err != nil {
		return err
	}
	return s.once(nil)
}

func (r *pacedRun) run(ctx context.Context, c *updateConn, a *asker, records int, span time.Duration) error {
	updates, queries := newPace(pacedUpdates), newPace(pacedQueries)
	began := time.Now()
	for ctx.Err() == nil {
		now := time.Since(began)
		if now > span+longest || now > span && r.noerror == updates.sent && r.answered == queries.sent {
			break
		}
		if now < span && updates.due(now) {
			if err := c.send(nthChange(updates.sent, pacedBlock)); err != nil {
				return err
			}
			updates.goesOut(c.id, now)
		}
		if now < span && queries.due(now) {
			a.id++
			packet, err := a.pack(a.out[:0], a.id, 2*rand.IntN(records/2)) // those with an address
			if err != nil {
				return err
			}
			a.out = packet
			queries.goesOut(a.id, now)
			if err := ignoringSignals(func() error { return unix.Send(a.fd, packet, 0) }); err != nil {
				return err
			}
		}
		if err := r.take(c, a, updates, queries, began); err != nil {
			return err
		}
	}
	r.sent, r.updates, r.asked, r.queries = updates.sent, updates.took, queries.sent, queries.took
	return ctx.Err()
}

// take reads what has come.
func (r *pacedRun) take(c *updateConn, a *asker, updates, queries *pace, began time.Time) error {
	id, rcode, ok, err := c.receive(false)
	if err != nil {
		return err
	}
	if ok && updates.came(id, time.Since(began)) && rcode == dns.RcodeSuccess {
		r.noerror++
	}
	n, _, err := unix.Recvfrom(a.fd, a.in[:], unix.MSG_DONTWAIT)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return err
	}
	const answers = 6 // where the header has their number
	if n > zoneOffset && queries.came(binary.BigEndian.Uint16(a.in[:]), time.Since(began)) && a.in[answers+1] == 1 {
		r.answered++
	}
	return nil
}
