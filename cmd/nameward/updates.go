package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/registry/held"
	"github.com/nameward/nameward/registry/updates/updatesctl"
)

// updatesOptions are the flags of updates.
type updatesOptions struct {
	zone, name, source, fate string
	json, wide               bool
}

func newUpdates() *cobra.Command {
	var o updatesOptions
	cmd := &cobra.Command{
		Use: "updates", Short: "Show which DNS updates are not published, whose they are, and why",
		Long: "Show what DNS updates (RFC 2136) asked for and what is not, or not of itself, published: parked ones of a role's\n" +
			"passive members first, then what was quarantined, refused or ignored; the latest stands first. What updates have\n" +
			"registered is shown by nameward records.",
		Example: "  nameward updates --zone corp.example\n  nameward updates --name '*.lab.corp.example' --fate quarantined\n  nameward updates forget old.corp.example",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("%s has no command %q; for a name write --name %s", cmd.CommandPath(), args[0], args[0])
		},
	}
	client := updatesFlag(cmd)
	o.flags(cmd)
	cmd.Flags().StringVar(&o.name, "name", "", "only updates of this `name`; * stands for anything")
	cmd.Flags().BoolVar(&o.wide, "wide", false, "print whole data, decisions and times")
	jsonFlag(cmd, &o.json)
	cmd.Flags().Lookup("json").Usage = "print JSON, one object a line"
	complete(cmd, "name", completeHeld(client))
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return listUpdates(cmd, client(), o) }
	cmd.AddCommand(newUpdatesForget())
	return cmd
}

// flags adds those that updates and its verbs have in common.
func (o *updatesOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.zone, "zone", "", "only updates of this `zone`")
	f.StringVar(&o.source, "source", "", "only updates from this `address`")
	f.StringVar(&o.fate, "fate", "", "only those with this `fate`: "+strings.Join(fateWords(), ", "))
	complete(cmd, "zone", cobra.NoFileCompletions)
	complete(cmd, "source", cobra.NoFileCompletions)
	complete(cmd, "fate", cobra.FixedCompletions(fateWords(), cobra.ShellCompDirectiveNoFileComp))
}

func fateWords() []string {
	var words []string
	for _, f := range held.Fates {
		words = append(words, f.String())
	}
	return words
}

// filter checks the flags and says what they ask for.
func (o *updatesOptions) filter() (f updatesctl.Filter, err error) {
	f = updatesctl.Filter{Zone: o.zone, Name: o.name, Fate: o.fate}
	if o.fate != "" && !slices.Contains(fateWords(), o.fate) {
		return f, fmt.Errorf("--fate %q: want %s", o.fate, strings.Join(fateWords(), ", "))
	}
	if o.source != "" {
		if f.Source, err = netip.ParseAddr(o.source); err != nil {
			return f, fmt.Errorf("--source %q: want an address, as in 192.0.2.1", o.source)
		}
	}
	return f, nil
}

// updatesFlag is controlFlag for the verbs that are about updates.
func updatesFlag(cmd *cobra.Command) func() updatesctl.Client {
	client := controlFlag(cmd)
	return func() updatesctl.Client { return updatesctl.Client{Client: client()} }
}

// mostCompletions is more than a person would read.
const mostCompletions = 200

// completeHeld completes names of which something is held.
func completeHeld(client func() updatesctl.Client) cobra.CompletionFunc {
	return completeLines(func(ctx context.Context, prefix string, add func(string) error) {
		_ = client().Updates(ctx, updatesctl.Filter{Name: prefix + "*"}, func(h updatesctl.Held) error { return add(h.Name) })
	})
}

