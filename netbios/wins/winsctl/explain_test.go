package winsctl

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
)

var (
	times  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	ttls   = regexp.MustCompile(`TTL \d+ s`)
	behind = []netip.AddrPort{netip.MustParseAddrPort("203.0.113.42:137"), netip.MustParseAddrPort("203.0.113.43:137")}
)

// explained is what the control API says of a name, a step a line and the answer last, with T for times
// and N for times to live.
func (l *lab) explained(name string) string {
	l.t.Helper()
	e, err := l.client.Explain(l.t.Context(), name)
	if err != nil {
		l.t.Fatal(err)
	}
	text := strings.Join(e.Steps, "\n") + "\n=> " + strings.Join(e.Answer, ", ")
	return ttls.ReplaceAllString(times.ReplaceAllString(text, "T"), "TTL N s")
}

func notGuarded(name string) string {
	return name + " is not guarded: DNS hands it to the next plugin; NetBIOS answers as the WINS server says\n"
}

// explainLab is full with records of every kind and state beside.
func explainLab(t *testing.T) *lab {
	l := full(t)
	later, owner := wins.StampOf(time.Now().Add(time.Hour)), wins.IPv4{192, 0, 2, 9}
	record := func(n string, kind wins.Kind, state wins.State, addrs ...string) wins.Record {
		r := wins.Record{Name: netbios.MustParseName(n), Kind: kind, State: state, Node: netbios.PNode, Ends: later}
		var members []wins.Member
		for i, a := range addrs {
			members = append(members, wins.Member{Addr: wins.IPv4Of(netip.MustParseAddr(a)), Owner: owner, Ends: later - wins.Stamp(i)})
		}
		r.SetMembers(members)
		return r
	}
	records := []wins.Record{
		record("GONE<20>", wins.Unique, wins.Released, "192.0.2.50"),
		record("CORP<00>", wins.Group, wins.Active, "192.0.2.51"),
		record("CORP<1c>", wins.Internet, wins.Active, "192.0.2.52", "192.0.2.53"),
		record("CORP<1b>", wins.Unique, wins.Active, "192.0.2.53"),
	}
	errs, err := l.db.Put(t.Context(), records)
	if err != nil || strings.Trim(fmt.Sprint(errs), "[<nil>] ") != "" {
		t.Fatal(errs, err)
	}
	return l
}

func TestExplain(t *testing.T) {
	l := explainLab(t)
	const (
		nobody   = "there is no answer here, and no WINS server behind: NetBIOS answers negatively\n=> "
		sql      = "SQL<20> is in the WINS database: unique, active until T, dynamic, version 1, registered here; type of the node: h\naddress 192.0.2.30\nTTL N s\n=> 192.0.2.30"
		decision = "decision 0000000000000abc"
	)
	for _, tt := range []struct{ name, want string }{
		{"SQL<20>", notGuarded("SQL<20>") + sql},
		{"sql", notGuarded("sql") + sql},
		{"app", notGuarded("app") + "APP<00> is in the WINS database: unique, active until T, dynamic, version 2, registered here; type of the node: h\naddress 192.0.2.31\nTTL N s\n=> 192.0.2.31"},
		{"PRINT<20>", notGuarded("PRINT<20>") + "PRINT<20> is in the WINS database: unique, active, static, version 3, registered here; no time ends it and no node changes it\naddress 192.0.2.40\nTTL N s\n=> 192.0.2.40"},
		{"GONE", notGuarded("GONE") + "GONE<20> is in the WINS database: unique, released until T, dynamic, version 4, registered here; type of the node: p\n" +
			"address 192.0.2.50, registered at the name server 192.0.2.9\n" + nobody},
		{"CORP<00>", notGuarded("CORP<00>") + "CORP<00> is in the WINS database: group, active until T, dynamic, version 5, registered here; type of the node: p\n" +
			"it is a group of which no members are kept; 192.0.2.51 was the last to register it\nTTL N s\n=> 255.255.255.255"},
		{"CORP<1c>", notGuarded("CORP<1c>") + "CORP<1c> is in the WINS database: internet, active until T, dynamic, version 6, registered here; type of the node: p\n" +
			"address 192.0.2.52, registered at the name server 192.0.2.9\naddress 192.0.2.53, registered at the name server 192.0.2.9, until T\nTTL N s\n=> 192.0.2.53, 192.0.2.52"},
		{"*<1b>", notGuarded("*<1b>") + "*<1b> stands for the master browsers of all domains\nTTL N s\n=> 192.0.2.53"},
		{"NOBODY", notGuarded("NOBODY") + "NOBODY<20> is not in the WINS database\n" + nobody},
		{"wpad", notGuarded("wpad") + "WPAD<00> is not in the WINS database\n" + nobody[:len(nobody)-3] +
			"registration from 192.0.2.66 of 192.0.2.66: refused (reserved, rule builtin-reserved, " + decision + "); at T\n=> "},
		{"www.elsewhere.example", "www.elsewhere.example is not guarded: DNS hands it to the next plugin; NetBIOS asks the WINS servers, if there are any, and filters their answer\n=> "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, l.explained(tt.name)); diff != "" {
				t.Errorf("- want, + got:\n%s", diff)
			}
		})
	}
}

