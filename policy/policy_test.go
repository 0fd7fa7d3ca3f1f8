package policy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/policytest"
)

// TestExplainAgrees: the index decides as the plain reading of the rules does.
func TestExplainAgrees(t *testing.T) {
	w := policytest.World(t)
	r := rand.New(rand.NewPCG(1, 2))
	verdicts := map[policy.Action]int{}
	for range 1500 {
		text := policytest.Policy(r, []int{6, 12, 12, 200}[r.IntN(4)])
		p := policytest.Parse(t, text)
		s := policytest.Assume(t, w, policytest.Held[r.IntN(len(policytest.Held))])
		for range 40 {
			q := policytest.Request(r)
			got := p.Decide(s, &q)
			_, want := p.Explain(s, &q)
			if diff := cmp.Diff(summary(&want), summary(&got)); diff != "" {
				t.Fatalf("Decide differs from Explain (-explain +decide):\n%s\n%+v\n%s", diff, q, text)
			}
			verdicts[got.Verdict]++
		}
	}
	for _, a := range policy.Actions {
		if verdicts[a] < 100 {
			t.Errorf("only %d decisions were %s: the policies are too tame", verdicts[a], a)
		}
	}
}

// summary is all that a decision says.
func summary(d *policy.Decision) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s by %s", d.Verdict, d.Reason, d.Rule.ID)
	if d.Shadow != nil {
		fmt.Fprintf(&b, " shadow %s", d.Shadow.ID)
	}
	fmt.Fprintf(&b, " alert %v guarded %v role %q id %s\n", d.Alert, d.Guarded, d.Role, d.ID)
	for _, f := range d.Fates() {
		fmt.Fprintf(&b, "%s %s kept %v %s by %s\n", f.Addr, f.Class, f.Kept, f.Reason, f.Rule.ID)
	}
	fmt.Fprintf(&b, "published %v", d.AppendPublished(nil))
	return b.String()
}
