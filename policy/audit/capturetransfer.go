package audit

import (
	"net/netip"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/netbios/nbpcap"
	"github.com/nameward/nameward/policy"
)

// capturedTransfers are the zone transfers of a capture whose end has not come. The messages behind the first
// one need not repeat the question, RFC 5936, Section 2.2.
type capturedTransfers map[transferID]*capturedTransfer

// maxTransfers is how many are followed; when one more comes, all are forgotten.
const maxTransfers = 64

type transferID struct {
	src, dst netip.AddrPort
	id       uint16
}

// capturedTransfer is how far one has come.
type capturedTransfer struct {
	zone        string
	incremental bool // IXFR with differences, RFC 1995, Section 4
	records     int
	soas        int
	serial      uint32 // of the first SOA
	done        bool
}

// of returns the transfer that the answer belongs to, or nil.
func (t capturedTransfers) of(p *nbpcap.Packet, m *dns.Msg) *capturedTransfer {
	id := transferID{p.Src, p.Dst, m.Id}
	known := t[id]
	asked := len(m.Question) == 1
	if asked && !isTransfer(m.Question[0].Qtype) {
		return nil
	}
	if known != nil && !known.done {
		return known
	}
	if !asked {
		return nil
	}
	if len(t) >= maxTransfers {
		clear(t)
	}
	t[id] = &capturedTransfer{zone: dns.CanonicalName(m.Question[0].Name)}
	return t[id]
}

func isTransfer(qtype uint16) bool { return qtype == dns.TypeAXFR || qtype == dns.TypeIXFR }

// transfer gives the RRsets of one message.
func (c *capture) transfer(t *capturedTransfer, m *dns.Msg) {
	for _, rr := range m.Answer {
		if t.adds(rr) {
			c.addClass(rr, dns.ClassINET)
		}
	}
	c.sets(policy.Transfer, func(r *Record) { r.Zone = t.zone })
}

// adds counts the record and reports whether it is in the zone. With differences, those behind an even
// SOA are deleted: the first SOA is the new one, then come the old one with what was, and the next one
// with what is.
func (t *capturedTransfer) adds(rr dns.RR) bool {
	t.records++
	soa, ok := rr.(*dns.SOA)
	if !ok {
		return !t.incremental || t.soas%2 == 1
	}
	if t.soas++; t.soas == 1 {
		t.serial = soa.Serial
		return true
	}
	if t.records == 2 && soa.Serial != t.serial {
		t.incremental = true
	}
	t.done = soa.Serial == t.serial && (!t.incremental || t.soas%2 == 0)
	return true
}
