package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/pushctl"
)

func newPush() *cobra.Command {
	return verbs(&cobra.Command{
		Use:   "push",
		Short: "Show how far other name servers are with each change, try again, or drill",
	}, newPushStatus(), newPushRetry(), newPushDrill())
}

// pushFlag is controlFlag for the verbs that are about targets.
func pushFlag(cmd *cobra.Command) func() pushctl.Client {
	client := controlFlag(cmd)
	return func() pushctl.Client { return pushctl.Client{Client: client()} }
}

// completeTargets completes names of targets.
func completeTargets(client func() pushctl.Client) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) (out []string, _ cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		st, err := client().Status(ctx, pushctl.Filter{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		for _, t := range st.Targets {
			if !slices.Contains(args, t.Name) {
				out = append(out, t.Name)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

func newPushStatus() *cobra.Command {
	var f pushctl.Filter
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status [TARGET]", Short: "Show each target, and every role that it does not have yet",
		Long: "Show each target with how many roles it has verified, and every delivery that is not done: since when, how often it\n" +
			"was tried, and why it failed. With --done also those that are; with --history those that are over, also superseded ones.",
		Args: cobra.MaximumNArgs(1),
	}
	client := pushFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.Role, "role", "", "only deliveries of this `role`")
	flags.BoolVar(&f.Done, "done", false, "also what the targets have")
	flags.IntVar(&f.History, "history", 0, "also so many deliveries that are over, the latest first")
	jsonFlag(cmd, &asJSON)
	cmd.ValidArgsFunction = completeTargets(client)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			f.Target = args[0]
		}
		ctx, cancel := withTimeout(cmd)
		defer cancel()
		st, err := client().Status(ctx, f)
		switch {
		case err != nil:
			return told(err)
		case f.Target != "" && !slices.ContainsFunc(st.Targets, func(t pushctl.Target) bool { return t.Name == f.Target }):
			return exit{exitFindings, fmt.Errorf("no target is named %q", f.Target)}
		case asJSON:
			return printJSON(cmd.OutOrStdout(), st)
		}
		printPush(cmd.OutOrStdout(), st, f.Target)
		return nil
	}
	return cmd
}

func printPush(w io.Writer, st pushctl.Status, only string) {
	if st.Standby {
		fmt.Fprintln(w, "standby: another guard tells the targets")
	}
	if st.Error != "" {
		fmt.Fprintf(w, "the ledger cannot be saved: %s\n", st.Error)
	}
	if len(st.Targets) == 0 {
		fmt.Fprintln(w, "no targets: write push.targets, or notify in a zone, into the configuration")
		return
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "TARGET\tKIND\tHAS\tLACKS\tCHANGE\tDELIVERED\tMEAN\tSUPERSEDED\tFAILURES")
	for _, t := range st.Targets {
		if only != "" && t.Name != only {
			continue
		}
		rows := 0
		for _, n := range t.Stages {
			rows += n
		}
		mean := "-"
		if t.Delivered > 0 {
			mean = shortTime(time.Duration(t.MeanSec * float64(time.Second)))
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%d\t%d\n", t.Name, t.Kind, rows-t.Lacks, t.Lacks, t.Change, t.Delivered, mean, t.Superseded, t.Failures)
	}
	tw.Flush()
	printDeliveries(w, "", st.Deliveries)
	printDeliveries(w, "history", st.History)
}

func printDeliveries(w io.Writer, title string, list []push.Delivery) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w, title)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "TARGET\tROLE\tCHANGE\tEPOCH\tSTAGE\tSINCE\tTRIES\tACKED AFTER\tVERIFIED AFTER\tWHY")
	for i := range list {
		d := &list[i]
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%s\t%s\t%d\t%s\t%s\t%s\n", d.Target, d.Role, d.Change, d.Epoch, d.Stage,
			d.Moved.UTC().Format(time.RFC3339), d.Tries, after(d.Moved, d.Acked), after(d.Moved, d.Verified), whyOf(d))
	}
	tw.Flush()
}

