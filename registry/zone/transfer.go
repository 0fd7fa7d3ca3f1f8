package zone

import (
	"iter"
	"slices"

	"github.com/miekg/dns"
)

// Transfer yields the zone for a transfer: all of it, with the SOA at both ends (AXFR, RFC 5936, Section 2.2).
func (v *View) Transfer() iter.Seq[[]dns.RR] {
	return func(yield func([]dns.RR) bool) {
		soa := []dns.RR{v.SOA()}
		if !yield(soa) {
			return
		}
		for rrs := range wholeStatic(v.State, v.Zone) {
			if !yield(rrs) {
				return
			}
		}
		more := true
		v.names.Scan(func(_ string, n *Name) bool {
			for i := range n.Sets {
				if more = yield(n.Sets[i].RRs()); !more {
					return false
				}
			}
			return true
		})
		if more {
			yield(soa)
		}
	}
}

// TransferSince yields what a secondary at a serial needs: the SOA alone when it is up to date, the
// differences when they are known and shorter than the zone (IXFR, RFC 1995, Section 4), or else all.
func (v *View) TransferSince(serial uint32) iter.Seq[[]dns.RR] {
	switch steps, ok := v.history.since(serial); {
	case !Newer(v.Serial, serial):
		return func(yield func([]dns.RR) bool) { yield([]dns.RR{v.SOA()}) }
	case ok:
		return func(yield func([]dns.RR) bool) { v.yieldSteps(steps, yield) }
	}
	return v.Transfer()
}

func (v *View) yieldSteps(steps []*Step, yield func([]dns.RR) bool) {
	soa := []dns.RR{v.SOA()}
	if !yield(soa) {
		return
	}
	for _, s := range steps {
		for _, rrs := range [][]dns.RR{{s.Before}, s.Deleted, {s.After}, s.Added} {
			for part := range slices.Chunk(rrs, maxSet) {
				if !yield(part) {
					return
				}
			}
		}
	}
	yield(soa)
}

// ChangedSince lists the names whose records may differ from those of an older view, beside the apex. It is false when that
// is not known name by name, or when what lies below some of the names differs too: then any name may. Its cost is that of
// what changed.
func (v *View) ChangedSince(old *View) (owners []string, known bool) {
	if v == old || old != nil && v.Serial == old.Serial {
		return nil, true
	}
	if old == nil {
		return nil, false
	}
	steps, ok := v.history.since(old.Serial)
	if !ok {
		return nil, false
	}
	for _, s := range steps {
		for _, rrs := range [][]dns.RR{s.Deleted, s.Added} {
			for _, rr := range rrs {
				h := rr.Header()
				if (h.Rrtype == dns.TypeNS || h.Rrtype == dns.TypeDNAME) && h.Name != v.Zone.Name {
					return nil, false // a delegation hides what is below it
				}
				owners = append(owners, dns.CanonicalName(h.Name))
			}
		}
	}
	return owners, true
}

// Newer compares serials: RFC 1982, Section 3.2.
func Newer(a, b uint32) bool { return int32(a-b) > 0 }

// next adds one in serial number arithmetic.
func next(serial uint32) uint32 { return plus(serial, 1) }

// plus skips 0, which some servers read as "none": RFC 1982, Section 3.1.
func plus(serial, n uint32) uint32 {
	if serial += n; serial == 0 {
		return 1
	}
	return serial
}
