package winsclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/registry/push"
)

// Verify implements push.Verifier. With the time that is left it refreshes what is right and would be due before the next
// check; what it does not come to stays due.
func (d *Driver) Verify(ctx context.Context, items []*push.Item) {
	d.each(ctx, items, (*round).query, judge)
	var due []*push.Item
	for _, it := range items {
		if stage, _, _ := it.Stage(); stage == push.Verified && slices.ContainsFunc(d.jobs(it), d.isDue) {
			due = append(due, it)
		}
	}
	d.each(ctx, due, (*round).refresh, func(it *push.Item, jobs []*job) {
		for _, j := range jobs {
			if refused := (*nbns.NegativeError)(nil); errors.As(j.err, &refused) {
				it.Fail(fmt.Errorf("refreshing what is right: %w", j.err))
				return
			}
		}
	})
}

// refresh has the server keep the name for longer.
func (r *round) refresh(ctx context.Context, j *job) error {
	if !r.isDue(j) {
		return nil
	}
	var least time.Duration
	for _, a := range j.want {
		granted, err := r.claim(ctx, j, a, netbios.NewRefresh)
		if err != nil {
			return err
		}
		least = sooner(least, granted.TTL)
	}
	r.grant(j.name, true, least)
	return nil
}

func (d *Driver) isDue(j *job) bool { return len(j.want) > 0 && d.grants.isDue(j.name, d.check) }

// judge tells the item what was found: that of its worst name.
func judge(it *push.Item, jobs []*job) {
	var stale, foreign *job
	for _, j := range jobs {
		switch {
		case j.err != nil:
			it.Fail(j.err)
			return
		case len(j.foreign()) > 0:
			foreign = j
		case len(j.wrong())+len(j.missing()) > 0:
			stale = j
		}
	}
	switch {
	case foreign != nil:
		it.Foreign(foreign.found)
	case stale != nil:
		it.Stale(stale.found)
	default:
		it.Right()
	}
}

// grants knows until when names are granted. Of those that it does not know, it does not know that they are not due.
type grants struct {
	mu  sync.Mutex
	due map[netbios.Name]time.Time // zero: never
}

// grant notes what the server has granted: 0 for ever. Names that are not registered any more are forgotten.
func (d *Driver) grant(name netbios.Name, registered bool, ttl time.Duration) {
	if registered && ttl > 0 && ttl < 2*d.check {
		d.short.Do(func() {
			d.log.Warn().Stringer("name", name).Dur("granted", ttl).Dur("check", d.check).
				Msg("what the WINS server grants may end before it is refreshed: check the target more often")
		})
	}
	d.grants.mu.Lock()
	defer d.grants.mu.Unlock()
	switch {
	case !registered:
		delete(d.grants.due, name)
	case ttl == 0:
		d.grants.due[name] = time.Time{}
	default:
		// Not all at once, of those that were registered together.
		d.grants.due[name] = time.Now().Add(ttl/2 - rand.N(ttl/10+1))
	}
}

// sooner is the shorter of two times, of which 0 is for ever.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// isDue reports whether a name has to be refreshed now, when the next occasion comes after the given time.
func (g *grants) isDue(name netbios.Name, next time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	due, known := g.due[name]
	return !known || !due.IsZero() && time.Now().Add(next).After(due)
}