func whyOf(d *push.Delivery) string {
	switch {
	case d.Stage == push.Superseded:
		return fmt.Sprintf("by change %d", d.By)
	case d.Stage == push.Stale || d.Stage == push.Foreign:
		return fmt.Sprintf("it answers %s, not %s", addrsOrNone(d.Found), addrsOrNone(d.Addrs))
	}
	return d.Why
}

func addrsOrNone(addrs []netip.Addr) string {
	if len(addrs) == 0 {
		return "no address"
	}
	return addrList(addrs)
}

func after(from, to time.Time) string {
	if to.IsZero() {
		return "-"
	}
	return shortTime(max(0, to.Sub(from))) // the clock may have been set between them
}

// shortTime prints a duration with three digits.
func shortTime(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1000)
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

func newPushRetry() *cobra.Command {
	var r pushctl.RetryRequest
	cmd := &cobra.Command{
		Use: "retry [TARGET...]", Short: "Tell targets now what they do not have, whatever the last failure was",
	}
	client := pushFlag(cmd)
	cmd.Flags().StringSliceVar(&r.Roles, "role", nil, "only these `roles`")
	cmd.Flags().BoolVar(&r.All, "all", false, "also what the targets have, or what somebody else has written over")
	cmd.ValidArgsFunction = completeTargets(client)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Targets = args
		ctx, cancel := withTimeout(cmd)
		defer cancel()
		reply, err := client().Retry(ctx, r)
		if err != nil {
			return told(err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s told\n", areOrIs(reply.Targets, "target"))
		return nil
	}
	return cmd
}

func areOrIs(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return count(n, what) + " are"
}

// waiting are the flags of verbs that wait for targets.
type waiting struct {
	wait    bool
	quorum  int
	timeout time.Duration
}

func (o *waiting) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.wait, "wait", false, "wait until every target is verified, and print the time of each")
	f.IntVar(&o.quorum, "quorum", 0, "with --wait: so many targets are enough")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "with --wait: how long")
}

func (o *waiting) check() error {
	switch {
	case !o.wait && o.quorum != 0:
		return errors.New("--quorum goes with --wait")
	case o.quorum < 0:
		return fmt.Errorf("--quorum %d: want how many targets are enough, such as 2", o.quorum)
	case o.timeout <= 0:
		return fmt.Errorf("--timeout %s: want how long to wait, such as 30s", o.timeout)
	}
	return nil
}

// possible finds a quorum that can never be, before anything moves.
func (o *waiting) possible(ctx context.Context, c pushctl.Client) error {
	if o.quorum == 0 {
		return nil
	}
	if _, err := c.Wait(ctx, pushctl.WaitRequest{Quorum: o.quorum}, 0); err != nil { // for no role: that is over at once
		return fmt.Errorf("%w; nothing was changed", told(err))
	}
	return nil
}

// errBehind is the finding that not enough targets have what they should.
var errBehind = errors.New("not every target has it yet; it goes on being told: nameward push status")

func (o *waiting) until(ctx context.Context, c pushctl.Client, change uint64, roles []string) (pushctl.WaitReply, error) {
	reply, err := c.Wait(ctx, pushctl.WaitRequest{Change: change, Roles: roles, Quorum: o.quorum}, o.timeout)
	if err != nil {
		return reply, told(err)
	}
	if !reply.Done {
		err = exit{exitFindings, errBehind}
	}
	return reply, err
}

func printProgress(w io.Writer, list []push.Progress) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no target is told of that")
		return
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "TARGET\tKIND\tROLES\tSTAGE\tACKED AFTER\tDONE AFTER\tWHY")
	for _, p := range list {
		acked, took := "-", "-"
		if p.Done > 0 {
			acked, took = shortTime(p.Acked), shortTime(p.Took)
		}
		fmt.Fprintf(tw, "%s\t%s\t%d/%d\t%s\t%s\t%s\t%s\n", p.Target, p.Kind, p.Done, p.Roles, p.Stage, acked, took, strings.TrimSpace(p.Why))
	}
	tw.Flush()
}
