package zone

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/store/journal"
)

// TestLimits: they hold for sets that are there already, and what only replaces goes on.
func TestLimits(t *testing.T) {
	l := newLab(t)
	l.db.Configure(Limits{Records: 3, Queue: 10})
	for _, s := range []struct{ update, rcode, want string }{
		{"+ a 5 A 192.0.2.1; + a 5 A 192.0.2.2; + b 5 A 192.0.2.1", "NOERROR", "a 5 A 192.0.2.1; a 5 A 192.0.2.2; b 5 A 192.0.2.1"},
		{"+ a 5 A 192.0.2.3", "REFUSED", "a 5 A 192.0.2.1; a 5 A 192.0.2.2; b 5 A 192.0.2.1"},
		{"- a; + c 5 A 192.0.2.1; + a 5 A 192.0.2.1; + a 5 A 192.0.2.2", "REFUSED", "a 5 A 192.0.2.1; a 5 A 192.0.2.2; b 5 A 192.0.2.1"},
		{"+ a 7 A 192.0.2.1", "NOERROR", "a 7 A 192.0.2.1; a 7 A 192.0.2.2; b 5 A 192.0.2.1"},
		{"- b; + a 7 A 192.0.2.3", "NOERROR", "a 7 A 192.0.2.1; a 7 A 192.0.2.2; a 7 A 192.0.2.3"},
	} {
		if got := l.update(corp, s.update); got != s.rcode {
			t.Errorf("%s: %s, want %s", s.update, got, s.rcode)
		}
		l.want(corp, s.want)
	}
}

// TestOctets: the octets of a zone are bounded too, and counted right through updates and restarts.
func TestOctets(t *testing.T) {
	l := newLab(t)
	l.db.Configure(Limits{Records: 1000, Queue: 10})
	big := strings.Repeat(strings.Repeat("x", 250)+" ", 100)
	n := 0
	for ; n < 100; n++ {
		if got := l.update(corp, fmt.Sprintf("+ a%d 5 TXT %s", n, big)); got != "NOERROR" {
			if got != "REFUSED" {
				t.Error(got)
			}
			break
		}
	}
	if n < 30 || n > 42 {
		t.Errorf("%d records of 25,000 octets in 1 MiB", n)
	}
	if got := l.update(corp, "+ one 5 TXT "+big+big); got != "REFUSED" {
		t.Errorf("an RRset of 50,000 octets: %s", got)
	}
	octets := func() (n int) {
		for name := range l.db.View(corp).All() {
			for _, s := range name.Sets {
				for _, r := range s.Records {
					n += dns.Len(r.RR)
				}
			}
		}
		return n
	}
	for _, step := range []func(){
		func() {
			l.update(corp, "- a1; + b 5 A 192.0.2.1; + b 5 A 192.0.2.2; + b 6 A 192.0.2.2; - a2 TXT; - b A 192.0.2.1")
		},
		l.restart, l.kill,
		func() {
			if err := l.db.Checkpoint(t.Context()); err != nil {
				t.Error(err)
			}
		}, l.restart,
	} {
		step()
		if v := l.db.View(corp); v.octets != octets() {
			t.Errorf("%d octets are counted, and there are %d", v.octets, octets())
		}
	}
}

// TestQueue bounds what waits for a slow disk, in updates and in octets.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.db.Configure(Limits{Records: 1000, Queue: 100})
		release := make(chan struct{})
		l.journal.Slow(func() { <-release })
		small := func() *Update {
			return &Update{Zone: corp, Changes: unpacked(t, []dns.RR{rr(t, "+ a 5 A 192.0.2.1")}), By: &By{}}
		}
		l.db.Submit(small())
		synctest.Wait()
		taken := 0
		for range 1000 {
			if l.db.Submit(small()) {
				taken++
			}
		}
		if taken != 100 || l.db.Waiting() != 100 {
			t.Errorf("%d updates were taken and %d wait, want 100", taken, l.db.Waiting())
		}
		l.db.Configure(Limits{Records: 1000, Queue: 1_000_000})
		text := "+ a 5 TXT " + strings.Repeat(strings.Repeat("x", 250)+" ", 200)
		large := unpacked(t, []dns.RR{rr(t, text)})
		for taken = 0; l.db.Submit(&Update{Zone: corp, Changes: large}); {
			taken++
		}
		if octets := taken * 50_000; octets < maxHeld*9/10 || octets > maxHeld {
			t.Errorf("%d octets wait", octets)
		}
		l.journal.Slow(nil)
		close(release)
		synctest.Wait()
		if n := l.db.Waiting(); n != 0 || l.db.held != 0 {
			t.Errorf("%d updates and %d octets are left", n, l.db.held)
		}
	})
}

