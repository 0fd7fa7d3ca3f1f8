package zone

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// TestUpdate has the semantics of RFC 2136, one update after the other on a zone of its own.
func TestUpdate(t *testing.T) {
	type step struct{ update, rcode, want string }
	for name, steps := range map[string][]step{
		"add": {
			{"+ www 300 A 192.0.2.1", "NOERROR", "www 300 A 192.0.2.1"},
			{"+ www 300 A 192.0.2.1", "NOERROR", "www 300 A 192.0.2.1"},
			{"+ www 300 A 192.0.2.2", "NOERROR", "www 300 A 192.0.2.1; www 300 A 192.0.2.2"},
			{"+ www 60 A 192.0.2.2", "NOERROR", "www 60 A 192.0.2.1; www 60 A 192.0.2.2"},
			{"+ WWW 60 TXT x", "NOERROR", `www 60 A 192.0.2.1; www 60 A 192.0.2.2; www 60 TXT "x"`},
		},
		"delete": {
			{"+ a 5 A 192.0.2.1; + a 5 A 192.0.2.2; + a 5 TXT x; + b 5 A 192.0.2.3", "NOERROR", `a 5 A 192.0.2.1; a 5 A 192.0.2.2; a 5 TXT "x"; b 5 A 192.0.2.3`},
			{"- a A 192.0.2.1", "NOERROR", `a 5 A 192.0.2.2; a 5 TXT "x"; b 5 A 192.0.2.3`},
			{"- a A 192.0.2.9; - c; - c A; - c A 192.0.2.1", "NOERROR", `a 5 A 192.0.2.2; a 5 TXT "x"; b 5 A 192.0.2.3`},
			{"- a TXT", "NOERROR", "a 5 A 192.0.2.2; b 5 A 192.0.2.3"},
			{"- a; + a 7 AAAA 2001:db8::1", "NOERROR", "a 7 AAAA 2001:db8::1; b 5 A 192.0.2.3"},
			{"+ a 7 A 192.0.2.1; - a", "NOERROR", "b 5 A 192.0.2.3"},
		},
		"aliases": {
			{"+ a 5 CNAME b.corp.example.", "NOERROR", "a 5 CNAME b.corp.example."},
			{"+ a 5 A 192.0.2.1", "NOERROR", "a 5 CNAME b.corp.example."},
			{"+ a 5 CNAME c.corp.example.", "NOERROR", "a 5 CNAME c.corp.example."},
			{"- a CNAME; + a 5 A 192.0.2.1", "NOERROR", "a 5 A 192.0.2.1"},
			{"+ a 5 CNAME b.corp.example.", "NOERROR", "a 5 A 192.0.2.1"},
		},
		"prerequisites": {
			{"yes a; + x 5 A 192.0.2.1", "NXDOMAIN", ""},
			{"no a; + a 5 A 192.0.2.1", "NOERROR", "a 5 A 192.0.2.1"},
			{"no a; + x 5 A 192.0.2.1", "YXDOMAIN", "a 5 A 192.0.2.1"},
			{"yes a TXT; + x 5 A 192.0.2.1", "NXRRSET", "a 5 A 192.0.2.1"},
			{"no a A; + x 5 A 192.0.2.1", "YXRRSET", "a 5 A 192.0.2.1"},
			{"no a TXT; yes a A; yes a; + a 5 A 192.0.2.2", "NOERROR", "a 5 A 192.0.2.1; a 5 A 192.0.2.2"},
			{"yes a A 192.0.2.1; + x 5 A 192.0.2.1", "NXRRSET", "a 5 A 192.0.2.1; a 5 A 192.0.2.2"},
			{"yes a A 192.0.2.2; yes a A 192.0.2.1; - a A", "NOERROR", ""},
			{"yes a A 192.0.2.2; + x 5 A 192.0.2.1", "NXRRSET", ""},
		},
		"prerequisites of the registry's names": {
			{"yes mail A 192.0.2.11; yes mail; yes corp.example. SOA; yes corp.example. NS; yes ns1; + x 5 A 192.0.2.1", "NOERROR", "x 5 A 192.0.2.1"},
			{"yes mail A 192.0.2.12; + y 5 A 192.0.2.1", "NXRRSET", "x 5 A 192.0.2.1"},
			{"no mail; + y 5 A 192.0.2.1", "YXDOMAIN", "x 5 A 192.0.2.1"},
			{"no b.x; no deep; + a.b.deep 5 A 192.0.2.1", "NOERROR", "a.b.deep 5 A 192.0.2.1; x 5 A 192.0.2.1"},
			{"yes deep; - x", "NXDOMAIN", "a.b.deep 5 A 192.0.2.1; x 5 A 192.0.2.1"},
		},
		"the registry's names": {
			{"+ mail 5 A 192.0.2.99; - mail A; - mail; + ex1 5 AAAA 2001:db8::1; + ns1 5 A 192.0.2.1; + mail 5 CNAME x.corp.example.", "NOERROR", ""},
			{"+ mail 5 TXT x; + ex1 5 SSHFP 1 1 123456789abcdef67890123456789abcdef67890", "NOERROR", `ex1 5 SSHFP 1 1 123456789ABCDEF67890123456789ABCDEF67890; mail 5 TXT "x"`},
			{"- mail", "NOERROR", "ex1 5 SSHFP 1 1 123456789ABCDEF67890123456789ABCDEF67890"},
		},
		"the apex": {
			{"+ corp.example. 5 NS ns9.corp.example.; + corp.example. 5 CNAME x.corp.example.; - corp.example.; - corp.example. NS; - corp.example. SOA; - corp.example. NS ns1.corp.example.", "NOERROR", ""},
			{"+ corp.example. 5 MX 10 mail.corp.example.; + corp.example. 5 A 192.0.2.1", "NOERROR", "@ 5 A 192.0.2.1; @ 5 MX 10 mail.corp.example."},
			{"+ corp.example. 5 SOA ns9.corp.example. x.corp.example. 4000000000 1 1 1 1; + x 5 SOA ns9.corp.example. x.corp.example. 1 1 1 1 1", "NOERROR", "@ 5 A 192.0.2.1; @ 5 MX 10 mail.corp.example."},
		},
		"one bad change": {
			{"+ a 5 A 192.0.2.1; + a.other.example. 5 A 192.0.2.1", "NOTZONE", ""},
			{"+ a 5 A 192.0.2.1; + a 5 RRSIG A 8 2 300 20300101000000 20200101000000 1 corp.example. AAAA", "REFUSED", ""},
			{"yes a.other.example.; + a 5 A 192.0.2.1", "NOTZONE", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			for _, s := range steps {
				before := l.db.View(corp)
				if got := l.update(corp, s.update); got != s.rcode {
					t.Errorf("%s: %s, want %s", s.update, got, s.rcode)
				}
				l.want(corp, s.want)
				changed := fmt.Sprint(recordsOf(before)) != fmt.Sprint(recordsOf(l.db.View(corp)))
				if moved := l.db.View(corp).Serial != before.Serial; moved != changed {
					t.Errorf("%s: the serial moved: %v, the records: %v", s.update, moved, changed)
				}
			}
			before := recordsOf(l.db.View(corp))
			serial := l.db.View(corp).Serial
			l.restart()
			if got := recordsOf(l.db.View(corp)); fmt.Sprint(got) != fmt.Sprint(before) || l.db.View(corp).Serial != serial {
				t.Errorf("after a restart: serial %d, was %d;\n%v\nwas\n%v", l.db.View(corp).Serial, serial, got, before)
			}
		})
	}
}

