package nameward

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/config"
)

// Words of random answers, few enough to meet often.
var (
	randomNames = []string{
		"www.else.example.", "M.else.example.", "m.else.example.", "a.else.example.", "mail.other.example.", "MAIL.other.example.", "gone.other.example.", "new.other.example.",
		"ex1.corp.example.", "ns1.corp.example.", "nothing.corp.example.", "other.example.", "else.example.", "11.0.9.10.in-addr.arpa.", "12.100.51.198.in-addr.arpa.",
		"9.113.0.203.in-addr.arpa.", "x1uwhrcaaaaaybaaaa.example.", ".",
	}
	randomV4   = []string{"192.0.2.11", "198.51.100.12", "203.0.113.1", "203.0.113.9", "10.9.0.11", "10.9.77.1", "192.168.1.1", "192.0.2.12"}
	randomV6   = []string{"2001:db8::11", "2001:db8::9", "::ffff:10.9.0.11", "64:ff9b::10.9.0.11", "fd00::1"}
	randomAsks = []uint16{dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeMX, dns.TypePTR, dns.TypeANY, dns.TypeCNAME, dns.TypeTXT, dns.TypeRRSIG}
)

func oneOf[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func randomRR(r *rand.Rand) dns.RR {
	name := oneOf(r, randomNames)
	h := func(rrtype uint16) dns.RR_Header { return header(name, rrtype, uint32(r.IntN(9))) }
	v4, v6 := net.ParseIP(oneOf(r, randomV4)), net.ParseIP(oneOf(r, randomV6))
	binding := dns.SVCB{Hdr: h(dns.TypeHTTPS), Priority: 1, Target: oneOf(r, append(randomNames, "."))}
	if r.IntN(2) == 0 {
		binding.Value = append(binding.Value, &dns.SVCBMandatory{Code: []dns.SVCBKey{dns.SVCB_IPV4HINT}})
	}
	binding.Value = append(binding.Value, &dns.SVCBIPv4Hint{Hint: []net.IP{v4, net.ParseIP(oneOf(r, randomV4))}})
	if r.IntN(2) == 0 && v6.To4() == nil {
		binding.Value = append(binding.Value, &dns.SVCBIPv6Hint{Hint: []net.IP{v6}})
	}
	switch r.IntN(16) {
	case 0, 1, 2:
		return &dns.A{Hdr: h(dns.TypeA), A: v4}
	case 3:
		return &dns.AAAA{Hdr: h(dns.TypeAAAA), AAAA: v6}
	case 4, 5, 6:
		return &dns.CNAME{Hdr: h(dns.TypeCNAME), Target: oneOf(r, randomNames)}
	case 7:
		return &dns.DNAME{Hdr: h(dns.TypeDNAME), Target: oneOf(r, randomNames)}
	case 8:
		return &dns.HTTPS{SVCB: binding}
	case 9:
		return &dns.PTR{Hdr: h(dns.TypePTR), Ptr: oneOf(r, randomNames)}
	case 10:
		return &dns.SOA{Hdr: h(dns.TypeSOA), Ns: oneOf(r, randomNames), Mbox: "."}
	case 11:
		return &dns.NS{Hdr: h(dns.TypeNS), Ns: oneOf(r, randomNames)}
	case 12:
		return &dns.NSEC{Hdr: h(dns.TypeNSEC), NextDomain: oneOf(r, randomNames), TypeBitMap: []uint16{dns.TypeA}}
	case 13:
		return &dns.MX{Hdr: h(dns.TypeMX), Mx: oneOf(r, randomNames)}
	case 14:
		return &dns.IPSECKEY{Hdr: h(dns.TypeIPSECKEY), GatewayType: 1, GatewayAddr: v4.To4(), Algorithm: 2, PublicKey: "AQID"}
	}
	return &dns.RRSIG{
		Hdr: h(dns.TypeRRSIG), TypeCovered: oneOf(r, []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeHTTPS, dns.TypePTR, dns.TypeSOA, dns.TypeNSEC}),
		SignerName: "example.", Signature: "AAAA",
	}
}

func randomAnswer(r *rand.Rand) *dns.Msg {
	m := new(dns.Msg).SetQuestion(oneOf(r, randomNames), oneOf(r, randomAsks))
	m.Response, m.AuthenticatedData = true, r.IntN(2) == 0
	m.Rcode = oneOf(r, []int{dns.RcodeSuccess, dns.RcodeSuccess, dns.RcodeNameError})
	for range r.IntN(7) {
		m.Answer = append(m.Answer, randomRR(r))
	}
	for range r.IntN(4) {
		m.Ns = append(m.Ns, randomRR(r))
	}
	for range r.IntN(4) {
		m.Extra = append(m.Extra, randomRR(r))
	}
	return m
}

// FuzzScrub holds random answers against what is promised of every one of them.
func FuzzScrub(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(seed, uint8(seed))
	}
	n := newRegistry(f).now(f)
	f.Fuzz(func(t *testing.T, seed uint64, flags uint8) {
		checkScrub(t, n, rand.New(rand.NewPCG(seed, 1)), flags)
	})
}

