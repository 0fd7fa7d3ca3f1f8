package nameward

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
)

// upstream makes what another plugin answers: sections are separated by empty lines.
func upstream(t testing.TB, name string, qtype uint16, rcode int, text string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, qtype)
	m.Response, m.Rcode, m.AuthenticatedData = true, rcode, true
	sections := []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra}
	for i, section := range strings.Split(text, "\n\n") {
		for line := range strings.Lines(section) {
			rr, err := dns.NewRR(strings.TrimSpace(line))
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if rr != nil {
				*sections[i] = append(*sections[i], rr)
			}
		}
	}
	return m
}

// reviewOf is a review by the built-in policy of the answer to a query that has the answer's question.
func reviewOf(n now, m *dns.Msg) review {
	q := &dns.Msg{MsgHdr: dns.MsgHdr{Id: m.Id, RecursionDesired: true}, Question: m.Question}
	p := policy.Default()
	return review{snap: n.snap, zones: n.zones, policy: p, screen: p.Screen(policy.Answer), choice: defaultChoice, r: q}
}

// sectionsText is a message as upstream takes it.
func sectionsText(m *dns.Msg) string {
	var sections []string
	for _, rrs := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		var lines []string
		for _, rr := range rrs {
			lines = append(lines, strings.Join(strings.Fields(rr.String()), " "))
		}
		sections = append(sections, strings.Join(lines, "\n"))
	}
	return strings.TrimRight(strings.Join(sections, "\n\n"), "\n")
}

// answerRow is an answer of upstream and what is to become of it.
type answerRow struct {
	what  string
	name  string
	qtype uint16
	rcode int
	in    string // answer, authority, additional
	want  string // "" for untouched
	code  int    // of what is wanted
	why   ScrubOutcome
}

// emptied is the SOA beside what we emptied.
func emptied(name string) string { return name + " 5 IN SOA " + name + " . 1 5 5 5 5" }

// sig is a signature over an RRset.
func sig(name, rrtype string) string {
	return name + " 60 IN RRSIG " + rrtype + " 8 3 60 20300101000000 20200101000000 1 example. AAAA"
}

func lines(l ...string) string { return strings.Join(l, "\n") }

const upstreamSOA = "else.example. 60 IN SOA a. b. 1 2 3 4 5"

