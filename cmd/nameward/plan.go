package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/plan"
	"github.com/nameward/nameward/registry/push"
)

func newPlan() *cobra.Command {
	return verbs(&cobra.Command{
		Use:   "plan",
		Short: "Prepare a switchover in a file, carry it out, take it back",
		Long: "Prepare a switchover of roles in a file that people review. Carried out, it lowers the TTLs first and waits until caches\n" +
			"have let go of the old ones, makes one change, waits for the proof of every target, and raises the TTLs again. A plan\n" +
			"is refused when the state is not the one it was made from.",
	}, newPlanCreate(), newPlanShow(), newPlanApply(), newPlanRevert())
}

func newPlanCreate() *cobra.Command {
	var r plan.Request
	var file string
	cmd := &cobra.Command{
		Use:   "create ROLE... (--to NODE | --site SITE)",
		Short: "Write a plan from the state of now, and change nothing",
		Long: "Write down what a switch of the roles would do now, what will be checked before it and how long it takes. Roles must have\n" +
			"source operator; every one that has not is named.",
	}
	client := controlFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if r.TTL < time.Second || r.TTL > time.Hour || r.TTL%time.Second != 0 {
			return fmt.Errorf("--ttl %s: want whole seconds from 1s to 1h", r.TTL)
		}
		r.Roles, r.By = args, whoAmI()
		return createPlan(cmd, client(), r, file)
	}
	f := cmd.Flags()
	f.StringVar(&r.To, "to", "", "the `node` that takes the roles over")
	f.StringVar(&r.Site, "site", "", "the `site` whose nodes take the roles over")
	f.BoolVar(&r.All, "all", false, "every role with source operator")
	f.DurationVar(&r.TTL, "ttl", time.Second, "the TTL while the plan is carried out")
	f.StringVarP(&file, "output", "o", "", "the `file` to write; it must not be there yet (default: standard output)")
	cmd.ValidArgsFunction = completeFrom(client, roleNames)
	complete(cmd, "to", completeFrom(client, nodeNames))
	complete(cmd, "site", completeFrom(client, siteNames))
	return cmd
}

func createPlan(cmd *cobra.Command, client *control.Client, r plan.Request, file string) error {
	ctx, cancel := withTimeout(cmd)
	defer cancel()
	p, err := plan.Make(ctx, plan.Remote{Client: client}, r)
	if err != nil {
		return found(err)
	}
	if file == "" {
		return p.Write(cmd.OutOrStdout())
	}
	if _, err := os.Lstat(plan.JournalOf(file)); err == nil {
		return fmt.Errorf("%s is there, of another plan that was carried out: write another name", plan.JournalOf(file))
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if err := errors.Join(p.Write(f), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	printPlan(cmd.OutOrStdout(), p, nil)
	fmt.Fprintf(cmd.OutOrStdout(), "%s is written; nothing was changed\n", file)
	return nil
}

// found gives what a plan was refused for its exit code.
func found(err error) error {
	var refused *plan.Refused
	if errors.As(err, &refused) {
		return exit{exitFindings, err}
	}
	return told(err)
}

// planFile is a plan with what was done with it.
type planFile struct {
	*plan.Plan
	journal *plan.Journal
}

func openPlan(path string) (planFile, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return planFile{}, err
	}
	p, err := plan.Read(path, raw)
	if err != nil {
		return planFile{}, err
	}
	j, err := plan.OpenJournal(plan.JournalOf(path), p)
	return planFile{p, j}, err
}

func newPlanShow() *cobra.Command {
	var quorum int
	cmd := &cobra.Command{
		Use: "show FILE", Short: "Show a plan, what has moved since it was made, and what is in its way",
		Args: oneArg,
	}
	client := controlFlag(cmd)
	quorumFlag(cmd, &quorum)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := openPlan(args[0])
		if err != nil {
			return err
		}
		ctx, cancel := withTimeout(cmd)
		defer cancel()
		out := cmd.OutOrStdout()
		printPlan(out, p.Plan, p.journal)
		findings, err := p.Look(ctx, plan.Remote{Client: client()}, quorum)
		if err != nil {
			return told(err)
		}
		return printFindings(out, findings, p.journal)
	}
	return cmd
}

func quorumFlag(cmd *cobra.Command, n *int) {
	cmd.Flags().IntVar(n, "quorum", 0, "so many targets are enough (default: all)")
}

