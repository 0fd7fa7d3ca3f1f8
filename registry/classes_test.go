package registry

import (
	"net/netip"
	"strings"
	"testing"
)

// TestPlain has the addresses of RFC 6052, Section 2.4, behind the prefix lengths of its table.
func TestPlain(t *testing.T) {
	prefixes := []string{"2001:db8::/32", "2001:dc8:100::/40", "2001:dd8:122::/48", "2001:de8:122:300::/56", "2001:df8:122:344::/64", "2001:d08:122:344::/96"}
	w := &World{}
	for _, p := range prefixes {
		w.NAT64 = append(w.NAT64, netip.MustParsePrefix(p))
	}
	s, err := Assume(w, nil)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"2001:db8:c000:221::":          "192.0.2.33",
		"2001:dc8:1c0:2:21::":          "192.0.2.33",
		"2001:dd8:122:c000:2:2100::":   "192.0.2.33",
		"2001:de8:122:3c0:0:221::":     "192.0.2.33",
		"2001:df8:122:344:c0:2:2100:0": "192.0.2.33",
		"2001:d08:122:344::192.0.2.33": "192.0.2.33",
		"64:ff9b::192.0.2.33":          "192.0.2.33",
		"64:ff9b:1:2:3:4:192.0.2.33":   "192.0.2.33",
		"::ffff:192.0.2.33":            "192.0.2.33",
		"fe80::1%eth0":                 "fe80::1",
		"2001:db9::1":                  "2001:db9::1",
		"192.0.2.33":                   "192.0.2.33",
	} {
		if got := s.Plain(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("Plain(%s) = %s, want %s", addr, got, want)
		}
	}
}

func TestAssume(t *testing.T) {
	nodes := testNodes()
	w := &World{Nodes: nodes, Roles: []*Role{
		{Name: "one", DNS: []string{"one.example."}, Nodes: nodes},
		{Name: "all", DNS: []string{"all.example."}, Nodes: nodes, Mode: All},
	}}
	for _, tt := range []struct {
		held     map[string][]string
		one, all string
		err      string
	}{
		{nil, "ex1,ex2,ex3,ex4", "ex1,ex2,ex3,ex4", ""},
		{map[string][]string{"one": {"ex2"}}, "ex2", "ex1,ex2,ex3,ex4", ""},
		{map[string][]string{"one": {}, "all": {"ex3", "ex1"}}, "", "ex1,ex3", ""},
		{map[string][]string{"none": {"ex1"}}, "", "", "there is no role none"},
		{map[string][]string{"one": {"ex9"}}, "", "", "ex9 is not a node of role one"},
		{map[string][]string{"one": {"ex1", "ex2"}}, "", "", "role one has one holder and 2 are named"},
	} {
		s, err := Assume(w, tt.held)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v: error %v, want %s", tt.held, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for role, want := range map[string]string{"one": tt.one, "all": tt.all} {
			r, _ := s.Role(role)
			if got := strings.Join(r.ServedNames(), ","); got != want {
				t.Errorf("%v: %s is served by %q, want %q", tt.held, role, got, want)
			}
			if r.Unknown() != (want == "") {
				t.Errorf("%v: %s unknown: %v", tt.held, role, r.Unknown())
			}
		}
	}
}

// TestAssumeNobody: that nobody holds a role is not the beginning, when its initial holder would.
func TestAssumeNobody(t *testing.T) {
	nodes := testNodes()
	w := &World{Nodes: nodes, Roles: []*Role{
		{Name: "one", DNS: []string{"one.example."}, Nodes: nodes, Source: Source{Kind: SourceOperator, Initial: "ex1"}},
	}}
	s, err := Assume(w, map[string][]string{"one": {}})
	if err != nil {
		t.Fatal(err)
	}
	if r, _ := s.Role("one"); len(r.Served) > 0 {
		t.Errorf("one is served by %v, want nobody", r.ServedNames())
	}
}