func recordsOf(v *View) (out []string) {
	for n := range v.All() {
		for _, s := range n.Sets {
			for _, r := range s.Records {
				out = append(out, r.RR.String())
			}
		}
	}
	return out
}

// TestRace has many clients ask for the same name at once: one gets it.
func TestRace(t *testing.T) {
	l := newLab(t)
	var clients sync.WaitGroup
	var mu sync.Mutex
	rcodes := map[int]int{}
	for i := range 100 {
		clients.Go(func() {
			u := Update{
				Zone: corp, Prerequisites: unpacked(t, []dns.RR{rr(t, "no lock")}),
				Changes: unpacked(t, []dns.RR{rr(t, fmt.Sprintf("+ lock 5 TXT %d", i))}), By: &By{},
			}
			r, err := l.db.Do(t.Context(), u)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			rcodes[r.Rcode]++
		})
	}
	clients.Wait()
	if rcodes[dns.RcodeSuccess] != 1 || rcodes[dns.RcodeYXDomain] != 99 {
		t.Errorf("rcodes: %v", rcodes)
	}
	if n := l.db.View(corp).Records(); n != 1 {
		t.Errorf("%d records", n)
	}
}

// TestSecondary plays updates, switches, restarts and checkpoints at random: a secondary that pulls now and
// then has what the zone has, and gets differences unless it was away for long.
func TestSecondary(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		l := newLab(t)
		s := &secondary{t: t}
		s.pull(l.db.View(corp))
		for range 60 {
			switch rnd.IntN(10) {
			case 0:
				l.switchTo([]string{"ex1", "ex2"}[rnd.IntN(2)])
			case 1:
				l.restart()
			case 2:
				if err := l.db.Checkpoint(t.Context()); err != nil {
					t.Fatal(err)
				}
			case 3, 4:
				if !s.pull(l.db.View(corp)) {
					t.Errorf("seed %d: a whole transfer from serial %d to %d", seed, s.serial, l.db.View(corp).Serial)
				}
				s.same(l.db.View(corp))
			default:
				l.update(corp, randomUpdate(rnd))
			}
		}
		s.pull(l.db.View(corp))
		s.same(l.db.View(corp))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomUpdate(rnd *rand.Rand) string {
	name := []string{"a", "b", "c.d", "mail", "corp.example.", "*.w"}[rnd.IntN(6)]
	data := []string{"A 192.0.2.1", "A 192.0.2.2", "TXT x", "CNAME a.corp.example.", "NS ns.other.example.", "AAAA 2001:db8::1"}[rnd.IntN(6)]
	switch rnd.IntN(6) {
	case 0:
		return "- " + name
	case 1:
		return "- " + name + " " + data
	case 2:
		return "- " + name + "; + " + name + " 60 " + data
	}
	return fmt.Sprintf("+ %s %d %s", name, 5+rnd.IntN(2), data)
}

// TestStaticChangesAcrossRestarts: what the registry did while the zones were closed is no history.
func TestStaticChangesAcrossRestarts(t *testing.T) {
	l := newLab(t)
	l.update(corp, "+ a 5 A 192.0.2.1")
	s := &secondary{t: t}
	s.pull(l.db.View(corp))
	l.stop()
	if _, err := l.reg.Switch(t.Context(), registry.SwitchRequest{Roles: []string{"mailbox"}, To: "ex2"}); err != nil {
		t.Fatal(err)
	}
	l.open()
	if !Newer(l.db.View(corp).Serial, s.serial) {
		t.Errorf("serial %d after %d", l.db.View(corp).Serial, s.serial)
	}
	if s.pull(l.db.View(corp)) {
		t.Error("differences that nobody knows")
	}
	s.same(l.db.View(corp))
	serial := l.db.View(corp).Serial
	l.restart()
	if got := l.db.View(corp).Serial; got != serial {
		t.Errorf("nothing has changed, and the serial is %d after %d", got, serial)
	}
}

// TestFullDisk: updates are refused, roles are followed, and all is saved once there is room.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.update(corp, "+ a 5 A 192.0.2.1")
		s := &secondary{t: t}
		s.pull(l.db.View(corp))
		l.journal.Fail(errDisk)
		if got := l.update(corp, "+ b 5 A 192.0.2.2"); got != "SERVFAIL" {
			t.Errorf("an update on a full disk: %s", got)
		}
		l.want(corp, "a 5 A 192.0.2.1")
		l.switchTo("ex2")
		if !s.pull(l.db.View(corp)) || s.records["mail.corp.example.\t5\tIN\tA\t192.0.2.12"] != 1 {
			t.Errorf("the switch is not in the zone: %v", s.records)
		}
		s.same(l.db.View(corp))
		if l.db.Err() == nil {
			t.Error("nobody is told")
		}
		l.journal.Fail(nil)
		time.Sleep(3 * retryDisk)
		if err := l.db.Err(); err != nil {
			t.Error(err)
		}
		if got := l.update(corp, "+ b 5 A 192.0.2.2"); got != "NOERROR" {
			t.Errorf("with room again: %s", got)
		}
		l.restart()
		if !s.pull(l.db.View(corp)) {
			t.Error("the history of the outage is lost")
		}
		s.same(l.db.View(corp))
		l.want(corp, "a 5 A 192.0.2.1; b 5 A 192.0.2.2")
	})
}

