package nameward

import (
	"context"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/zone"
)

// register puts records into an owned zone of a served world, without a policy.
func register(t testing.TB, s *served, name, text string) {
	t.Helper()
	b, err := parsed(t, name, text).Pack()
	m := new(dns.Msg)
	if err == nil {
		err = m.Unpack(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	if res := zone.Check(name, nil, m.Ns); res.Rcode != 0 {
		t.Fatal(res)
	}
	if res, err := s.zones.Do(t.Context(), zone.Update{Zone: name, Changes: m.Ns, By: &zone.By{}}); err != nil || res.Rcode != 0 {
		t.Fatal(res, err)
	}
}

// registrations are what stands beside newWorld in the tests of answers.
const registrations = `+ host 60 A 192.0.2.70; + host 60 A 192.0.2.71; + host 60 TXT x; + deep.down.under 60 A 192.0.2.72;
	+ mail 60 TXT v=spf1; + mail 60 MX 1 host.corp.example.; + mail 60 HTTPS 1 . alpn=h2; + gone 60 TXT left; + ex1 60 SSHFP 1 1 12; + corp.example. 60 MX 1 mail.corp.example.;
	+ toHost 60 CNAME host.corp.example.; + toMail 60 CNAME mail.corp.example.; + toToMail 60 CNAME toMail.corp.example.; + toGone 60 CNAME gone.corp.example.;
	+ toNew 60 CNAME new.corp.example.; + toNothing 60 CNAME nothing.corp.example.; + toOther 60 CNAME other.example.; + toOverlaid 60 CNAME mail.other.example.;
	+ toSub 60 CNAME x.sub.corp.example.; + loop 60 CNAME pool.corp.example.; + pool 60 CNAME loop.corp.example.; + self 60 CNAME self.corp.example.;
	+ *.wild 60 A 192.0.2.73; + x.wild 60 TXT x; + *.alias 60 CNAME host.corp.example.; + toWild 60 CNAME q.wild.corp.example.;
	+ cut 60 NS ns.cut.corp.example.; + cut 60 NS ns.other.example.; + ns.cut 60 A 192.0.2.74; + toCut 60 CNAME x.cut.corp.example.; + cut 60 DS 1 8 2 12;
	+ tree 60 DNAME wild.corp.example.; + out 60 DNAME other.example.; + toTree 60 CNAME a.tree.corp.example.`

func TestRegistered(t *testing.T) {
	const soa = "corp.example. SOA ns1.corp.example."
	yes := func(lines ...string) answered {
		return answered{Outcome: "answered", Answer: strings.Join(lines, "\n")}
	}
	alias := func(lines ...string) answered {
		return answered{Outcome: "alias", Answer: strings.Join(lines, "\n")}
	}
	with := func(outcome string, rcode int, ns string, lines ...string) answered {
		return answered{Outcome: outcome, Rcode: rcode, NS: ns, Answer: strings.Join(lines, "\n")}
	}
	noData, nxdomain := with("nodata", 0, soa), with("nxdomain", dns.RcodeNameError, soa)
	referral := with("referral", 0, "cut.corp.example. 60 NS ns.cut.corp.example.\ncut.corp.example. 60 NS ns.other.example.")
	referral.Extra = "ns.cut.corp.example. 60 A 192.0.2.74"
	endless := with("not-ready", dns.RcodeServerFailure, "")
	r := newRegistry(t)
	register(t, r, corp, registrations)
	n := r.now(t)
	for _, tt := range []struct {
		name  string
		qtype uint16
		want  answered
	}{
		{"host", dns.TypeA, yes("host.corp.example. 60 A 192.0.2.70", "host.corp.example. 60 A 192.0.2.71")},
		{"hOsT.CORP.example.", dns.TypeA, yes("hOsT.CORP.example. 60 A 192.0.2.70", "hOsT.CORP.example. 60 A 192.0.2.71")},
		{"host", dns.TypeTXT, yes(`host.corp.example. 60 TXT "x"`)},
		{"host", dns.TypeAAAA, noData},
		{"host", dns.TypeANY, with("any", 0, "", `host.corp.example. 3600 HINFO "RFC8482" ""`)},
		{"under", dns.TypeA, noData},
		{"down.under", dns.TypeANY, noData},
		{"up.under", dns.TypeA, nxdomain},

		{"mail", dns.TypeTXT, yes(`mail.corp.example. 60 TXT "v=spf1"`)},
		{"Mail", dns.TypeMX, yes("Mail.corp.example. 60 MX 1 host.corp.example.")},
		{"mail", dns.TypeHTTPS, yes(`mail.corp.example. 60 HTTPS 1 . alpn="h2"`)},
		{"mail", dns.TypeA, yes("mail.corp.example. 5 A 192.0.2.11")},
		{"mail", dns.TypeCNAME, noData},
		{"gone", dns.TypeTXT, yes(`gone.corp.example. 60 TXT "left"`)},
		{"gone", dns.TypeA, noData},
		{"gone", dns.TypeAAAA, noData},
		{"below", dns.TypeTXT, noData},
		{"new", dns.TypeTXT, endless},
		{"ex1", dns.TypeSSHFP, yes("ex1.corp.example. 60 SSHFP 1 1 12")},
		{"ex1", dns.TypeTXT, noData},
		{"corp.example.", dns.TypeMX, yes("corp.example. 60 MX 1 mail.corp.example.")},

		{"tohost", dns.TypeA, yes("host.corp.example. 60 A 192.0.2.70", "host.corp.example. 60 A 192.0.2.71", "tohost.corp.example. 60 CNAME host.corp.example.")},
		{"tohost", dns.TypeCNAME, yes("tohost.corp.example. 60 CNAME host.corp.example.")},
		{"tohost", dns.TypeAAAA, with("nodata", 0, soa, "tohost.corp.example. 60 CNAME host.corp.example.")},
		{"tohost", dns.TypeANY, with("any", 0, "", `tohost.corp.example. 3600 HINFO "RFC8482" ""`)},
		{"tomail", dns.TypeA, yes("mail.corp.example. 5 A 192.0.2.11", "tomail.corp.example. 60 CNAME mail.corp.example.")},
		{"toToMail", dns.TypeAAAA, yes("mail.corp.example. 5 AAAA 2001:db8::11", "toMail.corp.example. 60 CNAME mail.corp.example.", "toToMail.corp.example. 60 CNAME toMail.corp.example.")},
		{"togone", dns.TypeA, with("nodata", 0, soa, "togone.corp.example. 60 CNAME gone.corp.example.")},
		{"tonew", dns.TypeA, with("not-ready", dns.RcodeServerFailure, "", "tonew.corp.example. 60 CNAME new.corp.example.")},
		{"tonothing", dns.TypeA, with("nxdomain", dns.RcodeNameError, soa, "tonothing.corp.example. 60 CNAME nothing.corp.example.")},
		{"toother", dns.TypeA, alias("toother.corp.example. 60 CNAME other.example.")},
		{"tooverlaid", dns.TypeA, yes("mail.other.example. 5 A 192.0.2.11", "tooverlaid.corp.example. 60 CNAME mail.other.example.")},
		{"tosub", dns.TypeA, yes("tosub.corp.example. 60 CNAME x.sub.corp.example.", "x.sub.corp.example. 5 A 192.0.2.11")},
		{"loop", dns.TypeA, endless},
		{"self", dns.TypeAAAA, endless},

		{"q.wild", dns.TypeA, yes("q.wild.corp.example. 60 A 192.0.2.73")},
		{"Q.q.WILD", dns.TypeA, yes("Q.q.WILD.corp.example. 60 A 192.0.2.73")},
		{"q.wild", dns.TypeTXT, noData},
		{"x.wild", dns.TypeA, noData},
		{"y.x.wild", dns.TypeA, nxdomain},
		{"q.alias", dns.TypeA, yes("host.corp.example. 60 A 192.0.2.70", "host.corp.example. 60 A 192.0.2.71", "q.alias.corp.example. 60 CNAME host.corp.example.")},
		{"towild", dns.TypeA, yes("q.wild.corp.example. 60 A 192.0.2.73", "towild.corp.example. 60 CNAME q.wild.corp.example.")},

		{"cut", dns.TypeA, referral},
		{"x.cut", dns.TypeA, referral},
		{"ns.cut", dns.TypeA, referral},
		{"cut", dns.TypeDS, yes("cut.corp.example. 60 DS 1 8 2 12")},
		{"a.tree", dns.TypeA, yes("a.tree.corp.example. 60 CNAME a.wild.corp.example.", "a.wild.corp.example. 60 A 192.0.2.73", "tree.corp.example. 60 DNAME wild.corp.example.")},
		{"tree", dns.TypeA, noData},
		{"tree", dns.TypeDNAME, yes("tree.corp.example. 60 DNAME wild.corp.example.")},
		{"totree", dns.TypeA, yes("a.tree.corp.example. 60 CNAME a.wild.corp.example.", "a.wild.corp.example. 60 A 192.0.2.73", "totree.corp.example. 60 CNAME a.tree.corp.example.", "tree.corp.example. 60 DNAME wild.corp.example.")},
		{"a.out", dns.TypeA, alias("a.out.corp.example. 60 CNAME a.other.example.", "out.corp.example. 60 DNAME other.example.")},
		{strings.Repeat(strings.Repeat("a", 40)+".", 5) + "longer.out", dns.TypeA, alias()},
	} {
		name := tt.name
		if !strings.HasSuffix(name, ".") {
			name += ".corp.example."
		}
		t.Run(name[max(0, len(name)-40):]+" "+dns.TypeToString[tt.qtype], func(t *testing.T) {
			q := question(name, tt.qtype)
			q.RecursionDesired = false
			m, outcome := n.answer(q)
			got := answered{Outcome: outcome.String(), Rcode: m.Rcode, Answer: text(m.Answer), NS: text(m.Ns), Extra: text(m.Extra)}
			if tt.want.Answer == "" && tt.want.Outcome == "alias" {
				tt.want = got // only that it can be sent
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if b, err := m.Pack(); err != nil || new(dns.Msg).Unpack(b) != nil {
				t.Errorf("it cannot be sent: %v", err)
			}
			// The bit is about the first name of the answer: RFC 1035, Section 4.1.1.
			if wantAA := (m.Rcode != dns.RcodeServerFailure || len(m.Answer) > 0) && outcome != Referred; m.Authoritative != wantAA {
				t.Errorf("authoritative: %v", m.Authoritative)
			}
		})
	}
}

// TestRegisteredEnds: what leads elsewhere is completed by the whole server for those who cannot go on themselves.
func TestRegisteredEnds(t *testing.T) {
	r := newRegistry(t)
	register(t, r, corp, registrations)
	r.now(t)
	asked := 0
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, m *dns.Msg) (int, error) {
		asked++
		return dns.RcodeSuccess, w.WriteMsg(new(dns.Msg).SetReply(m))
	})
	h := &Handler{State: r, Next: next}
	for _, tt := range []struct {
		name    string
		desired bool
		asked   int
		ns      int
	}{
		{"x.cut", true, 1, 0}, {"x.cut", false, 0, 2}, {"cut", true, 1, 0}, {"tocut", false, 0, 2},
	} {
		asked = 0
		q := question(tt.name+".corp.example.", dns.TypeA)
		q.RecursionDesired = tt.desired
		rec := dnstest.NewRecorder(&updateWriter{from: "203.0.113.9"})
		if _, err := h.ServeDNS(t.Context(), rec, q); err != nil || rec.Msg == nil {
			t.Fatal(err)
		}
		if asked != tt.asked || len(rec.Msg.Ns) != tt.ns {
			t.Errorf("%s, RD %v: asked on %d times, %v", tt.name, tt.desired, asked, rec.Msg)
		}
	}
}

// TestRegisteredBesideRoles: a role comes and goes at a name that has other records, and the name goes with the last
// of them.
func TestRegisteredBesideRoles(t *testing.T) {
	r := newRegistry(t)
	name, q := "mail.corp.example.", question("mail.corp.example.", dns.TypeTXT)
	if got := answerOf(t, r.now(t), q); got.Outcome != "nodata" {
		t.Errorf("without a record: %+v", got)
	}
	register(t, r, corp, "+ mail 5 TXT x; + gone 5 TXT x")
	for _, node := range []string{"ex2", "ex1"} {
		claim(t, r, "mailbox", node)
		if got := answerOf(t, r.now(t), q); got.Answer != name+` 5 TXT "x"` {
			t.Errorf("on %s: %+v", node, got)
		}
	}
	register(t, r, corp, "- mail; - gone")
	if got := answerOf(t, r.now(t), question(name, dns.TypeA)); got.Outcome != "answered" {
		t.Errorf("the role's address is deleted: %+v", got)
	}
	if got := answerOf(t, r.now(t), question("gone.corp.example.", dns.TypeTXT)); got.Outcome != "nxdomain" {
		t.Errorf("a name without records: %+v", got)
	}
}

// TestTransferWithRegistered: a transfer has what queries give, and the differences lead from one to the other.
func TestTransferWithRegistered(t *testing.T) {
	r := newRegistry(t)
	h := &Handler{State: r}
	serial := serialOf(t, r, corp)
	has := map[string]int{}
	for _, rr := range transferred(t, h, corp, 0)[1:] {
		has[rr.String()]++
	}
	for _, step := range []func(){
		func() { register(t, r, corp, registrations) },
		func() { claim(t, r, "mailbox", "ex2") },
		func() {
			register(t, r, corp, "- host A; + host 7 A 192.0.2.70; - wild; - x.wild; - cut; + mail 5 TXT y")
		},
		func() { claim(t, r, "unknown", "ex1") },
	} {
		step()
		next := serialOf(t, r, corp)
		applyDifference(t, has, transferred(t, h, corp, serial), serial, next)
		serial = next
	}
	want := map[string]int{}
	for _, rr := range transferred(t, h, corp, 0)[1:] {
		want[rr.String()]++
	}
	if diff := cmp.Diff(want, has); diff != "" {
		t.Errorf("(-AXFR +IXFR):\n%s", diff)
	}
	if rrs := transferred(t, h, corp, serial); len(rrs) != 1 {
		t.Errorf("who has everything is sent %v", rrs)
	}
}

// applyDifference applies an incremental transfer: RFC 1995, Section 4.
func applyDifference(t *testing.T, has map[string]int, rrs []dns.RR, from, to uint32) {
	t.Helper()
	first, ok := rrs[0].(*dns.SOA)
	if second, also := rrs[1].(*dns.SOA); !ok || !also || first.Serial != to || second.Serial != from {
		t.Fatalf("from %d to %d it is no difference: %v", from, to, rrs[:2])
	}
	sign := 1
	for _, rr := range rrs[1 : len(rrs)-1] {
		if _, turns := rr.(*dns.SOA); turns {
			sign = -sign
		}
		if has[rr.String()] += sign; has[rr.String()] == 0 {
			delete(has, rr.String())
		}
		if has[rr.String()] < 0 || has[rr.String()] > 1 {
			t.Errorf("%d times: %v", has[rr.String()], rr)
		}
	}
}
