package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/pushctl"
)

// drill is `nameward push drill`.
type drill struct {
	role    string
	count   int
	timeout time.Duration
	json    bool

	client pushctl.Client
	out    io.Writer
}

func newPushDrill() *cobra.Command {
	d := drill{}
	cmd := &cobra.Command{
		Use: "drill", Short: "Move a shadow role to and fro, and report how long each target took",
		Long: "Move a role that serves nobody (push.drill in the configuration) from node to node, wait each time until every target is\n" +
			"verified, and report for each target the median and the 99th percentile. The role ends where it was.",
		Args: cobra.NoArgs,
	}
	client := pushFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&d.role, "role", "", "the `role` to move; default: push.drill")
	f.IntVar(&d.count, "count", 20, "how often")
	f.DurationVar(&d.timeout, "timeout", 30*time.Second, "how long to wait for one move")
	jsonFlag(cmd, &d.json)
	complete(cmd, "role", completeFrom(func() *control.Client { return client().Client }, roleNames))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if d.count < 1 || d.timeout <= 0 {
			return errors.New("--count and --timeout are more than 0")
		}
		d.client, d.out = client(), cmd.OutOrStdout()
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return d.run(ctx)
	}
	return cmd
}

// drilled is what a drill found of one target.
type drilled struct {
	Target string        `json:"target"`
	Kind   string        `json:"kind"`
	Moves  int           `json:"moves"`  // that it got
	Missed int           `json:"missed"` // that it did not get in time
	P50    time.Duration `json:"p50_ns"`
	P99    time.Duration `json:"p99_ns"`
	Max    time.Duration `json:"max_ns"`
}

func (d *drill) run(ctx context.Context) error {
	role, nodes, err := d.choose(ctx)
	if err != nil {
		return err
	}
	took, missed, kinds := map[string][]time.Duration{}, map[string]int{}, map[string]string{}
	home := role.Served[0]
	at := slices.Index(nodes, home)
	var failed error // also that it was interrupted; what was found until then is reported
	for range d.count {
		at = (at + 1) % len(nodes)
		var list []push.Progress
		if list, failed = d.move(ctx, nodes[at]); ctx.Err() != nil {
			failed = exit{exitFindings, errors.New("the drill was interrupted")}
		}
		if failed != nil {
			break
		}
		for _, p := range list {
			kinds[p.Target] = p.Kind
			if p.IsDone() {
				took[p.Target] = append(took[p.Target], p.Took)
			} else {
				missed[p.Target]++
			}
		}
	}
	failed = errors.Join(failed, d.back(ctx, home))
	if failed != nil && len(kinds) == 0 {
		return failed
	}
	return errors.Join(failed, d.report(took, missed, kinds))
}

// choose finds the role and its nodes, the one that has it first.
func (d *drill) choose(ctx context.Context) (role control.Role, nodes []string, err error) {
	st, err := d.client.Client.Status(ctx)
	if err != nil {
		return role, nil, told(err)
	}
	if d.role == "" {
		p, err := d.client.Status(ctx, pushctl.Filter{})
		if err != nil {
			return role, nil, told(err)
		}
		if d.role = p.Drill; d.role == "" {
			return role, nil, exit{exitFindings, errors.New("there is no role for drills: make one that serves nobody, name it as push.drill in the configuration, or give --role")}
		}
	}
	i := slices.IndexFunc(st.Roles, func(r control.Role) bool { return r.Role == d.role })
	if i < 0 {
		return role, nil, exit{exitFindings, fmt.Errorf("no role is named %q", d.role)}
	}
	role = st.Roles[i]
	if len(role.Served) != 1 {
		return role, nil, exit{exitFindings, fmt.Errorf("role %s is served by %d nodes: a drill needs a role with one holder", d.role, len(role.Served))}
	}
	if nodes = role.Nodes; len(nodes) < 2 {
		return role, nil, exit{exitFindings, fmt.Errorf("role %s has one node: a drill needs two", d.role)}
	}
	return role, nodes, nil
}

func (d *drill) move(ctx context.Context, to string) ([]push.Progress, error) {
	moves, err := d.switchTo(ctx, to)
	if err != nil {
		return nil, err
	}
	return d.wait(ctx, moves)
}

func (d *drill) switchTo(ctx context.Context, to string) (registry.Moves, error) {
	moves, err := d.client.Client.Switch(ctx, registry.SwitchRequest{Roles: []string{d.role}, To: to, By: "drill by " + whoAmI()})
	if err != nil {
		err = told(err)
	}
	return moves, err
}

func (d *drill) wait(ctx context.Context, moves registry.Moves) ([]push.Progress, error) {
	reply, err := d.client.Wait(ctx, pushctl.WaitRequest{Change: moves.Change, Roles: []string{d.role}}, d.timeout)
	if err != nil {
		return nil, told(err)
	}
	return reply.Targets, nil
}

// back leaves the role where it was, also when the drill was interrupted; else the targets have that, too, in the end.
func (d *drill) back(ctx context.Context, home string) error {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), askFor)
	defer cancel()
	moves, err := d.switchTo(asking, home)
	if err != nil {
		return fmt.Errorf("the role could not be put back on %s: %w", home, err)
	}
	if _, err = d.wait(ctx, moves); ctx.Err() != nil {
		return nil // nobody wants to know
	}
	return err
}

func (d *drill) report(took map[string][]time.Duration, missed map[string]int, kinds map[string]string) error {
	list := []drilled{}
	late := 0
	for target, kind := range kinds {
		all := took[target]
		slices.Sort(all)
		one := drilled{Target: target, Kind: kind, Moves: len(all), Missed: missed[target]}
		if len(all) > 0 {
			one.P50, one.P99, one.Max = quantile(all, 0.5), quantile(all, 0.99), all[len(all)-1]
		}
		late += one.Missed
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b drilled) int { return cmp.Compare(a.Target, b.Target) })
	if d.json {
		if err := printJSON(d.out, list); err != nil {
			return err
		}
	} else {
		d.print(list)
	}
	if late > 0 {
		return exit{exitFindings, fmt.Errorf("%s not verified within %s: nameward push status", count(late, "delivery"), d.timeout)}
	}
	return nil
}

func (d *drill) print(list []drilled) {
	if len(list) == 0 {
		fmt.Fprintf(d.out, "no target is told of role %s\n", d.role)
		return
	}
	tw := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "TARGET\tKIND\tMOVES\tMISSED\tP50\tP99\tMAX")
	for _, t := range list {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d", t.Target, t.Kind, t.Moves, t.Missed)
		for _, took := range []time.Duration{t.P50, t.P99, t.Max} {
			if t.Moves == 0 {
				fmt.Fprint(tw, "\t-")
			} else {
				fmt.Fprintf(tw, "\t%s", shortTime(took))
			}
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
}

// quantile is the value at or below which q of the sorted values are.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
