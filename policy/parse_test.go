package policy_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/policytest"
)

var update = flag.Bool("update", false, "write the wanted output")

// TestBad: every problem of a bad file, with its place, beside it in .txt.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Parse(filepath.Base(file), data)
		if err == nil || p != nil {
			t.Errorf("%s is taken", file)
			continue
		}
		golden := strings.TrimSuffix(file, ".yaml") + ".txt"
		got := err.Error() + "\n"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestCheckWorld(t *testing.T) {
	w := policytest.World(t)
	p := policytest.Parse(t, `
classes:
  dmz: [10.9.5.0/24]
  management: [10.9.6.0/24]
  lab: [172.16.0.0/16]
rules:
  - {id: a, names: ["@role:mialbox"], classes: [managment, lab, "@holder", public], action: strip}
  - {id: b, names: ["@role:mailbox"], classes: [replication], action: strip}
tests:
  - name: nobody
    given: {mailbox: ex9}
    request: {channel: wins, name: MAIL, addresses: [192.0.2.1]}
    want: {verdict: strip, rule: c, shadow: builtin-spn}
`)
	want := strings.Join([]string{
		"policy.yaml:7:49: class managment is nowhere declared, did you mean management",
		"policy.yaml:7:5: rule a: there is no role mialbox, did you mean mailbox",
		"policy.yaml:3:9: 10.9.5.0/24 of class dmz overlaps 10.9.0.0/16 of class management in the configuration, which counts: take it out here",
		`policy.yaml:10:5: test "nobody": given: ex9 is not a node of role mailbox, its nodes are ex1, ex2`,
		`policy.yaml:13:11: test "nobody": there is no rule c`,
	}, "\n")
	err := p.CheckWorld(w)
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	if err := policy.Default().CheckWorld(w); err != nil {
		t.Error(err)
	}
}

func TestParseTests(t *testing.T) {
	path, cases, err := policy.ParseTests("dir/mail_test.yaml", []byte(`
given: {mailbox: ex1, pool: []}
tests:
  - name: a
    given: {mailbox: [ex2]}
    request: {channel: wins, name: "mail<20>", addresses: [192.0.2.1]}
    want: {verdict: publish}
`))
	if err != nil || path != "dir/mail.yaml" || len(cases) != 1 {
		t.Fatal(path, cases, err)
	}
	if c := cases[0]; c.Given["mailbox"][0] != "ex2" || !cmp.Equal(c.Given, map[string][]string{"mailbox": {"ex2"}, "pool": nil}) || c.Request.Name() != "MAIL<20>" || c.Request.TypeName() != "NB" {
		t.Errorf("%+v", c)
	}
	if path, _, err = policy.ParseTests("dir/x_test.yaml", []byte("policy: ../y.yaml\ntests: []")); err != nil || path != "y.yaml" {
		t.Error(path, err)
	}
	for _, bad := range []string{"", "rules: []", "tests: {}", "tests: [x]"} {
		if _, _, err := policy.ParseTests("x_test.yaml", []byte(bad)); len(policy.Problems(err)) == 0 {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if !policy.IsTestFile("a/b_test.yaml") || policy.IsTestFile("a/b.yaml") || policy.TestFileOf("a/b.yml") != "a/b_test.yaml" {
		t.Error("names of test files")
	}
}

func TestKeys(t *testing.T) {
	keys := policy.Keys()
	for _, want := range []string{"version", "rules[].names", "tests[].request.principal", "tests[].want.published", "classes.*"} {
		if !strings.Contains("\n"+strings.Join(keys, "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
}
