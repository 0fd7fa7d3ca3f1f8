package lint

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/finding"
	"github.com/nameward/nameward/policy/policytest"
)

// TestCheck: a policy, and its findings as "ID LINE".
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "version: 1", nil},
		{"unreachable", `
rules:
  - {id: a, names: [".corp.example."], action: strip}
  - {id: b, names: [mail.corp.example., "db*.corp.example."], action: publish}
`, []string{"NW101 4"}},
		{"taken by two together", `
rules:
  - {id: a, names: [x.example.], classes: [public, "@unclassified"], action: refuse}
  - {id: b, names: [x.example.], classes: ["@filtered"], action: strip}
  - {id: c, names: [x.example.], types: [A], action: publish}
  - {id: d, names: [x.example.], types: [TXT], action: refuse}
`, []string{"NW101 5", "NW106 5"}},
		{"conditions that exclude each other", `
rules:
  - {id: a, names: [MAIL], channels: [update], action: strip}
`, []string{"NW101 3"}},
		{"redundant", `
rules:
  - {id: a, classes: ["@filtered"], names: [MAIL], action: strip, alert: true}
`, []string{"NW102 3"}},
		{"broader before narrower", `
rules:
  - {id: a, names: ["SRV*"], from: [10.0.0.0/8], action: refuse}
  - {id: b, names: ["SRV*"], from: [10.9.0.0/16, 192.0.2.0/24], action: strip}
`, []string{"NW103 4"}},
		{"nested classes", `
classes: {lab: [172.16.0.0/16, "2001:db8:a::/48"], web: [172.16.5.0/24, "2001:db8:b::/48"]}
rules:
  - {id: a, classes: [lab], action: refuse}
`, []string{"NW103 2"}},
		{"a leak", `
rules:
  - {id: a, names: [mail.corp.example.], action: publish, expires: 2026-12-31, owner: ops}
`, []string{"NW104 3"}},
		{"an exception", `
rules:
  - {id: a, names: [backup.corp.example.], classes: [management], action: publish}
`, []string{"NW104 3", "NW114 3"}},
		{"IPv6 forgotten", `
classes: {lab: [172.16.0.0/16]}
rules:
  - {id: a, names: [".lab.example."], types: [A], action: strip}
  - {id: b, names: [".lab.example."], from: [10.0.0.0/8], action: refuse}
`, []string{"NW106 2", "NW106 4", "NW106 5"}},
		{"unused classes", `
classes: {lab: [172.16.0.0/16, "2001:db8:a::/48"], none: []}
default: publish
rules:
  - {id: a, names: [x.example.], classes: [management, replication], action: strip}
`, []string{"NW104 3", "NW108 2", "NW108 2"}},
		{"unsigned updates", `
rules:
  - {id: a, names: [".dyn.example."], classes: ["@unclassified"], channels: [update], action: publish}
`, []string{"NW109 3"}},
		{"signed ones", `
rules:
  - {id: a, names: ["WPAD.dyn.example."], classes: ["@unclassified"], channels: [update], principals: [k], action: publish}
`, nil},
		{"expired", `
rules:
  - {id: a, names: [x.example.], action: refuse, expires: 2026-05-31}
`, []string{"NW110 3"}},
		{"silent quarantine", `
rules:
  - {id: a, names: [x.example.], action: quarantine}
`, []string{"NW111 3"}},
		{"a shadow rule is no hindrance", `
rules:
  - {id: a, names: [x.example.], action: refuse, shadow: true}
  - {id: b, names: [x.example.], action: refuse}
`, nil},
	} {
		p := policytest.Parse(t, tt.text)
		found, err := Check(Subject{Policy: p, World: policytest.World(t), Now: now})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		var got []string
		for _, f := range found {
			got = append(got, fmt.Sprintf("%s %d", f.Kind.ID, f.Place.Line))
		}
		slices.Sort(got)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			for _, f := range found {
				t.Logf("%s: %s %v", f.Place, f.Message, f.Fields)
			}
		}
	}
}

