package zone

import (
	"fmt"
	"reflect"

	"github.com/miekg/dns"
)

// Check reports what is wrong with the form of an update of a zone: RFC 2136, Sections 3.2.5 and 3.4.1. The
// zero Result says that it is right. The records are as they were unpacked from a message. Owner names of the
// prerequisites and changes become lower case. An update that was not checked must not be submitted.
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
		case !hasData(rr) && !mayBeEmpty(rr):
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
	if h.Class == dns.ClassINET && !isWhole(rr) {
		return resultf(dns.RcodeFormatError, "the data of a record of type %s is malformed", typeName(h.Rrtype))
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

// mayBeEmpty reports the types whose data may have no octets: RFC 1035, Section 3.3.10, RFC 3123, Section 4, and
// RFC 3597, Section 5.
func mayBeEmpty(rr dns.RR) bool {
	switch rr.(type) {
	case *dns.NULL, *dns.APL, *dns.RFC3597:
		return true
	}
	return false
}

// isWhole reports whether a record is what its octets said: miekg/dns takes data that ends between two fields
// for right, and some records that it unpacks cannot be packed again, or read back. Names may have been
// compressed, so that the data is longer now.
func isWhole(rr dns.RR) bool {
	wire, err := packRR(rr, nil)
	if err != nil {
		return false
	}
	back, _, err := dns.UnpackRR(wire, headerOctets)
	if err != nil || !dns.IsDuplicate(rr, back) {
		return false
	}
	names, empty := namesIn(rr)
	was, now := rr.Header().Rdlength, back.Header().Rdlength
	return empty == 0 && (was == now || was < now && names > 0)
}

// namesIn counts the domain names in a record's data, and those of them that are not even the root.
func namesIn(rr dns.RR) (names, empty int) {
	v := reflect.ValueOf(rr).Elem()
	for i := range v.NumField() {
		switch v.Type().Field(i).Tag.Get("dns") {
		case "domain-name", "cdomain-name":
			if v.Field(i).Kind() != reflect.String {
				continue
			}
			names++
			if v.Field(i).Len() == 0 {
				empty++
			}
		}
	}
	return names, empty
}

func typeName(t uint16) string { return dns.Type(t).String() }
