package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push/pushctl"
)

func newSwitch() *cobra.Command {
	var r registry.SwitchRequest
	var o waiting
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "switch ROLE... (--to NODE | --site SITE)",
		Short: "Hand roles over to another node, all of them under one change",
		Long: "Hand roles with source operator over to a node, or each to its first node at a site. Either all of them\n" +
			"move, under one change, or none does. Returns when the change is durable and every answer follows it; with --wait when\n" +
			"the targets of push (or a quorum of them) were asked afterwards and answer right.",
	}
	client := controlFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.check(); err != nil {
			return err
		}
		r.Roles, r.By = args, whoAmI()
		if o.wait && !r.DryRun {
			return switchAndWait(cmd, client(), r, o, asJSON)
		}
		return reportMoves(cmd, asJSON, func(ctx context.Context) (registry.Moves, error) { return client().Switch(ctx, r) })
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&r.To, "to", "", "the `node` that takes the roles over")
	f.StringVar(&r.Site, "site", "", "the `site` whose nodes take the roles over")
	f.BoolVar(&r.All, "all", false, "every role with source operator")
	f.BoolVar(&r.DryRun, "dry-run", false, "only print what would change")
	jsonFlag(cmd, &asJSON)
	cmd.ValidArgsFunction = completeFrom(client, roleNames)
	complete(cmd, "to", completeFrom(client, nodeNames))
	complete(cmd, "site", completeFrom(client, siteNames))
	return cmd
}

// switchAndWait switches and reports when the targets have it.
func switchAndWait(cmd *cobra.Command, client *control.Client, r registry.SwitchRequest, o waiting, asJSON bool) error {
	ctx, cancel := withTimeout(cmd)
	defer cancel()
	pushes := pushctl.Client{Client: client}
	if err := o.possible(ctx, pushes); err != nil {
		return err
	}
	moves, err := client.Switch(ctx, r)
	if err != nil {
		return told(err)
	}
	if !asJSON {
		printMoves(cmd.OutOrStdout(), moves)
	}
	roles := r.Roles // also those that are there already: a target may lack them
	if r.All {
		for _, m := range moves.Moves {
			roles = append(roles, m.Role)
		}
	}
	reply, err := o.until(cmd.Context(), pushes, moves.Change, roles)
	if asJSON {
		return errors.Join(printJSON(cmd.OutOrStdout(), struct {
			registry.Moves
			pushctl.WaitReply
		}{moves, reply}), err)
	}
	printProgress(cmd.OutOrStdout(), reply.Targets)
	return err
}

func complete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // the flag's name is misspelt above
	}
}

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON")
}

func newOverride() *cobra.Command {
	return verbs(&cobra.Command{
		Use:   "override",
		Short: "Force a role to a node, whatever its source says, or end that",
	}, newOverrideSet(), newOverrideClear())
}

func newOverrideSet() *cobra.Command {
	var r control.OverrideRequest
	var asJSON bool
	cmd := &cobra.Command{
		Use: "set ROLE --to NODE", Short: "Force a role to a node; it survives restarts and is shown as forced",
		Args: oneArg,
	}
	client := controlFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Role, r.By = args[0], whoAmI()
		return reportMoves(cmd, asJSON, func(ctx context.Context) (registry.Moves, error) { return client().SetOverride(ctx, r) })
	}
	cmd.Flags().StringSliceVar(&r.Nodes, "to", nil, "the `node` that is served; several for mode all")
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why, for those who find it later")
	jsonFlag(cmd, &asJSON)
	cmd.ValidArgsFunction = completeFrom(client, roleNames)
	complete(cmd, "to", completeFrom(client, nodeNames))
	return cmd
}

func newOverrideClear() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "clear ROLE", Short: "Hand a role back to its source", Args: oneArg}
	client := controlFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := control.OverrideRequest{Role: args[0], By: whoAmI()}
		return reportMoves(cmd, asJSON, func(ctx context.Context) (registry.Moves, error) { return client().ClearOverride(ctx, r) })
	}
	jsonFlag(cmd, &asJSON)
	cmd.ValidArgsFunction = completeFrom(client, roleNames)
	return cmd
}

func newDrain() *cobra.Command {
	var r control.DrainRequest
	var asJSON bool
	cmd := &cobra.Command{
		Use: "drain NODE", Short: "Take a node out of every role that several nodes serve or health checks decide on",
		Args: oneArg,
	}
	client := controlFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Node, r.By = args[0], whoAmI()
		return reportMoves(cmd, asJSON, func(ctx context.Context) (registry.Moves, error) { return client().Drain(ctx, r) })
	}
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why, for those who find it later")
	cmd.Flags().BoolVar(&r.Force, "force", false, "drain it even if it is the last node served")
	jsonFlag(cmd, &asJSON)
	cmd.ValidArgsFunction = completeFrom(client, nodeNames)
	return cmd
}

func newUndrain() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "undrain NODE", Short: "Put a drained node back into service", Args: oneArg}
	client := controlFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := control.DrainRequest{Node: args[0], By: whoAmI()}
		return reportMoves(cmd, asJSON, func(ctx context.Context) (registry.Moves, error) { return client().Undrain(ctx, r) })
	}
	jsonFlag(cmd, &asJSON)
	cmd.ValidArgsFunction = completeFrom(client, nodeNames)
	return cmd
}

// reportMoves does what was asked and prints what became of each role.
func reportMoves(cmd *cobra.Command, asJSON bool, do func(context.Context) (registry.Moves, error)) error {
	ctx, cancel := withTimeout(cmd)
	defer cancel()
	moves, err := do(ctx)
	if err != nil {
		return told(err)
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), moves)
	}
	printMoves(cmd.OutOrStdout(), moves)
	return nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // MAIL<20> is for people too
	return enc.Encode(v)
}

func printMoves(w io.Writer, m registry.Moves) {
	moved := 0
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(m.Moves) > 0 {
		fmt.Fprintln(tw, "ROLE\tFROM\tTO\tEPOCH\tANSWERED BEFORE\tANSWERED AFTER")
	}
	for _, mv := range m.Moves {
		if mv.Moved() {
			moved++
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%s\n", mv.Role, orNone(mv.From), orNone(mv.To), mv.Epoch, addrList(mv.Before), addrList(mv.After))
	}
	tw.Flush()
	switch {
	case m.DryRun:
		fmt.Fprintf(w, "dry run: %s would move; nothing was changed\n", count(moved, "role"))
	default:
		fmt.Fprintf(w, "%s moved, change %d\n", count(moved, "role"), m.Change)
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ",")
}

func addrList(addrs []netip.Addr) string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return orNone(out)
}
