package finding

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

var (
	published = &Kind{
		ID: "NW104", Name: "published-management-address", Severity: Error,
		Summary: "A management address is published.",
		Page: "# Management address published\n\nClients that ask for the name are sent to an address\n" +
			"that only administrators can reach.\n\n    mail  IN  A  10.9.0.11\n\nRemove the record, or give its class `public`.",
	}
	shadowed = &Kind{ID: "NW201", Name: "shadowed-rule", Severity: Warning, Summary: "A rule is never reached."}
	stale    = &Kind{ID: "NW310", Name: "stale-record", Severity: Note, Summary: "A record is old."}
	kinds    = []*Kind{published, shadowed, stale}
	columns  = []string{"name", "address", "class"}
)

const zone = "$ORIGIN corp.example.\n" +
	"; the public names\n" +
	"mail\t300\tIN\tA\t10.9.0.11\n" +
	"日本語 300 IN A 10.9.0.12\n"

func sources(file string) []byte {
	switch file {
	case "zones/corp.db":
		return []byte(zone)
	case "evil\x1b[2J.db":
		return []byte("x\x1b]0;owned\a A\t\xff\u202e10.9.0.1 " + strings.Repeat("long ", 100) + "end\n")
	}
	return nil
}

// report is what is written in a test.
type report struct {
	findings []*Finding
	passed   [][2]string
	summary  []Table
}

// reports are the contents that every format has to cope with, each with a golden file.
var reports = map[string]report{
	"empty": {},
	"mixed": {
		findings: []*Finding{
			{
				Kind: published, Severity: Error,
				Message: "mail.corp.example. publishes 10.9.0.11, a management address; remove the record",
				Place:   Place{File: "zones/corp.db", Line: 3, Col: 15, EndCol: 24},
				Fields:  []Field{{"name", "mail.corp.example."}, {"address", "10.9.0.11"}, {"class", "management"}, {"witness", "ex1"}},
				Related: []Related{{Place{File: "wins.txt", Line: 12}, "registered here too"}, {Place{File: "wins.txt", Line: 12}, "registered here too"}},
			},
			{
				Kind: published, Severity: Error, Message: "a wide name before the place",
				Place:  Place{File: "zones/corp.db", Line: 4, Col: 14},
				Fields: []Field{{"name", "日本語.corp.example."}, {"address", "10.9.0.12"}},
			},
			{
				Kind: shadowed, Severity: Warning, Message: "rule 4 is never reached, rule 2 takes all it would",
				Place: Place{File: "/etc/nameward/policy.yaml", Line: 40},
			},
			{
				Kind: stale, Severity: Note, Message: "MAIL<20> was last refreshed 400 days ago",
				Place:  Place{File: `C:\dumps\lan 1.pcap`, Packet: 17},
				Fields: []Field{{"name", "MAIL<20>"}, {"address", "192.0.2.11"}, {"address", "192.0.2.12"}, {"class", ""}},
			},
			{Severity: Warning, Message: "nothing was read"},
		},
		passed: [][2]string{{"policy.yaml", "a public address is allowed"}, {"policy.yaml", "a heartbeat address is not"}},
		summary: []Table{
			{"Findings by kind", []string{"id", "kind", "count"}, [][]string{
				{"NW104", "published-management-address", "2"}, {"NW201", "shadowed-rule", "1"}, {"NW310", "stale-record", "1"}}},
			{"Sources", []string{"source", "records"}, [][]string{{"zones/corp.db", "1204"}, {"wins.txt", "96"}}},
		},
	},
	"hostile": {
		findings: []*Finding{{
			Kind:     &Kind{ID: "NW\x1b[31m", Name: "a,b:c%\n::error::x", Severity: Error},
			Severity: Error,
			Message:  "\x1b]0;title\a\r\n::set-output name=x::y </script><script>alert(1)</script> \"'&]]> \xff\u202e\u2028",
			Place:    Place{File: "evil\x1b[2J.db", Line: 1, Col: 19, EndCol: 27},
			Fields: []Field{{"name", "=cmd|' /C calc'!A0"}, {"address", "\t@SUM(1)"}, {"class", "a;=1+1"},
				{"tags", "-1\"quoted\""}, {"<b>", "\x00\u0085"}},
			Related: []Related{{Place{File: "..\\x:y%20,z\n", Line: 2}, "<img src=x onerror=alert(1)>"}},
		}},
		passed:  [][2]string{{"s\x00\"<>", "n]]>\ufffe"}, {"", ""}},
		summary: []Table{{"\x1b[5m</caption>", []string{"<script>", "\xff"}, [][]string{{"\n", "1"}, {"</td>"}, {"a", "b", "c"}, {}}}},
	},
}

func sampleOptions() Options {
	return Options{
		Tool: "nameward", Version: "1.2.3", Title: "audit", Kinds: kinds, Columns: columns, Source: sources,
		Time: time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC),
	}
}

func render(t testing.TB, f Format, o Options, r report) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, f, o)
	for _, found := range r.findings {
		if err := w.Add(found); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range r.passed {
		if err := w.Pass(p[0], p[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(r.summary...); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
