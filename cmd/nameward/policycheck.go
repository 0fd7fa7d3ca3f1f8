package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/audit"
	"github.com/nameward/nameward/policy/finding"
	"github.com/nameward/nameward/policy/lint"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

func newPolicyCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use: "check FILE...", Short: "Find what is wrong with policy files: syntax, unreachable rules, leaks, each with a witness", Args: someArgs,
		Long: "Find what is wrong with policy files. What is said of decisions is proved: every request that the rules can tell\n" +
			"apart is looked at, and a witness is shown that the engine was asked about. A comment\n" +
			"\"# nameward:ignore NW104 REASON\" takes a finding back. \"nameward policy page NW104\" explains one.",
	}
	begin, world, now := formatFlag(cmd, policyFormats...), worldFlag(cmd), nowFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		r := begin("policy check", lint.Columns)
		table := finding.Table{Title: "policies", Columns: []string{"policy", "rules", "tests", "findings"}}
		return r.each(files, func(file string) error {
			before := r.count
			p, err := checkPolicy(r, file, world, now.time())
			if err == nil {
				table.Rows = append(table.Rows, []string{file, strconv.Itoa(p.Own), strconv.Itoa(len(p.Cases)), strconv.Itoa(r.count - before)})
			}
			return err
		}, &table)
	}
	return cmd
}

// checkPolicy reports what is wrong with one file. The policy has no rules when they cannot be read. An
// error means that it could not be looked at.
func checkPolicy(r *report, file string, world func(*policy.Policy) (*registry.World, error), now time.Time) (*policy.Policy, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	r.text[file] = data
	var found []finding.Finding
	p, err := policy.Parse(file, data)
	if err != nil {
		p = &policy.Policy{}
		found, err = problemFindings(err)
	} else {
		p, found, err = lookAt(r, p, world, now)
	}
	if err != nil {
		return nil, err
	}
	for i := range found {
		r.add(&found[i])
	}
	if len(found) == 0 {
		err = r.Pass(file, "policy check")
	}
	return p, err
}

// lookAt returns the policy with all of its tests, and what is wrong with it.
func lookAt(r *report, p *policy.Policy, world func(*policy.Policy) (*registry.World, error), now time.Time) (*policy.Policy, []finding.Finding, error) {
	file := p.File
	w, err := world(p)
	if err != nil {
		return nil, nil, err
	}
	r.know(policy.TestFileOf(file))
	if all, err := withTests(p); err == nil {
		p = all
	} else {
		found, err := problemFindings(err)
		return p, found, err
	}
	if err := p.CheckWorld(w); err != nil {
		found, err := problemFindings(err, lint.UnknownReference)
		return p, found, err
	}
	found, err := lint.Check(lint.Subject{Policy: p, World: w, Now: now, Covered: coverage(p, w, now)})
	if err != nil {
		return nil, nil, err
	}
	return p, lint.Ignore(found, []string{file}, func(file string) []byte { return r.text[file] }), nil
}

// coverage runs the tests to see which rules they have. Whether they pass is the business of policy
// test.
func coverage(p *policy.Policy, w *registry.World, now time.Time) func(*policy.Rule) bool {
	u := &policy.Runner{Policy: p, World: w, Now: now}
	for i := range p.Cases {
		_, _ = u.Run(&p.Cases[i])
	}
	return u.Covered
}

// problemFindings are the problems of a parser as findings; another error stays one.
func problemFindings(err error, kind ...*finding.Kind) ([]finding.Finding, error) {
	problems := policy.Problems(err)
	if problems == nil {
		return nil, err
	}
	var out []finding.Finding
	for _, p := range problems {
		k := lint.Unreadable
		switch {
		case len(kind) > 0:
			k = kind[0]
		case p.Code == yamlat.CodeHostBits:
			k = lint.HostBits
		case p.Code == policy.CodeNetBIOSLength:
			k = lint.LongName
		}
		out = append(out, finding.Finding{
			Kind: k, Severity: k.Severity, Message: p.Text, Place: finding.Place{File: p.File, Line: p.Line, Col: p.Col},
		})
	}
	return out, nil
}

func allKinds() []*finding.Kind { return slices.Concat(lint.Kinds, audit.FindingKinds) }

func kindOf(id string) *finding.Kind {
	for _, k := range allKinds() {
		if strings.EqualFold(k.ID, id) {
			return k
		}
	}
	return nil
}

func newPolicyPage() *cobra.Command {
	return &cobra.Command{
		Use: "page [ID...]", Short: "Explain what the ids of findings mean; without one list them",
		RunE: func(cmd *cobra.Command, ids []string) error {
			out := cmd.OutOrStdout()
			if len(ids) == 0 {
				for _, k := range allKinds() {
					fmt.Fprintf(out, "%s  %-7s  %s: %s\n", k.ID, k.Severity, k.Name, k.Summary)
				}
				return nil
			}
			for _, id := range ids {
				k := kindOf(id)
				if k == nil {
					return fmt.Errorf("%s is no id of a finding; \"nameward policy page\" lists them", id)
				}
				fmt.Fprintln(out, k.Page)
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, k := range allKinds() {
				ids = append(ids, k.ID+"\t"+k.Name)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
