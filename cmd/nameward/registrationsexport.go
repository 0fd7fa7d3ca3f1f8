package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/winsctl"
	"github.com/nameward/nameward/registry/store/replace"
)

// Forms of an export.
const (
	formatJSON    = "json"
	formatWinsDat = "wins.dat"
)

var exportFormats = []string{formatJSON, formatWinsDat}

func newRegistrationsExport() *cobra.Command {
	format := formatJSON
	cmd := &cobra.Command{
		Use: "export [FILE]", Short: "Write all registrations to a file or to standard output",
		Long: "Write all registrations: as JSON, a record a line, which nameward registrations import takes without a loss; or as\n" +
			"wins.dat, for Samba's nmbd and others that read it. A wins.dat has no released records, no owners and no members\n" +
			"of normal groups; what cannot stand in it is left out and counted. FILE is replaced as a whole.",
		Args: cobra.MaximumNArgs(1),
	}
	client := winsFlag(cmd)
	cmd.Flags().StringVar(&format, "format", formatJSON, "`form` of the file: "+strings.Join(exportFormats, ", "))
	complete(cmd, "format", cobra.FixedCompletions(exportFormats, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(exportFormats, format) {
			return fmt.Errorf("--format %q: want %s", format, strings.Join(exportFormats, " or "))
		}
		x := &exporter{format: format}
		if len(args) == 0 || args[0] == "-" {
			err := x.write(cmd, client(), cmd.OutOrStdout())
			x.tell(cmd.ErrOrStderr())
			return err
		}
		err := replace.File(args[0], func(w io.Writer) error { return x.write(cmd, client(), w) })
		if err == nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s written to %s\n", count(x.written, "registration"), args[0])
		}
		x.tell(cmd.ErrOrStderr())
		return err
	}
	return cmd
}

// exporter writes registrations in one of the forms.
type exporter struct {
	format                         string
	written, inactive, scoped, odd int
}

func (x *exporter) write(cmd *cobra.Command, client winsctl.Client, to io.Writer) error {
	out := bufio.NewWriterSize(to, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if x.format == formatWinsDat {
		fmt.Fprintln(out, "VERSION 1 0")
	}
	err := client.Registrations(cmd.Context(), winsctl.Filter{Held: winsctl.NoneHeld}, func(r winsctl.Registration) error {
		if x.format == formatWinsDat {
			return x.winsDat(out, &r.Record)
		}
		x.written++
		return enc.Encode(r.Record)
	})
	return errors.Join(told(err), out.Flush())
}

// winsDat writes a record as Samba's nmbd does; policy/audit says what stands where.
func (x *exporter) winsDat(out io.Writer, r *winsctl.Record) error {
	switch {
	case r.State != wins.Active.String():
		x.inactive++
		return nil
	case r.Name.Scope() != "":
		x.scoped++
		return nil
	case !isPlain(r.Name.Base()):
		x.odd++
		return nil
	}
	x.written++
	expiry := int64(0)
	if !r.Static {
		expiry = r.Ends.Unix()
	}
	_, err := fmt.Fprintf(out, "\"%s#%02x\" %d %s %2xR\n", r.Name.Base(), r.Name.Suffix(), expiry, winsDatAddrs(r), winsDatFlags(r))
	return err
}

// isPlain reports whether a name is read back as it is written: nmbd has its names in another character
// set than the wire, and quotation marks end them. Those of browsers begin with 1 and 2.
func isPlain(base string) bool {
	return !strings.ContainsFunc(base, func(c rune) bool { return c >= 0x7f || c == '"' || c < ' ' && c != 1 && c != 2 })
}

// winsDatAddrs are the addresses; nmbd keeps no member of a normal group.
func winsDatAddrs(r *winsctl.Record) string {
	if r.Kind == wins.Group.String() {
		return "0.0.0.0"
	}
	return strings.ReplaceAll(registered(r), ",", " ")
}

// winsDatFlags is the upper octet of the node's flags with nmbd's own mark for active names.
func winsDatFlags(r *winsctl.Record) int {
	const active = 0x04
	flags := strings.Index("bpmh", r.Node)<<5 | active
	if r.Kind == wins.Group.String() || r.Kind == wins.Internet.String() {
		flags |= 0x80
	}
	return flags
}

// tell says what could not be written.
func (x *exporter) tell(w io.Writer) {
	for _, left := range []struct {
		n    int
		text string
	}{
		{x.inactive, "released or tombstones"}, {x.scoped, "with a scope, which wins.dat has not"},
		{x.odd, "with octets that are not ASCII letters, which wins.dat has in another character set"},
	} {
		if left.n > 0 {
			fmt.Fprintf(w, "left out: %d %s\n", left.n, left.text)
		}
	}
}