var answerRows = []answerRow{
	{what: "nothing to do", name: "www.else.example.", qtype: dns.TypeA, in: "www.else.example. 60 IN A 203.0.113.9"},
	{what: "a negative answer", name: "www.else.example.", qtype: dns.TypeA, rcode: 3, in: "\n\n" + upstreamSOA},
	{what: "a referral", name: "www.else.example.", qtype: dns.TypeA, in: "\n\nelse.example. 60 IN NS ns.else.example.\n\nns.else.example. 60 IN A 203.0.113.9"},

	{what: "a management address beside another", name: "m.else.example.", qtype: dns.TypeA,
		in:   lines("m.else.example. 60 IN A 10.9.0.11", "m.else.example. 60 IN A 203.0.113.9"),
		want: "m.else.example. 60 IN A 203.0.113.9"},
	{what: "a management address alone", name: "m.else.example.", qtype: dns.TypeA, in: "m.else.example. 60 IN A 10.9.0.11", want: "\n\n" + emptied("m.else.example.")},
	{what: "an address of the class that no node has", name: "m.else.example.", qtype: dns.TypeA, in: "m.else.example. 60 IN A 10.9.200.1", want: "\n\n" + emptied("m.else.example.")},
	{what: "a signed one", name: "m.else.example.", qtype: dns.TypeA,
		in:   lines("m.else.example. 60 IN A 10.9.0.11", "m.else.example. 60 IN A 203.0.113.9", sig("m.else.example.", "A"), sig("M.else.example.", "A")),
		want: "m.else.example. 60 IN A 203.0.113.9"},
	{what: "an IPv4-mapped one", name: "m.else.example.", qtype: dns.TypeAAAA, in: "m.else.example. 60 IN AAAA ::ffff:10.9.0.11", want: "\n\n" + emptied("m.else.example.")},
	{what: "one behind NAT64", name: "m.else.example.", qtype: dns.TypeAAAA, in: "m.else.example. 60 IN AAAA 64:ff9b::10.9.0.11", want: "\n\n" + emptied("m.else.example.")},
	{what: "upstream's name servers make no referral", name: "m.else.example.", qtype: dns.TypeA,
		in:   "m.else.example. 60 IN A 10.9.0.11\n\nelse.example. 60 IN NS ns.else.example.\n\nns.else.example. 60 IN A 203.0.113.9",
		want: "\n\n" + emptied("m.else.example.") + "\n\nns.else.example. 60 IN A 203.0.113.9"},
	{what: "upstream's SOA stays, its NSEC does not", name: "m.else.example.", qtype: dns.TypeA,
		in: "m.else.example. 60 IN A 10.9.0.11\n\n" + lines(upstreamSOA, sig("else.example.", "SOA"),
			"m.else.example. 60 IN NSEC n.else.example. A RRSIG NSEC", sig("m.else.example.", "NSEC"), "else.example. 60 IN NS ns.else.example."),
		want: "\n\n" + lines(upstreamSOA, sig("else.example.", "SOA"))},
	{what: "an SOA of elsewhere does not", name: "m.else.example.", qtype: dns.TypeA,
		in:   "m.else.example. 60 IN A 10.9.0.11\n\nother.example. 60 IN SOA a. b. 1 2 3 4 5",
		want: "\n\n" + emptied("m.else.example.")},
	{what: "another class", name: "m.else.example.", qtype: dns.TypeA, in: "m.else.example. 60 CH TXT x"},
	{what: "an address of another class", name: "m.else.example.", qtype: dns.TypeA, in: "m.else.example. 60 CH A 10.9.0.11", want: "\n\n" + emptied("m.else.example.")},

	{what: "glue of NS", name: "else.example.", qtype: dns.TypeNS, in: "else.example. 60 IN NS ns.else.example.\n\n\n\nns.else.example. 60 IN A 10.9.0.11",
		want: "else.example. 60 IN NS ns.else.example."},
	{what: "glue of a referral", name: "x.sub.else.example.", qtype: dns.TypeA,
		in:   "\n\nsub.else.example. 60 IN NS ns.sub.else.example.\n\n" + lines("ns.sub.else.example. 60 IN A 10.9.0.11", "ns.sub.else.example. 60 IN AAAA 2001:db8::9"),
		want: "\n\nsub.else.example. 60 IN NS ns.sub.else.example.\n\nns.sub.else.example. 60 IN AAAA 2001:db8::9"},
	{what: "an additional address of MX", name: "else.example.", qtype: dns.TypeMX, in: "else.example. 60 IN MX 10 m.else.example.\n\n\n\n" + lines("m.else.example. 60 IN A 10.9.0.11", sig("m.else.example.", "A")),
		want: "else.example. 60 IN MX 10 m.else.example."},
	{what: "an additional address of SRV", name: "_ldap._tcp.else.example.", qtype: dns.TypeSRV,
		in:   "_ldap._tcp.else.example. 60 IN SRV 0 0 389 m.else.example.\n\n\n\n" + lines("m.else.example. 60 IN AAAA ::ffff:10.9.0.11", "m.else.example. 60 IN A 203.0.113.9"),
		want: "_ldap._tcp.else.example. 60 IN SRV 0 0 389 m.else.example.\n\n\n\nm.else.example. 60 IN A 203.0.113.9"},
	{what: "an additional address of a guarded name", name: "other.example.", qtype: dns.TypeMX, why: ScrubLive,
		in:   "other.example. 60 IN MX 10 mail.other.example.\n\n\n\n" + lines("Mail.other.example. 60 IN A 203.0.113.66", "mail.other.example. 60 IN A 10.9.0.11", sig("mail.other.example.", "A")),
		want: "other.example. 60 IN MX 10 mail.other.example.\n\n\n\nMail.other.example. 5 IN A 192.0.2.11"},
	{what: "one of a passive node", name: "other.example.", qtype: dns.TypeMX, why: ScrubLive,
		in:   "other.example. 60 IN MX 10 mail.other.example.\n\n\n\nmail.other.example. 5 IN A 198.51.100.12",
		want: "other.example. 60 IN MX 10 mail.other.example.\n\n\n\nmail.other.example. 5 IN A 192.0.2.11"},
	{what: "the live one, for longer", name: "other.example.", qtype: dns.TypeMX, why: ScrubLive,
		in:   "other.example. 60 IN MX 10 mail.other.example.\n\n\n\nmail.other.example. 6 IN A 192.0.2.11",
		want: "other.example. 60 IN MX 10 mail.other.example.\n\n\n\nmail.other.example. 5 IN A 192.0.2.11"},
	{what: "the live one", name: "other.example.", qtype: dns.TypeMX,
		in: "other.example. 60 IN MX 10 mail.other.example.\n\n\n\n" + lines("mail.other.example. 4 IN A 192.0.2.11", sig("mail.other.example.", "A"))},
	{what: "one of a role that nobody holds", name: "other.example.", qtype: dns.TypeMX, why: ScrubLive,
		in:   "other.example. 60 IN MX 10 new.other.example.\n\n\n\nnew.other.example. 60 IN A 203.0.113.66",
		want: "other.example. 60 IN MX 10 new.other.example."},
	{what: "one of a host", name: "other.example.", qtype: dns.TypeMX, why: ScrubLive,
		in:   "other.example. 60 IN MX 10 ex1.corp.example.\n\n\n\nex1.corp.example. 60 IN A 203.0.113.66",
		want: "other.example. 60 IN MX 10 ex1.corp.example.\n\n\n\nex1.corp.example. 60 IN A 192.0.2.11"},
	{what: "one of a name server of ours", name: "other.example.", qtype: dns.TypeNS, why: ScrubLive,
		in:   "other.example. 60 IN NS ns1.corp.example.\n\n\n\nns1.corp.example. 60 IN AAAA 2001:db8::66",
		want: "other.example. 60 IN NS ns1.corp.example.\n\n\n\nns1.corp.example. 3600 IN AAAA 2001:db8::53"},

	{what: "hints", name: "m.else.example.", qtype: dns.TypeHTTPS, in: `m.else.example. 60 IN HTTPS 1 . alpn="h2" ipv4hint="10.9.0.11" ipv6hint="2001:db8::9"`,
		want: `m.else.example. 60 IN HTTPS 1 . alpn="h2" ipv6hint="2001:db8::9"`},
	{what: "one hint of two", name: "m.else.example.", qtype: dns.TypeSVCB, in: `m.else.example. 60 IN SVCB 1 . ipv4hint="10.9.0.11,203.0.113.9"`,
		want: `m.else.example. 60 IN SVCB 1 . ipv4hint="203.0.113.9"`},
	{what: "a mandatory hint", name: "m.else.example.", qtype: dns.TypeHTTPS, in: `m.else.example. 60 IN HTTPS 1 . mandatory="alpn,ipv4hint" alpn="h2" ipv4hint="10.9.0.11"`,
		want: `m.else.example. 60 IN HTTPS 1 . mandatory="alpn" alpn="h2"`},
	{what: "nothing but a mandatory hint", name: "m.else.example.", qtype: dns.TypeHTTPS,
		in: lines(`m.else.example. 60 IN HTTPS 1 . mandatory="ipv6hint" ipv6hint="64:ff9b::a09:b"`, sig("m.else.example.", "HTTPS")), want: "m.else.example. 60 IN HTTPS 1 ."},
	{what: "good hints", name: "m.else.example.", qtype: dns.TypeHTTPS, in: `m.else.example. 60 IN HTTPS 1 . alpn="h2" ipv4hint="203.0.113.9"`},
	{what: "any hints of a guarded name", name: "mail.other.example.", qtype: dns.TypeHTTPS, in: `mail.other.example. 60 IN HTTPS 1 . ipv4hint="192.0.2.11"`,
		want: "mail.other.example. 60 IN HTTPS 1 ."},
	{what: "any hints for a guarded target", name: "m.else.example.", qtype: dns.TypeHTTPS, why: ScrubLive,
		in:   `m.else.example. 60 IN HTTPS 1 Mail.Other.Example. ipv4hint="203.0.113.9"` + "\n\n\n\nmail.other.example. 60 IN A 203.0.113.66",
		want: "m.else.example. 60 IN HTTPS 1 Mail.Other.Example.\n\n\n\nmail.other.example. 5 IN A 192.0.2.11"},
	{what: "a binding of a guarded name without hints", name: "mail.other.example.", qtype: dns.TypeHTTPS, in: `mail.other.example. 60 IN HTTPS 1 . alpn="h2"`},
	{what: "the alias mode of a binding", name: "m.else.example.", qtype: dns.TypeHTTPS, in: `m.else.example. 60 IN HTTPS 0 mail.other.example.`},
	{what: "a gateway of IPsec", name: "m.else.example.", qtype: dns.TypeIPSECKEY, in: "m.else.example. 60 IN IPSECKEY 10 1 2 10.9.0.11 AQID", want: "\n\n" + emptied("m.else.example.")},
	{what: "a relay of multicast", name: "m.else.example.", qtype: dns.TypeAMTRELAY, in: "m.else.example. 60 IN AMTRELAY 10 0 1 10.9.0.11", want: "\n\n" + emptied("m.else.example.")},

	{what: "PTR of a filtered address", name: "11.0.9.10.in-addr.arpa.", qtype: dns.TypePTR,
		in:   lines("11.0.9.10.in-addr.arpa. 60 IN PTR ex1.else.example.", sig("11.0.9.10.in-addr.arpa.", "PTR")),
		want: "\n\n" + emptied("11.0.9.10.in-addr.arpa.")},
	{what: "PTR of a filtered address in upper case", name: "11.0.9.10.IN-ADDR.arpa.", qtype: dns.TypePTR,
		in: "11.0.9.10.IN-ADDR.arpa. 60 IN PTR ex1.else.example.\n\n10.in-addr.arpa. 60 IN SOA a. b. 1 2 3 4 5", want: "\n\n10.in-addr.arpa. 60 IN SOA a. b. 1 2 3 4 5"},
	{what: "PTR of an IPv4-mapped one", name: reverseName("::ffff:10.9.0.11"), qtype: dns.TypePTR,
		in: reverseName("::ffff:10.9.0.11") + " 60 IN PTR ex1.else.example.", want: "\n\n" + emptied(reverseName("::ffff:10.9.0.11"))},
	{what: "PTR of a filtered address without classes", name: "11.0.9.10.in-addr.arpa.", qtype: dns.TypePTR,
		in:   lines("11.0.9.10.in-addr.arpa. 60 IN CNAME 11.0/25.0.9.10.in-addr.arpa.", "11.0/25.0.9.10.in-addr.arpa. 60 IN PTR ex1.else.example."),
		want: "\n\n" + emptied("11.0.9.10.in-addr.arpa.")},
	{what: "PTR of another address", name: "9.113.0.203.in-addr.arpa.", qtype: dns.TypePTR, in: "9.113.0.203.in-addr.arpa. 60 IN PTR m.else.example."},
	{what: "an alias of the reverse name of an address of ours", name: "p.else.example.", qtype: dns.TypePTR, why: ScrubLive,
		in:   lines("p.else.example. 60 IN CNAME 12.100.51.198.in-addr.arpa.", "12.100.51.198.in-addr.arpa. 60 IN PTR old.else.example."),
		want: lines("p.else.example. 60 IN CNAME 12.100.51.198.in-addr.arpa.", "12.100.51.198.in-addr.arpa. 5 IN PTR a.b.corp.example.")},

	{what: "an alias of a guarded name", name: "alias.else.example.", qtype: dns.TypeA, why: ScrubLive,
		in:   lines("alias.else.example. 60 IN CNAME Mail.Other.example.", sig("alias.else.example.", "CNAME"), "mail.other.example. 60 IN A 203.0.113.66", sig("mail.other.example.", "A")),
		want: lines("alias.else.example. 60 IN CNAME Mail.Other.example.", sig("alias.else.example.", "CNAME"), "Mail.Other.example. 5 IN A 192.0.2.11")},
	{what: "an alias of a guarded name that is right", name: "alias.else.example.", qtype: dns.TypeA,
		in: lines("alias.else.example. 60 IN CNAME mail.other.example.", "mail.other.example. 5 IN A 192.0.2.11", sig("mail.other.example.", "A"))},
	{what: "an alias that upstream did not follow", name: "ALIAS.else.example.", qtype: dns.TypeAAAA, why: ScrubLive,
		in:   "alias.Else.example. 60 IN CNAME MAIL.other.example.",
		want: lines("alias.Else.example. 60 IN CNAME MAIL.other.example.", "MAIL.other.example. 5 IN AAAA 2001:db8::11")},
	{what: "an alias of a guarded name that upstream does not know", name: "alias.else.example.", qtype: dns.TypeAAAA, rcode: 3, why: ScrubLive,
		in: "alias.else.example. 60 IN CNAME mail.other.example.\n\n" +
			lines("other.example. 60 IN SOA a. b. 1 2 3 4 5", "a.other.example. 60 IN NSEC z.other.example. A"),
		want: lines("alias.else.example. 60 IN CNAME mail.other.example.", "mail.other.example. 5 IN AAAA 2001:db8::11")},
	{what: "several aliases, out of order, one in mixed case", name: "a.else.example.", qtype: dns.TypeA, why: ScrubLive,
		in:   lines("c.Else.example. 60 IN CNAME mail.other.example.", "B.else.example. 61 IN CNAME c.else.example.", "a.else.example. 62 IN CNAME b.else.example."),
		want: lines("c.Else.example. 60 IN CNAME mail.other.example.", "B.else.example. 61 IN CNAME c.else.example.", "a.else.example. 62 IN CNAME b.else.example.", "mail.other.example. 5 IN A 192.0.2.11")},
	{what: "a chain through a guarded name", name: "alias.else.example.", qtype: dns.TypeA, why: ScrubLive,
		in:   lines("alias.else.example. 60 IN CNAME mail.other.example.", "mail.other.example. 60 IN CNAME trap.example.", "trap.example. 60 IN A 203.0.113.66"),
		want: lines("alias.else.example. 60 IN CNAME mail.other.example.", "mail.other.example. 5 IN A 192.0.2.11")},
	{what: "an alias at a guarded name", name: "mail.other.example.", qtype: dns.TypeMX,
		in:   lines("mail.other.example. 60 IN CNAME trap.example.", "trap.example. 60 IN MX 1 m.trap.example."),
		want: "\n\n" + emptied("mail.other.example.")},
	{what: "an alias of a withdrawn name", name: "alias.else.example.", qtype: dns.TypeA, why: ScrubLive,
		in:   lines("alias.else.example. 60 IN CNAME gone.other.example.", "gone.other.example. 60 IN A 203.0.113.66"),
		want: "alias.else.example. 60 IN CNAME gone.other.example.\n\ngone.other.example. 5 IN SOA gone.other.example. . 7 5 5 5 5"},
	{what: "an alias of a name that nobody ever held", name: "alias.else.example.", qtype: dns.TypeA, why: ScrubLive, code: dns.RcodeServerFailure,
		in: "alias.else.example. 60 IN CNAME new.other.example.", want: "\n"},
	{what: "an alias into an owned zone", name: "alias.else.example.", qtype: dns.TypeTXT, why: ScrubLive, code: dns.RcodeNameError,
		in:   lines("alias.else.example. 60 IN CNAME nothing.z.example.", "nothing.z.example. 60 IN TXT x", "x.z.example. 60 IN TXT x"),
		want: "alias.else.example. 60 IN CNAME nothing.z.example.\n\nz.example. 5 IN SOA ns.elsewhere.example. hostmaster.z.example. SERIAL 60 10 604800 5"},
	{what: "an alias for HTTPS of a guarded name", name: "alias.else.example.", qtype: dns.TypeHTTPS,
		in:   lines("alias.else.example. 60 IN CNAME mail.other.example.", `mail.other.example. 60 IN HTTPS 1 . ipv4hint="203.0.113.66"`),
		want: lines("alias.else.example. 60 IN CNAME mail.other.example.", "mail.other.example. 60 IN HTTPS 1 .")},
	{what: "a DNAME", name: "mail.old.example.", qtype: dns.TypeA, why: ScrubLive,
		in:   lines("old.example. 60 IN DNAME other.example.", sig("old.example.", "DNAME"), "mail.old.example. 60 IN CNAME mail.other.example.", "mail.other.example. 60 IN A 203.0.113.66"),
		want: lines("old.example. 60 IN DNAME other.example.", sig("old.example.", "DNAME"), "mail.old.example. 60 IN CNAME mail.other.example.", "mail.other.example. 5 IN A 192.0.2.11")},
	{what: "a DNAME without its CNAME", name: "Mail.old.example.", qtype: dns.TypeA, why: ScrubLive,
		in:   "Old.example. 60 IN DNAME Other.example.",
		want: lines("Old.example. 60 IN DNAME Other.example.", "Mail.Other.example. 5 IN A 192.0.2.11")},
	{what: "a DNAME to elsewhere", name: "mail.old.example.", qtype: dns.TypeA, in: lines("old.example. 60 IN DNAME else.example.", "mail.old.example. 60 IN CNAME mail.else.example.", "mail.else.example. 60 IN A 203.0.113.9")},
	{what: "a loop", name: "a.else.example.", qtype: dns.TypeA, in: lines("a.else.example. 60 IN CNAME b.else.example.", "b.else.example. 60 IN CNAME a.else.example.")},
	{what: "a loop of a DNAME", name: "a.x.example.", qtype: dns.TypeA, in: "x.example. 60 IN DNAME x.x.example."},
	{what: "a loop with an address to hide", name: "a.else.example.", qtype: dns.TypeA,
		in:   lines("a.else.example. 60 IN CNAME b.else.example.", "b.else.example. 60 IN CNAME a.else.example.", "b.else.example. 60 IN A 10.9.0.11"),
		want: lines("a.else.example. 60 IN CNAME b.else.example.", "b.else.example. 60 IN CNAME a.else.example.")},
	{what: "a chain that ends empty", name: "a.else.example.", qtype: dns.TypeA,
		in:   lines("a.else.example. 60 IN CNAME b.else.example.", "b.else.example. 60 IN A 10.9.0.11"),
		want: "a.else.example. 60 IN CNAME b.else.example.\n\n" + emptied("b.else.example.")},
	{what: "the alias itself", name: "alias.else.example.", qtype: dns.TypeCNAME, in: "alias.else.example. 60 IN CNAME mail.other.example."},
	{what: "ANY", name: "m.else.example.", qtype: dns.TypeANY,
		in:   lines("m.else.example. 60 IN A 10.9.0.11", "m.else.example. 60 IN MX 10 m.else.example.", "m.else.example. 60 IN NSEC n.else.example. A MX RRSIG", sig("m.else.example.", "A"), sig("m.else.example.", "MX")),
		want: lines("m.else.example. 60 IN MX 10 m.else.example.", "m.else.example. 60 IN NSEC n.else.example. A MX RRSIG", sig("m.else.example.", "MX"))},
	{what: "ANY with nothing left", name: "m.else.example.", qtype: dns.TypeANY, in: "m.else.example. 60 IN A 10.9.0.11", want: "\n\n" + emptied("m.else.example.")},
	{what: "ANY with an alias", name: "alias.else.example.", qtype: dns.TypeANY, why: ScrubLive,
		in:   lines("alias.else.example. 60 IN CNAME mail.other.example.", "mail.other.example. 60 IN A 203.0.113.66"),
		want: lines("alias.else.example. 60 IN CNAME mail.other.example.", "mail.other.example. 5 IN A 192.0.2.11")},
	{what: "a marshalled SPN", name: "x1uwhrcaaaaaybaaaa.else.example.", qtype: dns.TypeTXT, in: "x1uwhrcaaaaaybaaaa.else.example. 60 IN TXT x",
		want: "\n\n" + emptied("x1uwhrcaaaaaybaaaa.else.example.")},
}

