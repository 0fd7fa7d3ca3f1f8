package audit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/policy"
)

// Of the header of a message, RFC 1035, Section 4.1.1.
const (
	headerLen  = 12
	responseQR = 0x80 // in the third octet
)

var errHeader = errors.New("the DNS message is shorter than its header")

// dns reads a DNS message. What publishes nothing is told by its header, and not parsed.
func (c *capture) dns() {
	b := c.packet.Payload
	if len(b) < headerLen {
		c.problem(errHeader)
		return
	}
	opcode, rcode := int(b[2]>>3&0xf), int(b[3]&0xf)
	isAnswer := b[2]&responseQR != 0 && opcode == dns.OpcodeQuery && rcode == dns.RcodeSuccess
	isUpdate := b[2]&responseQR == 0 && opcode == dns.OpcodeUpdate
	if !isAnswer && !isUpdate {
		return
	}
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		c.problem(fmt.Errorf("parsing the DNS message: %w", err))
		return
	}
	if isUpdate {
		c.update(&m)
	} else if t := c.transfers.of(&c.packet, &m); t != nil {
		c.transfer(t, &m)
	} else {
		c.answer(&m)
	}
}

func (c *capture) answer(m *dns.Msg) {
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			c.addClass(rr, dns.ClassINET)
		}
		c.sets(policy.Answer, func(*Record) {})
	}
}

// update reads what a client wants to add, RFC 2136, Section 2.5.1: those records that have the class of
// the zone. The others delete.
func (c *capture) update(m *dns.Msg) {
	if len(m.Question) != 1 {
		c.problem(fmt.Errorf("the update is for %d zones, it must be for one", len(m.Question)))
		return
	}
	zone := m.Question[0]
	for _, rr := range m.Ns {
		c.addClass(rr, zone.Qclass)
	}
	zoneName, principal := dns.CanonicalName(zone.Name), ""
	if tsig := m.IsTsig(); tsig != nil {
		principal = dns.CanonicalName(tsig.Hdr.Name)
	}
	c.sets(policy.Update, func(r *Record) {
		r.Zone, r.Principal = zoneName, principal
		if principal != "" {
			r.Detail = "signed by " + principal + " (not verified)"
		}
	})
}

// namedRR is a record that carries addresses, with its owner name in lower case.
type namedRR struct {
	name string
	dns.RR
}

// addClass keeps the record for sets if it is of the class and carries addresses.
func (c *capture) addClass(rr dns.RR, class uint16) {
	if h := rr.Header(); policy.CarriesAddrs(h.Rrtype) && h.Class == class {
		c.rrs = append(c.rrs, namedRR{dns.CanonicalName(h.Name), rr})
	}
}

// sets gives a record for each RRset of those that were kept. One without any address, as HTTPS records
// without hints are, publishes none.
func (c *capture) sets(channel policy.Channel, complete func(*Record)) {
	slices.SortStableFunc(c.rrs, compareSets)
	for i := 0; i < len(c.rrs); {
		r := c.begin(channel)
		first := c.rrs[i]
		r.DNS, r.Type = first.name, first.Header().Rrtype
		complete(r)
		for ; i < len(c.rrs) && compareSets(first, c.rrs[i]) == 0 && len(r.Addrs) < maxAddrs; i++ {
			r.addRR(c.rrs[i].RR)
		}
		if len(r.Addrs) > 0 {
			c.emit()
		}
	}
	clear(c.rrs)
	c.rrs = c.rrs[:0]
}

func compareSets(a, b namedRR) int {
	return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.Header().Rrtype, b.Header().Rrtype))
}
