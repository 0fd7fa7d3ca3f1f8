package zone

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/journal"
	"github.com/nameward/nameward/registry/store/journal/journaltest"
)

// lab is a registry with its zones. The world:
//
//	corp.example.       mail (role on ex1, ex2), ex1 (host), ns1 (name server), sub.corp.example. below it
//	sub.corp.example.   nothing of its own
//	2.0.192.in-addr.arpa.
type lab struct {
	t       testing.TB
	reg     *registry.Registry
	db      *DB
	journal *journal.Memory
	stop    func()
}

const corp = "corp.example."

func testWorld() *registry.World {
	node := func(name, host, public, management string) *registry.Node {
		return &registry.Node{
			Name: name, Host: host, Public: []netip.Addr{netip.MustParseAddr(public)},
			Other: []registry.ClassAddr{{Class: "management", Addr: netip.MustParseAddr(management)}},
		}
	}
	nodes := []*registry.Node{node("ex1", "ex1.corp.example.", "192.0.2.11", "10.9.0.11"), node("ex2", "", "192.0.2.12", "10.9.0.12")}
	zone := func(name string, ns ...registry.NameServer) *registry.Zone {
		return &registry.Zone{
			Name: name, NS: ns, Mbox: "hostmaster." + name, TTL: time.Hour, Negative: 5 * time.Second,
			Refresh: time.Minute, Retry: 10 * time.Second, Expire: 7 * 24 * time.Hour,
		}
	}
	return &registry.World{
		Nodes: nodes,
		Roles: []*registry.Role{{
			Name: "mailbox", Nodes: nodes, DNS: []string{"mail.corp.example."}, TTL: 5 * time.Second,
			Source: registry.Source{Kind: registry.SourceOperator, Initial: "ex1"},
		}},
		Zones: []*registry.Zone{
			zone(corp, registry.NameServer{Name: "ns1.corp.example.", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.53")}}),
			zone("sub.corp.example.", registry.NameServer{Name: "ns1.corp.example."}),
			zone("2.0.192.in-addr.arpa.", registry.NameServer{Name: "ns1.corp.example."}),
		},
	}
}

// newLab runs the test world until the test ends.
func newLab(t testing.TB) *lab {
	t.Helper()
	return newLabOf(t, testWorld())
}

func newLabOf(t testing.TB, world *registry.World) *lab {
	t.Helper()
	l := &lab{t: t, journal: &journal.Memory{}}
	var err error
	if l.reg, err = registry.Open(world, &registry.Memory{}, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.reg.Run(ctx) }()
	l.open()
	t.Cleanup(func() {
		l.stop()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l
}

// open runs the zones from what the journal has.
func (l *lab) open() {
	l.t.Helper()
	db, err := Open(l.journal, DefaultLimits, l.reg.Snapshot, nopLog)
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- db.Run(ctx) }()
	l.db = db
	l.stop = func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Error(err)
		}
		l.stop = func() {}
	}
}

// restart opens the zones anew.
func (l *lab) restart() {
	l.t.Helper()
	l.stop()
	l.journal = l.journal.Copy()
	l.open()
}

// kill is restart without an orderly end.
func (l *lab) kill() {
	l.t.Helper()
	left := l.journal.Copy()
	l.stop()
	l.journal = left
	l.open()
}

func (l *lab) switchTo(node string) {
	l.t.Helper()
	if _, err := l.reg.Switch(l.t.Context(), registry.SwitchRequest{Roles: []string{"mailbox"}, To: node}); err != nil {
		l.t.Fatal(err)
	}
	l.sync()
}

func (l *lab) sync() {
	l.t.Helper()
	if err := l.db.Sync(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

// rr makes a record of an update from its text: "+ NAME TTL TYPE DATA" adds, "- NAME TYPE DATA" deletes a
// record, "- NAME TYPE" an RRset and "- NAME" all of a name. As prerequisites: "yes NAME [TYPE [DATA]]" and
// "no NAME [TYPE]".
func rr(t testing.TB, text string) dns.RR {
	t.Helper()
	f := strings.Fields(text)
	owner := dns.Fqdn(f[1])
	if !strings.HasSuffix(f[1], ".") {
		owner = f[1] + "." + corp
	}
	class := map[string]uint16{"+": dns.ClassINET, "-": dns.ClassNONE, "yes": dns.ClassINET, "no": dns.ClassNONE}[f[0]]
	rest, ttl := f[2:], "0"
	if f[0] == "+" {
		ttl, rest = f[2], f[3:]
	}
	if len(rest) < 2 {
		if f[0] == "-" || f[0] == "yes" {
			class = dns.ClassANY
		}
		rrtype := dns.TypeANY
		if len(rest) == 1 {
			rrtype = dns.StringToType[rest[0]]
		}
		return &dns.ANY{Hdr: dns.RR_Header{Name: owner, Rrtype: rrtype, Class: class}}
	}
	out, err := dns.NewRR(fmt.Sprintf("%s %s IN %s", owner, ttl, strings.Join(rest, " ")))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out.Header().Class = class
	if f[0] == "yes" {
		out.Header().Class = dns.ClassINET
	}
	return out
}

// unpacked are records as they come in a message.
func unpacked(t testing.TB, rrs []dns.RR) []dns.RR {
	t.Helper()
	m := &dns.Msg{Ns: rrs, Compress: true}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Unpack(b); err != nil {
		t.Fatalf("%v: %v", rrs, err)
	}
	return m.Ns
}

// update sends an update of lines separated by semicolons, checked as a server does, and returns its rcode.
func (l *lab) update(zone, text string) string {
	l.t.Helper()
	u := Update{Zone: zone, By: &By{Source: netip.MustParseAddr("192.0.2.77"), At: 1_800_000_000}}
	for _, line := range strings.Split(text, ";") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if strings.HasPrefix(line, "yes ") || strings.HasPrefix(line, "no ") {
			u.Prerequisites = append(u.Prerequisites, rr(l.t, line))
		} else {
			u.Changes = append(u.Changes, rr(l.t, line))
		}
	}
	u.Prerequisites, u.Changes = unpacked(l.t, u.Prerequisites), unpacked(l.t, u.Changes)
	res := Check(zone, u.Prerequisites, u.Changes)
	if res.Rcode == 0 {
		var err error
		if res, err = l.db.Do(l.t.Context(), u); err != nil {
			l.t.Fatal(err)
		}
	}
	if (res.Rcode == 0) != (res.Why == "") {
		l.t.Errorf("%s: rcode %d, why %q", text, res.Rcode, res.Why)
	}
	return dns.RcodeToString[res.Rcode]
}

// want checks what is registered in a zone, in one line: "www 300 A 192.0.2.1; ...", sorted.
func (l *lab) want(zone, want string) {
	l.t.Helper()
	var got []string
	for n := range l.db.View(zone).All() {
		for _, s := range n.Sets {
			for _, r := range s.Records {
				f := strings.Fields(r.RR.String())
				f[0] = cmp.Or(strings.TrimSuffix(strings.TrimSuffix(f[0], zone), "."), "@")
				got = append(got, strings.Join(slices.Delete(f, 2, 3), " "))
			}
		}
	}
	slices.Sort(got)
	if text := strings.Join(got, "; "); text != want {
		l.t.Errorf("%s has\n%s\nwant\n%s", zone, text, want)
	}
	if n := l.db.View(zone).Records(); n != len(got) {
		l.t.Errorf("%s counts %d records and has %d", zone, n, len(got))
	}
}

var errDisk = journaltest.ErrDisk

var nopLog = zerolog.Nop()

// secondary is the state of a zone that transfers lead to.
type secondary struct {
	t       testing.TB
	serial  uint32
	records map[string]int
}

// pull transfers what the secondary lacks and reports whether that was incremental.
func (s *secondary) pull(v *View) (incremental bool) {
	s.t.Helper()
	var rrs []dns.RR
	seq := v.Transfer()
	if s.serial != 0 {
		seq = v.TransferSince(s.serial)
	}
	for batch := range seq {
		rrs = append(rrs, batch...)
	}
	first := rrs[0].(*dns.SOA)
	if len(rrs) == 1 {
		if Newer(first.Serial, s.serial) {
			s.t.Errorf("the SOA alone says %d, and the secondary is at %d", first.Serial, s.serial)
		}
		return true
	}
	if last := rrs[len(rrs)-1]; last.String() != first.String() {
		s.t.Errorf("begins with %v and ends with %v", first, last)
	}
	rrs = rrs[1 : len(rrs)-1]
	if rrs[0].Header().Rrtype == dns.TypeSOA {
		s.patch(rrs)
		if s.serial != first.Serial {
			s.t.Errorf("the differences lead to %d, want %d", s.serial, first.Serial)
		}
		return true
	}
	s.serial, s.records = first.Serial, map[string]int{}
	for _, rr := range rrs {
		s.records[rr.String()]++
	}
	return false
}

// patch applies differences: RFC 1995, Section 4.
func (s *secondary) patch(rrs []dns.RR) {
	s.t.Helper()
	adding := true
	for _, rr := range rrs {
		if soa, ok := rr.(*dns.SOA); ok {
			if adding = !adding; !adding && soa.Serial != s.serial {
				s.t.Fatalf("a step begins at %d, and the secondary is at %d", soa.Serial, s.serial)
			}
			s.serial = soa.Serial
			continue
		}
		if adding {
			s.records[rr.String()]++
		} else if s.records[rr.String()]--; s.records[rr.String()] == 0 {
			delete(s.records, rr.String())
		} else {
			s.t.Errorf("%v is deleted and was there %d times", rr, s.records[rr.String()]+1)
		}
	}
}

// same checks that the secondary has what a whole transfer gives.
func (s *secondary) same(v *View) {
	s.t.Helper()
	fresh := &secondary{t: s.t}
	fresh.pull(v)
	for text, n := range fresh.records {
		if n != 1 || s.records[text] != 1 {
			s.t.Errorf("%s: %d times in the zone, %d times at the secondary", text, n, s.records[text])
		}
	}
	if len(s.records) != len(fresh.records) || s.serial != fresh.serial {
		s.t.Errorf("the secondary has %d records at %d, the zone %d at %d", len(s.records), s.serial, len(fresh.records), fresh.serial)
	}
}

func oneSpace(s string) string { return strings.Join(strings.Fields(s), " ") }
