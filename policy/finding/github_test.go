package finding

import "testing"

func TestGitHubCommand(t *testing.T) {
	tests := []struct {
		name    string
		finding Finding
		want    string
	}{
		{"full", Finding{Kind: published, Severity: Error, Message: "m: a, b", Place: Place{File: "a.db", Line: 1, Col: 2, EndCol: 4}},
			"::error file=a.db,line=1,col=2,endColumn=4,title=NW104 published-management-address::m: a, b\n"},
		{"line only", Finding{Kind: shadowed, Severity: Warning, Message: "m", Place: Place{File: "a.db", Line: 1, EndCol: 4}},
			"::warning file=a.db,line=1,title=NW201 shadowed-rule::m\n"},
		{"packet", Finding{Kind: stale, Message: "m", Place: Place{File: "a.pcap", Packet: 9}},
			"::notice file=a.pcap,title=NW310 stale-record::packet 9: m\n"},
		{"no place, no kind", Finding{Severity: Error, Message: "m"}, "::error title=error::m\n"},
		{"meaningful characters", Finding{Kind: &Kind{ID: "a:b", Name: "c,d%"}, Message: "1%\r\n2", Place: Place{File: `x\y:z,`}},
			"::notice file=x/y%3Az%2C,title=a%3Ab c%2Cd%25::1%25%0D%0A2\n"},
		{"control characters", Finding{Severity: Error, Message: "\x1b[0m\xff"}, `::error title=error::\x1b[0m\xff` + "\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := string(githubDoc{}.finding(nil, &test.finding)); got != test.want {
				t.Errorf("got  %swant %s", got, test.want)
			}
		})
	}
}
