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

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/winsctl"
	"github.com/nameward/nameward/registry/control"
)

// listOptions are the flags of registrations.
type listOptions struct {
	name                            string
	state                           string
	static, held, quarantined, json bool
}

func newRegistrations() *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use: "registrations [NAME]", Short: "Show what is registered at the WINS server, what is not published, and why",
		Long: "Show the registrations of the WINS server. NAME is a NetBIOS name, as MAIL for all of its suffixes or MAIL<20>\n" +
			"for one; * stands for anything, as in MAIL*<20>. Without a name, records and the registrations of roles' members\n" +
			"are shown: published while the role serves the address, else parked. With one, also what was quarantined,\n" +
			"refused or ignored.",
		Example: "  nameward registrations MAIL\n  nameward registrations '*<1c>'\n  nameward registrations --quarantined",
		Args:    cobra.MaximumNArgs(1),
	}
	client := winsFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&o.state, "state", "", "only records in this `state`: active, released, tombstone")
	f.BoolVar(&o.static, "static", false, "only what an operator entered")
	f.BoolVar(&o.held, "held", false, "only what nodes asked for and is not, or not of itself, published")
	f.BoolVar(&o.quarantined, "quarantined", false, "only what was quarantined, refused or ignored")
	jsonFlag(cmd, &o.json)
	f.Lookup("json").Usage = "print JSON, one object a line"
	complete(cmd, "state", cobra.FixedCompletions(stateWords(), cobra.ShellCompDirectiveNoFileComp))
	cmd.ValidArgsFunction = completeNames(client)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			o.name = args[0]
		}
		return listRegistrations(cmd, client(), o)
	}
	cmd.AddCommand(newRegistrationsAdd(), newRegistrationsRemove(), newRegistrationsImport(), newRegistrationsExport())
	return cmd
}

// winsFlag is controlFlag for the verbs of the WINS server.
func winsFlag(cmd *cobra.Command) func() winsctl.Client {
	client := controlFlag(cmd)
	return func() winsctl.Client { return winsctl.Client{Client: client()} }
}

func stateWords() []string {
	var words []string
	for _, s := range wins.States {
		words = append(words, s.String())
	}
	return words
}

// completeNames completes names that are registered or held.
func completeNames(client func() winsctl.Client) cobra.CompletionFunc {
	const most = 200
	return func(_ *cobra.Command, args []string, prefix string) (out []string, _ cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		f := winsctl.Filter{Name: prefix + "*", Held: winsctl.WithHeld}
		// Without an answer, or with more than a person would read, there is nothing more to offer.
		_ = client().Registrations(ctx, f, func(r winsctl.Registration) error {
			if name := r.Name.String(); !slices.Contains(out, name) {
				out = append(out, name)
			}
			if len(out) == most {
				return errEnough
			}
			return nil
		})
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

var errEnough = errors.New("enough")

// filter checks the flags and says what they ask for.
func (o *listOptions) filter() (winsctl.Filter, error) {
	f := winsctl.Filter{Name: o.name, State: o.state, Static: o.static}
	switch {
	case o.state != "" && !slices.Contains(stateWords(), o.state):
		return f, fmt.Errorf("--state %q: want %s", o.state, strings.Join(stateWords(), ", "))
	case (o.held || o.quarantined) && (o.static || o.state != ""):
		return f, errors.New("what --held and --quarantined show is no record and has neither --state nor --static; leave one of them out")
	case o.quarantined:
		f.Held = winsctl.Quarantined
	case o.held:
		f.Held = winsctl.OnlyHeld
	case o.name != "":
		f.Held = winsctl.WithHeld
	}
	return f, nil
}

func listRegistrations(cmd *cobra.Command, client winsctl.Client, o listOptions) error {
	f, err := o.filter()
	if err != nil {
		return err
	}
	list := newRegistrationList(cmd.OutOrStdout(), o)
	if err := client.Registrations(cmd.Context(), f, list.add); err != nil {
		list.flush()
		return told(err)
	}
	if list.flush(); list.err != nil {
		return fmt.Errorf("writing the registrations: %w", list.err)
	}
	switch {
	case o.json:
		return nil
	case list.count == 0 && o.name != "" && !strings.Contains(o.name, "*"):
		return exit{exitFindings, fmt.Errorf("nothing is registered as %s", o.name)}
	case list.count == 0:
		fmt.Fprintln(cmd.OutOrStdout(), "no registrations")
	}
	if o == (listOptions{}) {
		hintHeld(cmd, client.Client)
	}
	return nil
}

// hintHeld says how much is not shown.
func hintHeld(cmd *cobra.Command, client *control.Client) {
	st, err := client.Status(cmd.Context())
	if err != nil || st.WINS == nil {
		return
	}
	n := 0
	for fate, of := range st.WINS.Held {
		if fate != wins.IsParked.String() {
			n += of
		}
	}
	if n > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "quarantined, refused or ignored, and not shown: %d; nameward registrations --quarantined shows them\n", n)
	}
}

