package lint

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/policytest"
	"github.com/nameward/nameward/registry"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func randomPolicy(t *testing.T, r *rand.Rand, most int) (*policy.Policy, string) {
	text := policytest.Policy(r, most)
	return policytest.Parse(t, text), text
}

func randomRequest(r *rand.Rand, single bool) policy.Request {
	q := policytest.Request(r)
	q.Time = now
	if single && len(q.Addrs) > 1 {
		q.Addrs = q.Addrs[:1]
	}
	return q
}

// TestWalkAgrees: in every context that the walk visits, the engine decides by the rule that the walk
// says.
func TestWalkAgrees(t *testing.T) {
	w := policytest.World(t)
	r := rand.New(rand.NewPCG(5, 6))
	asked := 0
	for range 150 {
		p, text := randomPolicy(t, r, 8)
		s, err := newSpace(w, now, p)
		if err != nil {
			t.Fatal(err)
		}
		every := 0
		s.walk(func(c *context, hits []hit) bool {
			for _, h := range hits {
				if every++; every%97 != 0 {
					continue
				}
				asked++
				first, shadows := s.first(0, h.rules)
				witness := s.witness(c, addrOf(h))
				d, err := s.decide(p, witness)
				if err != nil {
					t.Fatal(err)
				}
				if d.Rule != s.rules[first] {
					t.Fatalf("%s: the engine says %s, the walk %s\n%s", witness, d.Rule.ID, s.rules[first].ID, text)
				}
				if (d.Shadow == nil) != (len(shadows) == 0) || d.Shadow != nil && d.Shadow != s.rules[shadows[0]] {
					t.Fatalf("%s: shadow %v, the walk %v\n%s", witness, d.Shadow, shadows, text)
				}
			}
			return true
		})
		if s.unfinished {
			t.Fatalf("not finished:\n%s", text)
		}
	}
	if asked < 5000 {
		t.Errorf("the engine was asked %d times only", asked)
	}
}

// TestNothingIsMissed: a rule that decides a request made at random was found to decide something, and
// an address that is published there against its class was found to leak.
func TestNothingIsMissed(t *testing.T) {
	w := policytest.World(t)
	r := rand.New(rand.NewPCG(7, 8))
	for range 250 {
		p, text := randomPolicy(t, r, 8)
		s, err := newSpace(w, now, p)
		if err != nil {
			t.Fatal(err)
		}
		a := &analysis{space: s, p: p, rules: make([]ruleFacts, len(s.rules))}
		s.walk(a.look)
		snap := policytest.Assume(t, w, policytest.Held[r.IntN(len(policytest.Held))])
		for range 300 {
			q := randomRequest(r, true)
			d := p.Decide(snap, &q)
			if !a.rules[d.Rule.Pos-1].decides {
				t.Fatalf("rule %s decides %+v and was not found to\n%s", d.Rule.ID, q, text)
			}
			for _, f := range d.Fates() {
				if f.Kept && d.Verdict == policy.Publish && isFiltered(f.Class) && !slices.ContainsFunc(a.leaks, func(l leak) bool {
					return l.rule == d.Rule.Pos-1 && slices.Contains(l.classes, f.Class) && (l.guarded || !d.Guarded)
				}) {
					t.Fatalf("rule %s publishes %s and was not found to: %+v\n%s", d.Rule.ID, f.Addr, q, text)
				}
			}
		}
	}
}

// TestFindingsHold: what is said to be redundant or unreachable can be taken out, and no decision
// changes.
func TestFindingsHold(t *testing.T) {
	w := policytest.World(t)
	r := rand.New(rand.NewPCG(9, 10))
	snaps := heldStates(t, w)
	removed := 0
	for range 250 {
		p, text := randomPolicy(t, r, 10)
		found, err := Check(Subject{Policy: p, World: w, Now: now})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for _, f := range found {
			if f.Kind != Redundant && f.Kind != Unreachable {
				continue
			}
			removed++
			q := p.Without(f.Fields[0].Value)
			if len(q.Rules) != len(p.Rules)-1 {
				t.Fatalf("%s: %d rules, %d before", f.Message, len(q.Rules), len(p.Rules))
			}
			for range 200 {
				req, snap := randomRequest(r, false), snaps[r.IntN(len(snaps))]
				before, after := p.Decide(snap, &req), q.Decide(snap, &req)
				if !same(&before, &after) {
					t.Fatalf("%s\nbut %+v is %s by %s, and %s by %s without it\n%s", f.Message, req,
						before.Verdict, before.Rule.ID, after.Verdict, after.Rule.ID, text)
				}
			}
		}
	}
	if removed < 50 {
		t.Errorf("only %d rules were found to be of no use", removed)
	}
}

func heldStates(t *testing.T, w *registry.World) []*registry.Snapshot {
	var out []*registry.Snapshot
	for _, held := range policytest.Held {
		out = append(out, policytest.Assume(t, w, held))
	}
	return out
}

// TestDiffFindsAll: when Diff says nothing no request is decided otherwise, and what it shows differs.
func TestDiffFindsAll(t *testing.T) {
	w := policytest.World(t)
	r := rand.New(rand.NewPCG(11, 12))
	snaps := heldStates(t, w)
	alike := 0
	for range 250 {
		p, text := randomPolicy(t, r, 8)
		q, other := p, text
		switch {
		case p.Own > 0 && r.IntN(3) > 0:
			q = p.Without(p.Rules[r.IntN(p.Own)].ID)
		case r.IntN(2) == 0:
			q, other = randomPolicy(t, r, 8)
		}
		diffs, proved, err := Diff(w, now, p, q)
		if err != nil || !proved {
			t.Fatal(err, proved)
		}
		if len(diffs) == 0 {
			alike++
		}
		for range 300 {
			req, snap := randomRequest(r, false), snaps[r.IntN(len(snaps))]
			before, after := p.Decide(snap, &req), q.Decide(snap, &req)
			if !same(&before, &after) && len(diffs) == 0 {
				t.Fatalf("%+v is %s by %s and %s by %s, and no difference was found\n%s\n%s", req,
					before.Verdict, before.Rule.ID, after.Verdict, after.Rule.ID, text, other)
			}
		}
	}
	if alike < 20 || alike > 200 {
		t.Errorf("%d of 250 pairs were alike: the test says little", alike)
	}
}
