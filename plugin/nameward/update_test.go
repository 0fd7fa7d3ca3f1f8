package nameward

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/plugin/gsstsig"
	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/zone"
)

// TestUpdateOutcomes has every way in which an update of an owned zone can end, with what the client is told: all
// of it in 192.0.2.0/24 and fe80::/10, where it is explained, and the rcode alone elsewhere.
func TestUpdateOutcomes(t *testing.T) {
	for name, tt := range map[string]struct {
		zone, update string
		change       func(m *dns.Msg)
		key          string
		status       error
		outcome      UpdateOutcome
		rcode        string
		ede          string // the beginning of what is explained
	}{
		"applied":              {update: "+ a 5 A 192.0.2.1", key: "k.", outcome: UpdateApplied, rcode: "NOERROR"},
		"nothing to do":        {update: "", key: "k.", outcome: UpdateApplied, rcode: "NOERROR"},
		"stripped":             {update: "+ a 5 A 192.0.2.1; + a 5 A 10.9.0.1", key: "k.", outcome: UpdateStripped, rcode: "NOERROR", ede: "17 a.corp.example. A: rule, rule builtin-filtered, decision "},
		"quarantined":          {update: "+ a 5 A 10.9.0.1", key: "k.", outcome: UpdateQuarantined, rcode: "NOERROR", ede: "17 a.corp.example. A: rule, rule builtin-filtered, decision "},
		"a role's name":        {update: "+ mail 5 A 192.0.2.99", key: "k.", outcome: UpdateQuarantined, rcode: "NOERROR", ede: "17 mail.corp.example. A: emptied, rule builtin-guarded-other, role mailbox, decision "},
		"name exists":          {update: "no mail; + a 5 A 192.0.2.1", key: "k.", outcome: UpdateUnmet, rcode: "YXDOMAIN"},
		"unmet and filtered":   {update: "no mail; + a 5 A 10.9.0.1", key: "k.", outcome: UpdateUnmet, rcode: "YXDOMAIN"},
		"refused":              {update: "+ frozen 5 A 192.0.2.1", key: "k.", outcome: UpdateRefused, rcode: "REFUSED", ede: "18 frozen.corp.example. A: rule, rule frozen, decision "},
		"unsigned":             {update: "+ a 5 A 192.0.2.1", outcome: UpdateUnsigned, rcode: "REFUSED", ede: "18 a.corp.example. A: unsigned, rule default, decision "},
		"unknown key":          {update: "+ a 5 A 192.0.2.1", key: "k.", status: dns.ErrSecret, outcome: UpdateUnproved, rcode: "NOTAUTH"},
		"wrong time":           {update: "+ a 5 A 192.0.2.1", key: "k.", status: dns.ErrTime, outcome: UpdateUnproved, rcode: "NOTAUTH"},
		"wrong signature":      {update: "+ a 5 A 192.0.2.1", key: "k.", status: dns.ErrSig, outcome: UpdateUnproved, rcode: "NOTAUTH"},
		"unknown algorithm":    {update: "+ a 5 A 192.0.2.1", key: "k.", status: dns.ErrKeyAlg, outcome: UpdateUnproved, rcode: "NOTAUTH"},
		"a zone that is fixed": {zone: "static.example.", update: "+ a 5 A 192.0.2.1", key: "k.", outcome: UpdateForeign, rcode: "REFUSED", ede: "18 no updates of zone static.example. are taken"},
		"somebody's zone":      {zone: "other.example.", update: "+ a 5 A 192.0.2.1", key: "k.", outcome: UpdateForeign, rcode: "NOTAUTH", ede: "20 other.example. is no zone whose updates are taken here"},
		"a name for a zone":    {zone: "a.corp.example.", update: "+ b 5 A 192.0.2.1", key: "k.", outcome: UpdateForeign, rcode: "NOTAUTH", ede: "20 a.corp.example. is no zone"},
		"the root":             {zone: ".", update: "+ a. 5 A 192.0.2.1", key: "k.", outcome: UpdateForeign, rcode: "NOTAUTH", ede: "20 . is no zone"},
		"outside of the zone":  {update: "+ a.other.example. 5 A 192.0.2.1", key: "k.", outcome: UpdateMalformed, rcode: "NOTZONE"},
		"not SOA":              {update: "+ a 5 A 192.0.2.1", change: func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }, key: "k.", outcome: UpdateMalformed, rcode: "FORMERR"},
		"class CH":             {update: "+ a 5 A 192.0.2.1", change: func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, key: "k.", outcome: UpdateMalformed, rcode: "FORMERR"},
		"two zones":            {update: "+ a 5 A 192.0.2.1", change: func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, key: "k.", outcome: UpdateMalformed, rcode: "FORMERR"},
		"a prerequisite's TTL": {update: "yes mail A; + a 5 A 192.0.2.1", change: func(m *dns.Msg) { m.Answer[0].Header().Ttl = 1 }, key: "k.", outcome: UpdateMalformed, rcode: "FORMERR"},
		"a change of class CH": {update: "+ a 5 A 192.0.2.1", change: func(m *dns.Msg) { m.Ns[0].Header().Class = dns.ClassCHAOS }, key: "k.", outcome: UpdateMalformed, rcode: "FORMERR"},
		"unsigned, malformed":  {update: "+ a 5 A 192.0.2.1", change: func(m *dns.Msg) { m.Ns[0].Header().Ttl = 1 << 31 }, outcome: UpdateMalformed, rcode: "FORMERR"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newUpdateLab(t)
			for _, from := range []string{"192.0.2.200", "fe80::9%eth0", "203.0.113.9", "2001:db8::9"} {
				for _, edns := range []bool{true, false} {
					m := parsed(t, cmp.Or(tt.zone, corp), tt.update)
					if tt.change != nil {
						tt.change(m)
					}
					if edns {
						m.SetEdns0(1232, false)
					}
					before := counted(t, "updates_total", tt.outcome)
					reply := l.send(client{from: from, key: tt.key, status: tt.status}, m)
					if counted(t, "updates_total", tt.outcome) != before+1 {
						t.Errorf("from %s: the outcome is not %s", from, tt.outcome)
					}
					if got := dns.RcodeToString[reply.Rcode]; got != tt.rcode || reply.Id != m.Id || reply.Opcode != dns.OpcodeUpdate || !reply.Response {
						t.Errorf("from %s: %v, want %s", from, reply, tt.rcode)
					}
					got, wants := explained(reply), edns && (from == "192.0.2.200" || from == "fe80::9%eth0") && tt.ede != ""
					if (got != "") != wants || !strings.HasPrefix(got, tt.ede) && wants || (reply.IsEdns0() != nil) != edns {
						t.Errorf("from %s, EDNS %v: told %q, want %q", from, edns, got, tt.ede)
					}
					checkSignature(t, reply, tt.key, tt.status)
				}
			}
		})
	}
}