// TestExplainOfAnotherServer: nothing takes records of other name servers over yet, but they are known.
func TestExplainOfAnotherServer(t *testing.T) {
	l := open(t)
	var e control.Explanation
	x := explaining{Explanation: &e, listing: listing{snap: l.db.Snapshot()}}
	r := wins.Record{Name: name("SQL<20>"), Static: true, Owner: wins.IPv4{192, 0, 2, 9}, Version: 7}
	x.record(&r)
	want := []string{"SQL<20> is in the WINS database: unique, active, static, version 7, taken over from the name server 192.0.2.9; no time ends it and no node changes it"}
	if diff := cmp.Diff(want, e.Steps); diff != "" {
		t.Errorf("- want, + got:\n%s", diff)
	}
}

// TestExplainGuarded: beside the role's word stands what its members and others asked for.
func TestExplainGuarded(t *testing.T) {
	l := full(t)
	l.register("MAIL<20>", "10.9.0.12", "198.51.100.12")
	const decision = "decision 0000000000000abc"
	want := []string{
		"registration from 192.0.2.11 of 192.0.2.11: published while the role serves it (guarded, " + decision + "); at T",
		"registration from 198.51.100.12 of 198.51.100.12: parked until the role serves it (guarded, " + decision + "); 2 times since T, last at T",
		"registration from 10.9.0.12 of 10.9.0.12: quarantined (filtered-class, rule builtin-filtered, " + decision + "); 2 times since T, last at T",
	}
	got := l.explained("mail")
	for _, line := range append(want, "MAIL<20> is a NetBIOS name of role mailbox (cluster mail, mode single)", "=> 192.0.2.11") {
		if !strings.Contains(got, line+"\n") && !strings.HasSuffix(got, line) {
			t.Errorf("%q is not in\n%s", line, got)
		}
	}
	if strings.Contains(got, "database") {
		t.Errorf("a guarded name is in no database:\n%s", got)
	}
	if _, err := l.reg.Switch(t.Context(), registry.SwitchRequest{Roles: []string{"mailbox"}, To: "ex2"}); err != nil {
		t.Fatal(err)
	}
	if got, line := l.explained("MAIL<20>"), "of 192.0.2.11: parked until the role serves it"; !strings.Contains(got, line) {
		t.Errorf("after a switch: %q is not in\n%s", line, got)
	}
	for i := range 20 {
		l.register("MAIL<20>", fmt.Sprintf("10.9.1.%d", i))
	}
	if got, line := l.explained("MAIL<20>"), "\n13 more are held of the name: nameward registrations 'MAIL<20>' lists them\n"; !strings.Contains(got, line) {
		t.Errorf("many: %q is not in\n%s", line, got)
	}
}

