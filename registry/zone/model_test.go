package zone

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// model is a zone as RFC 2136 has it: records by "owner type data", with what this package adds: what belongs to
// the registry is left alone, the form of all is looked at before the prerequisites, an RRset has one TTL, and
// what has no place beside something else is passed over. Names are absolute, data are in lower case.
type model struct {
	zone     string
	children []string
	reserved map[string][]string // by owner: the types that are not touched
	static   map[string]bool     // "owner type data" of the registry
	ttl      map[string]uint32   // of the registered records
}

// entry is a record of a message, in words.
type entry struct {
	owner, rrtype, data string // data "" for none
	class               uint16
	ttl                 uint32
	text                string // of the data, as it is sent
}

func key3(owner, rrtype, data string) string { return owner + " " + rrtype + " " + data }

func (m *model) has(prefix string) (out []string) {
	for k := range m.ttl {
		if strings.HasPrefix(k, prefix) {
			out = append(out, k)
		}
	}
	for k := range m.static {
		if strings.HasPrefix(k, prefix) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func (m *model) inZone(owner string) bool { return dns.IsSubDomain(m.zone, owner) }

func (m *model) inChild(owner string) bool {
	return slices.ContainsFunc(m.children, func(c string) bool { return dns.IsSubDomain(c, owner) })
}

// form is Sections 3.2.5 and 3.4.1.3, as far as they look at no record of the zone.
func (m *model) form(prerequisites, changes []entry) int {
	for _, e := range prerequisites {
		switch {
		case e.ttl != 0:
			return dns.RcodeFormatError
		case !m.inZone(e.owner):
			return dns.RcodeNotZone
		case e.class == dns.ClassINET:
			if e.rrtype == "ANY" {
				return dns.RcodeFormatError
			}
		case e.class != dns.ClassANY && e.class != dns.ClassNONE, e.data != "":
			return dns.RcodeFormatError
		}
	}
	for _, e := range changes {
		switch {
		case !m.inZone(e.owner):
			return dns.RcodeNotZone
		case e.class == dns.ClassINET:
			if e.rrtype == "ANY" || e.data == "" || e.ttl >= 1<<31 {
				return dns.RcodeFormatError
			}
		case e.class == dns.ClassANY:
			if e.ttl != 0 || e.data != "" {
				return dns.RcodeFormatError
			}
		case e.class == dns.ClassNONE:
			if e.ttl != 0 || e.rrtype == "ANY" {
				return dns.RcodeFormatError
			}
		default:
			return dns.RcodeFormatError
		}
	}
	for _, e := range slices.Concat(prerequisites, changes) {
		if m.inChild(e.owner) {
			return dns.RcodeNotZone
		}
	}
	return dns.RcodeSuccess
}

// met is Section 3.2.
func (m *model) met(prerequisites []entry) int {
	wanted := map[string]map[string]bool{}
	for _, e := range prerequisites {
		name, set := len(m.has(e.owner+" ")) > 0, len(m.has(key3(e.owner, e.rrtype, ""))) > 0
		switch {
		case e.class == dns.ClassANY && e.rrtype == "ANY" && !name:
			return dns.RcodeNameError
		case e.class == dns.ClassANY && e.rrtype != "ANY" && !set:
			return dns.RcodeNXRrset
		case e.class == dns.ClassNONE && e.rrtype == "ANY" && name:
			return dns.RcodeYXDomain
		case e.class == dns.ClassNONE && e.rrtype != "ANY" && set:
			return dns.RcodeYXRrset
		case e.class == dns.ClassINET:
			at := key3(e.owner, e.rrtype, "")
			if wanted[at] == nil {
				wanted[at] = map[string]bool{}
			}
			wanted[at][at+e.data] = true
		}
	}
	for at, set := range wanted {
		if !slices.Equal(slices.Sorted(maps.Keys(set)), m.has(at)) {
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}

// apply is Section 3.4.2.
func (m *model) apply(changes []entry) {
	for _, e := range changes {
		switch {
		case e.class == dns.ClassINET:
			m.add(e)
		case e.class == dns.ClassANY && e.rrtype == "ANY":
			maps.DeleteFunc(m.ttl, func(k string, _ uint32) bool { return strings.HasPrefix(k, e.owner+" ") })
		case e.class == dns.ClassANY:
			maps.DeleteFunc(m.ttl, func(k string, _ uint32) bool { return strings.HasPrefix(k, key3(e.owner, e.rrtype, "")) })
		default:
			delete(m.ttl, key3(e.owner, e.rrtype, e.data))
		}
	}
}

func (m *model) add(e entry) {
	has := func(rrtype string) bool { return len(m.has(key3(e.owner, rrtype, ""))) > 0 }
	switch {
	case slices.Contains(m.reserved[e.owner], e.rrtype) || slices.Contains(m.reserved[e.owner], "*") && slices.Contains([]string{"CNAME", "NS", "DNAME"}, e.rrtype):
		return
	case e.rrtype == "SOA", e.owner == m.zone && slices.Contains([]string{"CNAME", "NS", "DNAME"}, e.rrtype):
		return
	case e.rrtype == "CNAME" && len(m.has(e.owner+" ")) > 0 && !has("CNAME"), e.rrtype != "CNAME" && has("CNAME"):
		return
	case e.rrtype == "NS" && has("DNAME"), e.rrtype == "DNAME" && has("NS"):
		return
	}
	for k := range m.ttl {
		if strings.HasPrefix(k, key3(e.owner, e.rrtype, "")) {
			if e.rrtype == "CNAME" || e.rrtype == "DNAME" {
				delete(m.ttl, k)
			} else {
				m.ttl[k] = e.ttl
			}
		}
	}
	m.ttl[key3(e.owner, e.rrtype, e.data)] = e.ttl
}

// data are what the records of the test have, in several spellings of one record.
var modelData = map[string][][]string{
	"A":         {{"192.0.2.1"}, {"192.0.2.2"}, {"192.0.2.3"}},
	"AAAA":      {{"2001:db8::1"}, {"2001:db8::2", "2001:DB8:0::2"}},
	"TXT":       {{`"x"`}, {`"X"`}, {`"x" ""`}, {`"\000\255"`}},
	"CNAME":     {{"a.corp.example.", "A.corp.EXAMPLE."}, {`x\.y.corp.example.`, `X\046y.corp.example.`}, {"."}},
	"NS":        {{"ns.other.example.", "Ns.Other.example."}, {"a.cut.corp.example."}},
	"DNAME":     {{"other.example."}, {"other2.example.", "OTHER2.example."}},
	"MX":        {{"10 a.corp.example.", "10 A.CORP.example."}, {"20 a.corp.example."}},
	"SRV":       {{"1 2 3 a.corp.example.", "1 2 3 A.corp.example."}, {"0 0 0 ."}},
	"PTR":       {{"host.corp.example.", "HOST.corp.example."}},
	"SOA":       {{"ns9.corp.example. x.corp.example. 4000000000 1 1 1 1"}},
	"TYPE65280": {{`\# 0`}, {`\# 2 abcd`, `\# 2 ABCD`}, {`\# 2 abce`}},
	"APL":       {{""}, {"1:192.0.2.0/24"}},
	"NAPTR":     {{`1 2 "S" "" "" a.corp.example.`, `1 2 "S" "" "" A.corp.example.`}},
	"DS":        {{"1 8 2 " + strings.Repeat("ab", 32), "1 8 2 " + strings.Repeat("AB", 32)}},
}

// longest is a name of 255 octets.
func longest(zone string) string {
	label := strings.Repeat("l", 63) + "."
	room := 255 - wireLength(zone)
	name := strings.Repeat(label, room/64)
	if rest := room % 64; rest > 1 {
		name += strings.Repeat("m", rest-1) + "."
	}
	return strings.TrimSuffix(name, ".") + "." + strings.TrimPrefix(zone, ".")
}

func wireLength(name string) int {
	b := make([]byte, 256)
	n, _ := dns.PackDomainName(name, b, 0, nil, false)
	return n
}

// within puts a relative name into a zone.
func within(name, zone string) string {
	if zone == "." {
		return name + "."
	}
	return name + "." + zone
}

// modelWorld has one zone with a role, a host and a name server, and a zone below it.
func modelWorld(zone string) (*registry.World, *model) {
	w := testWorld()
	sub, mail := within("sub", zone), within("mail", zone)
	w.Nodes[0].Host = within("ex1", zone)
	w.Roles[0].DNS = []string{mail, within("a.ent", zone)}
	w.Zones = w.Zones[:2]
	w.Zones[0].Name, w.Zones[1].Name = zone, sub
	w.Zones[0].NS[0].Name = within("ns1", zone)
	w.Zones[1].NS[0].Name = within("ns1", zone)
	m := &model{
		zone: zone, children: []string{sub}, ttl: map[string]uint32{},
		reserved: map[string][]string{zone: {"SOA", "*"}, within("ent", zone): {"NS", "DNAME"}},
		static: map[string]bool{
			key3(within("mail", zone), "A", "192.0.2.11"): true, key3(within("a.ent", zone), "A", "192.0.2.11"): true,
			key3(within("ex1", zone), "A", "192.0.2.11"): true, key3(within("ns1", zone), "A", "192.0.2.53"): true,
			key3(zone, "NS", within("ns1", zone)): true, key3(zone, "SOA", "any"): true,
		},
	}
	for _, name := range []string{"mail", "a.ent", "ex1", "ns1"} {
		m.reserved[within(name, zone)] = []string{"A", "AAAA", "*"}
	}
	return w, m
}

// draw makes a record of a message at random, mostly a right one.
func (m *model) draw(rnd *rand.Rand, isPrerequisite bool) entry {
	names := []string{"a", "a", "b", "c.d", "d", "*.w", "mail", "ex1", "ns1", "a.ent", "ent", `x\.y`, `\000z`, `q\\`, `\255`, "a.cut", "cut"}
	e := entry{class: []uint16{dns.ClassINET, dns.ClassINET, dns.ClassANY, dns.ClassNONE}[rnd.IntN(4)]}
	e.owner = within(names[rnd.IntN(len(names))], m.zone)
	switch rnd.IntN(60) {
	case 0, 1, 2, 3:
		e.owner = m.zone
	case 4:
		e.owner = longest(m.zone)
	case 5:
		e.owner = within("sub", m.zone)
	case 6:
		e.owner = within("a.sub", m.zone)
	case 7:
		if m.zone != "." {
			e.owner = `evil\.` + m.zone // a sibling whose text ends like the zone's
		}
	}
	types := slices.Sorted(maps.Keys(modelData))
	e.rrtype = types[rnd.IntN(len(types))]
	if rnd.IntN(3) == 0 {
		e.rrtype = "A"
	}
	spellings := modelData[e.rrtype][rnd.IntN(len(modelData[e.rrtype]))]
	e.text, e.data = spellings[rnd.IntN(len(spellings))], "-"+strings.ToLower(spellings[0])
	if e.rrtype == "TXT" {
		e.data = "-" + spellings[0]
	}
	if isPrerequisite && e.class != dns.ClassINET || e.class == dns.ClassANY {
		e.text, e.data = "", ""
		if rnd.IntN(3) == 0 {
			e.rrtype = "ANY"
		}
	}
	if e.class == dns.ClassINET && !isPrerequisite {
		e.ttl = []uint32{5, 5, 5, 60}[rnd.IntN(4)]
	}
	if rnd.IntN(150) == 0 {
		e.ttl = []uint32{1, 1 << 31}[rnd.IntN(2)]
	}
	if rnd.IntN(150) == 0 {
		e.class = dns.ClassCHAOS
	}
	return e
}

// rr is the record as a client sends it.
func (e entry) rr(t testing.TB, rnd *rand.Rand) dns.RR {
	t.Helper()
	owner := e.owner
	if rnd.IntN(3) == 0 {
		owner = strings.ToUpper(owner)
	}
	h := dns.RR_Header{Name: owner, Rrtype: dns.StringToType[e.rrtype], Class: e.class, Ttl: e.ttl}
	if e.rrtype == "TYPE65280" {
		h.Rrtype = 65280
	}
	if e.data == "" {
		return &dns.ANY{Hdr: h}
	}
	if e.text == "" {
		return &dns.APL{Hdr: h}
	}
	rr, err := dns.NewRR(". 0 IN " + e.rrtype + " " + e.text)
	if err != nil {
		t.Fatalf("%s %s: %v", e.rrtype, e.text, err)
	}
	if _, unknown := rr.(*dns.RFC3597); unknown && e.rrtype != "TYPE65280" {
		t.Fatalf("%s is not known", e.rrtype)
	}
	*rr.Header() = h
	return rr
}

// content is what a model has, and textOf the same of a view.
func (m *model) content() (out []string) {
	for k, ttl := range m.ttl {
		out = append(out, fmt.Sprintf("%s %d", k, ttl))
	}
	slices.Sort(out)
	return out
}

func textOf(t testing.TB, v *View) (out []string) {
	t.Helper()
	for n := range v.All() {
		for _, s := range n.Sets {
			for _, r := range s.Records {
				h := r.RR.Header()
				if h.Name != n.Owner || h.Class != dns.ClassINET || h.Rrtype != s.Type {
					t.Errorf("%v stands at %s in a set of type %d", r.RR, n.Owner, s.Type)
				}
				out = append(out, fmt.Sprintf("%s %d", key3(h.Name, dns.Type(h.Rrtype).String(), modelDataOf(t, r.RR)), h.Ttl))
			}
		}
	}
	slices.Sort(out)
	return out
}

// modelDataOf finds the record in modelData by its octets, names in lower case.
func modelDataOf(t testing.TB, rr dns.RR) string {
	t.Helper()
	want := strings.TrimPrefix(rr.String(), rr.Header().String())
	for _, spellings := range modelData[dns.Type(rr.Header().Rrtype).String()] {
		for _, text := range spellings {
			e := entry{owner: ".", class: dns.ClassINET, rrtype: dns.Type(rr.Header().Rrtype).String(), text: text, data: "-"}
			got := unpacked(t, []dns.RR{e.rr(t, rand.New(rand.NewPCG(0, 0)))})[0]
			got.Header().Name, got.Header().Class, got.Header().Ttl = rr.Header().Name, rr.Header().Class, rr.Header().Ttl
			if strings.TrimPrefix(got.String(), got.Header().String()) == want {
				if rr.Header().Rrtype == dns.TypeTXT {
					return "-" + spellings[0]
				}
				return "-" + strings.ToLower(spellings[0])
			}
		}
	}
	t.Errorf("nobody sent %s", rr)
	return want
}

// TestModel compares random updates with the model: rcode, content and serial, in several zones.
func TestModel(t *testing.T) {
	for _, zone := range []string{"corp.example.", "example.", "."} {
		t.Run(zone, func(t *testing.T) {
			seeds := uint64(12)
			if testing.Short() {
				seeds = 2
			}
			seen := map[int]int{}
			for seed := range seeds {
				modelRun(t, zone, seed, seen)
			}
			for _, rcode := range []int{
				dns.RcodeSuccess, dns.RcodeFormatError, dns.RcodeNameError, dns.RcodeNotZone,
				dns.RcodeYXDomain, dns.RcodeYXRrset, dns.RcodeNXRrset,
			} {
				if seen[rcode] == 0 && !(rcode == dns.RcodeFormatError && testing.Short()) {
					t.Errorf("nothing led to %s", dns.RcodeToString[rcode])
				}
			}
		})
	}
}

func modelRun(t *testing.T, zone string, seed uint64, seen map[int]int) {
	rnd := rand.New(rand.NewPCG(seed, 11))
	w, m := modelWorld(zone)
	l := newLabOf(t, w)
	s := &secondary{t: t}
	s.pull(l.db.View(zone))
	for step := range 300 {
		var pre, changes []entry
		for range rnd.IntN(3) * rnd.IntN(2) {
			pre = append(pre, m.draw(rnd, true))
		}
		for range rnd.IntN(5) {
			changes = append(changes, m.draw(rnd, false))
		}
		if rnd.IntN(4) == 0 {
			changes = append(changes, changes...)
		}
		before, serial := m.content(), l.db.View(zone).Serial
		want := m.form(pre, changes)
		if want == 0 {
			want = m.met(pre)
		}
		if want == 0 {
			m.apply(changes)
		}
		got := l.sendEntries(rnd, zone, pre, changes)
		seen[got]++
		if got != want {
			t.Fatalf("seed %d, step %d: %+v then %+v: %s, want %s", seed, step, pre, changes, dns.RcodeToString[got], dns.RcodeToString[want])
		}
		v := l.db.View(zone)
		if have, want := textOf(t, v), m.content(); !slices.Equal(have, want) {
			t.Fatalf("seed %d, step %d: %+v then %+v:\nhas  %q\nwant %q", seed, step, pre, changes, have, want)
		}
		if moved := v.Serial - serial; moved > 1 || (moved == 1) != !slices.Equal(before, m.content()) {
			t.Fatalf("seed %d, step %d: %+v: the serial moved by %d", seed, step, changes, moved)
		}
	}
	s.pull(l.db.View(zone))
	s.same(l.db.View(zone))
	l.restart()
	if have := textOf(t, l.db.View(zone)); !slices.Equal(have, m.content()) {
		t.Errorf("seed %d, after a restart: %q, want %q", seed, have, m.content())
	}
}

func (l *lab) sendEntries(rnd *rand.Rand, zone string, pre, changes []entry) int {
	l.t.Helper()
	u := Update{Zone: zone, By: &By{Source: netip.MustParseAddr("192.0.2.77"), At: time.Now().Unix()}}
	for _, e := range pre {
		u.Prerequisites = append(u.Prerequisites, e.rr(l.t, rnd))
	}
	for _, e := range changes {
		u.Changes = append(u.Changes, e.rr(l.t, rnd))
	}
	u.Prerequisites, u.Changes = unpacked(l.t, u.Prerequisites), unpacked(l.t, u.Changes)
	if r := Check(zone, u.Prerequisites, u.Changes); r.Rcode != 0 {
		return r.Rcode
	}
	r, err := l.db.Do(l.t.Context(), u)
	if err != nil {
		l.t.Fatal(err)
	}
	return r.Rcode
}
