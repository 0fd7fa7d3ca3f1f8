package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
)

// requestFlags is a request on the command line.
type requestFlags struct {
	channel, name, rrtype, from, principal string
	addrs                                  []string
}

func (f *requestFlags) add(cmd *cobra.Command) {
	var channels []string
	for _, c := range policy.Channels {
		channels = append(channels, c.String())
	}
	fs := cmd.Flags()
	fs.StringVar(&f.channel, "channel", "", "the `way` that it comes: "+strings.Join(channels, ", "))
	fs.StringVar(&f.name, "name", "", "DNS `name` (mail.corp.example.) or NetBIOS name (MAIL<20>)")
	fs.StringVar(&f.rrtype, "type", "", "record `type` (default: what name and addresses speak for)")
	fs.StringArrayVar(&f.addrs, "address", nil, "an `address` that is to be published; several times for several")
	fs.StringVar(&f.from, "from", "", "the `address` that it comes from")
	fs.StringVar(&f.principal, "principal", "", "`who` signed it: a TSIG key or a Kerberos principal")
	_ = cmd.RegisterFlagCompletionFunc("channel", cobra.FixedCompletions(channels, cobra.ShellCompDirectiveNoFileComp))
	for _, required := range []string{"channel", "name"} {
		_ = cmd.MarkFlagRequired(required)
	}
}

// request reads the flags.
func (f *requestFlags) request() (r policy.Request, err error) {
	if r.Channel, err = policy.ParseChannel(f.channel); err != nil {
		return r, fmt.Errorf("--channel: %w", err)
	}
	if err = r.SetName(f.name); err != nil {
		return r, fmt.Errorf("--name: %w", err)
	}
	for _, a := range f.addrs {
		addr, err := netip.ParseAddr(a)
		if err != nil {
			return r, fmt.Errorf("--address: %q is no address", a)
		}
		r.Addrs = append(r.Addrs, addr)
	}
	if f.from != "" {
		if r.Source, err = netip.ParseAddr(f.from); err != nil {
			return r, fmt.Errorf("--from: %q is no address", f.from)
		}
	}
	r.Principal = f.principal
	if err = f.setType(&r); err != nil {
		return r, err
	}
	return r, r.Check()
}

func (f *requestFlags) setType(r *policy.Request) error {
	r.GuessType()
	if f.rrtype == "" {
		if r.Type == 0 {
			return fmt.Errorf("without an address the type cannot be told: write --address or --type")
		}
		return nil
	}
	t, err := policy.ParseType(f.rrtype)
	if err != nil {
		return fmt.Errorf("--type: %w", err)
	}
	if t.NB != r.NetBIOS.IsValid() {
		return fmt.Errorf("--type: %s does not go with the name %s: NB is the type of NetBIOS names", t, r.Name())
	}
	r.Type = t.Number
	return nil
}

func newPolicyExplain() *cobra.Command {
	var asJSON bool
	var req requestFlags
	cmd := &cobra.Command{
		Use: "explain [FILE] --channel CHANNEL --name NAME [--address ADDRESS]...", Short: "Decide one request and say of every rule why it did or did not match",
		Long: "Decide one request and say of every rule that was looked at why it did or did not match. Without a FILE the\n" +
			"built-in rules decide.",
		Example: "  nameward policy explain policy.yaml --channel wins --name 'MAIL<20>' --from 10.9.0.12 --address 10.9.0.12 --held mailbox=ex1",
		Args:    cobra.MaximumNArgs(1),
	}
	req.add(cmd)
	world, held, now := worldFlag(cmd), heldFlag(cmd), nowFlag(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file := builtinPolicy
		if len(args) > 0 {
			file = args[0]
		}
		p, w, err := loadBoth(file, world)
		if err != nil {
			return err
		}
		who, err := held()
		if err != nil {
			return err
		}
		snap, err := registry.Assume(w, who)
		if err != nil {
			return fmt.Errorf("--held: %w", err)
		}
		r, err := req.request()
		if err != nil {
			return err
		}
		r.Time = now.time()
		steps, d := p.Explain(snap, &r)
		if asJSON {
			return printJSON(cmd.OutOrStdout(), newExplained(&r, steps, &d))
		}
		printExplained(cmd.OutOrStdout(), &r, who, steps, &d)
		return nil
	}
	return cmd
}

