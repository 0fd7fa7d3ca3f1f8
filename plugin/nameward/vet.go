package nameward

import (
	"context"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/zone"
)

// vetRetry is how long a vetting that failed, for want of a disk, waits for the next try.
const vetRetry = 10 * time.Second

// vet has what was accepted once looked at again, at the start and when the world or the policy changes, since
// it may be filtered or guarded now.
func (g *Guard) vet(ctx context.Context, again func(context.Context) error) error {
	changed := make(chan struct{}, 1)
	g.OnPolicy(func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	snap := g.Snapshot()
	for {
		var retry <-chan time.Time
		if err := again(ctx); err != nil && ctx.Err() == nil {
			g.log.Warn().Err(err).Msg("what was accepted before could not all be looked at again")
			retry = time.After(vetRetry)
		}
		for due := false; !due; {
			select {
			case <-ctx.Done():
				return nil
			case <-retry:
				due = true
			case <-changed:
				due = true
			case <-snap.Superseded():
				latest := g.Snapshot()
				due = latest.World != snap.World
				snap = latest
			}
		}
	}
}

// vetZones takes records out of owned zones that the policy would not let in now, and notes them.
func (g *Guard) vetZones(ctx context.Context) error {
	a := &admission{snap: g.Snapshot(), pol: g.Policy(), now: time.Now()}
	var gone []updates.Held
	_, err := g.zones.db.Change(ctx, func(name string, r zone.Record) bool {
		h, is := a.misfit(name, r)
		if is && h.Name != "" {
			gone = append(gone, h)
		}
		return is
	})
	if err != nil {
		return fmt.Errorf("records of owned zones: %w", err)
	}
	for _, h := range gone {
		g.updates.book.Note(h)
	}
	return nil
}

// misfit reports a registered record that the policy would not let in as it is.
func (a *admission) misfit(zone string, r zone.Record) (updates.Held, bool) {
	a.zone, a.who = zone, asker{vouched: true} // an operator's, or nobody knows
	if r.By != nil && r.By.Source.IsValid() {
		a.who = asker{source: r.By.Source, principal: r.By.Principal}
	}
	out := a.admit([]dns.RR{r.RR})
	switch {
	case out.refused != nil:
		return *out.refused, true
	case len(out.held) > 0:
		return out.held[0], true
	}
	return updates.Held{}, out.altered
}