// TestNotProved: a policy that is too tangled says so, and claims no rule to be of no use.
func TestNotProved(t *testing.T) {
	var b strings.Builder
	b.WriteString("rules:\n")
	for c := 'a'; c <= 'z'; c++ {
		fmt.Fprintf(&b, "  - {id: %c1, names: [\"*%c*.example.\", \"*%c?%c*\"], action: refuse}\n", c, c, c, c)
	}
	p := policytest.Parse(t, b.String())
	s, err := newSpace(policytest.World(t), now, p)
	if err != nil {
		t.Fatal(err)
	}
	if !s.unfinished {
		t.Fatal("it was followed to the end: the test is of no use")
	}
	found, err := Check(Subject{Policy: p, World: policytest.World(t), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(found, func(f finding.Finding) bool { return f.Kind == NotProved }) {
		t.Errorf("no NW116 in %v", found)
	}
	if slices.ContainsFunc(found, func(f finding.Finding) bool { return f.Kind == Unreachable || f.Kind == Redundant }) {
		t.Errorf("claims without a proof: %v", found)
	}
}

func TestReach(t *testing.T) {
	w := policytest.World(t)
	var mail policy.Request
	if err := mail.SetName("MAIL<20>"); err != nil {
		t.Fatal(err)
	}
	in := netip.MustParsePrefix("10.9.0.0/16")
	ways, proved, err := Reach(w, now, policy.Default(), &mail, in)
	if err != nil || !proved || len(ways) > 0 {
		t.Errorf("built-in: %v, %v, %v", ways, proved, err)
	}
	p := policytest.Parse(t, `
rules:
  - {id: hole, names: ["MA*"], from: [10.9.7.0/24], state: [stranger], action: publish}
`)
	ways, proved, err = Reach(w, now, p, &mail, in)
	if err != nil || !proved || len(ways) != 1 {
		t.Fatalf("%v, %v, %v", ways, proved, err)
	}
	got := ways[0].Witness
	if ways[0].Rule.ID != "hole" || !in.Contains(got.Request.Addrs[0]) || !netip.MustParsePrefix("10.9.7.0/24").Contains(got.Request.Source) {
		t.Errorf("%s", got)
	}
	if f := ways[0].Finding(p); f.Place.Line != 3 || !strings.Contains(f.Message, "class management under MAIL<20>") {
		t.Errorf("%+v", f)
	}
	// Only what lies in the prefix counts.
	if ways, _, _ = Reach(w, now, p, &mail, netip.MustParsePrefix("10.99.0.0/16")); len(ways) != 1 || ways[0].Class != "" {
		t.Errorf("%v", ways)
	}
}

func TestSamples(t *testing.T) {
	list := []netip.Prefix{}
	for _, s := range []string{"10.0.0.0/8", "10.9.0.0/16", "10.9.0.11/32", "192.0.2.0/31", "192.0.2.0/32", "192.0.2.1/32", "0.0.0.0/1", "2001:db8::/32"} {
		list = append(list, netip.MustParsePrefix(s))
	}
	got := samples(list)
	for _, p := range list {
		want := p.String() != "192.0.2.0/31" // its two halves are in the list
		has := slices.ContainsFunc(got, func(a netip.Addr) bool {
			return p.Contains(a) && !slices.ContainsFunc(list, func(q netip.Prefix) bool { return q.Bits() > p.Bits() && q.Contains(a) })
		})
		if has != want {
			t.Errorf("%s: %v, want %v, in %v", p, has, want, got)
		}
	}
	for _, is4 := range []bool{true, false} {
		if !slices.ContainsFunc(got, func(a netip.Addr) bool { return a.Is4() == is4 && !covered(a, list) }) {
			t.Errorf("no address outside of all prefixes, IPv4 %v: %v", is4, got)
		}
	}
}

func TestIgnore(t *testing.T) {
	text := `rules:
  - id: a # nameward:ignore NW111 it is quiet there on purpose
    names: [x.example.]
    action: quarantine
  # nameward:ignore NW111: the comment above
  - {id: b, names: [y.example.], action: quarantine}
  - id: c
    names: [z.example.]
    action: quarantine # nameward:ignore nw111 at the end of the rule
  - id: d # nameward:ignore NW111
    names: [w.example.]
    action: quarantine
  - id: e # nameward:ignore NW999 what
    names: [v.example.]
    action: refuse # nameward:ignore NW104 nothing there
`
	p := policytest.Parse(t, text)
	found, err := Check(Subject{Policy: p, World: policytest.World(t), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 4 {
		t.Fatalf("%d findings to begin with: %v", len(found), found)
	}
	var got []string
	for _, f := range Ignore(found, []string{"policy.yaml"}, func(string) []byte { return []byte(text) }) {
		got = append(got, fmt.Sprintf("%s %s", f.Kind.ID, f.Place))
	}
	slices.Sort(got)
	want := []string{"NW111 policy.yaml:10:5", "NW113 policy.yaml:10:11", "NW113 policy.yaml:13:11", "NW113 policy.yaml:15:20"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