func printExplained(out io.Writer, r *policy.Request, held map[string][]string, steps []policy.Step, d *policy.Decision) {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "request\t%s of %s on channel %s%s\n", r.TypeName(), r.Name(), r.Channel, askedBy(r))
	for _, f := range d.Fates() {
		fmt.Fprintf(tw, "\t%s, %s\n", f.Addr, classText(f.Class))
	}
	if d.Role != "" {
		fmt.Fprintf(tw, "guarded\tby role %s, held by %s\n", d.Role, heldBy(held, d.Role))
	}
	for _, s := range steps {
		fmt.Fprintf(tw, "%3d. %s\t%s\n", s.Rule.Pos, s.Rule.ID, stepText(&s))
	}
	fmt.Fprintf(tw, "verdict\t%s (%s) by rule %s, %s\n", d.Verdict, d.Reason, d.Rule.ID, d.Rule.Place())
	if d.Rule.Reason != "" {
		fmt.Fprintf(tw, "because\t%s\n", d.Rule.Reason)
	}
	if d.Alert {
		fmt.Fprintf(tw, "alert\tyes\n")
	}
	if d.Shadow != nil {
		fmt.Fprintf(tw, "shadow\trule %s would %s\n", d.Shadow.ID, d.Shadow.Action)
	}
	fmt.Fprintf(tw, "published\t%s\n", addrList(d.AppendPublished(nil)))
	fmt.Fprintf(tw, "decision\t%s\n", d.ID)
	_ = tw.Flush()
}

func askedBy(r *policy.Request) string {
	text := ""
	if r.Source.IsValid() {
		text += " from " + r.Source.String()
	}
	if r.Principal != "" {
		text += ", signed by " + r.Principal
	}
	return text
}

func classText(class string) string {
	if class == "" {
		return "of no class"
	}
	return "class " + class
}

func heldBy(held map[string][]string, role string) string {
	nodes, told := held[role]
	switch {
	case !told:
		return "any of its nodes"
	case len(nodes) == 0:
		return "nobody"
	}
	return strings.Join(nodes, ", ")
}

func stepText(s *policy.Step) string {
	if !s.Acted {
		return "no: " + s.Miss
	}
	text := "yes: " + s.Rule.Action.String()
	if s.Rule.Shadow {
		text = "yes, but in shadow mode: would " + s.Rule.Action.String()
	}
	if len(s.Decided) > 0 {
		text += " " + addrList(s.Decided)
	}
	return text
}

// explained is a decision as JSON.
type explained struct {
	Name      string          `json:"name"`
	Channel   policy.Channel  `json:"channel"`
	Type      string          `json:"type"`
	Role      string          `json:"role,omitempty"`
	Verdict   policy.Action   `json:"verdict"`
	Reason    policy.Reason   `json:"reason"`
	Rule      explainedRule   `json:"rule"`
	Shadow    *explainedRule  `json:"shadow,omitempty"`
	Alert     bool            `json:"alert,omitempty"`
	Addresses []explainedAddr `json:"addresses"`
	Published []netip.Addr    `json:"published"`
	Decision  policy.ID       `json:"decision"`
	Steps     []explainedStep `json:"steps"`
}

type explainedRule struct {
	ID     string        `json:"id"`
	Pos    int           `json:"position"`
	Place  string        `json:"place"`
	Action policy.Action `json:"action"`
}

type explainedAddr struct {
	Address netip.Addr    `json:"address"`
	Class   string        `json:"class,omitempty"`
	Kept    bool          `json:"kept"`
	Reason  policy.Reason `json:"reason"`
	Rule    string        `json:"rule"`
}

type explainedStep struct {
	Rule    string       `json:"rule"`
	Matched bool         `json:"matched"`
	Why     string       `json:"why,omitempty"` // why not
	Decided []netip.Addr `json:"decided,omitempty"`
}

func newExplained(r *policy.Request, steps []policy.Step, d *policy.Decision) explained {
	rule := func(r *policy.Rule) explainedRule { return explainedRule{r.ID, r.Pos, r.Place(), r.Action} }
	e := explained{
		Name: r.Name(), Channel: r.Channel, Type: r.TypeName(), Role: d.Role, Verdict: d.Verdict, Reason: d.Reason, Rule: rule(d.Rule),
		Alert: d.Alert, Addresses: []explainedAddr{}, Published: append([]netip.Addr{}, d.AppendPublished(nil)...), Decision: d.ID,
	}
	if d.Shadow != nil {
		s := rule(d.Shadow)
		e.Shadow = &s
	}
	for _, f := range d.Fates() {
		e.Addresses = append(e.Addresses, explainedAddr{f.Addr, f.Class, f.Kept, f.Reason, f.Rule.ID})
	}
	for _, s := range steps {
		e.Steps = append(e.Steps, explainedStep{s.Rule.ID, s.Acted, s.Miss, s.Decided})
	}
	return e
}
