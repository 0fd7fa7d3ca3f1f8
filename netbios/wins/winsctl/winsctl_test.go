package winsctl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/usage"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
)

func name(s string) netbios.Name { return netbios.MustParseName(s) }

func at(s string) Address { return Address{Address: netip.MustParseAddr(s)} }

// full is a lab with something of every sort.
func full(t *testing.T) *lab {
	l := newLab(t)
	l.register("SQL<20>", "192.0.2.30")
	l.register("APP<00>", "192.0.2.31")
	l.register("MAIL<20>", "192.0.2.11", "198.51.100.12", "10.9.0.12")
	l.register("WPAD<00>", "192.0.2.66")
	add := AddRequest{Records: []Record{{Name: name("PRINT<20>"), Kind: "unique", Addresses: []Address{at("192.0.2.40")}}}}
	if _, err := l.client.Add(t.Context(), add); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRegistrations(t *testing.T) {
	l := full(t)
	const (
		records     = "APP<00> unique active 192.0.2.31\n"
		parked      = "MAIL<20> unique published 192.0.2.11 from 192.0.2.11 guarded  0000000000000abc\nMAIL<20> unique parked 198.51.100.12 from 198.51.100.12 guarded  0000000000000abc\n"
		quarantined = "MAIL<20> unique quarantined 10.9.0.12 from 10.9.0.12 filtered-class builtin-filtered 0000000000000abc\n"
		print       = "PRINT<20> unique active static 192.0.2.40\n"
		sql         = "SQL<20> unique active 192.0.2.30\n"
		wpad        = "WPAD<00> unique refused 192.0.2.66 from 192.0.2.66 reserved builtin-reserved 0000000000000abc\n"
	)
	for _, tt := range []struct {
		test string
		Filter
		want string
	}{
		{"all", Filter{}, records + parked + print + sql},
		{"with all that is held", Filter{Held: WithHeld}, records + parked + quarantined + print + sql + wpad},
		{"records", Filter{Held: NoneHeld}, records + print + sql},
		{"held", Filter{Held: OnlyHeld}, parked + quarantined + wpad},
		{"quarantined", Filter{Held: Quarantined}, quarantined + wpad},
		{"one name", Filter{Name: "sql<20>"}, sql},
		{"another suffix", Filter{Name: "SQL<00>"}, ""},
		{"any suffix", Filter{Name: "app"}, records},
		{"wildcard", Filter{Name: "*P*<20>"}, print},
		{"wildcard of suffixes", Filter{Name: "a*<*>"}, records},
		{"role's name", Filter{Name: "Mail", Held: Quarantined}, quarantined},
		{"static", Filter{Static: true}, print},
		{"state", Filter{State: "active"}, records + print + sql},
		{"none in the state", Filter{State: "tombstone"}, ""},
		{"bad state", Filter{State: "gone"}, `state "gone" is none of active, released, tombstone` + "\n"},
		{"bad name", Filter{Name: "SIXTEENLETTERSXX"}, `NetBIOS name "SIXTEENLETTERSXX": name has 16 octets, at most 15 fit before the suffix; * stands for anything, as in MAIL*<20>` + "\n"},
	} {
		t.Run(tt.test, func(t *testing.T) {
			if diff := cmp.Diff(strings.TrimSuffix(tt.want, "\n"), l.list(tt.Filter)); diff != "" {
				t.Errorf("- want, + got:\n%s", diff)
			}
		})
	}
	if got := l.get("/v1/wins/registrations?nmae=X"); !strings.Contains(got, `unknown parameter "nmae"`) {
		t.Errorf("a misspelt parameter: %s", got)
	}
}

// TestPublishedFollowsTheRole: what is called published is what the role serves at that moment.
func TestPublishedFollowsTheRole(t *testing.T) {
	l := full(t)
	if _, err := l.reg.Switch(t.Context(), registry.SwitchRequest{Roles: []string{"mailbox"}, To: "ex2"}); err != nil {
		t.Fatal(err)
	}
	want := "MAIL<20> unique parked 192.0.2.11 from 192.0.2.11 guarded  0000000000000abc\nMAIL<20> unique published 198.51.100.12 from 198.51.100.12 guarded  0000000000000abc"
	if diff := cmp.Diff(want, l.list(Filter{Name: "MAIL"})); diff != "" {
		t.Errorf("- want, + got:\n%s", diff)
	}
}

func TestAdd(t *testing.T) {
	l := full(t)
	for _, tt := range []struct {
		test string
		Record
		want string // error, or what it took the place of
	}{
		{"new", Record{Name: name("SCAN<20>"), Kind: "unique", Addresses: []Address{at("192.0.2.41")}}, ""},
		{"in the place of a dynamic one", Record{Name: name("SQL<20>"), Kind: "multihomed", Addresses: []Address{at("192.0.2.30"), at("192.0.2.32")}}, "was active"},
		{"guarded", Record{Name: name("MAIL<20>"), Kind: "unique", Addresses: []Address{at("192.0.2.11")}}, "MAIL<20> belongs to role mailbox, whose state decides what is answered"},
		{"filtered address", Record{Name: name("BACK<20>"), Kind: "unique", Addresses: []Address{at("10.9.0.1")}}, "BACK<20> may not be registered with these addresses: filtered-class (rule builtin-filtered)"},
		{"refused", Record{Name: name("WPAD<20>"), Kind: "unique", Addresses: []Address{at("192.0.2.1")}}, "reserved"},
		{"wrong kind", Record{Name: name("CORP<1c>"), Kind: "unique", Addresses: []Address{at("192.0.2.1")}}, "a name with suffix 1c is a group"},
		{"no kind", Record{Name: name("X<20>"), Addresses: []Address{at("192.0.2.1")}}, `kind "" is none of unique, group, internet, multihomed`},
		{"no address", Record{Name: name("X<20>"), Kind: "unique"}, "X<20> has no address"},
		{"IPv6", Record{Name: name("X<20>"), Kind: "unique", Addresses: []Address{at("2001:db8::1")}}, "2001:db8::1 is not an IPv4 address"},
		{"twice", Record{Name: name("X<20>"), Kind: "multihomed", Addresses: []Address{at("192.0.2.1"), at("192.0.2.1")}}, "X<20> has the address 192.0.2.1 twice"},
	} {
		t.Run(tt.test, func(t *testing.T) {
			reply, err := l.client.Add(t.Context(), AddRequest{Records: []Record{tt.Record}})
			if err != nil {
				t.Fatal(err)
			}
			r := reply.Results[0]
			got := r.Error
			if r.Was != nil {
				got = "was " + r.Was.State
			}
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if (r.Error == "") != (r.Record != nil && r.Record.Static) {
				t.Errorf("record %+v beside error %q", r.Record, r.Error)
			}
		})
	}
}

func TestRemoveAndForget(t *testing.T) {
	l := full(t)
	for _, tt := range []struct {
		do      string
		names   []string
		address string
		want    string
	}{
		{"remove", []string{"SQL<20>"}, "192.0.2.99", "SQL<20> has not the address 192.0.2.99; it has 192.0.2.30"},
		{"remove", []string{"sql<00>", "sql<20>"}, "", "1 [SQL<20>]"},
		{"remove", []string{"SQL<00>", "SQL<20>"}, "", "there is no registration of SQL<00>, SQL<20>"},
		{"remove", []string{"MAIL<20>"}, "", "MAIL<20> belongs to role mailbox, whose state decides what is answered; there is no registration to remove"},
		{"remove", []string{"PRINT<20>"}, "192.0.2.40", "1 [PRINT<20>]"},
		{"remove", []string{"APP<00>"}, "2001:db8::1", "2001:db8::1 is not an IPv4 address, and NetBIOS names have no other"},
		{"forget", []string{"MAIL<20>"}, "10.9.0.12", "1 [MAIL<20>]"},
		{"forget", []string{"MAIL<20>"}, "10.9.0.12", "nothing of that name and source is held: nameward registrations --held lists what is"},
		{"forget", []string{"WPAD<00>"}, "", "1 [WPAD<00>]"},
	} {
		req := RemoveRequest{}
		for _, n := range tt.names {
			req.Names = append(req.Names, name(n))
		}
		if tt.address != "" {
			req.Address = netip.MustParseAddr(tt.address)
		}
		do := l.client.Remove
		if tt.do == "forget" {
			do = l.client.Forget
		}
		reply, err := do(t.Context(), req)
		got := fmt.Sprintf("%d %v", reply.Removed, reply.Names)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s %v %s: %q, want %q", tt.do, tt.names, tt.address, got, tt.want)
		}
	}
}

