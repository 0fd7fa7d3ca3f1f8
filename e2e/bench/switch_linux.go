package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// sizes are the worlds whose switches are compared. The first and the third tell whether it is flat.
var sizes = []world{{roles: 10, each: 1}, {roles: 1000, each: 1}, {roles: 100_000, each: 1}, {roles: 1000, each: 100}}

const (
	smallest = 0
	largest  = 2
)

// switching is what one world's switches took, in milliseconds.
type switching struct {
	guard           *guard
	call, dns, nbns samples
	late            int // answers with the old address after the switch was acknowledged
}

// measureSwitch takes the time from an acknowledged switch to the first answer with the new address.
func measureSwitch(ctx context.Context, b *bench) error {
	for i, d := range b.disks() {
		all, err := b.switchAll(ctx, d)
		for _, s := range all {
			s.guard.stop()
		}
		if err != nil {
			return fmt.Errorf("store on %s: %w", d.name, err)
		}
		b.reportSwitching(d, all, i == 0)
	}
	return nil
}

// switchAll runs one guard for each size at the same time and goes round them.
func (b *bench) switchAll(ctx context.Context, d disk) (all []*switching, err error) {
	for _, w := range sizes {
		g, err := b.startGuard(ctx, d.dir, w)
		if err != nil {
			return all, err
		}
		all = append(all, &switching{guard: g})
		if _, err := g.answers(); err != nil {
			return all, err
		}
	}
	for range b.rounds {
		for _, s := range all {
			for range b.switches / b.rounds {
				if err := s.once(ctx, s.guard.askDNS, &s.dns); err != nil {
					return all, err
				}
				if err := s.once(ctx, s.guard.askNBNS, &s.nbns); err != nil {
					return all, err
				}
			}
		}
	}
	return all, nil
}

// once switches a role and asks for one of its names from the moment that the switch is acknowledged.
func (s *switching) once(ctx context.Context, a *asker, to *samples) error {
	name := rand.IntN(s.guard.names())
	if _, err := a.ask(name); err != nil { // the socket is warm
		return err
	}
	want, took, err := s.guard.move(ctx, name)
	if err != nil {
		return err
	}
	acknowledged := time.Now()
	at, others, err := a.until(name, want, answerTimeout)
	if err != nil {
		return err
	}
	s.call.addTime(took)
	to.addTime(at.Sub(acknowledged))
	s.late += others
	return nil
}

// protocols are those that a switch is seen over.
var protocols = []struct {
	name  string
	times func(*switching) samples
}{
	{"DNS", func(s *switching) samples { return s.dns }},
	{"NBNS", func(s *switching) samples { return s.nbns }},
}

// reportSwitching writes one disk's rows. What an answer takes does not depend on the disk: main says
// that this is the one whose answers are in the table; the others are in the raw one.
func (b *bench) reportSwitching(d disk, all []*switching, main bool) {
	late := 0
	for _, s := range all {
		late += s.late
		for _, p := range protocols {
			what := fmt.Sprintf("switch acknowledged to first right answer, %s, %s", p.name, s.guard.world)
			times := p.times(s)
			if main {
				b.table.require(times.p99() < 1, row{what: what, ours: spread(times), required: "p99 < 1 ms"})
			}
			b.table.keep(what+", store on "+d.name, "ms", times)
		}
	}
	for _, p := range protocols {
		few, many := p.times(all[smallest]), p.times(all[largest])
		ratio := many.p99() / few.p99()
		b.table.require(ratio <= 2, row{
			what: fmt.Sprintf("its p99 at %s against that at %s, %s, store on %s", sizes[largest], sizes[smallest], p.name, d.name),
			ours: figure(many.p99()) + " ms", peer: figure(few.p99()) + " ms", ratio: figure(ratio) + "x", required: "<= 2x",
		})
	}
	b.table.require(late == 0, row{
		what: "answers with the old address after the acknowledgement, store on " + d.name, ours: fmt.Sprint(late), required: "0",
	})
	for _, s := range all {
		what := fmt.Sprintf("the switch call itself, commit included, %s, store on %s", s.guard.world, d.name)
		b.table.inform(row{what: what, ours: spread(s.call)})
		b.table.keep(what, "ms", s.call)
	}
}

// spread is what the table shows of latencies.
func spread(s samples) string {
	return fmt.Sprintf("p50 %s, p99 %s, max %s ms", figure(s.median()), figure(s.p99()), figure(s.max()))
}
