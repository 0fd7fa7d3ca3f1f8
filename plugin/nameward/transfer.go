package nameward

import (
	"strings"

	"github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"
)

// Transfer implements transfer.Transferer: all of an owned zone (AXFR, RFC 5936) as it was at one serial, or
// what a secondary lacks (IXFR, RFC 1995).
func (h *Handler) Transfer(zone string, serial uint32) (<-chan []dns.RR, error) {
	v := h.State.Zones().View(strings.ToLower(zone))
	if v == nil {
		return nil, transfer.ErrNotAuthoritative
	}
	records := v.Transfer()
	if serial != 0 {
		records = v.TransferSince(serial)
	}
	ch := make(chan []dns.RR)
	go func() {
		// The transfer plugin drains the channel whatever happens to its client.
		defer close(ch)
		for rrs := range records {
			ch <- rrs
		}
	}()
	return ch, nil
}