// TestChange: what the policy takes back goes, durably and as a difference.
func TestChange(t *testing.T) {
	l := newLab(t)
	l.update(corp, "+ a 5 A 192.0.2.1; + a 5 A 10.9.0.1; + b 5 A 10.9.0.1")
	s := &secondary{t: t}
	s.pull(l.db.View(corp))
	went, err := l.db.Change(t.Context(), func(_ string, r Record) bool {
		a, ok := r.RR.(*dns.A)
		return ok && a.A.String() == "10.9.0.1"
	})
	if err != nil || len(went) != 2 {
		t.Errorf("%v, %v", went, err)
	}
	l.want(corp, "a 5 A 192.0.2.1")
	if !s.pull(l.db.View(corp)) {
		t.Error("no difference")
	}
	s.same(l.db.View(corp))
	l.restart()
	l.want(corp, "a 5 A 192.0.2.1")
}

func TestLookup(t *testing.T) {
	l := newLab(t)
	l.update(corp, "+ a 5 A 192.0.2.1; + x.y 5 TXT t; + al 5 CNAME a.corp.example.; + *.wild 5 A 192.0.2.7; + *.wild 5 TXT w; + b.wild 5 TXT b; "+
		"+ cut 5 NS ns.cut.corp.example.; + ns.cut 5 A 192.0.2.8; + d 5 DNAME OTHER.example.; + far 5 DNAME "+strings.Repeat(strings.Repeat("x", 60)+".", 4)+"; "+
		"+ *.deep 5 A 192.0.2.9; + one\\.two 5 A 192.0.2.10")
	v := l.db.View(corp)
	for _, tt := range []struct {
		name   string
		qtype  uint16
		kind   AnswerKind
		want   string
		target string
	}{
		{"a", dns.TypeA, Found, "a.corp.example. A 192.0.2.1", ""},
		{"a", dns.TypeTXT, NoData, "", ""},
		{"none", dns.TypeA, NoName, "", ""},
		{"y", dns.TypeA, NoData, "", ""},
		{"z.y", dns.TypeA, NoName, "", ""},
		{"al", dns.TypeA, Alias, "al.corp.example. CNAME a.corp.example.", "a.corp.example."},
		{"al", dns.TypeCNAME, Found, "al.corp.example. CNAME a.corp.example.", ""},
		{"q.wild", dns.TypeA, Found, "q.wild.corp.example. A 192.0.2.7", ""},
		{"p.q.wild", dns.TypeTXT, Found, `p.q.wild.corp.example. TXT "w"`, ""},
		{"q.wild", dns.TypeAAAA, NoData, "", ""},
		{"b.wild", dns.TypeA, NoData, "", ""},
		{"c.b.wild", dns.TypeA, NoName, "", ""},
		{"wild", dns.TypeA, NoData, "", ""},
		{"cut", dns.TypeA, Referral, "cut.corp.example. NS ns.cut.corp.example.", ""},
		{"w.cut", dns.TypeA, Referral, "cut.corp.example. NS ns.cut.corp.example.", ""},
		{"cut", dns.TypeDS, NoData, "", ""},
		{"e.d", dns.TypeA, Alias, "d.corp.example. DNAME OTHER.example.; e.d.corp.example. CNAME e.OTHER.example.", "e.other.example."},
		{`\000\001\002\003.d`, dns.TypeA, Alias, `d.corp.example. DNAME OTHER.example.; \000\001\002\003.d.corp.example. CNAME \000\001\002\003.OTHER.example.`, `\000\001\002\003.other.example.`},
		{`one\.two`, dns.TypeA, Found, `one\.two.corp.example. A 192.0.2.10`, ""},
		{"one.two", dns.TypeA, NoName, "", ""},
		{"two", dns.TypeA, NoName, "", ""},
		{"q.deep", dns.TypeA, Found, "q.deep.corp.example. A 192.0.2.9", ""},
		{"d", dns.TypeA, NoData, "", ""},
		{"x.none", dns.TypeA, NoName, "", ""},
	} {
		t.Run(tt.name+" "+dns.TypeToString[tt.qtype], func(t *testing.T) {
			got := v.Lookup(tt.name+"."+corp, tt.qtype)
			text := ""
			for i, r := range got.Records {
				if i > 0 {
					text += "; "
				}
				h := r.Header()
				text += h.Name + " " + dns.TypeToString[h.Rrtype] + r.String()[len(h.String())-1:]
			}
			if got.Kind != tt.kind || oneSpace(text) != tt.want || got.Target != tt.target {
				t.Errorf("got %d %q %q, want %d %q %q", got.Kind, oneSpace(text), got.Target, tt.kind, tt.want, tt.target)
			}
			if tt.kind == Referral && len(got.Glue) != 1 {
				t.Errorf("glue: %v", got.Glue)
			}
		})
	}
}

