package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/held"
)

func newStatus() *cobra.Command {
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use: "status [ROLE...]", Short: "Show who holds each role, since when, why, and what is answered",
	}
	client := controlFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, roles []string) error {
		if watch {
			return watchStatus(cmd, client(), roles, asJSON)
		}
		ctx, cancel := withTimeout(cmd)
		defer cancel()
		st, err := client().Status(ctx)
		if err != nil {
			return told(err)
		}
		if st.Roles, err = only(st.Roles, roles); err != nil {
			return exit{exitFindings, err}
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), st)
		}
		printStatus(cmd.OutOrStdout(), st, time.Now())
		return nil
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on and print every change as it happens")
	cmd.ValidArgsFunction = completeFrom(client, roleNames)
	return cmd
}

// only keeps the roles with the given names, all if there are none.
func only(all []control.Role, names []string) ([]control.Role, error) {
	if len(names) == 0 {
		return all, nil
	}
	var out []control.Role
	for _, name := range names {
		i := slices.IndexFunc(all, func(r control.Role) bool { return r.Role == name })
		if i < 0 {
			return nil, fmt.Errorf("no role is named %q", name)
		}
		out = append(out, all[i])
	}
	return out, nil
}

// watchStatus prints the state once and then what changes.
func watchStatus(cmd *cobra.Command, client *control.Client, names []string, asJSON bool) error {
	out := cmd.OutOrStdout()
	return told(client.Watch(cmd.Context(), func(ev control.Event) error {
		if len(names) > 0 {
			ev.Roles = slices.DeleteFunc(ev.Roles, func(r control.Role) bool { return !slices.Contains(names, r.Role) })
		}
		if asJSON {
			return printJSON(out, ev)
		}
		for _, r := range ev.Roles {
			fmt.Fprintf(out, "%s  change %-6d %s: %s, holder %s, epoch %d, answers %s with TTL %d s%s\n", ev.Time.Format("15:04:05.000"), ev.Change,
				r.Role, r.State, orNone(r.Holder), r.Epoch, addrList(r.Addresses), r.TTL, because(r.Why))
		}
		if ev.Store != "" {
			fmt.Fprintf(out, "%s  the state cannot be saved: %s\n", ev.Time.Format("15:04:05.000"), ev.Store)
		}
		return nil
	}))
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

// printStatus prints what is wrong first, then the table.
func printStatus(w io.Writer, st control.Status, now time.Time) {
	if st.Config.Error != "" {
		fmt.Fprintf(w, "! configuration: the file is bad since %s, the one loaded %s ago is in force\n%s\n", st.Config.Rejected.Format(time.DateTime),
			age(st.Config.Loaded, now), indent(st.Config.Error))
	}
	if st.Policy.Error != "" {
		fmt.Fprintf(w, "! policy: the file is bad since %s, the one loaded %s ago is in force\n%s\n", st.Policy.Rejected.Format(time.DateTime),
			age(st.Policy.Loaded, now), indent(st.Policy.Error))
	}
	if st.Store.Error != "" {
		fmt.Fprintf(w, "! store %s: the state cannot be saved: %s\n", st.Store.Path, st.Store.Error)
	}
	if st.WINS != nil && st.WINS.Error != "" {
		fmt.Fprintf(w, "! WINS: registrations cannot be saved: %s\n", st.WINS.Error)
	}
	if st.WINS != nil {
		for _, name := range sortedKeys(st.WINS.Unreached) {
			fmt.Fprintf(w, "! WINS partner %s: %s\n", name, st.WINS.Unreached[name])
		}
	}
	if st.Updates != nil && st.Updates.Error != "" {
		fmt.Fprintf(w, "! dynamic updates cannot be saved: %s\n", st.Updates.Error)
	}
	if st.Push != nil {
		printLacks(w, st.Push)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ROLE\tMODE\tHOLDER\tEPOCH\tSINCE\tSTATE\tSERVED\tADDRESSES\tSOURCE")
	for _, r := range st.Roles {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", r.Role, r.Mode, orNone(r.Holder), r.Epoch, age(r.Since, now), r.State,
			orNone(r.Served), addrList(r.Addresses), r.Source)
	}
	tw.Flush()
	for _, r := range st.Roles {
		if r.Why != "" {
			fmt.Fprintf(w, "! %s: %s\n", r.Role, r.Why)
		}
		if r.Lowered != nil {
			fmt.Fprintf(w, "! %s: its TTL of %d s is lowered to %d s by %s until %s\n", r.Role, r.OwnTTL, r.Lowered.TTL, r.Lowered.Owner,
				r.Lowered.Until.Format(time.DateTime))
		}
	}
	for _, node := range sortedKeys(st.Drained) {
		d := st.Drained[node]
		fmt.Fprintf(w, "! node %s is drained since %s%s\n", node, d.Since.Format(time.DateTime), because(strings.TrimSpace(d.By+" "+d.Reason)))
	}
	for _, c := range st.Checks {
		if c.Verdict != "up" {
			fmt.Fprintf(w, "! check of %s for %s (%s): %s %s\n", c.Node, c.Role, c.Target, c.Verdict, c.Error)
		}
	}
	rules := ""
	if st.Policy.File != "" {
		rules = ", " + count(st.Policy.Rules, "policy rule")
	}
	fmt.Fprintf(w, "change %d, %s%s\n", st.Change, count(len(st.Roles), "role"), rules)
	if st.Push != nil {
		printTargets(w, st.Push)
	}
	if s := st.Stream; s != nil {
		turned := ""
		if s.Turned > 0 {
			turned = fmt.Sprintf(", %s turned away", count(int(s.Turned), "connection"))
		}
		fmt.Fprintf(w, "DNS Push at %s: %s, %s to %s%s\n", s.Listen, count(s.Sessions, "session"), count(s.Subscriptions, "subscription"), count(s.Names, "name"), turned)
	}
	if st.WINS != nil {
		printWINS(w, st.WINS)
	}
	if st.Updates != nil {
		printUpdates(w, st.Updates)
	}
}

// printLacks prints what other name servers do not have.
func printLacks(w io.Writer, st *control.PushStatus) {
	if st.Error != "" {
		fmt.Fprintf(w, "! push: the ledger cannot be saved: %s\n", st.Error)
	}
	for _, name := range sortedKeys(st.Lacks) {
		fmt.Fprintf(w, "! target %s does not have %s yet: nameward push status %s\n", name, count(st.Lacks[name], "role"), name)
	}
}

// printTargets prints in a line whether everybody else has it.
func printTargets(w io.Writer, st *control.PushStatus) {
	who := ""
	if st.Standby {
		who = "; another guard tells them"
	}
	fmt.Fprintf(w, "push: %d of %s have everything%s\n", st.Targets-len(st.Lacks), count(st.Targets, "target"), who)
}

// printUpdates prints what came of dynamic updates in a line.
func printUpdates(w io.Writer, st *control.UpdatesStatus) {
	words := []string{count(st.Records, "record") + " registered"}
	add := func(n int, what string) {
		if n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, what))
		}
	}
	for _, f := range held.Fates {
		add(st.Held[f.String()], f.String())
	}
	add(int(st.Dropped), "given up for want of room")
	add(st.Queue, "waiting for the disk")
	if st.Gates > 0 {
		words = append(words, count(st.Gates, "gate"))
	}
	if st.Keys > 0 {
		words = append(words, count(st.Keys, "Kerberos key"))
	}
	fmt.Fprintf(w, "dynamic updates: %s\n", strings.Join(words, ", "))
}

// printWINS prints the WINS server in a line.
func printWINS(w io.Writer, st *control.WINSStatus) {
	words := []string{fmt.Sprintf("%d active (%d static)", st.Records[wins.Active.String()], st.Static)}
	add := func(n int, what string) {
		if n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(st.Records[wins.Released.String()], "released")
	add(st.Records[wins.Tombstone.String()], "tombstones")
	for _, f := range held.Fates {
		add(st.Held[f.String()], f.String())
	}
	add(int(st.Dropped), "given up for want of room")
	add(st.Queue, "waiting for the disk")
	add(st.Challenges, "being challenged")
	add(st.Outbox, "still to be told to the server behind")
	if st.Partners > 0 {
		words = append(words, count(st.Partners, "partner"))
	}
	fmt.Fprintf(w, "WINS server: %s; version %d\n", strings.Join(words, ", "), st.Version)
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// age writes how long ago something was, in the two units that matter.
func age(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := max(0, now.Sub(t))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}
