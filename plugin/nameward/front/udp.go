package front

import (
	"errors"
	"net"
	"os"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// serveUDP reads the socket until it is closed or its deadline is past.
func (d *door) serveUDP() {
	buf := make([]byte, dns.MaxMsgSize)
	for {
		n, session, err := dns.ReadFromSessionUDP(d.udp, buf)
		switch {
		case err == nil:
			d.packet(buf[:n], session)
		case errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded):
			return
		default:
			d.front.log.Warn().Err(err).Str("listen", d.addr).Msg("reading the UDP socket for UPDATE and TKEY failed; trying on")
			time.Sleep(retryPause) // an error that stays must not take the processor
		}
	}
}

// retryPause is between tries of what the system refused.
const retryPause = 10 * time.Millisecond

// packet has a packet served on its own, unless too many are.
func (d *door) packet(raw []byte, session *dns.SessionUDP) {
	if i, ok := d.front.token.of(raw); ok {
		d.lanes[overUDP].probed(i)
		return
	}
	slots, count := d.front.packets, &d.front.counts[overUDP]
	select {
	case slots <- struct{}{}:
	default:
		count[Shed].Add(1)
		return
	}
	w := &response{door: d, server: d.server.Load(), session: session}
	raw = slices.Clone(raw)
	d.inflight.Go(func() {
		defer func() { <-slots }()
		count[w.serve(raw)].Add(1)
	})
}