// TestExportImport: what one database exports another one takes, and has the same then.
func TestExportImport(t *testing.T) {
	from, to := full(t), newLab(t)
	many := AddRequest{Records: []Record{
		{Name: name("TWO<20>"), Kind: "multihomed", Node: "p", Addresses: []Address{at("192.0.2.50"), at("192.0.2.51")}},
		{Name: name("CORP<1c>"), Kind: "internet", Node: "m", Addresses: []Address{at("192.0.2.5"), at("192.0.2.6")}},
		{Name: name("CORP<1e>"), Kind: "group", Node: "b", Addresses: []Address{at("192.0.2.5")}},
		{Name: name("OLD<20>.scope"), Kind: "unique", Addresses: []Address{at("192.0.2.52")}},
		{Name: name(`\x01\x02__MSBROWSE__\x02<01>`), Kind: "group", Addresses: []Address{at("192.0.2.5")}},
	}}
	if _, err := from.client.Add(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	replica := Record{
		Name: name("FAR<20>"), Kind: "multihomed", State: "released", Owner: netip.MustParseAddr("192.0.2.7"),
		Ends: time.Now().Add(time.Hour).Truncate(time.Second).UTC(), Addresses: []Address{
			{Address: netip.MustParseAddr("192.0.2.8"), Owner: netip.MustParseAddr("192.0.2.7"), Ends: time.Unix(1_700_000_000, 0).UTC()}, at("192.0.2.9"),
		},
	}
	if reply, err := from.client.Import(t.Context(), ImportRequest{Records: []Record{replica}}); err != nil || reply.Taken != 1 {
		t.Fatalf("%+v %v", reply, err)
	}
	exported := export(t, from)
	if len(exported) != 9 {
		t.Fatalf("%d records: %v", len(exported), exported)
	}
	for _, want := range []ImportReply{{Taken: 9}, {Known: 9}} {
		dry, err := to.client.Import(t.Context(), ImportRequest{Records: exported, DryRun: true})
		if diff := cmp.Diff(want, dry, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("dry run: %v %s", err, diff)
		}
		got, err := to.client.Import(t.Context(), ImportRequest{Records: exported})
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	same := cmpopts.IgnoreFields(Record{}, "Version")
	if diff := cmp.Diff(exported, export(t, to), same, cmp.Comparer(func(a, b netbios.Name) bool { return a == b }), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("- exported, + imported:\n%s", diff)
	}
}

func export(t *testing.T, l *lab) (out []Record) {
	t.Helper()
	err := l.client.Registrations(t.Context(), Filter{Held: NoneHeld}, func(r Registration) error {
		out = append(out, r.Record)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestImportKeepsWhatIsHere(t *testing.T) {
	l := full(t)
	later, sooner := time.Now().Add(200*time.Hour), time.Now().Add(time.Hour)
	for _, tt := range []struct {
		test string
		Record
		want string
	}{
		{"another address", Record{Name: name("SQL<20>"), Kind: "unique", Ends: later, Addresses: []Address{at("192.0.2.99")}}, "known"},
		{"an older word", Record{Name: name("SQL<20>"), Kind: "unique", Ends: sooner, Addresses: []Address{at("192.0.2.30")}}, "known"},
		{"the same for longer", Record{Name: name("SQL<20>"), Kind: "unique", Ends: time.Now().Add(50 * 365 * 24 * time.Hour), Addresses: []Address{at("192.0.2.30")}}, "taken"},
		{"an operator's", Record{Name: name("SQL<20>"), Kind: "unique", Static: true, Addresses: []Address{at("192.0.2.33")}}, "taken"},
		{"an operator's again", Record{Name: name("SQL<20>"), Kind: "unique", Static: true, Addresses: []Address{at("192.0.2.34")}}, "known"},
		{"without an end", Record{Name: name("NEW<20>"), Kind: "unique", Addresses: []Address{at("192.0.2.30")}}, "taken"},
		{"guarded", Record{Name: name("MAIL<20>"), Kind: "unique", Ends: later, Addresses: []Address{at("192.0.2.30")}}, "MAIL<20> belongs to role mailbox, whose state decides what is answered"},
		{"filtered", Record{Name: name("BACK<20>"), Kind: "unique", Ends: later, Addresses: []Address{at("10.9.0.30")}}, "BACK<20> may not be registered with these addresses: filtered-class (rule builtin-filtered)"},
		{"malformed", Record{Name: name("BACK<20>"), Kind: "uniq", Addresses: []Address{at("10.9.0.30")}}, `kind "uniq" is none of unique, group, internet, multihomed`},
	} {
		reply, err := l.client.Import(t.Context(), ImportRequest{Records: []Record{tt.Record}})
		got := reply.Refused[0]
		switch {
		case err != nil:
			got = err.Error()
		case reply.Taken == 1:
			got = "taken"
		case reply.Known == 1:
			got = "known"
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.test, got, tt.want)
		}
	}
	if got := l.list(Filter{Name: "SQL"}); got != "SQL<20> unique active static 192.0.2.33" {
		t.Error(got)
	}
	far := Record{Name: name("FAR<20>"), Kind: "unique", Ends: time.Now().Add(50 * 365 * 24 * time.Hour), Addresses: []Address{at("192.0.2.30")}}
	if _, err := l.client.Import(t.Context(), ImportRequest{Records: []Record{far}}); err != nil {
		t.Fatal(err)
	}
	for _, r := range export(t, l) {
		if !r.Static && time.Until(r.Ends) > wins.DefaultTimers.MaxTTL {
			t.Errorf("%s ends %s, longer than is granted", r.Name, r.Ends)
		}
	}
}

// TestManyStream: beyond what is sorted, everything comes nevertheless, each once.
func TestManyStream(t *testing.T) {
	whole := sortLimit
	t.Cleanup(func() { sortLimit = whole })
	sortLimit = 1000
	l := newLab(t)
	const n, batch = 3000, 1000
	for begin := 0; begin < n; begin += batch {
		var req ImportRequest
		for i := begin; i < begin+batch; i++ {
			addr := netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})
			req.Records = append(req.Records, Record{Name: name(fmt.Sprintf("N%07d<20>", n-i)), Kind: "unique", Addresses: []Address{{Address: addr}}})
		}
		if reply, err := l.client.Import(t.Context(), req); err != nil || reply.Taken != batch {
			t.Fatalf("%+v, %v", reply, err)
		}
	}
	seen := map[netbios.Name]bool{}
	if err := l.client.Registrations(t.Context(), Filter{}, func(r Registration) error { seen[r.Name] = true; return nil }); err != nil || len(seen) != n {
		t.Errorf("%d names, %v", len(seen), err)
	}
	last := netbios.Name{}
	few := 0
	err := l.client.Registrations(t.Context(), Filter{Name: "n0000*"}, func(r Registration) error {
		if last.IsValid() && r.Name.Compare(last) <= 0 {
			t.Fatalf("%s after %s", r.Name, last)
		}
		last = r.Name
		few++
		return nil
	})
	if err != nil || few != 999 {
		t.Errorf("%d names, %v", few, err)
	}
	enough := errors.New("enough")
	if err := l.client.Registrations(t.Context(), Filter{}, func(Registration) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
	big := ImportRequest{Records: make([]Record, maxRecords+1)}
	if _, err := l.client.Import(t.Context(), big); err == nil || !strings.Contains(err.Error(), "10001 records in one request, at most 10000 are taken") {
		t.Error(err)
	}
}

func TestOff(t *testing.T) {
	l := open(t)
	off := Client{l.serve(&Server{})}
	err := off.Registrations(t.Context(), Filter{}, func(Registration) error { return nil })
	for _, err := range []error{err, third(off.Add(t.Context(), AddRequest{})), third(off.Import(t.Context(), ImportRequest{})), third(off.Remove(t.Context(), RemoveRequest{}))} {
		var refused *control.RefusedError
		if !errors.As(err, &refused) || refused.Text != errOff.Error() {
			t.Error(err)
		}
	}
	if _, err := off.Report(t.Context(), ReportFilter{}); err == nil || !strings.Contains(err.Error(), errOff.Error()) {
		t.Error(err)
	}
	if st, err := off.Status(t.Context()); err != nil || st.WINS != nil {
		t.Errorf("%+v %v", st.WINS, err)
	}
}

func third[T any](_ T, err error) error { return err }

func TestStatus(t *testing.T) {
	l := full(t)
	st, err := l.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := &control.WINSStatus{
		Records: map[string]int{"active": 3, "released": 0, "tombstone": 0}, Static: 1,
		Held: map[string]int{"parked": 2, "quarantined": 1, "refused": 1, "ignored": 0}, Version: 3,
	}
	if diff := cmp.Diff(want, st.WINS); diff != "" {
		t.Errorf("- want, + got:\n%s", diff)
	}
	l.journal.Fail(errors.New("no space left"))
	_, err = l.client.Add(t.Context(), AddRequest{Records: []Record{{Name: name("X<20>"), Kind: "unique", Addresses: []Address{at("192.0.2.1")}}}})
	if err == nil || !strings.Contains(err.Error(), "nothing was changed, WINS registrations cannot be saved: no space left") {
		t.Error(err)
	}
	if st, err = l.client.Status(t.Context()); err != nil || st.WINS.Error != "no space left" {
		t.Errorf("%+v %v", st.WINS, err)
	}
}

// TestStatusDoesNotWait for a disk that stands still.
func TestStatusDoesNotWait(t *testing.T) {
	l := full(t)
	stuck := make(chan struct{})
	defer close(stuck)
	l.journal.Slow(func() { <-stuck })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go l.client.Add(ctx, AddRequest{Records: []Record{{Name: name("X<20>"), Kind: "unique", Addresses: []Address{at("192.0.2.1")}}}})
	for range 1000 {
		st, err := l.client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(st.WINS.Error, "the disk has not answered for ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("status says nothing of a disk that stands still")
}

func TestReport(t *testing.T) {
	l := full(t)
	use := func(n, source string, kind usage.Kind, found bool) {
		l.note.Note(usage.Note{Name: name(n), Source: netip.MustParseAddr(source), Kind: kind, Found: found})
	}
	if _, err := l.client.Add(t.Context(), AddRequest{Records: []Record{{Name: name("CORP<00>"), Kind: "group", Addresses: []Address{at("192.0.2.5")}}}}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"MAIL<20>", "FILES<20>", "SQL<20>", "CORP<00>", "CORP<1b>", "CORP<1c>", "CORP<1d>", "SQL SRV<20>", "SQL<6a>"} {
		use(n, "192.0.2.77", usage.Query, true)
	}
	use("SQL<20>", "192.0.2.78", usage.Query, false)
	use("SQL<20>", "192.0.2.30", usage.Registration, true)
	r, err := l.client.Report(t.Context(), ReportFilter{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Instead{}
	for _, n := range r.ByName {
		got[n.Name.String()] = n.Instead
	}
	want := map[string]Instead{
		"MAIL<20>":    {DNS: "mail.corp.example.", Role: "mailbox"},
		"FILES<20>":   {Role: "files", Note: "give the role a DNS name"},
		"SQL<20>":     {DNS: "sql.corp.example."},
		"CORP<00>":    {Note: "nothing is needed: it is the name of a workgroup or domain"},
		"CORP<1b>":    {DNS: "_ldap._tcp.pdc._msdcs.corp.example.", Note: "SRV: clients of Active Directory find the PDC by it"},
		"CORP<1c>":    {DNS: "_ldap._tcp.dc._msdcs.corp.example.", Note: "SRV: clients of Active Directory find controllers by it"},
		"CORP<1d>":    {Note: "nothing is needed: lists of neighbours end with NetBIOS"},
		"SQL SRV<20>": {Note: "no host name in DNS can be like it: give the host another one"},
		"SQL<6a>":     {Note: "the suffix is that of an application: use the DNS name of its host there"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- want, + got:\n%s", diff)
	}
	if r.Total() != 11 || r.NotFound != 1 || r.Registrations != 1 {
		t.Errorf("%+v", r.Count)
	}
	for _, tt := range []struct {
		test string
		ReportFilter
		names, rows int
	}{
		{"name", ReportFilter{Name: "sql*"}, 3, 5},
		{"name with suffix", ReportFilter{Name: "SQL<20>"}, 1, 3},
		{"client", ReportFilter{Client: netip.MustParsePrefix("192.0.2.78/32")}, 1, 1},
		{"clients", ReportFilter{Client: netip.MustParsePrefix("192.0.2.0/26")}, 1, 1},
		{"since", ReportFilter{Since: time.Now().Add(-time.Hour)}, 9, 11},
		{"since tomorrow", ReportFilter{Since: time.Now().Add(time.Hour)}, 0, 0},
	} {
		r, err := l.client.Report(t.Context(), tt.ReportFilter)
		rows := 0
		for _, n := range r.ByName {
			rows += len(n.Rows)
		}
		if err != nil || len(r.ByName) != tt.names || rows != tt.rows {
			t.Errorf("%s: %d names, %d rows, %v; want %d, %d", tt.test, len(r.ByName), rows, err, tt.names, tt.rows)
		}
	}
	for path, want := range map[string]string{"client=x": "client \"x\" is no address", "since=x": "since \"x\" is no time", "name=SIXTEENLETTERSXX": "16 octets"} {
		if got := l.get("/v1/wins/report?" + path); !strings.Contains(got, want) {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestInsteadWithoutSuffix(t *testing.T) {
	in := &replacer{}
	for n, want := range map[string]string{
		"SQL<20>":  "netbios.wins.dns_suffix is not configured",
		"CORP<1c>": "_ldap._tcp.dc._msdcs.DOMAIN SRV: clients of Active Directory find controllers by it; netbios.wins.dns_suffix is not configured",
		"*<00>":    "nothing is needed: it stands for every node",
	} {
		if got := in.of(name(n)); got.Note != want || got.DNS != "" {
			t.Errorf("%s: %+v", n, got)
		}
	}
}

func TestUnmarshalRecord(t *testing.T) {
	good := `{"name":"MAIL<20>","kind":"unique","state":"active","addresses":[{"address":"192.0.2.1"}]}`
	if _, err := UnmarshalRecord([]byte(good)); err != nil {
		t.Error(err)
	}
	for line, want := range map[string]string{
		`{"nmae":"MAIL<20>"}`: `unknown field "nmae"`,
		`MAIL`:                "the line is not a record",
		good + good:           "there is more behind the record",
		`{}`:                  "it has no name",
		strings.Replace(good, "unique", "uniq", 1):                                   `kind "uniq" is none of`,
		strings.Replace(good, `"active"`, `"gone"`, 1):                               `state "gone" is none of`,
		strings.Replace(good, `192.0.2.1`, `2001:db8::1`, 1):                         "is not an IPv4 address",
		strings.Replace(good, `"state"`, `"node":"x","state"`, 1):                    `node "x" is none of b, p, m, h`,
		strings.Replace(good, `"state"`, `"ends":"1901-01-01T00:00:00Z","state"`, 1): "is not between 1970 and 2106",
	} {
		if _, err := UnmarshalRecord([]byte(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}
