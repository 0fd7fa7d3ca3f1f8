package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/netbios/wins/usage"
	"github.com/nameward/nameward/netbios/wins/winsctl"
	"github.com/nameward/nameward/registry/yamlat"
)

func newWins() *cobra.Command {
	return verbs(&cobra.Command{
		Use: "wins", Short: "Look at the WINS server: who still uses NetBIOS names, and its partners",
	}, newWinsReport(), newWinsPartners())
}

func newWinsReport() *cobra.Command {
	var f winsctl.ReportFilter
	var from, since string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "report", Short: "Show who still asks for or registers which NetBIOS names, and what would replace them",
		Long: "Show who still asks for or registers which NetBIOS names, when last and how often, and the DNS name that would take\n" +
			"their place: the first one of the role with the name, else the name in the domain netbios.wins.dns_suffix. With\n" +
			"--name or --client, each client has a line of its own. What the report does not know stands below it.",
		Args: cobra.NoArgs,
	}
	client := winsFlag(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.Name, "name", "", "only this `name`: MAIL, MAIL<20>, or with * for anything")
	fs.StringVar(&from, "client", "", "only what this `address` or prefix used")
	fs.StringVar(&since, "since", "", "only what was used in this `time`: 7d, 12h")
	jsonFlag(cmd, &asJSON)
	for _, flag := range []string{"client", "since"} {
		complete(cmd, flag, cobra.NoFileCompletions)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if from != "" {
			if f.Client, err = winsctl.ParseClient(from); err != nil {
				return fmt.Errorf("--client: %w", err)
			}
		}
		if since != "" {
			d, err := yamlat.ParseDuration(since)
			if err != nil || d <= 0 {
				return fmt.Errorf("--since %q: want a time span such as 7d or 12h", since)
			}
			f.Since = time.Now().Add(-d)
		}
		ctx, cancel := withTimeout(cmd)
		defer cancel()
		r, err := client().Report(ctx, f)
		if err != nil {
			return told(err)
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), r)
		}
		printReport(cmd.OutOrStdout(), &r, f.Name != "" || f.Client.IsValid())
		return nil
	}
	return cmd
}

// printReport prints what is known, and then what is not.
func printReport(out io.Writer, r *winsctl.Report, each bool) {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if each {
		printClients(tw, r)
	} else {
		printNames(tw, r)
	}
	tw.Flush()
	fmt.Fprintf(out, "in all, since %s (%s): %s (%d without an answer), %s (%d refused); %s names, %s clients\n",
		r.Since.Local().Format(time.DateTime), age(r.Since, r.Until), countMany(r.Queries, "query", "queries"), r.NotFound,
		countMany(r.Registrations, "registration", "registrations"), r.Refused, about(r.Names), about(r.Clients))
	for _, line := range unknown(r) {
		fmt.Fprintln(out, line)
	}
}

func printNames(tw io.Writer, r *winsctl.Report) {
	if len(r.ByName) > 0 {
		fmt.Fprintln(tw, "NAME\tQUERIES\tNOT FOUND\tREGISTRATIONS\tLAST\tCLIENTS\tFROM\tINSTEAD")
	}
	for i := range r.ByName {
		n := &r.ByName[i]
		least := atLeast(n.Error)
		fmt.Fprintf(tw, "%s\t%s%d\t%s%d\t%s%d\t%s ago\t%s%s\t%s\t%s\n", n.Name, least, n.Queries, least, n.NotFound, least, n.Registrations,
			age(n.Last, r.Until), least, about(n.Others), fromText(n), insteadText(n.Instead))
	}
}

// atLeast marks a number that may be too low.
func atLeast(missing uint64) string {
	if missing == 0 {
		return ""
	}
	return ">="
}

func about(e usage.Estimate) string {
	if e.Error == 0 {
		return fmt.Sprint(e.N)
	}
	return fmt.Sprintf("about %d", e.N)
}

// fromText names the latest clients.
func fromText(n *winsctl.NameUse) string {
	const most = 3
	var from []string
	for _, r := range n.Rows {
		if a := r.Client.String(); !slices.Contains(from, a) {
			from = append(from, a)
		}
	}
	if rest := len(from) - most; rest > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(from[:most], ", "), rest)
	}
	return orNone(from)
}

func insteadText(in winsctl.Instead) string {
	switch {
	case in.DNS == "":
		return in.Note
	case in.Note == "":
		return in.DNS
	}
	return in.DNS + " " + in.Note
}

func printClients(tw io.Writer, r *winsctl.Report) {
	header := "NAME\tCLIENT\tUSE\tFOUND\tCOUNT\tFIRST\tLAST\tINSTEAD\n"
	for i := range r.ByName {
		n := &r.ByName[i]
		for _, row := range n.Rows {
			found := "yes"
			if !row.Found {
				found = "no"
			}
			fmt.Fprintf(tw, "%s%s\t%s\t%s\t%s\t%s%d\t%s ago\t%s ago\t%s\n", header, n.Name, row.Client, row.Kind, found, atLeast(row.Error), row.Count,
				age(row.First, r.Until), age(row.Last, r.Until), insteadText(n.Instead))
			header = ""
		}
	}
}

func countMany(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// unknown says what the report has not.
func unknown(r *winsctl.Report) (lines []string) {
	o := &r.LeftOut
	if len(r.ByName) == 0 {
		lines = append(lines, "nothing of what was asked for was used")
	}
	if o.Dropped > 0 {
		lines = append(lines, fmt.Sprintf("%s not counted at all: too many came at once, or they had no NetBIOS name", countMany(o.Dropped, "request was", "requests were")))
	}
	if o.Unattributed > 0 {
		lines = append(lines, fmt.Sprintf("of %s it is not known who came for which name: there are more of them than there is room for",
			countMany(o.Unattributed, "request", "requests")))
	}
	if o.NameBound > 0 {
		lines = append(lines, fmt.Sprintf("a name that is not here was used at most %s", countMany(o.NameBound, "time", "times")))
	}
	return lines
}
