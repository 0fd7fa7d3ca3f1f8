package nameward

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/zone"
)

// notifier tells the secondaries of owned zones about new serials (RFC 1996). Each target has a worker
// of its own, so that one that is dead or slow delays nobody.
type notifier struct {
	zones  *zone.DB
	log    zerolog.Logger
	settle time.Duration // before the first word
	counts struct{ acknowledged, failed atomic.Uint64 }
}

// settle is the time that the server gets after the start of its guard until it listens. A secondary
// that is told asks at once, and one that is turned away comes back only after the zone's retry.
const settle = 100 * time.Millisecond

// Run keeps one worker for each target of the configuration in force until ctx ends.
func (n *notifier) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !pause(ctx, n.settle) {
		return nil
	}
	stop := map[netip.AddrPort]context.CancelFunc{}
	for world := (*registry.World)(nil); ; {
		superseded := n.zones.Superseded()
		if w := n.zones.State().World; w != world {
			world = w
			n.adjust(ctx, &workers, stop, targetsOf(world))
		}
		select {
		case <-superseded:
		case <-ctx.Done():
			return nil
		}
	}
}

// adjust ends the workers of targets that are gone and starts those of new ones.
func (n *notifier) adjust(ctx context.Context, workers *sync.WaitGroup, stop map[netip.AddrPort]context.CancelFunc, want map[netip.AddrPort]bool) {
	for target, end := range stop {
		if !want[target] {
			end()
			delete(stop, target)
		}
	}
	for target := range want {
		if stop[target] != nil {
			continue
		}
		own, end := context.WithCancel(ctx)
		stop[target] = end
		workers.Go(func() { newSecondary(n, target).run(own) })
	}
}

func targetsOf(w *registry.World) map[netip.AddrPort]bool {
	targets := map[netip.AddrPort]bool{}
	for _, z := range w.Zones {
		for _, t := range z.Notify {
			targets[t] = true
		}
	}
	return targets
}

// pause waits; it is false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