func TestScrub(t *testing.T) {
	w := newWorld()
	w.Zones = append(w.Zones, newZone("z.example.", registry.NameServer{Name: "ns.elsewhere.example."}))
	n := runWorld(t, w).now(t)
	for _, row := range answerRows {
		t.Run(row.what, func(t *testing.T) {
			m := upstream(t, row.name, row.qtype, row.rcode, row.in)
			row.want = strings.ReplaceAll(row.want, "SERIAL", fmt.Sprint(n.zones.View(w.Zones[len(w.Zones)-1].Name).Serial))
			row.check(t, reviewOf(n, m), m)
		})
	}
}

func (row *answerRow) check(t *testing.T, v review, m *dns.Msg) *dns.Msg {
	t.Helper()
	before := m.String()
	got, why := v.scrub(m)
	if m.String() != before {
		t.Errorf("the message of the next plugin was written to:\n%s", cmp.Diff(before, m.String()))
	}
	if row.want == "" {
		if got != nil {
			t.Fatalf("changed to\n%s", got)
		}
		return nil
	}
	if got == nil {
		t.Fatal("passed as it is")
	}
	text := sectionsText(&dns.Msg{Answer: got.Answer, Ns: got.Ns, Extra: withoutOPT(got.Extra)})
	if d := cmp.Diff(strings.TrimRight(row.want, "\n"), text); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got.AuthenticatedData || got.Rcode != row.code || why != row.why {
		t.Errorf("AD %t, %s, %s; want %s, %s", got.AuthenticatedData, dns.RcodeToString[got.Rcode], why, dns.RcodeToString[row.code], row.why)
	}
	if _, err := got.Pack(); err != nil {
		t.Errorf("it cannot be sent: %v", err)
	}
	return got
}