// checkSignature looks at the stub that the connection signs: RFC 8945, Section 5.2.
func checkSignature(t *testing.T, reply *dns.Msg, key string, status error) {
	t.Helper()
	s := reply.IsTsig()
	if (s != nil) != (key != "") {
		t.Fatalf("signed: %v", s)
	}
	if s == nil {
		return
	}
	want := map[error]uint16{nil: 0, dns.ErrSecret: dns.RcodeBadKey, dns.ErrKeyAlg: dns.RcodeBadKey, dns.ErrTime: dns.RcodeBadTime, dns.ErrSig: dns.RcodeBadSig}[status]
	now := time.Now().Unix()
	if s.Error != want || s.Hdr.Name != key {
		t.Errorf("key %s, error %d, want %d", s.Hdr.Name, s.Error, want)
	}
	if want != dns.RcodeBadTime {
		if s.OtherData != "" || int64(s.TimeSigned) < now-5 {
			t.Errorf("time %d, other data %q", s.TimeSigned, s.OtherData)
		}
		return
	}
	var theirs int64
	if _, err := fmt.Sscanf(s.OtherData, "%x", &theirs); err != nil || s.OtherLen != 6 || len(s.OtherData) != 12 || theirs < now-5 || theirs > now {
		t.Errorf("other data %q of %d octets is not our time", s.OtherData, s.OtherLen)
	}
	if int64(s.TimeSigned) > now-900 {
		t.Errorf("signed at %d, and not at the client's time", s.TimeSigned)
	}
}

