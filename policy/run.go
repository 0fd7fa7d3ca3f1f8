package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

// testFileShape is that of a file of tests beside a policy.
var testFileShape = yamlat.Shape[file]{
	What: "a file of policy tests",
	Fields: []yamlat.Field[file]{
		{Key: "version", Set: func(d *decoder, n *node, f *file) { d.Choice(n, "1") }},
		{Key: "policy", Set: func(d *decoder, n *node, f *file) { f.policy = d.String(n).Value }},
		{Key: "given", Set: func(d *decoder, n *node, f *file) { f.given = given(d, n) }},
		{Key: "tests", Required: true, Set: func(d *decoder, n *node, f *file) {
			d.Each(n, func(n *node) { f.cases = append(f.cases, decodeCase(d, n, f.name)) })
		}},
	},
}

// testSuffix ends the name of a file of tests: mail.yaml has its tests in mail_test.yaml.
const testSuffix = "_test.yaml"

// IsTestFile reports whether a path is that of a file of tests.
func IsTestFile(path string) bool { return strings.HasSuffix(path, testSuffix) }

// TestFileOf is the path of the file of tests that may stand beside a policy.
func TestFileOf(policy string) string {
	return strings.TrimSuffix(policy, filepath.Ext(policy)) + testSuffix
}

// LoadTests reads a file of tests. It returns the path of the policy that they are about and the tests.
// The error is a [yamlat.Problems], or another one when the file cannot be read at all.
func LoadTests(path string) (policy string, cases []Case, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", nil, fmt.Errorf("reading the tests: %w", err)
	}
	return ParseTests(path, data)
}

// ParseTests reads data, the content of the file of tests named name.
func ParseTests(name string, data []byte) (policy string, cases []Case, err error) {
	f := &file{name: name}
	d, root := parseRoot(name, data)
	if root != nil {
		testFileShape.Decode(d, root, f)
	}
	if err := d.Err(); err != nil {
		return "", nil, err
	}
	for i := range f.cases {
		given := maps.Clone(f.given)
		if given == nil {
			given = map[string][]string{}
		}
		maps.Copy(given, f.cases[i].Given)
		f.cases[i].Given = given
	}
	policy = strings.TrimSuffix(name, testSuffix) + ".yaml"
	if f.policy != "" {
		policy = filepath.Join(filepath.Dir(name), f.policy)
	}
	return policy, f.cases, nil
}

// Runner runs tests of a policy in a world.
type Runner struct {
	Policy *Policy
	World  *registry.World
	Now    time.Time // for requests without a time

	states  map[string]*registry.Snapshot
	covered map[*Rule]bool
}

// Result is what came of one test. Wrong says what differs from what was wanted, in words; a test that
// passed has none.
type Result struct {
	Case     *Case
	Decision Decision
	Wrong    []string
}

// Run runs one test. An error means that it could not be run.
func (u *Runner) Run(c *Case) (Result, error) {
	s, err := u.state(c.Given)
	if err != nil {
		return Result{}, fmt.Errorf("given: %w", err)
	}
	r := c.Request
	if r.Time.IsZero() {
		r.Time = u.Now
	}
	res := Result{Case: c, Decision: u.Policy.Decide(s, &r)}
	u.cover(&res.Decision)
	res.Wrong = c.Want.compare(&res.Decision)
	return res, nil
}

// state is the snapshot in which roles are held so. Tests with the same one share it.
func (u *Runner) state(held map[string][]string) (*registry.Snapshot, error) {
	var key strings.Builder
	for _, role := range slices.Sorted(maps.Keys(held)) {
		fmt.Fprintf(&key, "%s=%q ", role, held[role])
	}
	if s, ok := u.states[key.String()]; ok {
		return s, nil
	}
	s, err := registry.Assume(u.World, held)
	if err != nil {
		return nil, err
	}
	if u.states == nil {
		u.states = map[string]*registry.Snapshot{}
	}
	u.states[key.String()] = s
	return s, nil
}

// cover notes the rules that had a part in a decision.
func (u *Runner) cover(d *Decision) {
	if u.covered == nil {
		u.covered = map[*Rule]bool{}
	}
	u.covered[d.Rule] = true
	if d.Shadow != nil {
		u.covered[d.Shadow] = true
	}
	for _, f := range d.Fates() {
		u.covered[f.Rule] = true
	}
}

// Covered reports whether any test that was run had a decision in which the rule had a part.
func (u *Runner) Covered(r *Rule) bool { return u.covered[r] }

func (w *Want) compare(d *Decision) []string {
	var wrong []string
	differ := func(what, want, got string) {
		wrong = append(wrong, fmt.Sprintf("%s: want %s, got %s", what, want, got))
	}
	if w.Verdict != d.Verdict {
		differ("verdict", w.Verdict.String(), fmt.Sprintf("%s (%s, by rule %s)", d.Verdict, d.Reason, d.Rule.ID))
	}
	if w.Rule != "" && w.Rule != d.Rule.ID {
		differ("rule", w.Rule, d.Rule.ID)
	}
	if shadow := shadowID(d); w.Shadow != "" && w.Shadow != shadow {
		differ("shadow", w.Shadow, shadow)
	}
	if got := d.AppendPublished(nil); w.SaysPublished && !sameAddrs(w.Published, got) {
		differ("published", addrText(w.Published), addrText(got))
	}
	return wrong
}

// noShadow is what a test wants when no rule in shadow mode is to match.
const noShadow = "none"

func shadowID(d *Decision) string {
	if d.Shadow == nil {
		return noShadow
	}
	return d.Shadow.ID
}

// sameAddrs compares without regard to the order.
func sameAddrs(a, b []netip.Addr) bool {
	sorted := func(l []netip.Addr) []netip.Addr { return slices.SortedFunc(slices.Values(l), netip.Addr.Compare) }
	return slices.Equal(sorted(a), sorted(b))
}

func addrText(l []netip.Addr) string {
	if len(l) == 0 {
		return "nothing"
	}
	return list(l)
}