// TestScrubRandom tries more of them than the seeds of FuzzScrub.
func TestScrubRandom(t *testing.T) {
	n := newRegistry(t).now(t)
	for seed := range uint64(20_000) {
		checkScrub(t, n, rand.New(rand.NewPCG(seed, 2)), uint8(seed))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func checkScrub(t *testing.T, n now, r *rand.Rand, flags uint8) {
	in := randomAnswer(r)
	packed, err := in.Pack()
	if err != nil {
		return // no next plugin could have got it from anywhere
	}
	in = new(dns.Msg)
	if err := in.Unpack(packed); err != nil {
		return
	}
	v := reviewOf(n, in)
	v.choice = newAnswerChoice(config.Answers{
		Signed: []string{config.SignedStrip, config.SignedServfail}[flags&1], Rebinding: config.Rebinding{On: flags&2 > 0, PrivateZones: []string{"other.example."}},
	}, nil, zerolog.Nop())
	if flags&4 > 0 {
		v.r.SetEdns0(1232, flags&8 > 0)
	}
	out, _ := v.scrub(in)
	if after, err := in.Pack(); err != nil || string(after) != string(packed) {
		t.Fatalf("the message of the next plugin was written to:\n%s", in)
	}
	if out == nil {
		out = in
	}
	again, err := out.Pack()
	sent := new(dns.Msg)
	if err == nil {
		err = sent.Unpack(again)
	}
	if err != nil {
		t.Fatalf("it cannot be sent: %v\n%s", err, out)
	}
	fail := func(what string) { t.Errorf("%s\nwas\n%s\nis\n%s", what, in, sent) }
	if bad := leaks(&v, sent); bad != "" {
		fail(bad)
	}
	if out != in {
		if sent.AuthenticatedData {
			fail("AD is set")
		}
		if len(sent.Answer) == 0 && sent.Rcode == dns.RcodeSuccess && (len(in.Answer) > 0 || leads(in.Ns)) && !leads(sent.Ns) {
			fail("nothing is answered, and no SOA says so")
		}
		if bad := unsound(in, sent); bad != "" {
			fail(bad)
		}
	}
	if second, _ := v.scrub(sent); second != nil && !sameSections(second, sent) && !strings.Contains(sectionsText(sent), "SOA x1uwhr") { // our own SOA for such a name
		t.Errorf("what was changed is changed again\nfrom\n%s\nto\n%s", sent, second)
	}
}

func sameSections(a, b *dns.Msg) bool {
	return sectionsText(&dns.Msg{Answer: a.Answer, Ns: a.Ns, Extra: withoutOPT(a.Extra)}) == sectionsText(&dns.Msg{Answer: b.Answer, Ns: b.Ns, Extra: withoutOPT(b.Extra)})
}

// leaks names what must be in no answer: filtered addresses, other addresses of guarded names than the live
// ones, private addresses of public names.
func leaks(v *review, m *dns.Msg) string {
	for i, rrs := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range rrs {
			name := strings.ToLower(rr.Header().Name)
			for _, a := range appendAddrs(nil, rr) {
				if class, is := v.snap.Filtered(a); is {
					return "it has " + a.String() + " of class " + class
				}
				if rr.Header().Rrtype != dns.TypePTR && v.rebinds(v.snap.Plain(a), name, i == 0) {
					return "it has " + a.String() + " for " + name
				}
				if bad := strayAddress(v, name, rr, a); bad {
					return name + " is guarded and has " + a.String()
				}
			}
		}
	}
	return ""
}

func strayAddress(v *review, name string, rr dns.RR, a netip.Addr) bool {
	c := cleaning{review: *v}
	names := []string{name}
	if target := bindingTarget(rr); target != "" {
		names = append(names, strings.ToLower(target))
	}
	for _, name := range names {
		e, ok := v.snap.Lookup(name)
		if !ok || !isGuarded(e) || rr.Header().Rrtype == dns.TypeIPSECKEY {
			continue
		}
		if bindingTarget(rr) != "" {
			return true
		}
		as := c.liveOf(e)
		if rr.Header().Ttl > as.ttl || !slices.ContainsFunc(slices.Concat(as.a, as.aaaa), func(ip net.IP) bool { return ip.Equal(a.AsSlice()) }) {
			return true
		}
	}
	return false
}

// unsound names what a validator would be misled by: a signature over what was changed, a proof beside
// what was emptied.
func unsound(in, out *dns.Msg) string {
	for _, rrs := range [][]dns.RR{out.Answer, out.Ns, out.Extra} {
		for _, rr := range rrs {
			s, ok := rr.(*dns.RRSIG)
			if !ok || s.TypeCovered == dns.TypeSOA && setText(in, s.Hdr.Name, s.TypeCovered) == "" {
				continue // a stray signature beside an SOA of ours
			}
			if setText(in, s.Hdr.Name, s.TypeCovered) != setText(out, s.Hdr.Name, s.TypeCovered) {
				return "a signature stands over " + dns.TypeToString[s.TypeCovered] + " of " + s.Hdr.Name + ", which was changed"
			}
		}
	}
	if q := in.Question[0]; len(in.Answer) > 0 && len(out.Answer) == 0 && q.Qtype != dns.TypeNSEC && setsOf(out.Ns, dns.TypeNSEC) > 0 {
		return "an NSEC record stands beside an emptied answer"
	}
	return ""
}

func setsOf(rrs []dns.RR, rrtype uint16) (n int) {
	for _, rr := range rrs {
		if rr.Header().Rrtype == rrtype {
			n++
		}
	}
	return n
}

// setText is an RRset of a message, wherever it stands.
func setText(m *dns.Msg, name string, rrtype uint16) string {
	var text []string
	for _, rrs := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range rrs {
			if strings.EqualFold(rr.Header().Name, name) && rr.Header().Rrtype == rrtype {
				text = append(text, rr.String())
			}
		}
	}
	slices.Sort(text)
	return strings.Join(text, "\n")
}
