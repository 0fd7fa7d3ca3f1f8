package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/finding"
	"github.com/nameward/nameward/policy/lint"
	"github.com/nameward/nameward/registry"
)

func newPolicyTest() *cobra.Command {
	cmd := &cobra.Command{
		Use: "test FILE...", Short: "Run the tests of policies: those beside the rules and those in *_test.yaml", Args: someArgs,
	}
	begin, world, now := formatFlag(cmd, policyFormats...), worldFlag(cmd), nowFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		r := begin("policy test", lint.Columns)
		table := finding.Table{Title: "tests", Columns: []string{"policy", "tests", "passed", "failed", "rules covered", "not covered"}}
		return r.each(files, func(file string) error {
			row, err := testPolicy(r, file, world, now.time())
			if err == nil {
				table.Rows = append(table.Rows, row)
			}
			return err
		}, &table)
	}
	return cmd
}

// testPolicy runs the tests of one policy, or those of one file of tests.
func testPolicy(r *report, file string, world func(*policy.Policy) (*registry.World, error), now time.Time) ([]string, error) {
	p, err := policyUnderTest(file)
	if err != nil {
		return nil, err
	}
	w, err := fitting(p, world)
	if err != nil {
		return nil, err
	}
	cases := p.Cases
	if len(cases) == 0 {
		return nil, fmt.Errorf("%s has no tests: write them under tests: or in %s", p.File, policy.TestFileOf(p.File))
	}
	u := &policy.Runner{Policy: p, World: w, Now: now}
	failed, err := runCases(r, u, cases)
	if err != nil {
		return nil, err
	}
	covered, missing := coveredRules(u)
	return []string{p.File, strconv.Itoa(len(cases)), strconv.Itoa(len(cases) - failed), strconv.Itoa(failed), covered, missing}, nil
}

// policyUnderTest is a policy with its tests; a file of tests stands for its policy with these alone.
func policyUnderTest(file string) (*policy.Policy, error) {
	if !policy.IsTestFile(file) {
		p, err := policy.Load(file)
		if err != nil {
			return nil, err
		}
		return withTests(p)
	}
	path, cases, err := policy.LoadTests(file)
	if err != nil {
		return nil, err
	}
	p, err := policy.Load(path)
	if err != nil {
		return nil, err
	}
	return p.WithCases(cases), nil
}

func runCases(r *report, u *policy.Runner, cases []policy.Case) (failed int, err error) {
	for i := range cases {
		c := &cases[i]
		r.know(c.File)
		res, err := u.Run(c)
		if err != nil {
			return 0, fmt.Errorf("%s:%s: test %q: %w", c.File, c.At, c.Name, err)
		}
		if len(res.Wrong) == 0 {
			if err := r.Pass(c.File, c.Name); err != nil {
				return 0, err
			}
			continue
		}
		failed++
		r.add(failedTest(c, &res))
	}
	return failed, nil
}

func failedTest(c *policy.Case, res *policy.Result) *finding.Finding {
	w := lint.Witness{Request: c.Request, Held: c.Given}
	return &finding.Finding{
		Kind: lint.FailedTest, Severity: lint.FailedTest.Severity,
		Message: fmt.Sprintf("test %q: %s", c.Name, strings.Join(res.Wrong, "; ")),
		Place:   finding.Place{File: c.File, Line: int(c.At.Line), Col: int(c.At.Col)},
		Fields: []finding.Field{
			{Key: "rule", Value: res.Decision.Rule.ID}, {Key: "name", Value: c.Request.Name()}, {Key: "witness", Value: w.String()},
		},
	}
}

// coveredRules is how many of the policy's own rules had a part in a test, and which had none.
func coveredRules(u *policy.Runner) (covered, missing string) {
	var none []string
	own := u.Policy.Rules[:u.Policy.Own]
	for _, r := range own {
		if !u.Covered(r) {
			none = append(none, r.ID)
		}
	}
	if len(none) == 0 {
		return fmt.Sprintf("%d of %d", len(own), len(own)), "-"
	}
	return fmt.Sprintf("%d of %d", len(own)-len(none), len(own)), strings.Join(none, ", ")
}
