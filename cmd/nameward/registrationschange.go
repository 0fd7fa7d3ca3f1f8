package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/winsctl"
)

var kindWords = []string{wins.Unique.String(), wins.Group.String(), wins.Internet.String(), wins.Multihomed.String()}

func newRegistrationsAdd() *cobra.Command {
	var addrs []string
	var kind string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "add NAME --address ADDRESS", Short: "Enter a static registration: no time ends it and no node changes it",
		Long: "Enter a static registration, in the place of the one that the name has. NAME without a suffix stands for those of a\n" +
			"host: 00, 03 and 20. The policy and the roles are asked: their word is an error.",
		Example: "  nameward registrations add PRINTER --address 192.0.2.40\n  nameward registrations add 'CORP<1c>' --address 192.0.2.5,192.0.2.6",
		Args:    oneArg,
	}
	client := winsFlag(cmd)
	cmd.Flags().StringSliceVarP(&addrs, "address", "a", nil, "the `address`, several for a multihomed host or an internet group")
	cmd.Flags().StringVar(&kind, "kind", "", "the `kind`: "+strings.Join(kindWords, ", ")+" (default: as the suffix and the number of addresses tell)")
	jsonFlag(cmd, &asJSON)
	complete(cmd, "kind", cobra.FixedCompletions(kindWords, cobra.ShellCompDirectiveNoFileComp))
	complete(cmd, "address", cobra.NoFileCompletions)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req, err := staticRecords(args[0], kind, addrs)
		if err != nil {
			return err
		}
		ctx, cancel := withTimeout(cmd)
		defer cancel()
		reply, err := client().Add(ctx, req)
		if err != nil {
			return told(err)
		}
		if asJSON {
			return errors.Join(printJSON(cmd.OutOrStdout(), reply), added(cmd, reply, false))
		}
		return added(cmd, reply, true)
	}
	return cmd
}

func staticRecords(text, kind string, addrs []string) (req winsctl.AddRequest, err error) {
	if kind != "" && !slices.Contains(kindWords, kind) {
		return req, fmt.Errorf("--kind %q: want %s", kind, strings.Join(kindWords, ", "))
	}
	if len(addrs) == 0 {
		return req, errors.New("say which address the name has, with --address")
	}
	var list []winsctl.Address
	for _, text := range addrs {
		a, err := parseIPv4("--address", text)
		if err != nil {
			return req, err
		}
		list = append(list, winsctl.Address{Address: a})
	}
	names, err := namesOf(text, kind)
	for _, n := range names {
		r := winsctl.Record{Name: n.Fold(), Kind: kind, Static: true, Addresses: list}
		if kind == "" {
			r.Kind = usualKind(n, len(list)).String()
		}
		req.Records = append(req.Records, r)
	}
	return req, err
}

func parseIPv4(flag, text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return a, fmt.Errorf("%s %q: want an IPv4 address, NetBIOS names have no other", flag, text)
	}
	return a, nil
}

// usualKind is what a name is that has so many addresses.
func usualKind(n netbios.Name, addrs int) wins.Kind {
	switch s := n.Suffix(); {
	case s == 0x1c:
		return wins.Internet
	case s == 0x1e, s == 0x01 && strings.Contains(n.Base(), "__MSBROWSE__"):
		return wins.Group
	case addrs > 1:
		return wins.Multihomed
	}
	return wins.Unique
}

// added tells what became of each record.
func added(cmd *cobra.Command, reply winsctl.AddReply, print bool) error {
	refused := false
	for _, r := range reply.Results {
		switch {
		case r.Error != "":
			refused = true
			fmt.Fprintf(cmd.ErrOrStderr(), "nameward: %s\n", r.Error)
		case print && r.Record != nil:
			fmt.Fprintf(cmd.OutOrStdout(), "%s is static now: %s, %s%s\n", r.Record.Name, r.Record.Kind, registered(r.Record), because(wasText(r.Was)))
		}
	}
	if refused {
		return exit{code: exitFindings}
	}
	return nil
}

func wasText(r *winsctl.Record) string {
	if r == nil {
		return ""
	}
	return "was " + stateText(&winsctl.Registration{Record: *r}) + " with " + registered(r)
}

func newRegistrationsRemove() *cobra.Command {
	var addr string
	var held bool
	cmd := &cobra.Command{
		Use: "remove NAME", Short: "Remove a registration, or one of its addresses",
		Long: "Remove a registration, static or not, or one address of it. NAME without a suffix stands for those of a host that\n" +
			"are there: 00, 03 and 20. A node that still uses the name registers it again. With --held, what was parked,\n" +
			"quarantined, refused or ignored is forgotten; --address is then that of the source.",
		Args: oneArg,
	}
	client := winsFlag(cmd)
	cmd.Flags().StringVarP(&addr, "address", "a", "", "only this `address`")
	cmd.Flags().BoolVar(&held, "held", false, "forget what is held of the name; records stay")
	complete(cmd, "address", cobra.NoFileCompletions)
	cmd.ValidArgsFunction = completeNames(client)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		var req winsctl.RemoveRequest
		if req.Names, err = namesOf(args[0], ""); err != nil {
			return err
		}
		if addr != "" {
			if req.Address, err = parseIPv4("--address", addr); err != nil {
				return err
			}
		}
		ctx, cancel := withTimeout(cmd)
		defer cancel()
		if held {
			reply, err := client().Forget(ctx, req)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s forgotten: %s\n", entries(reply.Removed), nameList(reply.Names))
			}
			return told(err)
		}
		reply, err := client().Remove(ctx, req)
		if err == nil {
			what := "removed"
			if addr != "" {
				what = addr + " removed from"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", what, nameList(reply.Names))
		}
		return told(err)
	}
	return cmd
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

func nameList(names []netbios.Name) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n.String()
	}
	return strings.Join(out, ", ")
}
