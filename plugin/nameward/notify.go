package nameward

import (
	"context"
	"sync"

	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/coredns/coredns/plugin/transfer"

	"github.com/nameward/nameward/registry"
)

var log = clog.NewWithPlugin("nameward")

// notifier tells the secondaries that the transfer plugin names about new serials (RFC 1996). It
// follows the state by level in a goroutine of its own, for a NOTIFY to a dead secondary takes seconds.
type notifier struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// start begins to follow; without a transfer plugin in the server block there is nobody to tell.
func (n *notifier) start(g *Guard, t *transfer.Transfer) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.done.Go(func() { followSerials(ctx, g.Snapshot, t.Notify) })
}

// end lets the notifier end; what it is sending may take seconds yet.
func (n *notifier) end() {
	if n.cancel != nil {
		n.cancel()
	}
}

func (n *notifier) stop() {
	n.end()
	n.done.Wait()
}

// followSerials calls notify for every owned zone at the start, and again whenever its serial moved.
func followSerials(ctx context.Context, latest func() *registry.Snapshot, notify func(zone string) error) {
	told := map[string]uint32{}
	for {
		snap := latest()
		for _, z := range snap.World.Zones {
			serial := snap.Serial(z)
			if last, ok := told[z.Name]; ok && last == serial {
				continue
			}
			if err := notify(z.Name); err != nil {
				log.Warningf("telling the secondaries of %s about serial %d: %v", z.Name, serial, err)
			}
			told[z.Name] = serial
			if ctx.Err() != nil {
				return
			}
		}
		select {
		case <-snap.Superseded():
		case <-ctx.Done():
			return
		}
	}
}
