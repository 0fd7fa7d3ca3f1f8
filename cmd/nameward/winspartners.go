package main

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/netbios/wins/winsctl"
)

func newWinsPartners() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "partners", Short: "Show how the exchange of WINS records with other servers stands",
		Long: "Show the replication partners (netbios.wrepl): when each was asked and told last with success, which version of this\n" +
			"server's records it has, and what became of its records since the start.",
		Args: cobra.NoArgs,
	}
	client := winsFlag(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := withTimeout(cmd)
		defer cancel()
		p, err := client().Partners(ctx)
		if err != nil {
			return told(err)
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), p)
		}
		printPartners(cmd.OutOrStdout(), &p, time.Now())
		return nil
	}
	return cmd
}

func printPartners(out io.Writer, p *winsctl.Partners, now time.Time) {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "PARTNER\tADDRESS\tTOLD\tASKED\tHAS\tTAKEN\tKEPT OUT\tLAST NEWS")
	for i := range p.Partners {
		r := &p.Partners[i]
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d of %d\t%d\t%d\t%s\n", r.Name, r.Address, lastTime(r.Push, r.Pushed, r.PushError, now),
			lastTime(r.Pull, r.Pulled, r.PullError, now), r.Version, p.Version, r.Records.Stored+r.Records.Merged, r.Records.Held, age(r.News, now))
	}
	tw.Flush()
	for i := range p.Partners {
		r := &p.Partners[i]
		if why := cmp.Or(r.PushError, r.PullError); why != "" {
			fmt.Fprintf(out, "! %s: %s\n", r.Name, why)
		}
	}
	fmt.Fprintf(out, "this server is %s, version %d", p.Address, p.Version)
	if p.Turned > 0 {
		fmt.Fprintf(out, "; %s turned away", countMany(p.Turned, "connection of a stranger was", "connections of strangers were"))
	}
	fmt.Fprintln(out)
}

// lastTime is when something had success last: "3s ago", "failing", "off".
func lastTime(on bool, at time.Time, why string, now time.Time) string {
	switch {
	case !on:
		return "off"
	case why != "":
		return "failing"
	case at.IsZero():
		return "not yet"
	}
	return age(at, now) + " ago"
}
