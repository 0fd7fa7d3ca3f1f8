package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newExplain() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "explain NAME", Short: "Say step by step why a name is answered as it is",
		Long: "Say step by step why a DNS name, a NetBIOS name (MAIL or MAIL<20>) or an address is answered as it is.",
		Args: oneArg,
	}
	client := controlFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, cancel := withTimeout(cmd)
		defer cancel()
		e, err := client().Explain(ctx, args[0])
		if err != nil {
			return told(err)
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), e)
		}
		for i, step := range e.Steps {
			fmt.Fprintf(cmd.OutOrStdout(), "%2d. %s\n", i+1, step)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "=> %s\n", orNone([]string{strings.Join(e.Answer, ", ")}))
		return nil
	}
	jsonFlag(cmd, &asJSON)
	cmd.ValidArgsFunction = completeFrom(client, guardedNames)
	return cmd
}

func newReload() *cobra.Command {
	cmd := &cobra.Command{Use: "reload", Short: "Have the running nameward read its configuration file again", Args: cobra.NoArgs}
	client := controlFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := withTimeout(cmd)
		defer cancel()
		st, err := client().Reload(ctx)
		if err != nil {
			return told(err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is in force\n", st.File)
		return nil
	}
	return cmd
}