// TestWildcardAndRegistry: what exists in the registry alone, also without records, is no matter for a wildcard;
// and what is too long behind a DNAME has no target.
func TestWildcardAndRegistry(t *testing.T) {
	w := testWorld()
	w.Roles[0].DNS = append(w.Roles[0].DNS, "a.ent.corp.example.")
	l := newLabOf(t, w)
	l.update(corp, "+ * 5 A 192.0.2.1; + d 5 DNAME "+strings.Repeat(strings.Repeat("x", 60)+".", 4))
	v := l.db.View(corp)
	for name, want := range map[string]AnswerKind{"ent": NoData, "x.ent": NoName, "x.a.ent": NoName, "q": Found, "x.q": Found} {
		if a := v.Lookup(name+"."+corp, dns.TypeA); a.Kind != want {
			t.Errorf("%s: %+v, want %d", name, a, want)
		}
	}
	for label, hasTarget := range map[string]bool{"abc": true, `\000\001\002`: true, strings.Repeat("y", 20): false} {
		if a := v.Lookup(label+".d."+corp, dns.TypeA); a.Kind != Alias || (a.Target != "") != hasTarget {
			t.Errorf("%s: %+v", label, a)
		}
	}
}

func TestSerials(t *testing.T) {
	for last, want := range map[uint32]uint32{1: 2, 1<<31 - 1: 1 << 31, 1<<32 - 2: 1<<32 - 1, 1<<32 - 1: 1} {
		if got := next(last); got != want || !Newer(got, last) {
			t.Errorf("next(%d) = %d, want %d", last, got, want)
		}
	}
	l := newLab(t)
	if s, now := l.db.View(corp).Serial, uint32(time.Now().Unix()); s > now+10 || s < now-100 {
		t.Errorf("the first serial is %d, want about the time", s)
	}
	sub := l.db.View("sub.corp.example.").Serial
	before := l.db.View(corp).Serial
	l.switchTo("ex2")
	if got := l.db.View(corp).Serial; got != before+1 {
		t.Errorf("serial %d after a switch, want %d", got, before+1)
	}
	if got := l.db.View("sub.corp.example.").Serial; got != sub {
		t.Errorf("a switch elsewhere moves the serial from %d to %d", sub, got)
	}
}

