package notify

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/zone"
)

// Sender tells the secondaries. Each has a worker of its own, so that one that is dead or slow delays nobody.
type Sender struct {
	zones  *zone.DB
	log    zerolog.Logger
	settle time.Duration // before the first word
	dial   func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	keys   atomic.Pointer[Keys]

	acknowledged, failed atomic.Uint64

	mu     sync.Mutex
	boards map[netip.AddrPort]*board
}

// New makes a Sender for the secondaries that the zones list. It says nothing before the time settle is over: a
// secondary that is told asks at once, and one that is turned away because nobody listens yet comes back only after
// the zone's retry.
func New(zones *zone.DB, settle time.Duration, log zerolog.Logger) *Sender {
	return &Sender{zones: zones, log: log, settle: settle, dial: dialUDP, boards: map[netip.AddrPort]*board{}}
}

func dialUDP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "udp", to.String())
}

// Use has everything signed with these keys from now on, and returns those of before.
func (s *Sender) Use(keys Keys) (before Keys) {
	if old := s.keys.Swap(&keys); old != nil {
		before = *old
	}
	return before
}

// Counts are the NOTIFYs that were acknowledged, and those that were refused or had no response in time.
func (s *Sender) Counts() (acknowledged, failed uint64) {
	return s.acknowledged.Load(), s.failed.Load()
}

// Run keeps one worker for each secondary of the configuration in force until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !pause(ctx, s.settle) {
		return nil
	}
	stop := map[netip.AddrPort]context.CancelFunc{}
	for world := (*registry.World)(nil); ; {
		superseded := s.zones.Superseded()
		if w := s.zones.State().World; w != world {
			world = w
			s.adjust(ctx, &workers, stop, targetsOf(world))
		}
		select {
		case <-superseded:
		case <-ctx.Done():
			return nil
		}
	}
}

// adjust ends the workers of secondaries that are gone and starts those of new ones.
func (s *Sender) adjust(ctx context.Context, workers *sync.WaitGroup, stop map[netip.AddrPort]context.CancelFunc, want map[netip.AddrPort]bool) {
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
		workers.Go(func() { newSecondary(s, target).run(own) })
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
