package watch

import (
	"errors"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push/dso"
)

// records is what the server said is there.
type records []dns.RR

// mostRecords bounds what a server may fill the memory with.
const mostRecords = 100_000

var errTooMany = errors.New("the server pushes more records than are kept")

// apply takes one change of a PUSH: RFC 8765, Section 6.3.1. What does not fit to what is there is no mistake.
func (r *records) apply(rr dns.RR, tell func(Kind, dns.RR)) error {
	h := rr.Header()
	switch {
	case h.Ttl == dso.AllRemoved:
		r.remove(func(o dns.RR) bool {
			oh := o.Header()
			return strings.EqualFold(oh.Name, h.Name) && (h.Rrtype == dns.TypeANY || oh.Rrtype == h.Rrtype) && (h.Class == dns.ClassANY || oh.Class == h.Class)
		}, tell)
	case h.Ttl == dso.Removed:
		r.remove(func(o dns.RR) bool { return dns.IsDuplicate(o, rr) }, tell)
	case h.Ttl > dso.MostTTL: // passed over
	default:
		return r.add(rr, tell)
	}
	return nil
}

func (r *records) remove(gone func(dns.RR) bool, tell func(Kind, dns.RR)) {
	*r = slices.DeleteFunc(*r, func(o dns.RR) bool {
		if !gone(o) {
			return false
		}
		tell(Removed, o)
		return true
	})
}

func (r *records) add(rr dns.RR, tell func(Kind, dns.RR)) error {
	i := slices.IndexFunc(*r, func(o dns.RR) bool { return dns.IsDuplicate(o, rr) })
	switch {
	case i < 0 && len(*r) >= mostRecords:
		return errTooMany
	case i < 0:
		*r = append(*r, rr)
	case (*r)[i].Header().Ttl == rr.Header().Ttl:
		return nil
	default:
		(*r)[i] = rr
	}
	tell(Added, rr)
	return nil
}
