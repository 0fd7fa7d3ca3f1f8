package nameward

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/config"
)

// TestScrubGate: clients find the gate in the SOA of a gated zone, wherever it stands; those who prove
// signatures find what was signed.
func TestScrubGate(t *testing.T) {
	n := newRegistry(t).now(t)
	gates := []config.Gate{{Zone: "ad.example.", MName: "gate.ad.example."}, {Zone: "plain.example."}}
	soa := func(zone, ns string) string {
		return zone + " 60 IN SOA " + ns + " hostmaster." + zone + " 7 3600 600 86400 60"
	}
	const plain, do, cd = 0, 1, 2
	for _, tt := range []struct {
		what  string
		name  string
		qtype uint16
		rcode int
		flags int
		in    string
		want  string // "" for untouched
	}{
		{"the SOA", "ad.example.", dns.TypeSOA, 0, plain, soa("ad.example.", "dc1.ad.example."), soa("ad.example.", "gate.ad.example.")},
		{"in capitals", "AD.example.", dns.TypeSOA, 0, plain, soa("AD.Example.", "dc1.ad.example."), soa("AD.Example.", "gate.ad.example.")},
		{"with its signature", "ad.example.", dns.TypeSOA, 0, plain, lines(soa("ad.example.", "dc1.ad.example."), sig("ad.example.", "SOA")), soa("ad.example.", "gate.ad.example.")},
		{"beside a name", "mail.ad.example.", dns.TypeSOA, 0, plain, "\n\n" + soa("ad.example.", "dc1.ad.example."), "\n\n" + soa("ad.example.", "gate.ad.example.")},
		{"beside no name", "none.ad.example.", dns.TypeSOA, dns.RcodeNameError, plain, "\n\n" + soa("ad.example.", "dc1.ad.example."), "\n\n" + soa("ad.example.", "gate.ad.example.")},
		{"behind an alias", "www.ad.example.", dns.TypeSOA, 0, plain,
			"www.ad.example. 60 IN CNAME www.else.example.\n\n" + soa("ad.example.", "dc1.ad.example."), "www.ad.example. 60 IN CNAME www.else.example.\n\n" + soa("ad.example.", "gate.ad.example.")},
		{"it names the gate already", "ad.example.", dns.TypeSOA, 0, plain, soa("ad.example.", "Gate.ad.example."), ""},
		{"a zone below", "sub.ad.example.", dns.TypeSOA, 0, plain, soa("sub.ad.example.", "dc1.sub.ad.example."), ""},
		{"a zone above", "example.", dns.TypeSOA, 0, plain, soa("example.", "dc1.example."), ""},
		{"a gate without a name", "plain.example.", dns.TypeSOA, 0, plain, soa("plain.example.", "dc1.plain.example."), ""},
		{"DO", "ad.example.", dns.TypeSOA, 0, do, soa("ad.example.", "dc1.ad.example."), ""},
		{"CD", "ad.example.", dns.TypeSOA, 0, cd, soa("ad.example.", "dc1.ad.example."), ""},
	} {
		t.Run(tt.what, func(t *testing.T) {
			m := upstream(t, tt.name, tt.qtype, tt.rcode, tt.in)
			v := reviewOf(n, m)
			v.choice = newAnswerChoice(config.Answers{}, gates, zerolog.Nop())
			v.r.CheckingDisabled = tt.flags == cd
			if tt.flags == do {
				v.r.SetEdns0(1232, true)
			}
			before := sectionsText(m)
			out, outcome := v.scrub(m)
			switch {
			case sectionsText(m) != before:
				t.Errorf("upstream's message was written to:\n%s", sectionsText(m))
			case out == nil && tt.want == "":
			case out == nil:
				t.Error("untouched")
			case outcome != ScrubGate || out.Rcode != tt.rcode || out.AuthenticatedData:
				t.Errorf("outcome %s, %s, AD %v", outcome, dns.RcodeToString[out.Rcode], out.AuthenticatedData)
			default:
				if diff := cmp.Diff(tt.want, sectionsText(out)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}
