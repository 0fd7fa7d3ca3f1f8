// Command nameward keeps a highly available service reachable by name. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// version is set by the build.
var version = "dev"

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// Exit codes of every verb.
const (
	exitOK       = 0
	exitFindings = 1 // it was looked at, and something is wrong; or the running nameward refused
	exitFailed   = 2 // it could not be looked at: usage, unreadable file, nobody answers
)

// exit is an error with the exit code that it stands for. A nil err was printed already.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// run is main without the process: arguments in, exit code out.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := newRoot()
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var e exit
	if !errors.As(err, &e) {
		e = exit{exitFailed, err}
	}
	if e.err != nil {
		fmt.Fprintf(stderr, "nameward: %v\n", err) // with what stands around it
	}
	return e.code
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "nameward",
		Short: "Keep the public name of a highly available service on its active node",
		Long: "nameward serves the public names of highly available services over DNS and NetBIOS from the live\n" +
			"state of their roles, and keeps management addresses out of every answer.",
		SilenceUsage: true, SilenceErrors: true, Version: version,
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(
		newServe(), newDemo(), newStatus(), newExplain(), newSwitch(), newPush(), newOverride(), newDrain(), newUndrain(),
		newReload(), newPlan(), newQuery(), newWatch(), newConfig(), newPolicy(), newAudit(),
		newRegistrations(), newWins(), newRecords(), newUpdates(),
	)
	return root
}

// verbs makes a command that has only verbs.
func verbs(cmd *cobra.Command, list ...*cobra.Command) *cobra.Command {
	cmd.Args = knownVerb
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(list...)
	return cmd
}

// knownVerb says which verb is near one that is unknown.
func knownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += ", did you mean " + near[0]
	}
	return errors.New(text)
}

// oneArg, twoArgs and someArgs are cobra's checks with the words that say what would be right.
func oneArg(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return fmt.Errorf("%s takes one argument and got %d; usage: %s", cmd.CommandPath(), len(args), cmd.UseLine())
}

func twoArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 2 {
		return nil
	}
	return fmt.Errorf("%s takes two arguments and got %d; usage: %s", cmd.CommandPath(), len(args), cmd.UseLine())
}

func someArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return nil
	}
	return fmt.Errorf("%s takes at least one argument; usage: %s", cmd.CommandPath(), cmd.UseLine())
}
