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
	// Done is called once, from the writer, with the result; it must not block.
	Done func(Result)
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

// Check reports what is wrong with the form of an update of a zone: RFC 2136, Sections 3.2.5 and 3.4.1. The
// zero Result says that it is right. Owner names of the prerequisites and changes become lower case.
func Check(zone string, prerequisites, changes []dns.RR) Result {
	for i, rr := range prerequisites {
		if r := checkPrerequisite(zone, rr); r.Rcode != 0 {
			r.Why = fmt.Sprintf("prerequisite %d: %s", i+1, r.Why)
			return r
		}
	}
	for i, rr := range changes {
		if r := checkChange(zone, rr); r.Rcode != 0 {
			r.Why = fmt.Sprintf("change %d: %s", i+1, r.Why)
			return r
		}
	}
	return Result{}
}

func checkOwner(zone string, rr dns.RR) Result {
	h := rr.Header()
	h.Name = dns.CanonicalName(h.Name)
	if !dns.IsSubDomain(zone, h.Name) {
		return resultf(dns.RcodeNotZone, "%s is not in zone %s", h.Name, zone)
	}
	return Result{}
}

// checkPrerequisite: RFC 2136, Section 3.2.5.
func checkPrerequisite(zone string, rr dns.RR) Result {
	h := rr.Header()
	if h.Ttl != 0 {
		return resultf(dns.RcodeFormatError, "a prerequisite has TTL 0, not %d", h.Ttl)
	}
	if r := checkOwner(zone, rr); r.Rcode != 0 {
		return r
	}
	switch h.Class {
	case dns.ClassANY, dns.ClassNONE:
		if hasData(rr) {
			return resultf(dns.RcodeFormatError, "a prerequisite of class %s has no data", dns.ClassToString[h.Class])
		}
	case dns.ClassINET:
		if isMeta(h.Rrtype) {
			return resultf(dns.RcodeFormatError, "%s is not the type of a record", typeName(h.Rrtype))
		}
	default:
		return resultf(dns.RcodeFormatError, "a prerequisite has class IN, ANY or NONE, not %d", h.Class)
	}
	return Result{}
}

// checkChange: RFC 2136, Section 3.4.1.3.
func checkChange(zone string, rr dns.RR) Result {
	h := rr.Header()
	if r := checkOwner(zone, rr); r.Rcode != 0 {
		return r
	}
	switch h.Class {
	case dns.ClassINET:
		switch {
		case isMeta(h.Rrtype):
			return resultf(dns.RcodeFormatError, "%s is not the type of a record", typeName(h.Rrtype))
		case !hasData(rr):
			return resultf(dns.RcodeFormatError, "a record that is added has data")
		case h.Ttl > maxTTL:
			return resultf(dns.RcodeFormatError, "TTL %d is more than %d", h.Ttl, maxTTL)
		}
	case dns.ClassANY:
		if h.Ttl != 0 || hasData(rr) || isMeta(h.Rrtype) && h.Rrtype != dns.TypeANY {
			return resultf(dns.RcodeFormatError, "a set of records is deleted with TTL 0, without data and by the type of a record or ANY")
		}
	case dns.ClassNONE:
		if h.Ttl != 0 || isMeta(h.Rrtype) {
			return resultf(dns.RcodeFormatError, "a record is deleted with TTL 0 and by its type")
		}
	default:
		return resultf(dns.RcodeFormatError, "a change has class IN, ANY or NONE, not %d", h.Class)
	}
	if h.Class != dns.ClassANY && isSigned(h.Rrtype) {
		return resultf(dns.RcodeRefused, "records of type %s are made by whoever signs the zone", typeName(h.Rrtype))
	}
	return Result{}
}

// maxTTL is the largest TTL: RFC 2181, Section 8.
const maxTTL = 1<<31 - 1

// isMeta reports the types that no record has: RFC 6895, Section 3.1.
func isMeta(t uint16) bool { return t == 0 || t >= 128 && t <= 255 || t == dns.TypeOPT }

func isSigned(t uint16) bool {
	switch t {
	case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM:
		return true
	}
	return false
}

// hasData reports whether a record has RDATA. miekg/dns gives one without any in the form of an ANY record.
func hasData(rr dns.RR) bool {
	if _, empty := rr.(*dns.ANY); empty {
		return false
	}
	return rr.Header().Rdlength != 0
}

func typeName(t uint16) string { return dns.Type(t).String() }