func withoutOPT(rrs []dns.RR) (out []dns.RR) {
	for _, rr := range rrs {
		if rr.Header().Rrtype != dns.TypeOPT {
			out = append(out, rr)
		}
	}
	return out
}

// reverseName is the name of the PTR record of an address, which may be an IPv4-mapped one.
func reverseName(addr string) string {
	raw := addrs(addr)[0].As16()
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := len(raw) - 1; i >= 0; i-- {
		b.Write([]byte{hex[raw[i]&15], '.', hex[raw[i]>>4], '.'})
	}
	return b.String() + "ip6.arpa."
}

const answerPolicy = `
version: 1
classes: {dmz: [203.0.113.128/25]}
rules:
  - {id: exception, names: [known.else.example.], classes: [management], action: publish}
  - {id: theirs, names: [.theirs.example.], action: forward}
  - {id: no-text, names: [.else.example.], types: [TXT], action: quarantine}
  - {id: no-location, types: [LOC, HTTPS], action: strip}
  - {id: bad, names: [bad.example.], action: refuse}
  - {id: no-mail, names: ["@guarded"], types: [AAAA], action: quarantine}
  - {id: dmz, classes: [dmz], action: strip}
  - {id: gone, names: [gone.example.], action: quarantine}
  - {id: other-channel, names: [www.else.example.], channels: [update], action: refuse}
  - {id: instead, names: [instead.example.], action: rewrite}
`

