package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
)

func newPolicy() *cobra.Command {
	return verbs(&cobra.Command{
		Use: "policy", Short: "Check, test, explain and compare registration policies, without a running nameward",
		Long: "A policy decides which registration, update, answer or push may carry which address for which name. These verbs\n" +
			"read policy files; the built-in rules are the policy \"builtin\". Exit codes: 0 clean, 1 findings, 2 could not be read.",
	}, newPolicyCheck(), newPolicyTest(), newPolicyExplain(), newPolicyReach(), newPolicyDiff(), newPolicyPlan(), newPolicyPage(), newPolicySchema())
}

// builtinPolicy is the word for the policy without a file.
const builtinPolicy = "builtin"

// worldFlag adds --config and returns the function that finds the world of a policy: the file that the
// flag names, or the one that the policy names, or none.
func worldFlag(cmd *cobra.Command) func(p *policy.Policy) (*registry.World, error) {
	path := cmd.Flags().StringP("config", "c", "", "nameward.yaml with the nodes, roles and classes (default: what the policy names in config)")
	return func(p *policy.Policy) (*registry.World, error) {
		file := *path
		if file == "" {
			file = p.ConfigPath()
		}
		if file == "" {
			return &registry.World{}, nil
		}
		c, err := config.Load(file)
		switch {
		case err == nil:
			return c.World, nil
		case *path == "" && policy.Problems(err) == nil:
			return nil, fmt.Errorf("config of %s: %w", p.File, err)
		}
		return nil, err
	}
}

// loadPolicy reads a policy, or takes the built-in one.
func loadPolicy(name string) (*policy.Policy, error) {
	if name == builtinPolicy {
		return policy.Default(), nil
	}
	return policy.Load(name)
}

// loadBoth reads a policy with its world, which must fit.
func loadBoth(name string, world func(*policy.Policy) (*registry.World, error)) (*policy.Policy, *registry.World, error) {
	p, err := loadPolicy(name)
	if err != nil {
		return nil, nil, err
	}
	w, err := fitting(p, world)
	return p, w, err
}

// fitting finds the world of a policy and holds the policy against it.
func fitting(p *policy.Policy, world func(*policy.Policy) (*registry.World, error)) (*registry.World, error) {
	w, err := world(p)
	if err != nil {
		return nil, err
	}
	return w, p.CheckWorld(w)
}

// withTests adds to a policy the tests in the file beside it, if there is one.
func withTests(p *policy.Policy) (*policy.Policy, error) {
	beside := policy.TestFileOf(p.File)
	if _, err := os.Stat(beside); errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	_, more, err := policy.LoadTests(beside)
	if err != nil {
		return nil, err
	}
	return p.WithCases(slices.Concat(p.Cases, more)), nil
}

// heldFlag adds --held and returns the function that reads it.
func heldFlag(cmd *cobra.Command) func() (map[string][]string, error) {
	all := cmd.Flags().StringArray("held", nil, "who holds a role: `ROLE=NODE`, ROLE=NODE,NODE or ROLE= for nobody; a role without it may be anybody's")
	return func() (map[string][]string, error) {
		held := map[string][]string{}
		for _, h := range *all {
			role, nodes, ok := strings.Cut(h, "=")
			if !ok || role == "" {
				return nil, fmt.Errorf("--held %s: want ROLE=NODE, or ROLE= for nobody", h)
			}
			held[role] = strings.FieldsFunc(nodes, func(r rune) bool { return r == ',' })
		}
		return held, nil
	}
}
