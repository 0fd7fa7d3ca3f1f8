package zone

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Update is a dynamic update as far as the caller permits it.
type Update struct {
	Zone          string // lower case, fully qualified
	Prerequisites []dns.RR
	Changes       []dns.RR // as in the update section
	By            *By
	// Decisions are those of the policy, change by change; nil for By's own.
	Decisions []uint64
	// Done is called once, from the writer, with the result; it must not block. It may be nil.
	Done func(Result)

	octets int // about what it holds in memory
}

// decided is who registers a change, by the decision about it; last is that of the change before.
func (u *Update) decided(i int, last *By) *By {
	if u.By == nil || u.Decisions == nil || last.Decision == u.Decisions[i] {
		return last
	}
	by := *last
	by.Decision = u.Decisions[i]
	return &by
}

// recordMemory is about what an unpacked record takes beside its data.
const recordMemory = 150

func (u *Update) weigh() {
	u.octets = 0
	for _, rrs := range [][]dns.RR{u.Prerequisites, u.Changes} {
		for _, rr := range rrs {
			u.octets += recordMemory + int(rr.Header().Rdlength)
		}
	}
}

// Result is what became of an update. Rcode is NOERROR only when it is on stable storage.
type Result struct {
	Rcode  int
	Why    string // for an rcode other than NOERROR, in words
	Serial uint32 // of the zone with the update, or when it was refused
}

func resultf(rcode int, format string, args ...any) Result {
	return Result{Rcode: rcode, Why: fmt.Sprintf(format, args...)}
}

// isHere reports names that lie in an owned zone below this one: RFC 2136, Sections 3.2.5 and 3.4.1.3 (zone_of).
func (e *editor) isHere(rrs []dns.RR) Result {
	for _, rr := range rrs {
		if owner := rr.Header().Name; e.state.Zone(owner) != e.zone {
			return resultf(dns.RcodeNotZone, "%s is not in zone %s", owner, e.zone.Name)
		}
	}
	return Result{}
}

// met evaluates the prerequisites against the zone as it is edited: RFC 2136, Section 3.2.
func (e *editor) met(prerequisites []dns.RR) Result {
	sets := map[place][]dns.RR{} // "RRset exists (value dependent)"
	for _, rr := range prerequisites {
		h := rr.Header()
		switch {
		case h.Class == dns.ClassANY && h.Rrtype == dns.TypeANY:
			if !e.inUse(h.Name) {
				return resultf(dns.RcodeNameError, "%s has no records and should have", h.Name)
			}
		case h.Class == dns.ClassANY:
			if len(e.rrset(h.Name, h.Rrtype)) == 0 {
				return resultf(dns.RcodeNXRrset, "%s has no records of type %s and should have", h.Name, typeName(h.Rrtype))
			}
		case h.Class == dns.ClassNONE && h.Rrtype == dns.TypeANY:
			if e.inUse(h.Name) {
				return resultf(dns.RcodeYXDomain, "%s has records and should have none", h.Name)
			}
		case h.Class == dns.ClassNONE:
			if len(e.rrset(h.Name, h.Rrtype)) > 0 {
				return resultf(dns.RcodeYXRrset, "%s has records of type %s and should have none", h.Name, typeName(h.Rrtype))
			}
		default:
			at := place{h.Name, h.Rrtype}
			sets[at] = append(sets[at], rr)
		}
	}
	for at, set := range sets {
		if !sameSet(set, e.rrset(at.owner, at.rrtype)) {
			return resultf(dns.RcodeNXRrset, "%s has other records of type %s than it should have", at.owner, typeName(at.rrtype))
		}
	}
	return Result{}
}

// place is where an RRset stands.
type place struct {
	owner  string
	rrtype uint16
}

// sameSet compares what is wanted, perhaps repeatedly, with an RRset, but for TTLs: RFC 2136, Section 3.2.3.
func sameSet(wanted, has []dns.RR) bool {
	found := make([]bool, len(has))
	for _, rr := range wanted {
		i := slices.IndexFunc(has, func(o dns.RR) bool { return dns.IsDuplicate(o, rr) })
		if i < 0 {
			return false
		}
		found[i] = true
	}
	return !slices.Contains(found, false)
}

// apply makes one change: RFC 2136, Section 3.4.2. What the registry decides about is left alone, as is
// what would give a name an alias beside other records.
func (e *editor) apply(rr dns.RR, by *By) Result {
	h := rr.Header()
	switch {
	case h.Class == dns.ClassINET:
		return e.add(rr, by)
	case h.Class == dns.ClassANY && h.Rrtype == dns.TypeANY:
		e.deleteName(h.Name)
	case h.Class == dns.ClassANY:
		e.replace(h.Name, Set{Type: h.Rrtype})
	default:
		e.deleteRecord(rr)
	}
	return Result{}
}

