package updatesctl

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/registry/held"
)

var times = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// explained is what the control API says of a name, a step a line and the answer last, with T for the times of
// now and BY for who registered all that there is.
func (l *lab) explained(name string) string {
	l.t.Helper()
	e, err := l.client.Explain(l.t.Context(), name)
	if err != nil {
		l.t.Fatal(err)
	}
	text := strings.Join(e.Steps, "\n") + "\n=> " + strings.Join(e.Answer, ", ")
	text = strings.ReplaceAll(text, "by an update from 192.0.2.77 that dhcp. signed, at 2027-01-15T08:00:00Z (decision 0000000000000abc)", "BY")
	return times.ReplaceAllString(text, "T")
}

// place is the step about an owned zone, with the serial that it is served with now.
func (l *lab) place(zone string) string {
	return fmt.Sprintf("it lies in the owned zone %s, serial %d: every type is answered here\n", zone, l.zones.View(zone).Serial)
}

func TestExplain(t *testing.T) {
	l := full(t)
	l.register("corp.example.", "www.corp.example. 30 CNAME pc1.corp.example.", "branch.corp.example. 60 NS ns.branch.corp.example.",
		"ns.branch.corp.example. 60 A 192.0.2.99", "old.corp.example. 60 DNAME new.example.", "a.b.c.corp.example. 60 TXT leaf",
		"*.text.corp.example. 60 TXT wild", "*.names.corp.example. 60 CNAME pc1.corp.example.", "mail.corp.example. 60 TXT beside",
		"down.corp.example. 60 A 192.0.2.44", "there.apps.corp.example. 60 TXT here")
	l.register("2.0.192.in-addr.arpa.", "71.2.0.192.in-addr.arpa. 60 PTR pc1.corp.example.")
	inCorp := l.place("corp.example.")
	const noAddr = "it has no address: NODATA for A and AAAA\n"
	for _, tt := range []struct{ name, want string }{
		{"PC1.corp.example", "registered: pc1.corp.example. A 192.0.2.71, TTL 300 s, BY\nregistered: pc1.corp.example. TXT \"seat 12\", TTL 300 s, BY\n" +
			"registered: pc1.corp.example. AAAA 2001:db8::71, TTL 300 s, BY\n" + inCorp +
			"held: update to add A 10.9.0.71 from 192.0.2.77: quarantined (filtered-class, rule builtin-filtered, decision 0000000000000def); at T\n=> 192.0.2.71, 2001:db8::71"},
		{"www.corp.example", "registered: www.corp.example. CNAME pc1.corp.example., TTL 30 s, BY\nit is an alias: the answer is that of pc1.corp.example.\n" + inCorp + "=> pc1.corp.example."},
		{"host.branch.corp.example", "branch.corp.example. is delegated: whoever asks for a name in it is referred to its name servers\n" +
			"registered: branch.corp.example. NS ns.branch.corp.example., TTL 60 s, BY\n" + inCorp + "=> ns.branch.corp.example."},
		{"ns.branch.corp.example", "branch.corp.example. is delegated: whoever asks for a name in it is referred to its name servers\n" +
			"registered: branch.corp.example. NS ns.branch.corp.example., TTL 60 s, BY\nwhat is registered below is no answer, but may be told with the referral\n" +
			"registered: ns.branch.corp.example. A 192.0.2.99, TTL 60 s, BY\n" + inCorp + "=> ns.branch.corp.example."},
		{"pc9.old.corp.example", "registered: old.corp.example. DNAME new.example., TTL 60 s, BY\npc9.old.corp.example. is an alias by that: the answer is that of pc9.new.example.\n" + inCorp + "=> pc9.new.example."},
		{"b.c.corp.example", "b.c.corp.example. has no records and exists because names below it are registered: NODATA\n" + inCorp + "=> "},
		{"a.b.c.corp.example", "registered: a.b.c.corp.example. TXT \"leaf\", TTL 60 s, BY\n" + noAddr + inCorp + "=> "},
		{"x.y.apps.corp.example", "x.y.apps.corp.example. does not exist; it is answered from the wildcard *.apps.corp.example.\n" +
			"registered: *.apps.corp.example. A 192.0.2.80, TTL 30 s, BY\n" + inCorp + "=> 192.0.2.80"},
		{"x.there.apps.corp.example", "x.there.apps.corp.example. lies in the owned zone corp.example. and does not exist there: NXDOMAIN\n=> "},
		{"x.text.corp.example", "x.text.corp.example. does not exist; it is answered from the wildcard *.text.corp.example.\n" +
			"registered: *.text.corp.example. TXT \"wild\", TTL 60 s, BY\n" + noAddr + inCorp + "=> "},
		{"x.names.corp.example", "x.names.corp.example. does not exist; it is answered from the wildcard *.names.corp.example.\n" +
			"registered: *.names.corp.example. CNAME pc1.corp.example., TTL 60 s, BY\nit is an alias: the answer is that of pc1.corp.example.\n" + inCorp + "=> pc1.corp.example."},
		{"nobody.corp.example", "nobody.corp.example. lies in the owned zone corp.example. and does not exist there: NXDOMAIN\n=> "},
		{"wpad.corp.example", "wpad.corp.example. lies in the owned zone corp.example. and does not exist there: NXDOMAIN\n" +
			"held: update to add A 192.0.2.66 from 192.0.2.66: refused (filtered-class, rule builtin-filtered, decision 0000000000000def); at T\n=> "},
		{"corp.example", "registered: corp.example. MX 10 mail.corp.example., TTL 60 s, BY\n" + noAddr + inCorp + "=> "},
		{"lab.example", "lab.example. exists in an owned zone and has no address: NODATA\n" + l.place("lab.example.") + "=> "},
		{"down.corp.example", "registered: down.corp.example. A 192.0.2.44, TTL 60 s, BY\n" + inCorp + "=> 192.0.2.44"},
		{"71.2.0.192.in-addr.arpa", "registered: 71.2.0.192.in-addr.arpa. PTR pc1.corp.example., TTL 60 s, BY\n" +
			l.place("2.0.192.in-addr.arpa.") + "=> pc1.corp.example."},
		{"www.elsewhere.example", "www.elsewhere.example is not guarded: DNS hands it to the next plugin; NetBIOS asks the WINS servers, if there are any, and filters their answer\n=> "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, l.explained(tt.name)); diff != "" {
				t.Errorf("- want, + got:\n%s", diff)
			}
		})
	}
	t.Run("a role's name", func(t *testing.T) {
		got := l.explained("mail.corp.example")
		for _, want := range []string{
			"mail.corp.example. is a DNS name of role mailbox", "\nregistered: mail.corp.example. TXT \"beside\", TTL 60 s, BY\n",
			"\nheld: update to add A 192.0.2.12 from 192.0.2.12: parked until the role serves it (filtered-class, ", "\n=> 192.0.2.11",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not in\n%s", want, got)
			}
		}
	})
}

// TestExplainMany: hundreds of records and of updates are no hundreds of steps.
func TestExplainMany(t *testing.T) {
	l := newLab(t)
	var records []string
	for i := range 40 {
		records = append(records, fmt.Sprintf("pool.corp.example. 60 A 192.0.2.%d", 100+i))
		l.hold("pool.corp.example.", fmt.Sprintf("10.9.0.%d", i), "192.0.2.66", held.Quarantined)
	}
	l.register("corp.example.", records...)
	got := l.explained("pool.corp.example")
	for _, want := range []string{
		"\n30 more are registered: nameward records 'pool.corp.example.' lists them\n",
		"\n30 more are held of the name: nameward updates --name 'pool.corp.example.' lists them\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n > 30 {
		t.Errorf("%d steps", n)
	}
}