// TestSourceOfIPv6 has a source in each form in which the system may give it.
func TestSourceOfIPv6(t *testing.T) {
	l := newUpdateLab(t)
	for _, from := range []string{"192.0.2.100", "::ffff:192.0.2.100", "fe80::1", "fe80::1%eth0"} {
		m := parsed(t, corp, "+ p.print 5 A 192.0.2.100")
		if got := l.send(client{from: from}, m).Rcode; got != dns.RcodeSuccess {
			t.Errorf("from %s: %s", from, dns.RcodeToString[got])
		}
	}
}

// TestNegotiatedKey: with Kerberos, the name of a key that is given up again is nobody's name.
func TestNegotiatedKey(t *testing.T) {
	l := newUpdateLab(t)
	u, next := l.updating(), *l.updating().cur.Load()
	next.acceptor, _ = gsstsig.New(gsstsig.Config{}) // without a keytab it knows nobody
	u.cur.Store(&next)
	u.reserve(map[string]string{"Good.": ""})
	for key, want := range map[string]int{"good.": dns.RcodeSuccess, "admin@corp.example.": dns.RcodeNotAuth} {
		if got := l.send(client{key: key}, parsed(t, corp, "+ a 5 A 192.0.2.1")).Rcode; got != want {
			t.Errorf("%s: %s", key, dns.RcodeToString[got])
		}
	}
	next.acceptor = nil
	u.cur.Store(&next)
}

// TestPolicyTakesBack: what the policy or the configuration does not permit any more leaves the zone, and the rest
// stays.
func TestPolicyTakesBack(t *testing.T) {
	l := newUpdateLab(t)
	const update = "+ a 5 A 192.0.2.1; + a 5 A 198.51.100.1; + b 5 A 198.51.100.2; + b 5 TXT x; + c 5 HTTPS 1 . ipv4hint=198.51.100.3; + x.keyed 5 A 192.0.2.7"
	if got := l.send(client{key: "good."}, parsed(t, corp, update)).Rcode; got != 0 {
		t.Fatal(dns.RcodeToString[got])
	}
	serial := l.Zones().View(corp).Serial
	l.write("policy.yaml", strings.Replace(updatePolicy, "rules:\n", "classes: {guests: [198.51.100.0/25]}\nrules:\n  - {id: closed, channels: [update], principals: [good.], names: [.keyed.corp.example.], action: refuse}\n", 1))
	const want = `a 5 A 192.0.2.1; b 5 TXT "x"; x.keyed 5 A 192.0.2.7`
	eventually(t, "the addresses go", func() bool { return l.registered(corp) == want })
	if got := l.Zones().View(corp).Serial; !zone.Newer(got, serial) {
		t.Errorf("serial %d after %d", got, serial)
	}
	eventually(t, "the book has them", func() bool { return strings.Count(l.heldBack(), "quarantined") == 3 })
}

// TestUpdateAcrossPolicies: an update that was decided by an old policy and made after the new one has the records
// looked at once more.
func TestUpdateAcrossPolicies(t *testing.T) {
	l := newUpdateLab(t)
	u, asked := l.updating().updater, 0
	idle := *u.readmit
	idle.wanted = make(chan struct{}, 1)
	u.readmit, u.policy = &idle, l.Policy
	for _, changes := range []bool{false, true} {
		if changes {
			u.policy = func() *policy.Policy {
				asked++
				return []*policy.Policy{policy.Default(), l.Policy()}[min(asked-1, 1)]
			}
			idle.policy = u.policy
		}
		m := l.overWire(parsed(t, corp, "+ a 5 A 198.51.100.1"))
		if res := u.update(t.Context(), &asker{principal: "k."}, nil, m); res.rcode != 0 {
			t.Fatal(res)
		}
		if got := len(idle.wanted) == 1; got != changes {
			t.Errorf("looked at once more: %v, the policy changed: %v", got, changes)
		}
	}
}

