package zone

import (
	"iter"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// View is a zone at one serial.
type View struct {
	Zone   *registry.Zone
	State  *registry.Snapshot // from which the names of roles, nodes and servers are answered
	Serial uint32

	names   *names
	records int // registered ones
	octets  int // of them, uncompressed
	outage  int // of the disk, in which the serial took a leap: see there
	history history
	digest  digest // of what State puts into the zone, with the SOA but its serial
}

// Name returns what is registered at a lower-case name of the zone, or nil.
func (v *View) Name(owner string) *Name {
	n, _ := v.names.Get(keyOf(owner))
	return n
}

// Records is the number of registered records.
func (v *View) Records() int { return v.records }

// All yields the registered names, sorted from the right.
func (v *View) All() iter.Seq[*Name] {
	return func(yield func(*Name) bool) {
		v.names.Scan(func(_ string, n *Name) bool { return yield(n) })
	}
}

// SOA is the zone's SOA record.
func (v *View) SOA() *dns.SOA { return SOA(v.Zone, v.Serial) }

// Has reports whether a lower-case name of the zone exists because of what is registered there or below.
func (v *View) Has(owner string) bool {
	key := keyOf(owner)
	_, ok := v.names.Get(key)
	return ok || hasBelow(v.names, key)
}

// At lists the registered records that the zone answers with at a lower-case name itself: none below a delegation or
// a DNAME, of a delegation no more than its DS. No alias is followed, and no wildcard is expanded.
func (v *View) At(owner string) []dns.RR {
	key := keyOf(owner)
	n, ok := v.names.Get(key)
	if !ok {
		return nil
	}
	if _, is := v.above(owner, key); is {
		return nil
	}
	var out []dns.RR
	for i := range n.Sets {
		if s := &n.Sets[i]; n.Set(dns.TypeNS) == nil || s.Type == dns.TypeDS {
			out = append(out, s.RRs()...)
		}
	}
	return out
}

// IsCutOff reports whether a lower-case name of the zone lies in a zone that is delegated, for a type.
func (v *View) IsCutOff(owner string, rrtype uint16) bool {
	return v.Lookup(owner, rrtype).Kind == Referral
}

// Answer is what the registered records of a zone say to a question.
type Answer struct {
	Kind    AnswerKind
	Records []dns.RR // the answer, for Referral the NS records, for Alias the CNAME or DNAME
	Target  string   // of Alias
	Glue    []dns.RR // of Referral
}

// AnswerKind is the outcome of a lookup: RFC 1034, Section 4.3.2.
type AnswerKind uint8

// The outcomes.
const (
	NoName   AnswerKind = iota // the name does not exist
	NoData                     // the name exists, the type does not
	Found                      // records of the type
	Alias                      // the answer is that of another name
	Referral                   // the name lies in a zone that is delegated
)

// Lookup answers a question for a lower-case name of the zone from the registered records: those of a
// delegation above it, an alias, the records of the type, or those of a wildcard (RFC 4592), which then are
// owned by the name.
func (v *View) Lookup(owner string, qtype uint16) Answer { return v.LookupAt(v.State, owner, qtype) }

// LookupAt is Lookup with another state of the registry, which may be newer for a moment: which names exist
// because of it is its word.
func (v *View) LookupAt(state *registry.Snapshot, owner string, qtype uint16) Answer {
	key := keyOf(owner)
	if a, is := v.above(owner, key); is {
		return a
	}
	n, ok := v.names.Get(key)
	switch {
	case ok && n.Set(dns.TypeNS) != nil && qtype != dns.TypeDS:
		return v.referral(n) // the parent answers for DS: RFC 4035, Section 3.1.4.1
	case ok:
		return answerAt(n, qtype)
	case v.exists(state, owner, key):
		return Answer{Kind: NoData}
	}
	if n := v.wildcard(state, owner, key); n != nil {
		return synthesized(answerAt(n, qtype), owner)
	}
	return Answer{}
}

// above looks for a zone cut or a DNAME between the apex and the name.
func (v *View) above(owner, key string) (Answer, bool) {
	for end := len(keyOf(v.Zone.Name)); end < len(key); {
		if end += strings.IndexByte(key[end:], 0) + 1; end == len(key) {
			break
		}
		n, ok := v.names.Get(key[:end])
		switch {
		case !ok:
			continue
		case n.Set(dns.TypeNS) != nil:
			return v.referral(n), true
		case n.Set(dns.TypeDNAME) != nil:
			return throughDNAME(owner, n), true
		}
	}
	return Answer{}, false
}

func (v *View) referral(n *Name) Answer {
	a := Answer{Kind: Referral, Records: n.Set(dns.TypeNS).RRs()}
	for _, rr := range a.Records {
		host := dns.CanonicalName(rr.(*dns.NS).Ns)
		server := v.Name(host) // none outside the zone
		for _, t := range []uint16{dns.TypeA, dns.TypeAAAA} {
			if s := server.Set(t); s != nil {
				a.Glue = append(a.Glue, s.RRs()...)
			}
		}
	}
	return a
}

// throughDNAME makes the alias that a DNAME stands for: RFC 6672, Section 2.2.
func throughDNAME(owner string, n *Name) Answer {
	rr := n.Set(dns.TypeDNAME).Records[0].RR.(*dns.DNAME)
	a := Answer{Kind: Alias, Records: []dns.RR{rr}}
	target := strings.TrimSuffix(owner, n.Owner) + strings.TrimPrefix(rr.Target, ".")
	if _, ok := dns.IsDomainName(target); !ok {
		return a // it is too long, no target: YXDOMAIN
	}
	a.Target = dns.CanonicalName(target)
	a.Records = append(a.Records, &dns.CNAME{Hdr: header(owner, dns.TypeCNAME, rr.Hdr.Ttl), Target: target})
	return a
}

func answerAt(n *Name, qtype uint16) Answer {
	if s := n.Set(qtype); s != nil {
		return Answer{Kind: Found, Records: s.RRs()}
	}
	if s := n.Set(dns.TypeCNAME); s != nil {
		rr := s.Records[0].RR.(*dns.CNAME)
		return Answer{Kind: Alias, Records: []dns.RR{rr}, Target: dns.CanonicalName(rr.Target)}
	}
	return Answer{Kind: NoData}
}

// Wildcard returns the wildcard at the closest encloser of a name that does not exist, from which it is answered,
// nil when there is none: RFC 4592, Section 3.3.1.
func (v *View) Wildcard(state *registry.Snapshot, owner string) *Name {
	return v.wildcard(state, owner, keyOf(owner))
}

func (v *View) wildcard(state *registry.Snapshot, owner, key string) *Name {
	for apex := len(keyOf(v.Zone.Name)); len(key) > apex; {
		owner, key = registry.Parent(owner), parentKey(key)
		if n, ok := v.names.Get(key + "*\x00"); ok {
			return n
		}
		if v.exists(state, owner, key) {
			break
		}
	}
	return nil
}

// exists counts what the registry has as well.
func (v *View) exists(state *registry.Snapshot, owner, key string) bool {
	if _, ok := state.Lookup(owner); ok {
		return true
	}
	_, ok := v.names.Get(key)
	return ok || hasBelow(v.names, key)
}

func synthesized(a Answer, owner string) Answer {
	for i, rr := range a.Records {
		rr = dns.Copy(rr)
		rr.Header().Name = owner
		a.Records[i] = rr
	}
	return a
}
