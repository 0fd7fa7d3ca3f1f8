package nameward

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// upstream makes what another plugin answers: sections are separated by empty lines.
func upstream(t *testing.T, name string, qtype uint16, rcode int, text string) *dns.Msg {
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

func sectionText(rrs []dns.RR) string {
	var out []string
	for _, rr := range rrs {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	return strings.Join(out, "\n")
}

func TestScrub(t *testing.T) {
	snap := newRegistry(t).Snapshot()
	emptied := func(name string) string { return name + " 5 IN SOA " + name + " . 1 5 5 5 5" }
	tests := []struct {
		what     string
		name     string
		qtype    uint16
		rcode    int
		in, want string // answer, authority, additional; want "" for untouched
	}{
		{"nothing to do", "www.else.example.", dns.TypeA, 0, "www.else.example. 60 IN A 203.0.113.9", ""},
		{"a negative answer", "www.else.example.", dns.TypeA, 3, "\n\nelse.example. 60 IN SOA a. b. 1 2 3 4 5", ""},
		{"a management address beside another", "m.else.example.", dns.TypeA, 0,
			"m.else.example. 60 IN A 10.9.0.11\nm.else.example. 60 IN A 203.0.113.9", "m.else.example. 60 IN A 203.0.113.9\n\n\n\n"},
		{"an address of the class that no node has", "m.else.example.", dns.TypeA, 0, "m.else.example. 60 IN A 10.9.200.1", "\n\n" + emptied("m.else.example.") + "\n\n"},
		{"a signed one", "m.else.example.", dns.TypeA, 0,
			"m.else.example. 60 IN A 10.9.0.11\nm.else.example. 60 IN A 203.0.113.9\nm.else.example. 60 IN RRSIG A 8 3 60 20300101000000 20200101000000 1 else.example. AAAA",
			"m.else.example. 60 IN A 203.0.113.9\n\n\n\n"},
		{"an IPv4-mapped one", "m.else.example.", dns.TypeAAAA, 0, "m.else.example. 60 IN AAAA ::ffff:10.9.0.11", "\n\n" + emptied("m.else.example.") + "\n\n"},
		{"glue", "else.example.", dns.TypeNS, 0, "else.example. 60 IN NS ns.else.example.\n\n\n\nns.else.example. 60 IN A 10.9.0.11",
			"else.example. 60 IN NS ns.else.example.\n\n\n\n"},
		{"additional address of a guarded name", "other.example.", dns.TypeMX, 0,
			"other.example. 60 IN MX 10 mail.other.example.\n\n\n\nmail.other.example. 60 IN A 203.0.113.66",
			"other.example. 60 IN MX 10 mail.other.example.\n\n\n\n"},
		{"hints", "m.else.example.", dns.TypeHTTPS, 0, `m.else.example. 60 IN HTTPS 1 . alpn="h2" ipv4hint="10.9.0.11"`,
			`m.else.example. 60 IN HTTPS 1 . alpn="h2"` + "\n\n\n\n"},
		{"good hints", "m.else.example.", dns.TypeHTTPS, 0, `m.else.example. 60 IN HTTPS 1 . alpn="h2" ipv4hint="203.0.113.9"`, ""},
		{"any hints of a guarded name", "mail.other.example.", dns.TypeHTTPS, 0, `mail.other.example. 60 IN HTTPS 1 . ipv4hint="203.0.113.9"`,
			"mail.other.example. 60 IN HTTPS 1 .\n\n\n\n"},
		{"an alias of a guarded name", "alias.else.example.", dns.TypeA, 0,
			"alias.else.example. 60 IN CNAME Mail.Other.example.\nmail.other.example. 60 IN A 203.0.113.66",
			"alias.else.example. 60 IN CNAME Mail.Other.example.\nMail.Other.example. 5 IN A 192.0.2.11\n\n\n\n"},
		{"an alias of a guarded name that upstream does not know", "alias.else.example.", dns.TypeAAAA, 3,
			"alias.else.example. 60 IN CNAME mail.other.example.\n\nother.example. 60 IN SOA a. b. 1 2 3 4 5",
			"alias.else.example. 60 IN CNAME mail.other.example.\nmail.other.example. 5 IN AAAA 2001:db8::11\n\n\n\n"},
		{"a chain through a guarded name", "alias.else.example.", dns.TypeA, 0,
			"alias.else.example. 60 IN CNAME mail.other.example.\nmail.other.example. 60 IN CNAME trap.example.\ntrap.example. 60 IN A 203.0.113.66",
			"alias.else.example. 60 IN CNAME mail.other.example.\nmail.other.example. 5 IN A 192.0.2.11\n\n\n\n"},
		{"an alias of a withdrawn name", "alias.else.example.", dns.TypeA, 0,
			"alias.else.example. 60 IN CNAME gone.other.example.\ngone.other.example. 60 IN A 203.0.113.66",
			"alias.else.example. 60 IN CNAME gone.other.example.\n\n" + emptied("alias.else.example.") + "\n\n"},
		{"the alias itself", "alias.else.example.", dns.TypeCNAME, 0, "alias.else.example. 60 IN CNAME mail.other.example.", ""},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			m := upstream(t, test.name, test.qtype, test.rcode, test.in)
			before := m.String()
			got := scrub(snap, m)
			if m.String() != before {
				t.Errorf("the message of the next plugin was written to:\n%s", cmp.Diff(before, m.String()))
			}
			if test.want == "" {
				if got != nil {
					t.Fatalf("changed to\n%s", got)
				}
				return
			}
			if got == nil {
				t.Fatal("passed as it is")
			}
			text := strings.Join([]string{sectionText(got.Answer), sectionText(got.Ns), sectionText(got.Extra)}, "\n\n")
			if d := cmp.Diff(strings.TrimRight(test.want, "\n"), strings.TrimRight(text, "\n")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if got.AuthenticatedData || got.Rcode != dns.RcodeSuccess {
				t.Errorf("AD %t, rcode %d", got.AuthenticatedData, got.Rcode)
			}
		})
	}
}

func TestScrubAliasOfUnknown(t *testing.T) {
	m := upstream(t, "alias.else.example.", dns.TypeA, 0, "alias.else.example. 60 IN CNAME new.other.example.")
	got := scrub(newRegistry(t).Snapshot(), m)
	if got == nil || got.Rcode != dns.RcodeServerFailure || len(got.Answer) != 0 {
		t.Errorf("got %v, want SERVFAIL: nobody knows yet", got)
	}
}

func BenchmarkScrubPassed(b *testing.B) {
	snap := newRegistry(b).Snapshot()
	m := new(dns.Msg).SetQuestion("www.else.example.", dns.TypeA)
	for range 2 {
		rr, _ := dns.NewRR("www.else.example. 60 IN A 203.0.113.9")
		m.Answer = append(m.Answer, rr)
	}
	b.ReportAllocs()
	for b.Loop() {
		if scrub(snap, m) != nil {
			b.Fatal("changed")
		}
	}
}
