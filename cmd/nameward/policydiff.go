package main

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/audit"
	"github.com/nameward/nameward/policy/finding"
	"github.com/nameward/nameward/policy/lint"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/control"
)

func newPolicyDiff() *cobra.Command {
	cmd := &cobra.Command{
		Use: "diff OLD NEW", Short: "Show what changes in behaviour between two policies, with a request for each difference",
		Long: "Show every way in which the decisions of two policies differ, with a request that shows it; \"builtin\" is the\n" +
			"policy without a file. Both are looked at in the world of NEW. Exit code 1 when they differ.",
		Args: twoArgs,
	}
	begin, world, now := formatFlag(cmd, policyFormats...), worldFlag(cmd), nowFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		newer, w, err := loadBoth(files[1], world)
		if err != nil {
			return err
		}
		older, err := loadPolicy(files[0])
		if err != nil {
			return err
		}
		diffs, proved, err := lint.Diff(w, now.time(), older, newer)
		if err != nil {
			return err
		}
		r := begin("policy diff", lint.Columns)
		r.know(newer.File)
		for i := range diffs {
			f := lint.DiffFinding(&diffs[i], newer)
			r.add(&f)
		}
		return r.proved(proved, newer.File, "no request is decided otherwise")
	}
	return cmd
}

// proved ends a report whose silence is a proof, or says that it is none.
func (r *report) proved(is bool, file, otherwise string) error {
	if !is {
		r.add(&finding.Finding{
			Kind: lint.NotProved, Severity: lint.NotProved.Severity, Place: finding.Place{File: file},
			Message: "there are too many combinations to look at all of them: there may be more than this",
		})
	}
	if r.count == 0 {
		if err := r.Pass(file, otherwise); err != nil {
			return err
		}
		return r.close(finding.Table{Title: "result", Columns: []string{"proved"}, Rows: [][]string{{otherwise}}})
	}
	return r.close()
}

func newPolicyReach() *cobra.Command {
	var name, prefix string
	cmd := &cobra.Command{
		Use: "reach FILE --name NAME --prefix PREFIX", Short: "Show which requests could publish an address of a prefix under a name, or prove that none can",
		Long: "Show which requests could publish an address of a prefix under a name: one for each rule that lets it happen.\n" +
			"None means that none can: every request that the rules can tell apart was looked at.",
		Example: "  nameward policy reach policy.yaml --name MAIL --prefix 10.9.0.0/16",
		Args:    oneArg,
	}
	begin, world, now := formatFlag(cmd, policyFormats...), worldFlag(cmd), nowFlag(cmd)
	cmd.Flags().StringVar(&name, "name", "", "DNS `name` or NetBIOS name")
	cmd.Flags().StringVar(&prefix, "prefix", "", "`prefix` or address")
	for _, required := range []string{"name", "prefix"} {
		_ = cmd.MarkFlagRequired(required)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, w, err := loadBoth(args[0], world)
		if err != nil {
			return err
		}
		var r policy.Request
		if err := r.SetName(name); err != nil {
			return fmt.Errorf("--name: %w", err)
		}
		in, err := prefixOf(prefix)
		if err != nil {
			return err
		}
		ways, proved, err := lint.Reach(w, now.time(), p, &r, in)
		if err != nil {
			return err
		}
		rep := begin("policy reach", lint.Columns)
		rep.know(p.File)
		for i := range ways {
			f := ways[i].Finding(p)
			rep.add(&f)
		}
		return rep.proved(proved, p.File, "no request can publish an address of "+in.String()+" under "+r.Name())
	}
	return cmd
}

// prefixOf reads a prefix or an address.
func prefixOf(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("--prefix: %q is no prefix, write one such as 10.9.0.0/16", s)
	}
	return p.Masked(), nil
}

func newPolicyPlan() *cobra.Command {
	var against string
	cmd := &cobra.Command{
		Use: "plan NEW [SOURCE...]", Short: "Show what a policy would change among the records that a running nameward, or a dump, holds now",
		Long: "Show what a policy would change among the records that are held now: those of the running nameward, or of dumps,\n" +
			"zones and captures in any form that \"nameward audit\" reads. Without --against the records are taken as\n" +
			"published. Exit code 1 when something changes.",
		Args: someArgs,
	}
	begin, world, held, now := formatFlag(cmd, policyFormats...), worldFlag(cmd), heldFlag(cmd), nowFlag(cmd)
	client := controlFlag(cmd)
	cmd.Flags().StringVar(&against, "against", "", "the `policy` in force now, to compare with: a file, or builtin")
	sources := sourceFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		newer, err := loadPolicy(args[0])
		if err != nil {
			return err
		}
		options, err := sources.options()
		if err != nil {
			return err
		}
		plan := &lint.Planner{Newer: newer}
		if against != "" {
			if plan.Older, err = loadPolicy(against); err != nil {
				return err
			}
		}
		r := begin("policy plan", lint.Columns)
		r.know(newer.File)
		if len(args) == 1 {
			plan.State, err = runningState(cmd, client(), newer, world)
			if err != nil {
				return err
			}
			for rec := range lint.Records(plan.State) {
				rec.Time = now.time()
				if f, changed := plan.Look(&rec, finding.Place{}); changed {
					r.add(&f)
				}
			}
			return r.close(planTable(plan))
		}
		if plan.State, err = assumedState(newer, world, held); err != nil {
			return err
		}
		broken := readEach(cmd, args[1:], options, func(rec *audit.Record, _ audit.Kind) {
			rec.Time = now.time()
			if f, changed := plan.Look(&rec.Request, rec.Place); changed {
				r.add(&f)
			}
		}, func(p *audit.Problem) {
			f := audit.ProblemFinding(p)
			r.add(&f)
		})
		return unreadable(broken, r.close(planTable(plan)))
	}
	return cmd
}

func planTable(p *lint.Planner) finding.Table {
	return finding.Table{Title: "records", Columns: []string{"looked at", "changed"}, Rows: [][]string{{strconv.Itoa(p.Looked), strconv.Itoa(p.Changed)}}}
}

// runningState is the state of the running nameward, in the world of its configuration file.
func runningState(cmd *cobra.Command, client *control.Client, p *policy.Policy, world func(*policy.Policy) (*registry.World, error)) (*registry.Snapshot, error) {
	ctx, cancel := withTimeout(cmd)
	defer cancel()
	st, err := client.Status(ctx)
	if err != nil {
		return nil, told(err)
	}
	var w *registry.World
	if cmd.Flags().Changed("config") {
		w, err = world(p)
	} else {
		var c *config.Config
		if c, err = config.Load(st.Config.File); err == nil {
			w = c.World
		}
	}
	if err != nil {
		return nil, err
	}
	if err := p.CheckWorld(w); err != nil {
		return nil, err
	}
	held := map[string][]string{}
	for _, role := range st.Roles {
		held[role.Role] = role.Served
	}
	return registry.Assume(w, held)
}

// assumedState is the state that --held describes.
func assumedState(p *policy.Policy, world func(*policy.Policy) (*registry.World, error), held func() (map[string][]string, error)) (*registry.Snapshot, error) {
	w, err := fitting(p, world)
	if err != nil {
		return nil, err
	}
	who, err := held()
	if err != nil {
		return nil, err
	}
	snap, err := registry.Assume(w, who)
	if err != nil {
		return nil, fmt.Errorf("--held: %w", err)
	}
	return snap, nil
}
