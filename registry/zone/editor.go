package zone

import (
	"slices"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// editor is a view in the making.
type editor struct {
	view    *View // before
	zone    *registry.Zone
	state   *registry.Snapshot
	names   *names
	records int
	octets  int
	limit   int
	digest  digest

	before map[string]*Name // of the names that were touched, by key
	order  []string         // their keys, in the order of the first touch
	undo   []undo
	static staticDiff
	anew   bool // the history begins with this view
	skips  bool // the serial is to move by doubt: see there
}

// undo takes back one replacement of a name.
type undo struct {
	key             string
	was             *Name
	records, octets int
	isFirst         bool // touch of the name
}

// staticDiff is what the registry took out of the zone and put into it.
type staticDiff struct{ deleted, added []dns.RR }

func (v *View) edit(limit int) *editor {
	return &editor{
		view: v, zone: v.Zone, state: v.State, names: v.names.Copy(), records: v.records, octets: v.octets, limit: limit,
		digest: v.digest, before: map[string]*Name{},
	}
}

// rrset is what the zone has at a name, the registry's part included.
func (e *editor) rrset(owner string, rrtype uint16) []dns.RR {
	var rrs []dns.RR
	switch {
	case owner == e.zone.Name && rrtype == dns.TypeSOA:
		return []dns.RR{SOA(e.zone, e.view.Serial)}
	case owner == e.zone.Name && rrtype == dns.TypeNS:
		return NS(e.zone)
	}
	for _, rr := range Static(e.state, owner) {
		if rr.Header().Rrtype == rrtype {
			rrs = append(rrs, rr)
		}
	}
	if s := e.set(owner, rrtype); s != nil {
		rrs = append(rrs, s.RRs()...)
	}
	return rrs
}

// inUse reports whether a name has records of any type: RFC 2136, Section 2.4.4. An empty non-terminal has not.
func (e *editor) inUse(owner string) bool {
	if owner == e.zone.Name || len(Static(e.state, owner)) > 0 {
		return true
	}
	_, ok := e.names.Get(keyOf(owner))
	return ok
}

func (e *editor) set(owner string, rrtype uint16) *Set {
	n, _ := e.names.Get(keyOf(owner))
	return n.Set(rrtype)
}

// replace puts a set in the place of the one of its type; one without records takes it out.
func (e *editor) replace(owner string, s Set) {
	key := keyOf(owner)
	n, _ := e.names.Get(key)
	old := n.Set(s.Type)
	if old == nil && len(s.Records) == 0 {
		return
	}
	_, touched := e.before[key]
	if !touched {
		e.before[key] = n
		e.order = append(e.order, key)
	}
	e.undo = append(e.undo, undo{key, n, e.records, e.octets, !touched})
	records, octets := old.size()
	e.records += len(s.Records) - records
	e.octets += int(s.octets) - octets
	put(e.names, key, n.with(owner, s))
}

// takeBack takes back all replacements but the first ones.
func (e *editor) takeBack(all int) {
	for _, u := range slices.Backward(e.undo[all:]) {
		put(e.names, u.key, u.was)
		e.records, e.octets = u.records, u.octets
		if u.isFirst {
			delete(e.before, u.key)
			e.order = e.order[:len(e.order)-1]
		}
	}
	e.undo = e.undo[:all]
}

// diff lists the registered records that differ from the view before.
func (e *editor) diff() (deleted, added []Record) {
	for _, key := range e.order {
		now, _ := e.names.Get(key)
		deleted = appendMissing(deleted, e.before[key], now)
		added = appendMissing(added, now, e.before[key])
	}
	return deleted, added
}

// appendMissing appends the records of a that b does not have with the same TTL and spelling.
func appendMissing(dst []Record, a, b *Name) []Record {
	if a == nil {
		return dst
	}
	for i := range a.Sets {
		dst = a.Sets[i].appendMissing(dst, b.Set(a.Sets[i].Type))
	}
	return dst
}

// appendMissing goes through both sets at once: most records are in both, in the same order.
func (s *Set) appendMissing(dst []Record, other *Set) []Record {
	if other == nil {
		return append(dst, s.Records...)
	}
	next := 0
	for _, r := range s.Records {
		i := next
		if i >= len(other.Records) || other.Records[i].RR != r.RR {
			i = other.index(r.RR)
		}
		if i < 0 || !sameText(other.Records[i].RR, r.RR) {
			dst = append(dst, r)
			continue
		}
		next = i + 1
	}
	return dst
}

func sameText(a, b dns.RR) bool { return a == b || a.String() == b.String() }

// update does one update, all of it or nothing.
func (e *editor) update(u *Update) Result {
	for _, rrs := range [][]dns.RR{u.Prerequisites, u.Changes} {
		if r := e.isHere(rrs); r.Rcode != 0 {
			return r
		}
	}
	if r := e.met(u.Prerequisites); r.Rcode != 0 {
		return r
	}
	start, by := len(e.undo), u.By
	for i, rr := range u.Changes {
		by = u.decided(i, by)
		if r := e.apply(rr, by); r.Rcode != 0 {
			e.takeBack(start)
			return r
		}
	}
	return Result{}
}