func TestScrubByPolicy(t *testing.T) {
	p, err := policy.Parse("policy.yaml", []byte(answerPolicy))
	if err != nil {
		t.Fatal(err)
	}
	n := newRegistry(t).now(t)
	for _, row := range []answerRow{
		{what: "published by an exception", name: "known.else.example.", qtype: dns.TypeA, in: "known.else.example. 60 IN A 10.9.0.11"},
		{what: "forwarded", name: "m.theirs.example.", qtype: dns.TypeA, in: "m.theirs.example. 60 IN A 10.9.0.11"},
		{what: "another channel", name: "www.else.example.", qtype: dns.TypeA, in: "www.else.example. 60 IN A 203.0.113.9"},
		{what: "a class of the policy", name: "www.else.example.", qtype: dns.TypeA,
			in: lines("www.else.example. 60 IN A 203.0.113.9", "www.else.example. 60 IN A 203.0.113.200"), want: "www.else.example. 60 IN A 203.0.113.9"},
		{what: "quarantined", name: "www.else.example.", qtype: dns.TypeTXT, in: "www.else.example. 60 IN TXT x", want: "\n\n" + emptied("www.else.example.")},
		{what: "stripped without having an address", name: "www.else.example.", qtype: dns.TypeLOC, in: "www.else.example. 60 IN LOC 1 N 1 E 0m", want: "\n\n" + emptied("www.else.example.")},
		{what: "a binding that is stripped", name: "www.else.example.", qtype: dns.TypeHTTPS, in: `www.else.example. 60 IN HTTPS 1 . ipv4hint="203.0.113.9"`, want: "www.else.example. 60 IN HTTPS 1 ."},
		{what: "quarantined for all types", name: "gone.example.", qtype: dns.TypeCAA, in: `gone.example. 60 IN CAA 0 issue "ca.example"`, want: "\n\n" + emptied("gone.example.")},
		{what: "refused", name: "bad.example.", qtype: dns.TypeA, in: "bad.example. 60 IN A 203.0.113.9", want: "\n", code: dns.RcodeRefused, why: ScrubRefused},
		{what: "refused at the end of a chain", name: "a.else.example.", qtype: dns.TypeA, in: lines("a.else.example. 60 IN CNAME bad.example.", "bad.example. 60 IN A 203.0.113.9"),
			want: "\n", code: dns.RcodeRefused, why: ScrubRefused},
		{what: "refused beside the answer", name: "m.else.example.", qtype: dns.TypeMX, in: "m.else.example. 60 IN MX 10 bad.example.\n\n\n\nbad.example. 60 IN A 203.0.113.9",
			want: "m.else.example. 60 IN MX 10 bad.example."},
		{what: "an alias that is quarantined", name: "a.else.example.", qtype: dns.TypeA,
			in:   lines("a.else.example. 60 IN CNAME gone.example.", "gone.example. 60 IN CNAME b.else.example.", "b.else.example. 60 IN A 203.0.113.9"),
			want: "a.else.example. 60 IN CNAME gone.example.\n\n" + emptied("gone.example.")},
		{what: "an alias that is quarantined, of a guarded name", name: "gone.example.", qtype: dns.TypeA, why: ScrubLive,
			in: lines("gone.example. 60 IN CNAME mail.other.example.", "mail.other.example. 60 IN A 203.0.113.9"), want: "\n\n" + emptied("gone.example.")},
		{what: "a referral without its servers", name: "x.gone.example.", qtype: dns.TypeA, in: "\n\ngone.example. 60 IN NS ns.else.example.", want: "\n\n" + emptied("x.gone.example.")},
		{what: "a negative answer without its SOA", name: "x.gone.example.", qtype: dns.TypeA, rcode: 3, code: 3, in: "\n\ngone.example. 60 IN SOA a. b. 1 2 3 4 5", want: "\n\n" + emptied("x.gone.example.")},
		{what: "a DNAME that is quarantined", name: "x.gone.example.", qtype: dns.TypeA,
			in: lines("gone.example. 60 IN DNAME else.example.", "x.gone.example. 60 IN CNAME x.else.example.", "x.else.example. 60 IN A 203.0.113.9"), want: "\n\n" + emptied("x.gone.example.")},
		{what: "a guarded name held back", name: "other.example.", qtype: dns.TypeMX, in: "other.example. 60 IN MX 1 mail.other.example.\n\n\n\nmail.other.example. 5 IN AAAA 2001:db8::11",
			want: "other.example. 60 IN MX 1 mail.other.example."},
		{what: "rewritten with nobody's address", name: "instead.example.", qtype: dns.TypeA, in: "instead.example. 60 IN A 203.0.113.9", want: "\n\n" + emptied("instead.example.")},
	} {
		t.Run(row.what, func(t *testing.T) {
			m := upstream(t, row.name, row.qtype, row.rcode, row.in)
			v := reviewOf(n, m)
			v.policy, v.screen = p, p.Screen(policy.Answer)
			row.check(t, v, m)
		})
	}
}