// TestLargeSteps: what is larger than the journal takes at once is written in parts, and a checkpoint of a
// history with large steps goes through.
func TestLargeSteps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zones.db")
	l := newLab(t)
	l.stop()
	var j *journal.Journal
	open := func() *DB {
		var err error
		if j, err = journal.Open(path); err != nil {
			t.Fatal(err)
		}
		db, err := Open(j, DefaultLimits, l.reg.Snapshot, nopLog)
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	l.db = open()
	big := strings.Repeat(strings.Repeat("x", 250)+" ", 100)
	var batch []*Update
	for i := range 900 {
		batch = append(batch, &Update{Zone: corp, By: &By{Principal: fmt.Sprint(i)}, Changes: unpacked(t, []dns.RR{rr(t, fmt.Sprintf("+ a%d 5 TXT %s", i, big))})})
	}
	if err := l.db.step(batch, nil, false); err != nil {
		t.Fatal(err)
	}
	s := &secondary{t: t}
	s.pull(l.db.View(corp))
	if err := l.db.step(nil, &command{func(w *work) {
		w.removeWhere(func(_ string, r Record) bool { return r.By.Principal != "7" })
	}, func(err error) {
		if err != nil {
			t.Error(err)
		}
	}}, false); err != nil {
		t.Fatal(err)
	}
	if n, octets := j.Backlog(); n < 3 || octets < 40<<20 {
		t.Errorf("%d batches of %d octets: nothing was large", n, octets)
	}
	if err := l.db.step(batch[:50], nil, false); err != nil {
		t.Fatal(err)
	}
	s.pull(l.db.View(corp))
	want := textLines(l.db.View(corp))
	for range 2 {
		if err := j.Checkpoint(t.Context(), l.db.cur.Load().seq, base(l.db.whole())); err != nil {
			t.Fatal(err)
		}
		l.db.finish()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		l.db = open()
		if got := textLines(l.db.View(corp)); got != want || l.db.View(corp).Serial != s.serial {
			t.Errorf("other records after a restart, at %d, want %d", l.db.View(corp).Serial, s.serial)
		}
		s.pull(l.db.View(corp))
		s.same(l.db.View(corp))
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func textLines(v *View) string { return strings.Join(recordsOf(v), "\n") }

// TestMalformed has data from the wire that miekg/dns takes, and that cannot be what somebody meant.
func TestMalformed(t *testing.T) {
	for name, tt := range map[string]struct {
		rrtype uint16
		data   string
		want   int
	}{
		"MX":                        {dns.TypeMX, "\x00\x0a\x01a\x00", dns.RcodeSuccess},
		"MX with a compressed name": {dns.TypeMX, "\x00\x0a\xc0\x0c", dns.RcodeSuccess},
		"MX without a name":         {dns.TypeMX, "\x00\x0a", dns.RcodeFormatError},
		"SRV cut short":             {dns.TypeSRV, "\x00\x0a\x00", dns.RcodeFormatError},
		"SRV without a target":      {dns.TypeSRV, "\x00\x0a\x00\x01\x00\x02", dns.RcodeFormatError},
		"DS cut short":              {dns.TypeDS, "\x00\x0a", dns.RcodeFormatError},
		"CAA cut short":             {dns.TypeCAA, "\x00", dns.RcodeFormatError},
		"URI with a backslash":      {dns.TypeURI, "\x00\x0a\x00\x01a\\b", dns.RcodeFormatError},
		"A without data":            {dns.TypeA, "", dns.RcodeFormatError},
		"NULL without data":         {dns.TypeNULL, "", dns.RcodeSuccess},
		"APL without data":          {dns.TypeAPL, "", dns.RcodeSuccess},
		"unknown without data":      {65280, "", dns.RcodeSuccess},
		"OPT":                       {dns.TypeOPT, "", dns.RcodeFormatError},
		"TSIG":                      {dns.TypeTSIG, "\x00", dns.RcodeFormatError},
	} {
		t.Run(name, func(t *testing.T) {
			wire := "\x00\x01\x28\x00\x00\x01\x00\x00\x00\x01\x00\x00" + "\x04corp\x07example\x00\x00\x06\x00\x01" +
				"\x01a\xc0\x0c" + string([]byte{byte(tt.rrtype >> 8), byte(tt.rrtype), 0, 1, 0, 0, 0, 5, 0, byte(len(tt.data))}) + tt.data
			var m dns.Msg
			if err := m.Unpack([]byte(wire)); err != nil {
				if tt.want != dns.RcodeFormatError {
					t.Error(err)
				}
				return // CoreDNS says so
			}
			r := Check(corp, nil, m.Ns)
			if r.Rcode != tt.want {
				t.Errorf("%v: %s %s, want %s", m.Ns, dns.RcodeToString[r.Rcode], r.Why, dns.RcodeToString[tt.want])
			}
		})
	}
}

// TestNothingNew: what changes nothing wakes nobody.
func TestNothingNew(t *testing.T) {
	l := newLab(t)
	l.update(corp, "+ a 5 A 192.0.2.1; + al 5 CNAME a.corp.example.")
	before, superseded := l.db.View(corp), l.db.Superseded()
	for _, text := range []string{
		"+ a 5 A 192.0.2.1", "+ al 5 CNAME A.corp.example.", "+ b 5 A 192.0.2.1; - b", "no a; + b 5 A 192.0.2.1",
		"- a; + a 5 A 192.0.2.1", "+ a 6 A 192.0.2.1; + a 5 A 192.0.2.1", "", "+ mail 5 A 192.0.2.99",
	} {
		l.update(corp, text)
		select {
		case <-superseded:
			t.Fatalf("%s: somebody is woken", text)
		default:
		}
		if v := l.db.View(corp); v != before {
			t.Errorf("%s: another view", text)
		}
	}
}