func TestExplainBehind(t *testing.T) {
	l := open(t)
	var as Behind
	l.server.Behind = func() Behind { return as }
	l.client = Client{l.serve(l.server)}
	l.register("SQL<20>", "192.0.2.30")
	l.submit(&wins.Request{Name: name("APP<20>"), Upstream: wins.SendToo}, netbios.HNode, "192.0.2.31")
	l.submit(&wins.Request{Name: name("MAIL<20>"), Upstream: wins.SendToo}, netbios.HNode, "10.9.0.1")
	for i := range 12 {
		l.submit(&wins.Request{Name: name("CORP<00>"), Upstream: wins.SendToo}, netbios.Group|netbios.HNode, fmt.Sprintf("192.0.2.%d", 100+i))
	}
	print := AddRequest{Records: []Record{{Name: name("PRINT<20>"), Kind: "unique", Addresses: []Address{at("192.0.2.40")}}}}
	if _, err := l.client.Add(t.Context(), print); err != nil {
		t.Fatal(err)
	}
	const (
		servers = "(203.0.113.42:137, 203.0.113.43:137)"
		asked   = "there is no answer here: the WINS servers behind are asked " + servers + ", and their answer is filtered\n"
		first   = "the WINS servers behind are asked first " + servers + ", and their answer is filtered; while none of them answers, it is "
		waits   = "the WINS servers behind have still to be told: registration of "
		nothing = "nothing waits to be told to the WINS servers behind\n"
	)
	for _, tt := range []struct {
		test, name string
		Behind
		want string // the end
	}{
		{"own", "SQL<20>", Behind{}, "\nTTL N s\n=> 192.0.2.30"},
		{"own, unknown", "NOBODY<20>", Behind{Servers: behind}, "database\n" + asked + "=> "},
		{"own, known", "SQL<20>", Behind{Servers: behind}, "\nTTL N s\n=> 192.0.2.30"},
		{"forward", "SQL<20>", Behind{behind, true, false}, first + "192.0.2.30 with TTL N s\n" + nothing + "=> "},
		{"forward, unknown", "NOBODY<20>", Behind{behind, true, false}, "database\n" + asked + nothing + "=> "},
		{"forward, static", "PRINT<20>", Behind{behind, true, false}, "\nTTL N s\n" + nothing + "=> 192.0.2.40"},
		{"forward, not told", "app", Behind{behind, true, false}, waits + "192.0.2.31, since T\n=> "},
		{"both", "SQL<20>", Behind{behind, false, true}, "\nTTL N s\n" + nothing + "=> 192.0.2.30"},
		{"both, unknown", "NOBODY<20>", Behind{behind, false, true}, "database\n" + asked + nothing + "=> "},
		{"both, not told", "APP<20>", Behind{behind, false, true}, "\nTTL N s\n" + waits + "192.0.2.31, since T\n=> 192.0.2.31"},
		{"both, many", "CORP<00>", Behind{behind, false, true}, waits + "192.0.2.109, since T\nthey have still to be told of 2 more addresses\n=> 255.255.255.255"},
		{"both, guarded", "MAIL<20>", Behind{behind, false, true}, "; at T\n" + nothing + "=> 192.0.2.11"},
	} {
		t.Run(tt.test, func(t *testing.T) {
			as = tt.Behind
			if got := l.explained(tt.name); !strings.HasSuffix(got, tt.want) {
				t.Errorf("got\n%s\nwant at the end\n%s", got, tt.want)
			}
		})
	}
}

// TestExplainFiltered: what was accepted once may be filtered now, and is then not what is answered.
func TestExplainFiltered(t *testing.T) {
	l := full(t)
	world := testWorld()
	world.Classes = []registry.Class{{Name: "management", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.30/32")}}}
	if err := l.reg.Configure(t.Context(), world); err != nil {
		t.Fatal(err)
	}
	const want = "192.0.2.30 is class management and never published\nthere is no answer here, and no WINS server behind: NetBIOS answers negatively\n=> "
	if got := l.explained("SQL<20>"); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant at the end\n%s", got, want)
	}
}

func TestExplainOff(t *testing.T) {
	var e control.Explanation
	(&Server{}).Explain(&e, nil, []netbios.Name{name("SQL<20>")})
	if diff := cmp.Diff([]string{errOff.Error()}, e.Steps); diff != "" {
		t.Errorf("- want, + got:\n%s", diff)
	}
}