// registrationList prints registrations as they come.
type registrationList struct {
	tw    *tabwriter.Writer
	json  *json.Encoder
	held  bool // what is held is all that comes
	now   time.Time
	count int
	err   error
}

// listBlock is how many rows are aligned together: a long list cannot wait for its end.
const listBlock = 1000

func newRegistrationList(out io.Writer, o listOptions) *registrationList {
	l := &registrationList{now: time.Now(), held: o.held || o.quarantined}
	if o.json {
		l.json = json.NewEncoder(out)
		l.json.SetEscapeHTML(false)
		return l
	}
	l.tw = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	return l
}

func (l *registrationList) add(r winsctl.Registration) error {
	switch {
	case l.json != nil:
		l.err = l.json.Encode(r)
	case l.held:
		l.addHeld(&r)
	default:
		l.addAny(&r)
	}
	if l.count++; l.tw != nil && l.count%listBlock == 0 {
		l.flush()
	}
	return l.err
}

func (l *registrationList) addAny(r *winsctl.Registration) {
	if l.count == 0 {
		fmt.Fprintln(l.tw, "NAME\tKIND\tSTATE\tADDRESSES\tSOURCE\tVERSION\tENDS\tWHY")
	}
	source, version, ends := "local", fmt.Sprint(r.Version), ends(r.Ends, l.now)
	switch {
	case r.Held != nil:
		source, version, ends = r.Held.Source.String(), "-", "-"
	case r.Owner.IsValid():
		source = r.Owner.String()
	case r.Static:
		ends = "never"
	}
	fmt.Fprintf(l.tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.Kind, stateText(r), registered(&r.Record), source, version, ends, why(r.Held))
}

func (l *registrationList) addHeld(r *winsctl.Registration) {
	if l.count == 0 {
		fmt.Fprintln(l.tw, "NAME\tWHAT\tSTATE\tADDRESSES\tSOURCE\tCOUNT\tFIRST\tLAST\tWHY")
	}
	h := r.Held
	fmt.Fprintf(l.tw, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", r.Name, h.What, r.State, registered(&r.Record), h.Source, h.Count,
		age(h.First, l.now)+" ago", age(h.Last, l.now)+" ago", why(h))
}

func (l *registrationList) flush() {
	if l.tw != nil {
		l.err = errors.Join(l.err, l.tw.Flush())
	}
}

func stateText(r *winsctl.Registration) string {
	if r.Static {
		return "static"
	}
	return r.State
}

func registered(r *winsctl.Record) string {
	addrs := make([]netip.Addr, len(r.Addresses))
	for i, a := range r.Addresses {
		addrs[i] = a.Address
	}
	return addrList(addrs)
}

// why says on what grounds something is held.
func why(h *winsctl.Held) string {
	if h == nil {
		return "-"
	}
	return whyWords(h.Reason, h.Role, h.Rule, h.Decision, h.Alert)
}

func whyWords(reason, role, rule, decision string, alert bool) string {
	var words []string
	for _, w := range []struct{ before, word string }{{"", reason}, {"role ", role}, {"rule ", rule}, {"decision ", decision}} {
		if w.word != "" {
			words = append(words, w.before+w.word)
		}
	}
	if alert {
		words = append(words, "alert")
	}
	return orDash(strings.Join(words, ", "))
}

// ends writes when something ends, in the two units that matter.
func ends(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := max(0, t.Sub(now)).Round(time.Second)
	switch {
	case d == 0:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("in %d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("in %d min", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("in %d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("in %d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// namesOf are the names that an argument stands for: without a suffix those of a host, as WINS makes them
// of a static entry, or the one that the kind has.
func namesOf(text, kind string) ([]netbios.Name, error) {
	n, err := netbios.ParseName(text)
	if err != nil {
		return nil, err
	}
	if strings.Contains(text, "<") {
		return []netbios.Name{n}, nil
	}
	switch kind {
	case wins.Internet.String():
		return []netbios.Name{n.WithSuffix(0x1c)}, nil
	case wins.Group.String():
		return nil, fmt.Errorf("%q: say which suffix the group has, as in %s<00>", text, n.Base())
	}
	return []netbios.Name{n.WithSuffix(0x00), n.WithSuffix(0x03), n.WithSuffix(0x20)}, nil
}
