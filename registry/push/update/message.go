package update

import "github.com/miekg/dns"

// Sizes of a message. A primary carries one out as a whole, and there are some that take 10 ms for each name.
const (
	maxEntries = 50
	maxRecords = 400 // far below the 64 KB of TCP
)

// message replaces the records of entries in one zone, if what stands there is what is expected.
func (d *Driver) message(pack []*entry) *dns.Msg {
	m := new(dns.Msg).SetUpdate(pack[0].zone)
	m.Compress = true
	for _, e := range pack {
		d.expect(m, e)
		for _, t := range e.types {
			m.Ns = append(m.Ns, all(e.name, t))
		}
		if len(e.stood.alias) > 0 {
			m.Ns = append(m.Ns, all(e.name, dns.TypeCNAME))
		}
		m.Ns = append(m.Ns, e.want...)
		if d.marks() {
			e.marker = newMarker(e.role)
			m.Ns = append(m.Ns, all(markerLabel+e.name, dns.TypeTXT), e.marker.record(e.name))
		}
	}
	return m
}

// expect has the update carried out only if an entry's name is as it was seen last.
func (d *Driver) expect(m *dns.Msg, e *entry) {
	if d.marks() {
		expectSet(m, markerLabel+e.name, dns.TypeTXT, e.stood.marker)
		if len(e.stood.marker) > 0 {
			return
		}
	}
	if len(e.stood.alias) > 0 { // nothing else stands beside it
		expectSet(m, e.name, dns.TypeCNAME, e.stood.alias)
		return
	}
	for _, t := range e.types {
		expectSet(m, e.name, t, e.stood.sets[t])
	}
}

// expectSet is RFC 2136, Sections 2.4.2 and 2.4.3: the RRset is this one, or there is none.
func expectSet(m *dns.Msg, name string, t uint16, set []dns.RR) {
	if len(set) == 0 {
		m.Answer = append(m.Answer, &dns.ANY{Hdr: dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassNONE}})
		return
	}
	for _, rr := range set {
		rr = dns.Copy(rr)
		rr.Header().Ttl = 0
		m.Answer = append(m.Answer, rr)
	}
}

// all is the deletion of an RRset, RFC 2136, Section 2.5.2.
func all(name string, t uint16) dns.RR {
	return &dns.ANY{Hdr: dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassANY}}
}

// stands is what stands at an entry's name after its update.
func (d *Driver) stands(e *entry) *standing {
	s := &standing{sets: map[uint16][]dns.RR{}}
	for _, rr := range e.want {
		s.sets[rr.Header().Rrtype] = append(s.sets[rr.Header().Rrtype], rr)
	}
	if d.marks() {
		s.marker = []dns.RR{e.marker.record(e.name)}
	}
	return s
}

// packs divides entries into those of one message each.
func packs(entries []*entry) (all [][]*entry) {
	var pack []*entry
	records := 0
	for _, e := range entries {
		size := 8 + 2*len(e.want)
		if len(pack) > 0 && (len(pack) == maxEntries || records+size > maxRecords || pack[0].zone != e.zone) {
			all = append(all, pack)
			pack, records = nil, 0
		}
		pack, records = append(pack, e), records+size
	}
	if len(pack) > 0 {
		all = append(all, pack)
	}
	return all
}
