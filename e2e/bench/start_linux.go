package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nameward/nameward/registry"
)

// What a start and the memory may take with 100,000 names.
const (
	startRequired  = 2 * time.Second
	memoryRequired = 200 // megabytes
	steadyRate     = 10_000
)

// starting is what one world's starts took.
type starting struct {
	fresh, full     samples // ms to the first right answer: with an empty store, and with every role in it
	rss, later, hwm samples // megabytes
}

// measureStart takes the time from exec to the first right answer, and the memory then and under load.
func measureStart(ctx context.Context, b *bench) error {
	for _, w := range []world{{roles: 100_000, each: 1}, {roles: 1000, each: 100}} {
		var s starting
		if err := b.startOften(ctx, w, &s); err != nil {
			return fmt.Errorf("%s: %w", w, err)
		}
		b.reportStart(w, s)
	}
	return nil
}

func (b *bench) startOften(ctx context.Context, w world, s *starting) error {
	queries := filepath.Join(b.dir, "steady")
	if err := w.writeQueries(queries); err != nil {
		return err
	}
	for range b.starts {
		g, err := b.startGuard(ctx, b.dir, w)
		if err != nil {
			return err
		}
		if err = g.note(&s.fresh, s, true); err == nil {
			err = g.steady(ctx, queries, b.steady, s)
		}
		if err == nil {
			err = g.moveAll(ctx)
		}
		g.stop()
		if err != nil {
			return err
		}
		// The second start finds every role in the store.
		if err := g.start(ctx, b.binary); err != nil {
			return err
		}
		err = g.note(&s.full, s, false)
		g.stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// note waits for the first answer and adds its time, and the memory then.
func (g *guard) note(to *samples, s *starting, memory bool) error {
	took, err := g.answers()
	if err != nil {
		return err
	}
	to.addTime(took)
	if !memory {
		return nil
	}
	return g.noteMemory(&s.rss, "VmRSS")
}

func (g *guard) noteMemory(to *samples, key string) error {
	mb, err := g.memory(key)
	to.add(mb)
	return err
}

func (g *guard) steady(ctx context.Context, queries string, load time.Duration, s *starting) error {
	p, err := dnsperf(ctx, g.dns, queries, load, steadyRate)
	if err != nil {
		return err
	}
	if p.lost > 0 {
		return fmt.Errorf("%d of %d queries were lost", p.lost, p.completed+p.lost)
	}
	if err := g.noteMemory(&s.later, "VmRSS"); err != nil {
		return err
	}
	return g.noteMemory(&s.hwm, "VmHWM")
}

func (g *guard) moveAll(ctx context.Context) error {
	if _, err := g.client.Switch(ctx, registry.SwitchRequest{All: true, To: nodes[1], By: "bench"}); err != nil {
		return err
	}
	for i := range g.holder {
		g.holder[i] = 1
	}
	return nil
}

func (b *bench) reportStart(w world, s starting) {
	for _, r := range []struct {
		what  string
		times samples
	}{{"empty store", s.fresh}, {"every role in the store", s.full}} {
		what := fmt.Sprintf("start (exec) to first right answer, %s, %s", w, r.what)
		b.table.require(r.times.median() < float64(startRequired/time.Millisecond), row{
			what: what, ours: fmt.Sprintf("median %s ms", figure(r.times.median())), required: "< 2 s",
		})
		b.table.keep(what, "ms", r.times)
	}
	for _, r := range []struct {
		what string
		mb   samples
	}{
		{"after the first answer", s.rss}, {fmt.Sprintf("after %s of %s queries/s", b.steady, thousands(steadyRate)), s.later},
	} {
		what := fmt.Sprintf("resident memory, %s, %s", w, r.what)
		b.table.require(r.mb.median() < memoryRequired, row{
			what: what, ours: fmt.Sprintf("median %s MB", figure(r.mb.median())), required: "< 200 MB",
		})
		b.table.keep(what, "MB", r.mb)
	}
	what := fmt.Sprintf("its peak (VmHWM), %s", w)
	b.table.inform(row{what: what, ours: fmt.Sprintf("median %s MB", figure(s.hwm.median()))})
	b.table.keep(what, "MB", s.hwm)
}
