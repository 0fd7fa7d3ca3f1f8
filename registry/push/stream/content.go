package stream

import (
	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push/dso"
	"github.com/nameward/nameward/registry/zone"
)

// published lists the records that DNS answers with at a lower-case name itself.
func published(snap *registry.Snapshot, zones *zone.DB, owner string) []dns.RR {
	rrs := zone.Static(snap, owner)
	z := snap.Zone(owner)
	if z == nil {
		return rrs
	}
	v := zones.View(z.Name)
	if owner == z.Name {
		rrs = append(rrs, zone.NS(z)...)
		if v != nil {
			rrs = append(rrs, v.SOA())
		}
	}
	if v != nil {
		rrs = append(rrs, v.At(owner)...)
	}
	return rrs
}

// content is what stands at a name. It never changes.
type content struct {
	generation uint64 // of its topic
	records    []record
	delta      []change // since the generation before
}

// record is one record of a content.
type record struct {
	rrtype uint16
	packed string // with a TTL of 0
	ttl    uint32 // seconds
}

// change is one part of a PUSH.
type change struct {
	rrtype uint16 // ANY: all that stood at the name is gone
	wire   []byte
}

// contentOf packs the records of a name. Those that no PUSH can carry are passed over.
func contentOf(rrs []dns.RR, before *content) *content {
	c := &content{generation: before.generation + 1, records: make([]record, 0, len(rrs))}
	for _, rr := range rrs {
		if wire, err := dso.Change(rr, 0); err == nil {
			c.records = append(c.records, record{rr.Header().Rrtype, string(wire), min(rr.Header().Ttl, dso.MostTTL)})
		}
	}
	c.delta = diff(before.records, c.records)
	return c
}

// since lists what a client that was told an older content has to be told of a type.
func (c *content) since(told *content, rrtype uint16) []change {
	var all []change
	switch {
	case told == c:
		return nil
	case told.generation+1 == c.generation:
		all = c.delta
	default:
		all = diff(told.records, c.records)
	}
	if rrtype == dns.TypeANY {
		if len(c.records) == 0 && len(all) > 1 {
			return []change{allGone(told.records[0], dns.TypeANY)}
		}
		return all
	}
	var out []change
	for _, ch := range all {
		if ch.rrtype == rrtype {
			out = append(out, ch)
		}
	}
	return out
}

// diff lists what makes one set of records of a name out of another, what goes first.
func diff(old, now []record) []change {
	ttls, left := make(map[string]uint32, len(now)), map[uint16]bool{}
	for _, r := range now {
		ttls[r.packed], left[r.rrtype] = r.ttl, true
	}
	out := removed(old, ttls, left)
	was := make(map[string]uint32, len(old))
	for _, r := range old {
		was[r.packed] = r.ttl
	}
	for _, r := range now {
		if ttl, had := was[r.packed]; !had || ttl != r.ttl {
			out = append(out, r.with(r.ttl))
		}
	}
	return out
}

// removed lists the records of old that are not in now. Where no record of a type is left, one word for all of them
// will do.
func removed(old []record, now map[string]uint32, left map[uint16]bool) (out []change) {
	of := map[uint16]int{}
	for _, r := range old {
		of[r.rrtype]++
	}
	for _, r := range old {
		switch _, still := now[r.packed]; {
		case still || of[r.rrtype] == 0:
		case !left[r.rrtype] && of[r.rrtype] > 1:
			out, of[r.rrtype] = append(out, allGone(r, r.rrtype)), 0
		default:
			out = append(out, r.with(dso.Removed))
		}
	}
	return out
}

func (r record) with(ttl uint32) change {
	wire := []byte(r.packed)
	dso.SetTTL(wire, ttl)
	return change{r.rrtype, wire}
}

// allGone says that nothing of a type is left at the name of a record.
func allGone(r record, rrtype uint16) change {
	return change{rrtype, dso.AllGone([]byte(r.packed), rrtype)}
}