// TestConfigure: zones come, go and come back with what was registered in them.
func TestConfigure(t *testing.T) {
	l := newLab(t)
	l.update(corp, "+ a 5 A 192.0.2.1; + new 5 A 192.0.2.2; + new 5 TXT x; + y.deep 5 A 192.0.2.3")
	l.update("2.0.192.in-addr.arpa.", "+ 77.2.0.192.in-addr.arpa. 5 PTR a.corp.example.")
	s := &secondary{t: t}
	s.pull(l.db.View(corp))
	w := testWorld()
	w.Roles[0].DNS = append(w.Roles[0].DNS, "new.corp.example.")
	deep := *w.Zones[1]
	deep.Name = "deep.corp.example."
	w.Zones[2] = &deep
	if err := l.reg.Configure(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	l.sync()
	l.want(corp, `a 5 A 192.0.2.1; new 5 TXT "x"`)
	if l.db.View("2.0.192.in-addr.arpa.") != nil {
		t.Error("the reverse zone is still served")
	}
	if got := l.update("2.0.192.in-addr.arpa.", "- 77.2.0.192.in-addr.arpa."); got != "NOTAUTH" {
		t.Errorf("an update of a zone that is not owned any more: %s", got)
	}
	if !s.pull(l.db.View(corp)) {
		t.Error("a reload that changes little is a whole transfer")
	}
	s.same(l.db.View(corp))
	serial := l.db.View(corp).Serial
	l.restart()
	if err := l.reg.Configure(context.Background(), testWorld()); err != nil {
		t.Fatal(err)
	}
	l.sync()
	l.want("2.0.192.in-addr.arpa.", "77 5 PTR a.corp.example.")
	if got := l.db.View(corp).Serial; got != serial+1 {
		t.Errorf("serial %d, want %d", got, serial+1)
	}
	if !s.pull(l.db.View(corp)) {
		t.Error("no difference after a restart")
	}
	s.same(l.db.View(corp))
}

// TestLookupAt: which names exist because of the registry is the word of the state that is asked about, though the
// zone is still at an older one.
func TestLookupAt(t *testing.T) {
	l := newLab(t)
	v := l.db.View(corp)
	w := testWorld()
	w.Roles[0].DNS = []string{"post.corp.example."}
	if err := l.reg.Configure(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	now := l.reg.Snapshot()
	for name, want := range map[string]AnswerKind{"mail.corp.example.": NoName, "post.corp.example.": NoData, "ex1.corp.example.": NoData} {
		if got := v.LookupAt(now, name, dns.TypeTXT).Kind; got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