func TestScrubRebinding(t *testing.T) {
	n := newRegistry(t).now(t)
	choice := newAnswerChoice(config.Answers{Rebinding: config.Rebinding{On: true, PrivateZones: []string{"intra.example.", "lan."}}}, nil, zerolog.Nop())
	row := func(what, name string, qtype uint16, in, want string) answerRow {
		return answerRow{what: what, name: name, qtype: qtype, in: in, want: want, why: ScrubRebinding}
	}
	var rows []answerRow
	for _, a := range []string{"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0", "0.1.2.3"} {
		rows = append(rows, row(a, "www.else.example.", dns.TypeA, "www.else.example. 60 IN A "+a, "\n\n"+emptied("www.else.example.")))
	}
	for _, a := range []string{"::", "::1", "::ffff:192.168.1.1", "fe80::1", "fec0::1", "fd00::1", "64:ff9b::10.0.0.1", "64:ff9b:1::127.0.0.1", "::10.0.0.1"} {
		rows = append(rows, row(a, "www.else.example.", dns.TypeAAAA, "www.else.example. 60 IN AAAA "+a, "\n\n"+emptied("www.else.example.")))
	}
	for _, a := range []string{"172.32.0.1", "192.0.2.1", "8.8.8.8", "100.128.0.1", "1.0.0.0"} {
		rows = append(rows, row(a, "www.else.example.", dns.TypeA, "www.else.example. 60 IN A "+a, ""))
	}
	for _, a := range []string{"2001:db8::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"} {
		rows = append(rows, row(a, "www.else.example.", dns.TypeAAAA, "www.else.example. 60 IN AAAA "+a, ""))
	}
	rows = append(rows,
		row("a private zone", "www.Intra.example.", dns.TypeA, "www.Intra.example. 60 IN A 192.168.1.1", ""),
		row("its apex", "lan.", dns.TypeA, "lan. 60 IN A 192.168.1.1", ""),
		row("no label of it", "notintra.example.", dns.TypeA, "notintra.example. 60 IN A 192.168.1.1", "\n\n"+emptied("notintra.example.")),
		row("one address of two", "www.else.example.", dns.TypeA, lines("www.else.example. 60 IN A 192.168.1.1", "www.else.example. 60 IN A 203.0.113.9", sig("www.else.example.", "A")), "www.else.example. 60 IN A 203.0.113.9"),
		row("hints", "www.else.example.", dns.TypeHTTPS, `www.else.example. 60 IN HTTPS 1 . ipv4hint="192.168.1.1,203.0.113.9" ipv6hint="fd00::1"`, `www.else.example. 60 IN HTTPS 1 . ipv4hint="203.0.113.9"`),
		row("a public name that is an alias of a private one", "www.else.example.", dns.TypeA, lines("www.else.example. 60 IN CNAME a.lan.", "a.lan. 60 IN A 192.168.1.1"), "www.else.example. 60 IN CNAME a.lan.\n\n"+emptied("a.lan.")),
		row("a private name that is an alias of a private one", "www.lan.", dns.TypeA, lines("www.lan. 60 IN CNAME a.lan.", "a.lan. 60 IN A 192.168.1.1"), ""),
		row("a private name beside a public one", "else.example.", dns.TypeMX, "else.example. 60 IN MX 10 a.lan.\n\n\n\na.lan. 60 IN A 192.168.1.1", ""),
		row("a public name beside a private one", "lan.", dns.TypeMX, "lan. 60 IN MX 10 m.else.example.\n\n\n\nm.else.example. 60 IN A 192.168.1.1", "lan. 60 IN MX 10 m.else.example."),
		row("the name of a private address", "1.1.168.192.in-addr.arpa.", dns.TypePTR, "1.1.168.192.in-addr.arpa. 60 IN PTR a.lan.", ""),
	)
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			m := upstream(t, row.name, row.qtype, row.rcode, row.in)
			v := reviewOf(n, m)
			v.choice = choice
			row.check(t, v, m)
			if got, _ := reviewOf(n, m).scrub(m); got != nil {
				t.Error("the protection is off, and it was changed")
			}
		})
	}
}

