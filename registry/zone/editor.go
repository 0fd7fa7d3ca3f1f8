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
	limit   int
	digest  digest

	before map[string]*Name // of the names that were touched, by key
	order  []string         // their keys, in the order of the first touch
	static staticDiff
	anew   bool // the history begins with this view
}

// staticDiff is what the registry took out of the zone and put into it.
type staticDiff struct{ deleted, added []dns.RR }

func (v *View) edit(limit int) *editor {
	return &editor{
		view: v, zone: v.Zone, state: v.State, names: v.names.Copy(), records: v.records, limit: limit, digest: v.digest,
		before: map[string]*Name{},
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
	for _, rr := range static(e.state, owner) {
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
	if owner == e.zone.Name || len(static(e.state, owner)) > 0 {
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
	if _, touched := e.before[key]; !touched {
		e.before[key] = n
		e.order = append(e.order, key)
	}
	if old != nil {
		e.records -= len(old.Records)
	}
	e.records += len(s.Records)
	if n = n.with(owner, s); n == nil {
		e.names.Delete(key)
		return
	}
	e.names.Set(key, n)
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

// appendMissing appends the records of a that b does not have with the same TTL.
func appendMissing(dst []Record, a, b *Name) []Record {
	if a == nil {
		return dst
	}
	for _, s := range a.Sets {
		other := b.Set(s.Type)
		for _, r := range s.Records {
			if other == nil || !slices.ContainsFunc(other.Records, func(o Record) bool {
				return o == r || o.RR.Header().Ttl == r.RR.Header().Ttl && sameRecord(o.RR, r.RR)
			}) {
				dst = append(dst, r)
			}
		}
	}
	return dst
}

// savepoint is what is needed to take back the changes of an update that fails in the middle.
type savepoint struct {
	names   *names
	records int
	touched int
}

func (e *editor) save() savepoint { return savepoint{e.names.Copy(), e.records, len(e.order)} }

func (e *editor) restore(s savepoint) {
	for _, key := range e.order[s.touched:] {
		delete(e.before, key)
	}
	e.names, e.records, e.order = s.names, s.records, e.order[:s.touched]
}

// update does one update, all of it or nothing.
func (e *editor) update(u *Update) Result {
	if r := e.met(u.Prerequisites); r.Rcode != 0 {
		return r
	}
	start := e.save()
	for _, rr := range u.Changes {
		if r := e.apply(rr, u.By); r.Rcode != 0 {
			e.restore(start)
			return r
		}
	}
	return Result{}
}
