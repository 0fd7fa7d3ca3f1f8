package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/registry/updates/updatesctl"
)

func newRecords() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "records [ZONE|NAME]", Short: "Show which records DNS updates have registered, who registered them, and when",
		Long: "Show the records that DNS updates (RFC 2136) have registered in owned zones: those of a zone, of a name, or all.\n" +
			"In a name * stands for anything, as in '*.lab.corp.example'. What roles, nodes and name servers have in a zone\n" +
			"comes from the configuration and is not shown; nameward explain tells it of a name. What is not published is\n" +
			"shown by nameward updates.",
		Example: "  nameward records corp.example\n  nameward records pc1.corp.example\n  nameward records remove pc1.corp.example A 192.0.2.7",
		Args:    cobra.MaximumNArgs(1),
	}
	client := updatesFlag(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().Lookup("json").Usage = "print JSON, one object a line"
	cmd.ValidArgsFunction = completeRecords(client)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return listRecords(cmd, client(), strings.Join(args, ""), asJSON)
	}
	cmd.AddCommand(newRecordsRemove())
	return cmd
}

// completeRecords completes names that have registered records.
func completeRecords(client func() updatesctl.Client) cobra.CompletionFunc {
	return completeLines(func(ctx context.Context, prefix string, add func(string) error) {
		_ = client().Records(ctx, updatesctl.RecordFilter{Name: prefix + "*"}, func(r updatesctl.Record) error { return add(r.Name) })
	})
}

func listRecords(cmd *cobra.Command, client updatesctl.Client, of string, asJSON bool) error {
	list, now := newLineList(cmd.OutOrStdout(), asJSON), time.Now()
	err := client.Records(cmd.Context(), updatesctl.RecordFilter{Of: of}, func(r updatesctl.Record) error {
		return list.add(r, func(w io.Writer) { printRecord(w, &r, list.count == 0, now) })
	})
	switch {
	case errors.Join(err, list.flush()) != nil:
		return told(errors.Join(err, list.err))
	case list.count > 0 || asJSON:
	case of != "" && !strings.Contains(of, "*"):
		return exit{exitFindings, fmt.Errorf("nothing is registered at %s; nameward explain tells how a name is answered", of)}
	case of != "":
		fmt.Fprintln(cmd.OutOrStdout(), "no records like that are registered")
	default:
		fmt.Fprintln(cmd.OutOrStdout(), "no records are registered")
	}
	return nil
}

func printRecord(w io.Writer, r *updatesctl.Record, isFirst bool, now time.Time) {
	if isFirst {
		fmt.Fprintln(w, "NAME\tTTL\tTYPE\tDATA\tSOURCE\tPRINCIPAL\tREGISTERED\tDECISION")
	}
	source, at := "-", "-"
	if r.Source.IsValid() {
		source = r.Source.String()
	}
	if !r.At.IsZero() {
		at = age(r.At, now) + " ago"
	}
	fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.TTL, r.Type, r.Data, source, orDash(r.Principal), at, orDash(r.Decision))
}

func newRecordsRemove() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "remove NAME [TYPE [DATA]]", Short: "Remove registered records: all of a name, those of a type, or one",
		Long: "Remove records that DNS updates have registered: all of a name, those of a type, or one of them. Secondaries are told,\n" +
			"and a node that still uses the name registers it again. * stands for itself here: a wildcard's records.",
		Example: "  nameward records remove pc1.corp.example\n  nameward records remove pc1.corp.example A 192.0.2.7",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) >= 1 && len(args) <= 3 {
				return nil
			}
			return fmt.Errorf("%s takes a name, and perhaps a type and data, and got %d arguments; usage: %s; write data with blanks in quotes",
				cmd.CommandPath(), len(args), cmd.UseLine())
		},
	}
	client := updatesFlag(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.ValidArgsFunction = completeRecords(client)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		args = append(args, "", "")
		ctx, cancel := withTimeout(cmd)
		defer cancel()
		reply, err := client().Remove(ctx, updatesctl.RemoveRequest{Name: args[0], Type: args[1], Data: args[2], By: whoAmI()})
		if err != nil {
			return told(err)
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), reply)
		}
		for _, r := range reply.Removed {
			fmt.Fprintf(cmd.OutOrStdout(), "removed %s %d %s %s\n", r.Name, r.TTL, r.Type, r.Data)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "zone %s has serial %d now\n", reply.Zone, reply.Serial)
		return nil
	}
	return cmd
}