func (e *editor) deleteName(owner string) {
	if n, ok := e.names.Get(keyOf(owner)); ok {
		for _, s := range n.Sets {
			e.replace(owner, Set{Type: s.Type})
		}
	}
}

// deleteRecord takes out the record that rr equals but for class and TTL.
func (e *editor) deleteRecord(rr dns.RR) {
	h := rr.Header()
	set := e.set(h.Name, h.Rrtype)
	if set == nil {
		return
	}
	if h.Class != dns.ClassINET {
		rr = dns.Copy(rr)
		rr.Header().Class = dns.ClassINET
	}
	if i := set.index(rr); i >= 0 {
		e.replace(h.Name, set.without(i))
	}
}

// Bounds of one RRset, so that an answer with it can be sent.
const (
	maxSet       = 500
	maxSetOctets = 32 << 10
)

// add: RFC 2136, Section 3.4.2.2. The TTL of the latest record is that of its set, as with other servers.
func (e *editor) add(rr dns.RR, by *By) Result {
	h := rr.Header()
	if Reserved(e.state, h.Name, h.Rrtype) || e.excluded(h.Name, h.Rrtype) {
		return Result{}
	}
	old, next := e.set(h.Name, h.Rrtype), Set{Type: h.Rrtype}
	i := old.index(rr)
	if i >= 0 && old.Records[i].RR.Header().Ttl == h.Ttl {
		return Result{} // nothing new, and nothing to write down
	}
	if old != nil && !isSingle(h.Rrtype) {
		if next = *old; i >= 0 {
			next = next.without(i)
		}
		next = next.withTTL(h.Ttl)
	}
	next = next.with(Record{dns.Copy(rr), by})
	if r := e.fits(h.Name, old, &next); r.Rcode != 0 {
		return r
	}
	e.replace(h.Name, next)
	return Result{}
}

// fits bounds one RRset and the zone.
func (e *editor) fits(owner string, old, next *Set) Result {
	records, octets := old.size()
	switch {
	case len(next.Records) > maxSet || next.octets > maxSetOctets:
		return resultf(dns.RcodeRefused, "%s has no room for more records of type %s: %d records and %d octets are the limit",
			owner, typeName(next.Type), maxSet, maxSetOctets)
	case len(next.Records) > records && e.records+len(next.Records)-records > e.limit:
		return resultf(dns.RcodeRefused, "zone %s has %d records already, and %d are the limit", e.zone.Name, e.records, e.limit)
	case int(next.octets) > octets && e.octets+int(next.octets)-octets > maxOctets(e.limit):
		return resultf(dns.RcodeRefused, "zone %s has %d octets of records already, and %d are the limit", e.zone.Name, e.octets, maxOctets(e.limit))
	}
	return Result{}
}

// maxOctets bounds the octets of as many records: large ones count for several.
func maxOctets(records int) int { return max(1<<20, 256*records) }

// isSingle reports the types of which a name has one record at most.
func isSingle(t uint16) bool { return t == dns.TypeCNAME || t == dns.TypeDNAME || t == dns.TypeSOA }

// excluded reports whether a record of a type may not stand beside what is at a name: an alias stands alone,
// and at the apex neither an alias nor a delegation has a place. Changes that would do so are passed over.
func (e *editor) excluded(owner string, rrtype uint16) bool {
	n, _ := e.names.Get(keyOf(owner))
	switch {
	case owner == e.zone.Name && (rrtype == dns.TypeCNAME || rrtype == dns.TypeNS || rrtype == dns.TypeSOA || rrtype == dns.TypeDNAME):
		return true
	case rrtype == dns.TypeSOA:
		return true // below the apex there is none
	case n.Set(dns.TypeCNAME) != nil:
		return rrtype != dns.TypeCNAME
	case rrtype == dns.TypeNS:
		return e.coversRegistry(owner) || n.Set(dns.TypeDNAME) != nil
	case rrtype == dns.TypeDNAME:
		// Beside a delegation it has no place: RFC 6672, Section 2.3.
		return e.coversRegistry(owner) || n.Set(dns.TypeNS) != nil
	case rrtype == dns.TypeCNAME:
		return n != nil
	}
	return false
}

// coversRegistry reports whether names of the registry stand below a name, which a delegation or a DNAME
// would take away.
func (e *editor) coversRegistry(owner string) bool {
	entry, ok := e.state.Lookup(owner)
	return ok && entry.Below || owner == "." || strings.HasPrefix(owner, "*.") && ok
}