// completeLines completes the first argument from a stream of names; without an answer there is nothing to offer.
func completeLines(stream func(ctx context.Context, prefix string, add func(string) error)) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, prefix string) (out []string, _ cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		stream(ctx, prefix, func(name string) error {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
			if len(out) == mostCompletions {
				return errEnough
			}
			return nil
		})
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

func listUpdates(cmd *cobra.Command, client updatesctl.Client, o updatesOptions) error {
	f, err := o.filter()
	if err != nil {
		return err
	}
	list := newLineList(cmd.OutOrStdout(), o.json)
	now := time.Now()
	err = client.Updates(cmd.Context(), f, func(h updatesctl.Held) error {
		return list.add(h, func(w io.Writer) { printHeld(w, &h, o.wide, list.count == 0, now) })
	})
	switch {
	case errors.Join(err, list.flush()) != nil:
		return told(errors.Join(err, list.err))
	case list.count == 0 && !o.json && f == updatesctl.Filter{}:
		fmt.Fprintln(cmd.OutOrStdout(), "no updates are held")
	case list.count == 0 && !o.json:
		fmt.Fprintln(cmd.OutOrStdout(), "no updates like that are held")
	}
	return nil
}

// printHeld prints a row: what was asked for, by whom, and what became of it.
func printHeld(w io.Writer, h *updatesctl.Held, wide, isFirst bool, now time.Time) {
	if isFirst {
		fmt.Fprintln(w, "NAME\tWHAT\tDATA\tFATE\tSOURCE\tPRINCIPAL\tCOUNT\tFIRST\tLAST\tWHY")
	}
	first, last, data, decision := age(h.First, now)+" ago", age(h.Last, now)+" ago", shortened(h.Data), ""
	if wide {
		first, last, data, decision = h.First.Format(time.RFC3339), h.Last.Format(time.RFC3339), h.Data, h.Decision
	}
	source := "-"
	if h.Source.IsValid() {
		source = h.Source.String()
	}
	fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", h.Name, h.What, h.Type, orDash(data), h.Fate, source, orDash(h.Principal),
		h.Count, first, last, whyWords(h.Reason, h.Role, h.Rule, decision, h.Alert))
}

// shortened leaves of a text what a table has room for.
func shortened(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most-3]) + "..."
	}
	return s
}

// lineList prints a stream as a table or as JSON lines.
type lineList struct {
	tw    *tabwriter.Writer
	json  *json.Encoder
	count int
	err   error
}

func newLineList(out io.Writer, asJSON bool) *lineList {
	l := &lineList{}
	if asJSON {
		l.json = json.NewEncoder(out)
		l.json.SetEscapeHTML(false)
		return l
	}
	l.tw = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	return l
}

// add prints v, or the row of it.
func (l *lineList) add(v any, row func(io.Writer)) error {
	if l.json != nil {
		l.err = l.json.Encode(v)
	} else {
		row(l.tw)
	}
	if l.count++; l.count%listBlock == 0 {
		return l.flush()
	}
	return l.err
}

func (l *lineList) flush() error {
	if l.tw != nil {
		l.err = errors.Join(l.err, l.tw.Flush())
	}
	return l.err
}

func newUpdatesForget() *cobra.Command {
	var o updatesOptions
	cmd := &cobra.Command{
		Use: "forget NAME", Short: "Forget what is held of a name",
		Long: "Forget what is held of a name; * stands for anything. Nothing is published by that, and what is registered stays:\n" +
			"nameward records remove takes it out. Who asks again is held again.",
		Example: "  nameward updates forget old.corp.example\n  nameward updates forget '*' --fate refused --source 192.0.2.66",
		Args:    oneArg,
	}
	client := updatesFlag(cmd)
	o.flags(cmd)
	cmd.ValidArgsFunction = completeHeld(client)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.name = args[0]
		f, err := o.filter()
		if err != nil {
			return err
		}
		ctx, cancel := withTimeout(cmd)
		defer cancel()
		reply, err := client().Forget(ctx, f)
		if err == nil {
			fmt.Fprintf(cmd.OutOrStdout(), "%s forgotten\n", entries(reply.Forgotten))
		}
		return told(err)
	}
	return cmd
}