// TestScrubSigned: what those get who ask for signatures.
func TestScrubSigned(t *testing.T) {
	n := newRegistry(t).now(t)
	servfail := newAnswerChoice(config.Answers{Signed: config.SignedServfail}, nil, zerolog.Nop())
	const name = "m.else.example."
	signed := lines(name+" 60 IN A 10.9.0.11", name+" 60 IN A 203.0.113.9", sig(name, "A"))
	chain := lines("a.else.example. 60 IN CNAME mail.other.example.", sig("a.else.example.", "CNAME"), "mail.other.example. 60 IN A 203.0.113.66")
	rest := name + " 60 IN A 203.0.113.9"
	for _, tt := range []struct {
		what   string
		choice *answerChoice
		do, cd bool
		row    answerRow
		ede    bool
	}{
		{"strip", defaultChoice, true, false, answerRow{name: name, in: signed, want: rest}, false},
		{"strip, CD", defaultChoice, true, true, answerRow{name: name, in: signed, want: rest}, false},
		{"servfail, nobody asks", servfail, false, false, answerRow{name: name, in: signed, want: rest}, false},
		{"servfail, DO", servfail, true, false, answerRow{name: name, in: signed, want: "\n", code: dns.RcodeServerFailure, why: ScrubServfail}, true},
		{"servfail, DO and CD", servfail, true, true, answerRow{name: name, in: signed, want: "\n", code: dns.RcodeServerFailure, why: ScrubServfail}, true},
		{"servfail, CD", servfail, false, true, answerRow{name: name, in: signed, want: "\n", code: dns.RcodeServerFailure, why: ScrubServfail}, false},
		{"servfail, not signed", servfail, true, false, answerRow{name: name, in: name + " 60 IN A 10.9.0.11", want: "\n\n" + emptied(name)}, true},
		{"servfail, beside the answer", servfail, true, false,
			answerRow{name: "else.example.", qtype: dns.TypeMX, in: "else.example. 60 IN MX 1 m.else.example.\n\n\n\n" + signed, want: "else.example. 60 IN MX 1 m.else.example.\n\n\n\n" + rest}, false},
		{"servfail, a chain whose end is not signed", servfail, true, false,
			answerRow{name: "a.else.example.", in: chain, want: lines("a.else.example. 60 IN CNAME mail.other.example.", sig("a.else.example.", "CNAME"), "mail.other.example. 5 IN A 192.0.2.11"), why: ScrubLive}, false},
		{"servfail, a chain whose end is", servfail, true, false,
			answerRow{name: "a.else.example.", in: lines(chain, sig("mail.other.example.", "A")), want: "\n", code: dns.RcodeServerFailure, why: ScrubServfail}, true},
		{"servfail, a proof that the end is not there", servfail, true, false,
			answerRow{name: "a.else.example.", rcode: 3, in: lines("a.else.example. 60 IN CNAME mail.other.example.", sig("a.else.example.", "CNAME")) + "\n\n" + sig("other.example.", "SOA"),
				want: "\n", code: dns.RcodeServerFailure, why: ScrubServfail}, true},
	} {
		t.Run(tt.what, func(t *testing.T) {
			if tt.row.qtype == 0 {
				tt.row.qtype = dns.TypeA
			}
			m := upstream(t, tt.row.name, tt.row.qtype, tt.row.rcode, tt.row.in)
			v := reviewOf(n, m)
			v.choice = tt.choice
			v.r.CheckingDisabled = tt.cd
			if tt.do {
				v.r.SetEdns0(1232, true)
			}
			got := tt.row.check(t, v, m)
			if ede := blocked(got); ede != tt.ede {
				t.Errorf("extended error Blocked %t, want %t", ede, tt.ede)
			}
		})
	}
}

// blocked reports whether a message has the extended error Blocked.
func blocked(m *dns.Msg) bool {
	o := m.IsEdns0()
	if o == nil {
		return false
	}
	for _, option := range o.Option {
		if e, ok := option.(*dns.EDNS0_EDE); ok && e.InfoCode == dns.ExtendedErrorCodeBlocked {
			return true
		}
	}
	return false
}