// carrying are the flags of apply and revert.
type carrying struct {
	yes     bool
	quorum  int
	timeout time.Duration
	socket  func() *control.Client
}

func (c *carrying) flags(cmd *cobra.Command) {
	c.socket = controlFlag(cmd)
	cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "do not ask")
	quorumFlag(cmd, &c.quorum)
	cmd.Flags().DurationVar(&c.timeout, "timeout", time.Minute, "how long to wait for targets, each time")
}

// maxTimeout keeps what a plan takes well below what lowered TTLs may last.
const maxTimeout = time.Hour

func (c *carrying) check() error {
	switch {
	case c.quorum < 0:
		return fmt.Errorf("--quorum %d: want how many targets are enough, such as 2", c.quorum)
	case c.timeout < time.Second || c.timeout > maxTimeout:
		return fmt.Errorf("--timeout %s: want 1s to %s", c.timeout, maxTimeout)
	}
	return nil
}

func newPlanApply() *cobra.Command {
	var c carrying
	cmd := &cobra.Command{
		Use: "apply FILE", Short: "Carry a plan out, or go on with one that was interrupted",
		Long: "Carry a plan out: check that nothing has moved and that nothing is in the way, lower the TTLs, wait until caches have let go of\n" +
			"the old ones, check again, make one change, wait for the proof of each target, raise the TTLs. What is done stands in FILE.run:\n" +
			"after a kill the same command goes on. Ctrl-C before the change takes everything back.",
		Args: oneArg,
	}
	c.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.carry(cmd, args[0], "carry it out", (*plan.Run).Apply)
	}
	return cmd
}

func newPlanRevert() *cobra.Command {
	var c carrying
	var atOnce bool
	cmd := &cobra.Command{
		Use: "revert FILE", Short: "Take a plan back that was carried out, in the same way",
		Long: "Hand the roles of a plan back to those who had them, in the same way as they were handed over. It is refused when somebody has\n" +
			"moved one of them since. A plan that has not come to its change is called off.",
		Args: oneArg,
	}
	c.flags(cmd)
	cmd.Flags().BoolVar(&atOnce, "now", false, "leave the TTLs alone and wait for no cache")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.carry(cmd, args[0], "take it back", func(r *plan.Run, ctx context.Context) error { return r.Revert(ctx, atOnce) })
	}
	return cmd
}

func (c *carrying) carry(cmd *cobra.Command, path, question string, do func(*plan.Run, context.Context) error) error {
	if err := c.check(); err != nil {
		return err
	}
	p, err := openPlan(path)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	printPlan(out, p.Plan, p.journal)
	if err := c.confirm(cmd.InOrStdin(), out, question); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := &plan.Run{
		Plan: p.Plan, Guard: plan.Remote{Client: c.socket()}, Journal: p.journal, By: whoAmI(), Quorum: c.quorum, Timeout: c.timeout,
		Show: showRun(out),
	}
	return found(do(run, ctx))
}

func (c *carrying) confirm(in io.Reader, out io.Writer, question string) error {
	if c.yes {
		return nil
	}
	if f, ok := in.(*os.File); !ok || !isTerminal(f) {
		return errors.New("there is no terminal to ask at: say --yes")
	}
	fmt.Fprintf(out, "%s? [y/N] ", question)
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return exit{exitFindings, errors.New("nothing was done")}
	}
	return nil
}

// showRun prints a run as it goes; on a terminal the wait has a bar.
func showRun(out io.Writer) plan.Show {
	s := plan.Show{
		Step:  func(text string) { fmt.Fprintf(out, "%s  %s\n", time.Now().Format(time.TimeOnly), text) },
		Moves: func(m registry.Moves) { printMoves(out, m) },
		Proof: func(list []push.Progress) { printProgress(out, list) },
	}
	if isTerminal(out) {
		s.Wait = waitBar(out)
	}
	return s
}

func waitBar(out io.Writer) func(left, total time.Duration) {
	var shown *progressbar.ProgressBar
	return func(left, total time.Duration) {
		if shown == nil {
			shown = progressbar.NewOptions64(int64(total/time.Second), progressbar.OptionSetWriter(out),
				progressbar.OptionSetDescription("waiting"), progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
		}
		shown.Describe("waiting, " + left.Round(time.Second).String() + " left ")
		_ = shown.Set64(int64((total - left) / time.Second))
		if left == 0 {
			_ = shown.Clear()
		}
	}
}
