package deploy_test

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/deploy"
	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/lint"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
)

const policyReference = "policy/policy.reference.yaml"

// today is when the policies are decided, so that their exceptions do not expire under the tests.
var today = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// policyFiles are the paths of the files in deploy.Policies that a function picks.
func policyFiles(t *testing.T, least int, pick func(path string) bool) []string {
	t.Helper()
	var out []string
	err := fs.WalkDir(deploy.Policies, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && pick(path) {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < least {
		t.Fatalf("only %v are there", out)
	}
	return out
}

func readPolicy(t *testing.T, path string) []byte {
	t.Helper()
	data, err := deploy.Policies.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sample is a policy with all of its tests and the world that it goes with.
type sample struct {
	*policy.Policy
	world *registry.World
}

func loadSample(t *testing.T, file string) sample {
	t.Helper()
	p, err := policy.Parse(file, readPolicy(t, file))
	if err != nil {
		t.Fatal(err)
	}
	beside := policy.TestFileOf(file)
	switch data, err := deploy.Policies.ReadFile(beside); {
	case err == nil:
		about, cases, err := policy.ParseTests(beside, data)
		if err != nil {
			t.Fatal(err)
		}
		if about != file {
			t.Errorf("%s is about %s", beside, about)
		}
		p.Cases = append(p.Cases, cases...)
	case !errors.Is(err, fs.ErrNotExist):
		t.Fatal(err)
	}
	if p.Config == "" {
		t.Fatalf("%s names no configuration", file)
	}
	c, err := config.Load(p.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	return sample{p, c.World}
}

// TestPolicies: every sample policy suits its configuration, passes its tests, has each of its rules in
// one, and has nothing that the check finds but what a comment ignores with a reason.
func TestPolicies(t *testing.T) {
	isPolicy := func(file string) bool { return path.Base(file) == "policy.yaml" || file == policyReference }
	for _, file := range policyFiles(t, 6, isPolicy) {
		t.Run(file, func(t *testing.T) {
			s := loadSample(t, file)
			if err := s.CheckWorld(s.world); err != nil {
				t.Fatal(err)
			}
			run := &policy.Runner{Policy: s.Policy, World: s.world, Now: today}
			runCases(t, run)
			checkCovered(t, run, file != policyReference)
			found, err := lint.Check(lint.Subject{Policy: s.Policy, World: s.world, Now: today, Covered: run.Covered})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range lint.Ignore(found, []string{file}, func(file string) []byte { return readPolicy(t, file) }) {
				t.Errorf("%s: %s [%s]", f.Place, f.Message, f.Kind.ID)
			}
		})
	}
}

func runCases(t *testing.T, run *policy.Runner) {
	t.Helper()
	for i := range run.Policy.Cases {
		c := &run.Policy.Cases[i]
		res, err := run.Run(c)
		if err != nil {
			t.Errorf("%s:%s: %v", c.File, c.At, err)
			continue
		}
		if len(res.Wrong) > 0 {
			t.Errorf("%s:%s: %s:\n%s", c.File, c.At, c.Name, strings.Join(res.Wrong, "\n"))
		}
	}
}

// checkCovered wants a test and a reason for each rule of the file. A sample for people also shows that
// the second network card is kept back and that the guarded name stays with its holder.
func checkCovered(t *testing.T, run *policy.Runner, isSample bool) {
	t.Helper()
	for i, r := range run.Policy.Rules {
		own := i < run.Policy.Own
		if wanted := own || isSample && (r.ID == "builtin-filtered" || r.ID == "builtin-guarded-holder"); wanted && !run.Covered(r) {
			t.Errorf("no test has rule %s", r.ID)
		}
		if own && isSample && r.Reason == "" {
			t.Errorf("rule %s has no reason", r.ID)
		}
	}
}

// TestPolicyOfSamples: the policy that a sample names is there, is written for it and suits it.
func TestPolicyOfSamples(t *testing.T) {
	named := 0
	for _, file := range samples(t) {
		c, err := config.Load(filepath.FromSlash(file))
		if err != nil {
			t.Fatal(err)
		}
		if c.Policy == "" {
			continue
		}
		named++
		p, err := policy.Load(c.Policy)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.CheckWorld(c.World); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if p.ConfigPath() != filepath.FromSlash(file) {
			t.Errorf("%s names %s, which is written for %s", file, c.Policy, p.ConfigPath())
		}
	}
	if named < 2 {
		t.Errorf("%d samples name a policy", named)
	}
}

// TestPolicyConfigs: the configurations that stand beside policies are as good as the others.
func TestPolicyConfigs(t *testing.T) {
	s := schema(t)
	for _, file := range policyFiles(t, 2, func(file string) bool { return path.Base(file) == "nameward.yaml" }) {
		data := readPolicy(t, file)
		if _, err := config.Parse(file, data); err != nil {
			t.Error(err)
		}
		if err := s.Validate(value(t, data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestPolicyReference finds keys that the reference does not show.
func TestPolicyReference(t *testing.T) {
	shown := make(map[string]bool)
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, sub := range v {
				p := strings.TrimPrefix(path+"."+key, ".")
				if path == "classes" || path == "tests[].given" {
					p = path + ".*"
				}
				shown[p] = true
				walk(p, sub)
			}
		case []any:
			for _, e := range v {
				walk(path+"[]", e)
			}
		}
	}
	walk("", value(t, readPolicy(t, policyReference)))
	for _, key := range policy.Keys() {
		if !shown[key] {
			t.Errorf("%s does not show %s", policyReference, key)
		}
	}
}

// TestPolicyWords: the reference has every word of the keys with a choice.
func TestPolicyWords(t *testing.T) {
	text := string(readPolicy(t, policyReference))
	var words []string
	for _, a := range policy.Actions {
		words = append(words, a.String())
	}
	for _, c := range policy.Channels {
		words = append(words, c.String())
	}
	for _, s := range policy.States {
		words = append(words, s.String())
	}
	words = append(words, policy.ClassFiltered, policy.ClassUnclassified, policy.ClassHolder, policy.ClassMember,
		"@controllers", "@guarded", "@reserved", "@role:")
	fields := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n\t,;:.\"[]()#", r) })
	for _, w := range words {
		if !slices.Contains(fields, strings.TrimSuffix(w, ":")) {
			t.Errorf("%s does not show %s", policyReference, w)
		}
	}
}