// TestScrubLongChain: there is no limit on the links of a chain but the size of the message.
func TestScrubLongChain(t *testing.T) {
	const links = 200
	var in strings.Builder
	for i := range links {
		fmt.Fprintf(&in, "l%d.else.example. 60 IN CNAME l%d.else.example.\n", i, i+1)
	}
	fmt.Fprintf(&in, "l%d.else.example. 60 IN CNAME mail.other.example.\n", links)
	m := upstream(t, "l0.else.example.", dns.TypeA, 0, in.String())
	got, _ := reviewOf(newRegistry(t).now(t), m).scrub(m)
	if got == nil || len(got.Answer) != links+2 || got.Answer[links+1].String() != "mail.other.example.\t5\tIN\tA\t192.0.2.11" {
		t.Errorf("got %v", got)
	}
}

// TestScrubKeepsOPT: what upstream says about itself stays, in a copy.
func TestScrubKeepsOPT(t *testing.T) {
	m := upstream(t, "m.else.example.", dns.TypeA, 0, "m.else.example. 60 IN A 10.9.0.11")
	m.SetEdns0(1232, true)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: "6f6e65"})
	v := reviewOf(newRegistry(t).now(t), m)
	v.r.SetEdns0(1232, true)
	got, _ := v.scrub(m)
	if n := len(m.IsEdns0().Option); n != 1 {
		t.Errorf("upstream's OPT record has %d options, it had 1", n)
	}
	if n := len(got.IsEdns0().Option); n != 2 || len(got.Extra) != 1 {
		t.Errorf("got %v", got)
	}
}

// TestScrubPassesPointer: what needs no change is the same message, and costs no memory.
func TestScrubPassesPointer(t *testing.T) {
	n := newRegistry(t).now(t)
	for _, row := range answerRows {
		if row.want != "" || strings.Contains(row.in, "DNAME") || strings.Contains(row.in, "CNAME mail") || strings.Contains(row.in, "mail.other") {
			continue // those are looked at closely before they pass
		}
		m := upstream(t, row.name, row.qtype, row.rcode, row.in)
		v := reviewOf(n, m)
		if n := testing.AllocsPerRun(100, func() { v.scrub(m) }); n != 0 {
			t.Errorf("%s: %v allocations", row.what, n)
		}
	}
	w := &test.ResponseWriter{}
	rec := dnstest.NewRecorder(w)
	m := upstream(t, "www.else.example.", dns.TypeA, 0, "www.else.example. 60 IN A 203.0.113.9")
	s := &scrubber{rec, &Handler{State: newRegistry(t)}, m}
	if err := s.WriteMsg(m); err != nil || rec.Msg != m {
		t.Errorf("another message was sent: %v", err)
	}
}

// TestScrubPacked: an answer that the next plugin packed itself is looked at too.
func TestScrubPacked(t *testing.T) {
	rec := dnstest.NewRecorder(&test.ResponseWriter{})
	m := upstream(t, "m.else.example.", dns.TypeA, 0, lines("m.else.example. 60 IN A 203.0.113.9", "m.else.example. 60 IN A 10.9.0.11"))
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	s := &scrubber{rec, &Handler{State: newRegistry(t)}, m}
	if n, err := s.Write(b); err != nil || n != len(b) || len(rec.Msg.Answer) != 1 {
		t.Errorf("%d, %v, %v", n, err, rec.Msg)
	}
	if _, err := s.Write(b[:len(b)-1]); err == nil {
		t.Error("a message that nobody can read was passed on")
	}
}

// TestScrubNotQueries: the sections of other opcodes are no answers.
func TestScrubNotQueries(t *testing.T) {
	m := upstream(t, "else.example.", dns.TypeSOA, 0, "\n\nm.else.example. 60 IN A 10.9.0.11")
	m.Opcode = dns.OpcodeUpdate
	if got, _ := reviewOf(newRegistry(t).now(t), m).scrub(m); got != nil {
		t.Errorf("changed to %v", got)
	}
}

func BenchmarkScrubPassed(b *testing.B) {
	n := newRegistry(b).now(b)
	for name, in := range map[string]string{
		"A":        lines("www.else.example. 60 IN A 203.0.113.9", "www.else.example. 60 IN A 203.0.113.10"),
		"referral": "\n\n" + lines("else.example. 60 IN NS ns1.else.example.", "else.example. 60 IN NS ns2.else.example.") + "\n\n" + lines("ns1.else.example. 60 IN A 203.0.113.9", "ns2.else.example. 60 IN AAAA 2001:db8::9"),
		"changed":  "www.else.example. 60 IN A 10.9.0.11",
	} {
		b.Run(name, func(b *testing.B) {
			m := upstream(b, "www.else.example.", dns.TypeA, 0, in)
			v := reviewOf(n, m)
			b.ReportAllocs()
			for b.Loop() {
				v.scrub(m)
			}
		})
	}
}

// BenchmarkServePassed is all that a query for another server's name costs here.
func BenchmarkServePassed(b *testing.B) {
	m := upstream(b, "www.else.example.", dns.TypeA, 0, lines("www.else.example. 60 IN A 203.0.113.9", "www.else.example. 60 IN A 203.0.113.10"))
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, _ *dns.Msg) (int, error) { return 0, w.WriteMsg(m) })
	h := &Handler{Next: next, State: newRegistry(b)}
	for name, handler := range map[string]plugin.Handler{"with": h, "without": next} {
		b.Run(name, func(b *testing.B) {
			w := nowhere{&test.ResponseWriter{}}
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeDNS(b.Context(), w, m)
			}
		})
	}
}

// nowhere takes messages and forgets them.
type nowhere struct{ dns.ResponseWriter }

func (nowhere) WriteMsg(*dns.Msg) error { return nil }