// FuzzUpdate sends any octets: nothing panics, every request has an answer that can be sent, nothing filtered is in
// the zones afterwards, nothing at the registry's names, and serials only grow.
func FuzzUpdate(f *testing.F) {
	for _, tt := range admissionTests {
		m := parsed(f, cmp.Or(tt.zone, corp), tt.update)
		m.Id = 7
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, true)
		f.Add(b[:len(b)-3], false)
	}
	l := newUpdateLab(f)
	f.Fuzz(func(t *testing.T, b []byte, signed bool) {
		r := new(dns.Msg)
		if r.Unpack(b) != nil || r.Opcode != dns.OpcodeUpdate || len(r.Question) == 0 || r.IsTsig() != nil {
			return // does not get here
		}
		c := client{from: "203.0.113.9"}
		if signed {
			c.key = "k."
		}
		before := serials(l)
		w := &updateWriter{from: "203.0.113.9"}
		if signed {
			r.SetTsig("k.", dns.HmacSHA256, 300, time.Now().Unix())
		}
		if _, err := l.updating().serve(t.Context(), w, r); err != nil || w.reply == nil {
			t.Fatalf("no answer: %v", err)
		}
		if _, err := w.reply.Pack(); err != nil {
			t.Errorf("the answer cannot be sent: %v", err)
		}
		for name, serial := range serials(l) {
			if serial != before[name] && !zone.Newer(serial, before[name]) {
				t.Errorf("serial of %s: %d after %d", name, serial, before[name])
			}
			if !signed && serial != before[name] {
				t.Errorf("an unsigned update changes %s", name)
			}
			checkZone(t, l.Zones().View(name))
		}
	})
}

func serials(l *updateLab) map[string]uint32 {
	out := map[string]uint32{}
	for _, z := range l.Snapshot().World.Zones {
		out[z.Name] = l.Zones().View(z.Name).Serial
	}
	return out
}

// checkZone looks for what no update may bring into a zone.
func checkZone(t *testing.T, v *zone.View) {
	t.Helper()
	for n := range v.All() {
		for _, s := range n.Sets {
			if zone.Reserved(v.State, n.Owner, s.Type) {
				t.Errorf("%s %s is the registry's", n.Owner, dns.Type(s.Type))
			}
			for _, r := range s.Records {
				for _, a := range appendAddrs(nil, r.RR) {
					if _, class := v.State.Classify(a); class != "" && class != registry.PublicClass {
						t.Errorf("in the zone: %v", r.RR)
					}
				}
			}
			if s.Type == dns.TypeCNAME && len(n.Sets) > 1 {
				t.Errorf("%s has an alias beside other records", n.Owner)
			}
		}
	}
}

// TestUpdatesAtRandom plays updates of all kinds by all clients and looks at the zone after each.
func TestUpdatesAtRandom(t *testing.T) {
	l := newUpdateLab(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	for range 2000 {
		var parts []string
		for range 1 + rnd.IntN(4) {
			name := pick("a", "b", "mail", "www", "new", "ex1", "ns1", "corp.example.", "*.w", "x.a", "sub.mail")
			data := pick("A 192.0.2.1", "A 10.9.0.1", "AAAA ::ffff:10.9.0.1", "AAAA 2001:db8::1", "CNAME mail.corp.example.", "NS ns.example.", "DNAME example.",
				"HTTPS 0 evil.example.", "HTTPS 1 . ipv4hint=10.9.0.1,192.0.2.1", "TXT x", "SVCB 1 mail.corp.example. ipv6hint=2001:db8::11", "PTR a.", "MX 1 mail.corp.example.")
			parts = append(parts, pick("+ "+name+" 5 "+data, "- "+name+" 0 "+data, "- "+name, "- "+name+" "+strings.Fields(data)[0]))
		}
		who := []client{holder, passive, stranger, unsigned, printer}[rnd.IntN(5)]
		before := serials(l)
		l.send(who, parsed(t, corp, strings.Join(parts, "; ")))
		if after := serials(l)[corp]; after != before[corp] && !zone.Newer(after, before[corp]) {
			t.Fatalf("serial %d after %d", after, before[corp])
		}
		checkZone(t, l.Zones().View(corp))
		if t.Failed() {
			t.Fatalf("after %v", parts)
		}
	}
}
