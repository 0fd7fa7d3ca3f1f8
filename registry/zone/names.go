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
		next.Sets = slices.DeleteFunc(slices.Clone(n.Sets), func(o Set) bool { return o.Type == s.Type })
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

// keyOf is the place of a lower-case name in the table: its labels from the right, each ended by a zero, so
// that the keys of what stands below a name begin with its own.
func keyOf(owner string) string {
	var key strings.Builder
	key.Grow(len(owner) + 1)
	end := len(strings.TrimSuffix(owner, "."))
	for _, start := range slices.Backward(dns.Split(owner)) {
		key.WriteString(owner[start:end])
		key.WriteByte(0)
		end = max(start-1, 0)
	}
	return key.String()
}

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
