package policy_test

import (
	"math/rand/v2"
	"testing"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/policytest"
)

// TestScreen: what a screen does not hold back is published or forwarded by every decision.
func TestScreen(t *testing.T) {
	w := policytest.World(t)
	r := rand.New(rand.NewPCG(7, 8))
	passed, held := 0, 0
	for range 400 {
		text := policytest.Policy(r, []int{0, 2, 6, 100}[r.IntN(4)])
		p := policytest.Parse(t, text)
		s := policytest.Assume(t, w, policytest.Held[r.IntN(len(policytest.Held))])
		for range 100 {
			q := policytest.Request(r)
			d := p.Decide(s, &q)
			if q.NetBIOS.IsValid() || d.Guarded {
				continue
			}
			screen := p.Screen(q.Channel)
			touched := screen.TouchesName(q.DNS) || screen.TouchesType(q.Type)
			for _, a := range q.Addrs {
				_, class := p.Classify(s, a)
				touched = touched || screen.TouchesClass(class)
			}
			isTouched := d.Verdict != policy.Publish && d.Verdict != policy.Forward
			switch {
			case isTouched && !touched:
				t.Fatalf("%+v is decided as %s by %s, and the screen lets it pass\n%s", q, d.Verdict, d.Rule.ID, text)
			case touched:
				held++
			default:
				passed++
			}
		}
	}
	if passed < 1000 || held < 1000 {
		t.Errorf("%d requests passed, %d were held back: one of them is hardly tried", passed, held)
	}
}

func TestScreenOfRules(t *testing.T) {
	const own = "version: 1\ndefault: publish\nrules:\n"
	for _, tt := range []struct {
		what  string
		rules string // "" for the built-in ones
		name  string
		class string
		touch string // what is held back: name, type (A), class
	}{
		{"built in", "", "www.example.", "", ""},
		{"a filtered class", "", "www.example.", "management", "class"},
		{"the public class", "", "www.example.", "public", ""},
		{"a marshalled SPN", "", "x1uwhrcaaaaaybaaaa.example.", "", "name"},
		{"a name", own + "  - {id: a, names: [bad.example.], action: refuse}", "bad.example.", "", "name"},
		{"another name", own + "  - {id: a, names: [bad.example.], action: refuse}", "good.example.", "", ""},
		{"a class of ours", own + "  - {id: a, classes: [lab], action: strip}", "www.example.", "lab", "class"},
		{"no class", own + "  - {id: a, classes: [\"@unclassified\"], action: strip}", "www.example.", "", "class"},
		{"a type", own + "  - {id: a, types: [A], action: strip}", "www.example.", "", "type"},
		{"another type", own + "  - {id: a, types: [TXT, NB], action: strip}", "www.example.", "", ""},
		{"every type", own + "  - {id: a, names: [\"*\"], action: strip}", "www.example.", "", "type"},
		{"NetBIOS", own + "  - {id: a, types: [NB], action: strip}", "www.example.", "", ""},
		{"another channel", own + "  - {id: a, channels: [update], action: strip}", "www.example.", "", ""},
		{"in shadow mode", own + "  - {id: a, shadow: true, action: strip}", "www.example.", "", ""},
		{"a last word", "version: 1\ndefault: refuse", "www.example.", "", "type"},
		{"guarded names", own + "  - {id: a, names: [\"@guarded\"], action: strip}", "www.example.", "", ""},
		{"holders", own + "  - {id: a, state: [stranger], action: strip}", "www.example.", "", ""},
	} {
		t.Run(tt.what, func(t *testing.T) {
			p := policy.Default()
			if tt.rules != "" {
				p = policytest.Parse(t, tt.rules+"\n")
			}
			s, got := p.Screen(policy.Answer), ""
			if s.TouchesName(tt.name) {
				got += "name"
			}
			if s.TouchesType(1) {
				got += "type"
			}
			if s.TouchesClass(tt.class) {
				got += "class"
			}
			if got != tt.touch {
				t.Errorf("holds back %q, want %q", got, tt.touch)
			}
			if n := testing.AllocsPerRun(100, func() { s.TouchesName(tt.name) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