// met evaluates the prerequisites against the zone as it is edited: RFC 2136, Section 3.2.
func (e *editor) met(prerequisites []dns.RR) Result {
	var sets [][]dns.RR // "RRset exists (value dependent)", set by set
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
			sets = addToSet(sets, rr)
		}
	}
	for _, set := range sets {
		h := set[0].Header()
		if !sameSet(set, e.rrset(h.Name, h.Rrtype)) {
			return resultf(dns.RcodeNXRrset, "%s has other records of type %s than it should have", h.Name, typeName(h.Rrtype))
		}
	}
	return Result{}
}

func addToSet(sets [][]dns.RR, rr dns.RR) [][]dns.RR {
	h := rr.Header()
	for i, set := range sets {
		if o := set[0].Header(); o.Name == h.Name && o.Rrtype == h.Rrtype {
			if !contains(set, rr) {
				sets[i] = append(set, rr)
			}
			return sets
		}
	}
	return append(sets, []dns.RR{rr})
}

// sameSet compares sets without repetitions, and without TTLs: RFC 2136, Section 3.2.3.
func sameSet(a, b []dns.RR) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(rr dns.RR) bool { return !contains(b, rr) })
}

func contains(set []dns.RR, rr dns.RR) bool {
	return slices.ContainsFunc(set, func(o dns.RR) bool { return sameRecord(o, rr) })
}

// sameRecord compares two records but for class and TTL.
func sameRecord(a, b dns.RR) bool {
	if a.Header().Class != b.Header().Class {
		b = dns.Copy(b)
		b.Header().Class = a.Header().Class
	}
	return dns.IsDuplicate(a, b)
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
	n, _ := e.names.Get(keyOf(owner))
	if n == nil {
		return
	}
	for _, s := range n.Sets {
		e.replace(owner, Set{Type: s.Type})
	}
}

func (e *editor) deleteRecord(rr dns.RR) {
	h := rr.Header()
	set := e.set(h.Name, h.Rrtype)
	if set == nil {
		return
	}
	left := slices.DeleteFunc(slices.Clone(set.Records), func(r Record) bool { return sameRecord(r.RR, rr) })
	if len(left) < len(set.Records) {
		e.replace(h.Name, Set{h.Rrtype, left})
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
	rr = dns.Copy(rr)
	next := Set{Type: h.Rrtype}
	if old := e.set(h.Name, h.Rrtype); old != nil && !isSingle(h.Rrtype) {
		if i := slices.IndexFunc(old.Records, func(r Record) bool { return sameRecord(r.RR, rr) }); i >= 0 && old.Records[i].RR.Header().Ttl == h.Ttl {
			return Result{} // nothing new, and nothing to write down
		}
		next.Records = withTTL(old.Records, rr)
	}
	next.Records = append(next.Records, Record{rr, by})
	if r := fits(&next); r.Rcode != 0 {
		return r
	}
	if e.records >= e.limit && e.set(h.Name, h.Rrtype) == nil {
		return resultf(dns.RcodeRefused, "zone %s has %d records already, which is the limit", e.zone.Name, e.records)
	}
	e.replace(h.Name, next)
	return Result{}
}

// withTTL copies a set without the record that comes anew, and with its TTL.
func withTTL(records []Record, rr dns.RR) []Record {
	out := make([]Record, 0, len(records)+1)
	for _, r := range records {
		if sameRecord(r.RR, rr) {
			continue
		}
		if r.RR.Header().Ttl != rr.Header().Ttl {
			r.RR = dns.Copy(r.RR)
			r.RR.Header().Ttl = rr.Header().Ttl
		}
		out = append(out, r)
	}
	return out
}

func fits(s *Set) Result {
	octets := 0
	for _, r := range s.Records {
		octets += dns.Len(r.RR)
	}
	if len(s.Records) > maxSet || octets > maxSetOctets {
		return resultf(dns.RcodeRefused, "%s has no room for more records of type %s: %d records and %d octets are the limit",
			s.Records[0].RR.Header().Name, typeName(s.Type), maxSet, maxSetOctets)
	}
	return Result{}
}

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
	case rrtype == dns.TypeNS || rrtype == dns.TypeDNAME:
		return e.coversRegistry(owner)
	case rrtype == dns.TypeCNAME:
		return n != nil && n.Set(dns.TypeCNAME) == nil
	}
	return n.Set(dns.TypeCNAME) != nil
}

// coversRegistry reports whether names of the registry stand below a name, which a delegation or a DNAME
// would take away.
func (e *editor) coversRegistry(owner string) bool {
	entry, ok := e.state.Lookup(owner)
	return ok && entry.Below || owner == "." || strings.HasPrefix(owner, "*.") && ok
}
