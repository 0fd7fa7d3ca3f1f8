package audit

import (
	"context"
	"fmt"
	"iter"

	"github.com/nameward/nameward/netbios/nbpcap"
)

// Follow reads what is registered, updated, answered and transferred on an interface until ctx ends, on
// Linux, with root or CAP_NET_RAW. A record is valid until the next one comes. Errors are of type
// *Problem; the last one tells what the kernel dropped, if it did.
func Follow(ctx context.Context, iface string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		c := newCapture("interface "+iface, yield)
		live, err := nbpcap.Follow(iface, nbpcap.WithDNS())
		if err != nil {
			c.fatal(err)
			return
		}
		defer live.Close()
		c.packets(live.All(ctx))
		c.dropped(live)
	}
}

func (c *capture) dropped(live *nbpcap.Live) {
	c.packet = nbpcap.Packet{} // of no packet
	stats, err := live.Stats()
	switch {
	case err != nil:
		c.problem(fmt.Errorf("asking the kernel what it dropped: %w", err))
	case stats.Dropped > 0:
		c.problem(fmt.Errorf("the kernel dropped %d of %d packets", stats.Dropped, stats.Received))
	}
}
