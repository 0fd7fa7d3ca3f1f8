package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nameward/nameward/registry/config"
)

// checker asks one target again and again and counts. Its verdict is read and written under the mutex
// of the Source.
type checker struct {
	target  Target
	cancel  context.CancelFunc // nil: not running yet
	verdict verdict
	users   []*role
}

// verdict is what the checks of a target have come to.
type verdict struct {
	known   bool
	healthy bool
	run     int // checks in sequence that say the contrary of healthy, or that failed before the first verdict
	fails   int // checks in sequence that failed
	lastErr string
	since   time.Time // of healthy
}

// after counts one check. changed reports whether the verdict is another one, or the first.
func (v verdict) after(err error, p *config.Probe, now time.Time) (next verdict, changed bool) {
	next = v
	if err == nil {
		next.fails, next.lastErr = 0, ""
	} else {
		next.fails++
		next.lastErr = err.Error()
	}
	up := err == nil
	need := max(1, p.Fall)
	if up {
		need = max(1, p.Rise)
	}
	switch {
	case !v.known && up:
		need = 1
		next.run = 1
	case v.known && v.healthy == up:
		next.run = 0
		return next, false
	default:
		next.run++
	}
	if next.run < need {
		return next, false
	}
	next.known, next.healthy, next.run, next.since = true, up, 0, now
	return next, true
}

// key tells checkers apart: roles with equal keys share one.
func (t Target) key() string { return fmt.Sprintf("%s %+v", t.Addr, *t.Probe) }

// run checks until ctx ends. The first check runs at once; the later ones keep a distance that differs
// from node to node, so that thousands of checkers do not keep step.
func (c *checker) run(ctx context.Context, s *Source) {
	interval := c.target.Probe.Interval
	first := time.Duration(rand.Int64N(int64(interval)/4 + 1))
	for pause := interval - first; ; pause = interval {
		began := time.Now()
		if !s.once(ctx, c) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause - min(pause, time.Since(began))):
		}
	}
}
