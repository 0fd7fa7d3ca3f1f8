package zone

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
	"github.com/tidwall/btree"
)

// Record is a record that somebody registered.
type Record struct {
	RR dns.RR
	By *By
}

// By says who registered something, and when.
type By struct {
	Source    netip.Addr // of the update; not valid when it was no update
	Principal string     // who signed it; "" for nobody
	At        int64      // seconds since 1970
	Decision  uint64     // of the policy
}

// Set is an RRset.
type Set struct {
	Type    uint16
	octets  uint32   // of the records, uncompressed
	Records []Record // never empty; all with one TTL (RFC 2181, Section 5.2)
}

// RRs lists the records as they are answered.
func (s *Set) RRs() []dns.RR {
	rrs := make([]dns.RR, len(s.Records))
	for i, r := range s.Records {
		rrs[i] = r.RR
	}
	return rrs
}

// index finds a record, whatever its TTL is: -1 when there is none. s may be nil.
func (s *Set) index(rr dns.RR) int {
	if s == nil {
		return -1
	}
	return slices.IndexFunc(s.Records, func(r Record) bool { return dns.IsDuplicate(r.RR, rr) })
}

// size is the number of records and of their octets. s may be nil.
func (s *Set) size() (records, octets int) {
	if s == nil {
		return 0, 0
	}
	return len(s.Records), int(s.octets)
}

// with returns a copy of the set with one more record.
func (s Set) with(r Record) Set {
	s.Records = append(s.Records[:len(s.Records):len(s.Records)], r)
	s.octets += uint32(dns.Len(r.RR))
	return s
}

// without returns a copy of the set without its record i.
func (s Set) without(i int) Set {
	s.octets -= uint32(dns.Len(s.Records[i].RR))
	s.Records = slices.Concat(s.Records[:i], s.Records[i+1:])
	return s
}

// withTTL returns the set with the TTL in all records.
func (s Set) withTTL(ttl uint32) Set {
	if len(s.Records) == 0 || s.Records[0].RR.Header().Ttl == ttl {
		return s
	}
	s.Records = slices.Clone(s.Records)
	for i := range s.Records {
		s.Records[i].RR = dns.Copy(s.Records[i].RR)
		s.Records[i].RR.Header().Ttl = ttl
	}
	return s
}

// Name is an owner name with what is registered there. It never changes.
type Name struct {
	Owner string // lower case, fully qualified
	Sets  []Set  // never empty, by type
}

// Set returns the RRset of a type, or nil.
func (n *Name) Set(rrtype uint16) *Set {
	if n == nil {
		return nil
	}
	for i := range n.Sets {
		if n.Sets[i].Type == rrtype {
			return &n.Sets[i]
		}
	}
	return nil
}

// with returns the name with a set in the place of the one of its type; one without records takes it out.
// The result is nil when nothing is left.
func (n *Name) with(owner string, s Set) *Name {
	next := &Name{Owner: owner}
	if n != nil {
		next.Owner = n.Owner
		next.Sets = make([]Set, 0, len(n.Sets)+1)
		for _, o := range n.Sets {
			if o.Type != s.Type {
				next.Sets = append(next.Sets, o)
			}
		}
	}
	if len(s.Records) > 0 {
		i, _ := slices.BinarySearchFunc(next.Sets, s.Type, func(o Set, t uint16) int { return int(o.Type) - int(t) })
		next.Sets = slices.Insert(next.Sets, i, s)
	}
	if len(next.Sets) == 0 {
		return nil
	}
	return next
}

// names is the table of the names of a zone by key, sorted. A copy costs nothing and shares all that is not
// changed afterwards.
type names = btree.Map[string, *Name]

// put has a name at a key, or none when n is nil.
func put(t *names, key string, n *Name) {
	if n == nil {
		t.Delete(key)
		return
	}
	t.Set(key, n)
}

// keyOf is the place of a lower-case name in the table: its labels from the right, each ended by a zero, so
// that the keys of what stands below a name begin with its own.
func keyOf(owner string) string {
	var key strings.Builder
	key.Grow(len(owner))
	for end := len(owner) - 1; end > 0; {
		start := lastLabel(owner[:end])
		key.WriteString(owner[start:end])
		key.WriteByte(0)
		end = start - 1
	}
	return key.String()
}

// lastLabel finds where the last label of a name begins that has no dot at its end. Dots in labels are
// escaped: RFC 4343, Section 2.1.
func lastLabel(name string) int {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '.' && (len(name[:i])-len(strings.TrimRight(name[:i], `\`)))%2 == 0 {
			return i + 1
		}
	}
	return 0
}

// parentKey is the key of the name above, of a key that is not the root's.
func parentKey(key string) string { return key[:strings.LastIndexByte(key[:len(key)-1], 0)+1] }

// hasBelow reports whether a name stands strictly below the one with the key, which then exists even without
// records of its own (RFC 4592, Section 2.2.2).
func hasBelow(t *names, key string) (is bool) {
	t.Ascend(key, func(k string, _ *Name) bool {
		if k == key {
			return true
		}
		is = strings.HasPrefix(k, key)
		return false
	})
	return is
}
