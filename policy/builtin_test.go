package policy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/policytest"
)

// TestCases runs every policy below testdata/cases with the tests beside its rules, in the world of
// policytest. builtin.yaml has no rules of its own.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		p, err := policy.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		run := &policy.Runner{Policy: p, World: policytest.World(t), Now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
		if err := p.CheckWorld(run.World); err != nil {
			t.Error(err)
		}
		for i := range p.Cases {
			c := &p.Cases[i]
			res, err := run.Run(c)
			if err != nil {
				t.Errorf("%s:%s: %v", file, c.At, err)
			}
			if len(res.Wrong) > 0 {
				t.Errorf("%s:%s: %s:\n%s", file, c.At, c.Name, strings.Join(res.Wrong, "\n"))
			}
		}
		for _, r := range p.Rules {
			if !run.Covered(r) && (!r.IsBuiltin() || strings.HasSuffix(file, "builtin.yaml")) {
				t.Errorf("%s: no test has rule %s", file, r.ID)
			}
		}
	}
}

// TestBuiltinAlone: the default policy is the same as a file without rules.
func TestBuiltinAlone(t *testing.T) {
	p := policytest.Parse(t, "version: 1")
	d := policy.Default()
	if len(d.Rules) != len(p.Rules) || d.Own != 0 || len(d.Rules) < 8 {
		t.Fatalf("%d rules, %d own, want %d", len(d.Rules), d.Own, len(p.Rules))
	}
	for i, r := range d.Rules {
		if r.ID != p.Rules[i].ID || r.Pos != i+1 {
			t.Errorf("rule %d is %s at %d", i+1, r.ID, r.Pos)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*.yaml")
	for _, file := range append(files, "builtin.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	s := policytest.Assume(f, policytest.World(f), nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse("f.yaml", data)
		if err != nil {
			if len(policy.Problems(err)) == 0 {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		for i := range p.Cases {
			q := p.Cases[i].Request
			got := p.Decide(s, &q)
			_, want := p.Explain(s, &q)
			if summary(&got) != summary(&want) {
				t.Fatalf("Decide: %s\nExplain: %s", summary(&got), summary(&want))
			}
		}
		_, _, _ = policy.ParseTests("f_test.yaml", data)
	})
}
