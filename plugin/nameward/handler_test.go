package nameward

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/zone"
)

// answered is a reply in the words of a test table.
type answered struct {
	Outcome string
	Rcode   int
	Answer  string // the records, sorted, one a line, fields with one space between them
	NS      string
	Extra   string
}

func answerOf(t *testing.T, n now, r *dns.Msg) answered {
	t.Helper()
	m, outcome := n.answer(r)
	a := answered{Outcome: outcome.String()}
	if m == nil {
		return a
	}
	if m.Id != r.Id || !m.Response || len(m.Question) != 1 || m.Question[0] != r.Question[0] || m.Authoritative == (m.Rcode == dns.RcodeServerFailure) {
		t.Errorf("header or question: %v", m)
	}
	b, err := m.Pack()
	if err == nil {
		err = new(dns.Msg).Unpack(b)
	}
	if err != nil {
		t.Errorf("%s cannot be sent: %v", r.Question[0].Name, err)
	}
	a.Rcode, a.Answer, a.NS, a.Extra = m.Rcode, text(m.Answer), text(m.Ns), text(m.Extra)
	return a
}

func text(rrs []dns.RR) string {
	var lines []string
	for _, rr := range rrs {
		line := strings.Join(strings.Fields(rr.String()), " ")
		if soa, ok := rr.(*dns.SOA); ok {
			line = strings.Join([]string{soa.Hdr.Name, "SOA", soa.Ns}, " ") // the rest has tests of its own
		}
		lines = append(lines, strings.Replace(line, " IN ", " ", 1))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestAnswer(t *testing.T) {
	const soa, subSOA, revSOA = "corp.example. SOA ns1.corp.example.", "sub.corp.example. SOA ns1.sub.corp.example.", "2.0.192.in-addr.arpa. SOA ns1.corp.example."
	yes := func(lines ...string) answered {
		return answered{Outcome: "answered", Answer: strings.Join(lines, "\n")}
	}
	noData := func(soa string) answered { return answered{Outcome: "nodata", NS: soa} }
	nxdomain := func(soa string) answered { return answered{Outcome: "nxdomain", Rcode: dns.RcodeNameError, NS: soa} }
	any := func(name string) answered { return answered{Outcome: "any", Answer: name + ` 3600 HINFO "RFC8482" ""`} }
	passed, notReady := answered{Outcome: "passed"}, answered{Outcome: "not-ready", Rcode: dns.RcodeServerFailure}
	ns := yes("corp.example. 3600 NS ns1.corp.example.", "corp.example. 3600 NS ns2.provider.example.")
	ns.Extra = "ns1.corp.example. 3600 A 192.0.2.53\nns1.corp.example. 3600 AAAA 2001:db8::53"
	tests := []struct {
		name  string
		qtype uint16
		want  answered
	}{
		{"mail.corp.example.", dns.TypeA, yes("mail.corp.example. 5 A 192.0.2.11")},
		{"mail.corp.example.", dns.TypeAAAA, yes("mail.corp.example. 5 AAAA 2001:db8::11")},
		{"mAiL.cOrP.eXaMpLe.", dns.TypeA, yes("mAiL.cOrP.eXaMpLe. 5 A 192.0.2.11")},
		{"mail.corp.example.", dns.TypeMX, noData(soa)},
		{"mail.corp.example.", dns.TypeHTTPS, noData(soa)},
		{"mail.corp.example.", dns.TypeSOA, noData(soa)},
		{"mail.corp.example.", dns.TypeANY, any("mail.corp.example.")},
		{"a.b.corp.example.", dns.TypeAAAA, noData(soa)},
		{"www.corp.example.", dns.TypeA, yes("www.corp.example. 5 A 203.0.113.1", "www.corp.example. 5 A 203.0.113.2", "www.corp.example. 5 A 203.0.113.3")},
		{"www.corp.example.", dns.TypeAAAA, yes("www.corp.example. 5 AAAA 2001:db8::22")},

		{"gone.corp.example.", dns.TypeA, nxdomain(soa)},
		{"gone.corp.example.", dns.TypeANY, nxdomain(soa)},
		{"below.corp.example.", dns.TypeA, noData(soa)},
		{"gone.other.example.", dns.TypeA, noData("gone.other.example. SOA gone.other.example.")},
		{"new.corp.example.", dns.TypeA, notReady},
		{"new.corp.example.", dns.TypeAAAA, notReady},
		{"new.corp.example.", dns.TypeTXT, notReady},
		{"new.other.example.", dns.TypeTXT, passed},
		{"new.other.example.", dns.TypeA, notReady},

		{"mail.other.example.", dns.TypeA, yes("mail.other.example. 5 A 192.0.2.11")},
		{"Mail.Other.Example.", dns.TypeAAAA, yes("Mail.Other.Example. 5 AAAA 2001:db8::11")},
		{"mail.other.example.", dns.TypeMX, passed},
		{"mail.other.example.", dns.TypeSOA, passed},
		{"mail.other.example.", dns.TypeANY, any("mail.other.example.")},
		{"x.mail.other.example.", dns.TypeA, passed},
		{"other.example.", dns.TypeA, passed},
		{".", dns.TypeNS, passed},

		{"corp.example.", dns.TypeSOA, yes(soa)},
		{"Corp.Example.", dns.TypeSOA, yes("Corp.Example. SOA ns1.corp.example.")},
		{"corp.example.", dns.TypeNS, ns},
		{"corp.example.", dns.TypeA, noData(soa)},
		{"corp.example.", dns.TypeANY, any("corp.example.")},
		{"b.corp.example.", dns.TypeA, noData(soa)},
		{"b.corp.example.", dns.TypeANY, noData(soa)},
		{"nothing.corp.example.", dns.TypeA, nxdomain(soa)},
		{"nothing.corp.example.", dns.TypeANY, nxdomain(soa)},
		{"x.mail.corp.example.", dns.TypeA, nxdomain(soa)},
		{"ns1.corp.example.", dns.TypeA, yes("ns1.corp.example. 3600 A 192.0.2.53")},
		{"ns1.corp.example.", dns.TypeAAAA, yes("ns1.corp.example. 3600 AAAA 2001:db8::53")},
		{"ns1.corp.example.", dns.TypeMX, noData(soa)},
		{"ns2.provider.example.", dns.TypeA, passed},
		{"ex1.corp.example.", dns.TypeA, yes("ex1.corp.example. 60 A 192.0.2.11")},
		{"ex1.corp.example.", dns.TypeAAAA, yes("ex1.corp.example. 60 AAAA 2001:db8::11")},

		{"sub.corp.example.", dns.TypeA, yes("sub.corp.example. 5 A 192.0.2.11")},
		{"sub.corp.example.", dns.TypeSOA, yes(subSOA)},
		{"sub.corp.example.", dns.TypeMX, noData(subSOA)},
		{"x.sub.corp.example.", dns.TypeMX, noData(subSOA)},
		{"y.sub.corp.example.", dns.TypeA, nxdomain(subSOA)},

		{"11.2.0.192.in-addr.arpa.", dns.TypePTR, yes("11.2.0.192.in-addr.arpa. 5 PTR mail.corp.example.")},
		{"11.2.0.192.In-Addr.Arpa.", dns.TypePTR, yes("11.2.0.192.In-Addr.Arpa. 5 PTR mail.corp.example.")},
		{"11.2.0.192.in-addr.arpa.", dns.TypeA, noData(revSOA)},
		{"12.2.0.192.in-addr.arpa.", dns.TypePTR, nxdomain(revSOA)},                                              // a management address
		{"12.100.51.198.in-addr.arpa.", dns.TypePTR, yes("12.100.51.198.in-addr.arpa. 5 PTR a.b.corp.example.")}, // in no zone of ours
		{"12.100.51.198.in-addr.arpa.", dns.TypeTXT, passed},
		{"12.100.51.198.in-addr.arpa.", dns.TypeANY, passed},
		{"11.0.9.10.in-addr.arpa.", dns.TypePTR, passed},
		{"1.113.0.203.in-addr.arpa.", dns.TypePTR, yes("1.113.0.203.in-addr.arpa. 5 PTR www.corp.example.")},
		{"2.0.192.in-addr.arpa.", dns.TypePTR, noData(revSOA)},
		{"192.in-addr.arpa.", dns.TypeNS, passed},
	}
	n := newRegistry(t).now(t)
	for _, tt := range tests {
		t.Run(tt.name+" "+dns.TypeToString[tt.qtype], func(t *testing.T) {
			if diff := cmp.Diff(tt.want, answerOf(t, n, question(tt.name, tt.qtype))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNotQueries(t *testing.T) {
	n := newRegistry(t).now(t)
	chaos, update, two, none := question("mail.corp.example.", dns.TypeA), question("mail.corp.example.", dns.TypeA), question("mail.corp.example.", dns.TypeA), new(dns.Msg)
	chaos.Question[0].Qclass, update.Opcode = dns.ClassCHAOS, dns.OpcodeUpdate
	two.Question = append(two.Question, two.Question[0])
	for name, m := range map[string]*dns.Msg{"class CH": chaos, "UPDATE": update, "two questions": two, "no question": none} {
		if reply, outcome := n.answer(m); reply != nil || outcome != Passed {
			t.Errorf("%s: %v, %v", name, reply, outcome)
		}
	}
}

func TestNegativeTTL(t *testing.T) {
	n := newRegistry(t).now(t)
	for name, want := range map[string]uint32{"nothing.corp.example.": 5, "gone.corp.example.": 5, "gone.other.example.": 5} {
		m, _ := n.answer(question(name, dns.TypeA))
		soa := m.Ns[0].(*dns.SOA)
		if soa.Hdr.Ttl != want || min(soa.Hdr.Ttl, soa.Minttl) != want {
			t.Errorf("%s: TTL %d, minimum %d, want %d", name, soa.Hdr.Ttl, soa.Minttl, want)
		}
	}
	m, _ := n.answer(question("corp.example.", dns.TypeSOA))
	soa := m.Answer[0].(*dns.SOA)
	want := dns.SOA{
		Hdr: soa.Hdr, Ns: "ns1.corp.example.", Mbox: "hostmaster.corp.example.", Serial: n.zones.View("corp.example.").Serial,
		Refresh: 60, Retry: 10, Expire: 604800, Minttl: 5,
	}
	if *soa != want || soa.Hdr.Ttl != 3600 {
		t.Errorf("got %v, want %v", soa, &want)
	}
}

// TestLongNameWithoutAddress: the SOA of an overlaid name must not grow past the limit of a name.
func TestLongNameWithoutAddress(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 49)+".", 5) // 250 octets
	w := newWorld()
	w.Roles[0].DNS = []string{long}
	r := run(t, w)
	claim(t, r, "mailbox", "ex2")
	if got := answerOf(t, r.now(t), question(long, dns.TypeAAAA)); got.Outcome != "nodata" {
		t.Errorf("got %+v", got)
	}
}

func TestNotReadyReason(t *testing.T) {
	n := newRegistry(t).now(t)
	r := question("new.corp.example.", dns.TypeA)
	if m, _ := n.answer(r); len(m.Extra) > 0 {
		t.Errorf("an OPT record without EDNS: %v", m.Extra)
	}
	r.SetEdns0(1232, false)
	m, _ := n.answer(r)
	ede, ok := m.IsEdns0().Option[0].(*dns.EDNS0_EDE)
	if !ok || ede.InfoCode != dns.ExtendedErrorCodeNotReady || !strings.Contains(ede.ExtraText, "unknown") {
		t.Errorf("got %v", m.Extra)
	}
}

func TestRotation(t *testing.T) {
	n := newRegistry(t).now(t)
	first := map[string]int{}
	for range 600 {
		m, _ := n.answer(question("www.corp.example.", dns.TypeA))
		first[m.Answer[0].(*dns.A).A.String()]++
		if len(m.Answer) != 3 {
			t.Fatalf("%d addresses", len(m.Answer))
		}
	}
	for ip, n := range first {
		if n < 100 {
			t.Errorf("%s stands first %d times of 600", ip, n)
		}
	}
	if len(first) != 3 {
		t.Errorf("first: %v", first)
	}
}

func TestTTLChanging(t *testing.T) {
	w := newWorld()
	w.Roles[0].TTL, w.Roles[0].TTLChanging, w.Roles[0].Changing = 60e9, 1e9, 3600e9
	r := run(t, w)
	claim(t, r, "mailbox", "ex1")
	if got := answerOf(t, r.now(t), question("mail.corp.example.", dns.TypeA)); got.Answer != "mail.corp.example. 1 A 192.0.2.11" {
		t.Errorf("got %+v", got)
	}
}

// TestLoweredTTL: a lowered TTL is in every answer about the role, also in that it has no address of a type.
func TestLoweredTTL(t *testing.T) {
	r := newRegistry(t)
	req := registry.LowerRequest{Roles: []string{"deep", "mailbox"}, TTL: 2, For: 600, Owner: "plan"}
	if _, err := r.LowerTTL(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	n := r.now(t)
	for _, tt := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"a.b.corp.example.", dns.TypeA, "a.b.corp.example. 2 A 198.51.100.12"},
		{"mail.other.example.", dns.TypeAAAA, "mail.other.example. 2 AAAA 2001:db8::11"},
		{"11.2.0.192.in-addr.arpa.", dns.TypePTR, "11.2.0.192.in-addr.arpa. 2 PTR mail.corp.example."},
	} {
		if got := answerOf(t, n, question(tt.name, tt.qtype)); got.Answer != tt.want {
			t.Errorf("got %+v, want %s", got, tt.want)
		}
	}
	for qtype, want := range map[uint16]uint32{dns.TypeAAAA: 2, dns.TypeMX: 5} {
		m, _ := n.answer(question("a.b.corp.example.", qtype))
		if soa := m.Ns[0].(*dns.SOA); soa.Hdr.Ttl != want || soa.Minttl != want {
			t.Errorf("no data of type %d: %v, want TTL and minimum %d", qtype, soa, want)
		}
	}
}

func TestSwitchIsAnsweredAtOnce(t *testing.T) {
	r := newRegistry(t)
	before := serialOf(t, r, corp)
	claim(t, r, "mailbox", "ex2")
	if got := answerOf(t, r.now(t), question("mail.corp.example.", dns.TypeA)); got.Answer != "mail.corp.example. 5 A 198.51.100.12" {
		t.Errorf("got %+v", got)
	}
	if after := serialOf(t, r, corp); !zone.Newer(after, before) {
		t.Errorf("serial %d after %d", after, before)
	}
}

func TestServeDNS(t *testing.T) {
	next := plugin.HandlerFunc(func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) { return dns.RcodeRefused, nil })
	h := &Handler{Next: next, State: newRegistry(t)}
	rec := dnstest.NewRecorder(&test.ResponseWriter{})
	if rcode, err := h.ServeDNS(t.Context(), rec, question("mail.corp.example.", dns.TypeA)); rcode != 0 || err != nil || len(rec.Msg.Answer) != 1 {
		t.Errorf("ours: %d, %v, %v", rcode, err, rec.Msg)
	}
	rec = dnstest.NewRecorder(&test.ResponseWriter{})
	if rcode, err := h.ServeDNS(t.Context(), rec, question("other.example.", dns.TypeA)); rcode != dns.RcodeRefused || err != nil || rec.Msg != nil {
		t.Errorf("not ours: %d, %v, %v", rcode, err, rec.Msg)
	}
	h.Next = nil
	if rcode, _ := h.ServeDNS(t.Context(), rec, question("other.example.", dns.TypeA)); rcode != dns.RcodeServerFailure {
		t.Errorf("without a next plugin: %d", rcode)
	}
}

func BenchmarkAnswer(b *testing.B) {
	n := newRegistry(b).now(b)
	for name, r := range map[string]*dns.Msg{
		"single": question("mail.corp.example.", dns.TypeA), "all": question("www.corp.example.", dns.TypeA),
		"passed": question("other.example.", dns.TypeA), "nxdomain": question("nothing.corp.example.", dns.TypeA),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n.answer(r)
			}
		})
	}
}

// TestNotReadyThroughAlias: the reason is told at the end of a chain of aliases too.
func TestNotReadyThroughAlias(t *testing.T) {
	w := newRegistry(t)
	alias := &dns.CNAME{Hdr: header("tonew.corp.example.", dns.TypeCNAME, 60), Target: "new.corp.example."}
	if res, err := w.zones.Do(t.Context(), zone.Update{Zone: corp, Changes: []dns.RR{alias}}); err != nil || res.Rcode != 0 {
		t.Fatal(res, err)
	}
	r := question("tonew.corp.example.", dns.TypeA)
	r.SetEdns0(1232, false)
	m, _ := w.now(t).answer(r)
	if o := m.IsEdns0(); m.Rcode != dns.RcodeServerFailure || o == nil || len(o.Option) != 1 || o.Option[0].Option() != dns.EDNS0EDE {
		t.Errorf("got %v", m)
	}
}
