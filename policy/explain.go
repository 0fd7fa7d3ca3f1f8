package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nameward/nameward/registry"
)

// Step is what one rule made of a request.
type Step struct {
	Rule *Rule
	// Miss is the first condition that was not met, in words; "" when the rule met the request.
	Miss string
	// Decided are the addresses that the rule decided about; for a request without addresses see Acted.
	Decided []netip.Addr
	Acted   bool // the rule decided something, or would have, in shadow mode
}

// Explain decides a request the slow way, rule by rule, and tells what each made of it. The decision is
// that of Decide. The steps end with the rule behind which nothing was left to decide.
func (p *Policy) Explain(s *registry.Snapshot, r *Request) ([]Step, Decision) {
	c := &context{policy: p, snap: s, req: r, sub: subjectOf(s, r)}
	c.claimant = c.claimantState()
	d := c.start()
	open := make([]int, max(1, len(r.Addrs)))
	for i := range open {
		open[i] = i
	}
	var steps []Step
	for _, rule := range p.Rules {
		if len(open) == 0 {
			break
		}
		step := Step{Rule: rule, Miss: c.miss(rule)}
		if step.Miss == "" {
			open = c.apply(rule, open, &step, &d)
		}
		steps = append(steps, step)
	}
	c.conclude(&d)
	return steps, d
}

// apply lets a rule decide about the addresses that are open, and returns those that still are.
func (c *context) apply(rule *Rule, open []int, step *Step, d *Decision) []int {
	var rest []int
	for _, i := range open {
		f, plain := c.fateOf(i)
		if miss := c.missAddr(rule, f, plain); miss != "" {
			step.Miss = miss
			rest = append(rest, i)
			continue
		}
		step.Acted = true
		if f.Addr.IsValid() {
			step.Decided = append(step.Decided, f.Addr)
		}
		if rule.Shadow {
			d.shadow(rule)
			rest = append(rest, i)
			continue
		}
		f.Rule = rule
		c.settle(d, i, f)
	}
	if step.Acted {
		step.Miss = ""
	}
	return rest
}

// miss names the first condition of a rule that the request does not meet, without those about an
// address; "" when all are met.
func (c *context) miss(rule *Rule) string {
	r := c.req
	source := c.snap.Plain(r.Source)
	switch {
	case !rule.HoldsAt(r.Time):
		return expiredMiss(rule, r.Time)
	case len(rule.Names) > 0 && !slices.ContainsFunc(rule.Names, func(p Pattern) bool { return p.Matches(c.snap, r) }):
		return fmt.Sprintf("name %s is none of %s%s", r.Name(), list(rule.Names), c.guardedHint(rule))
	case len(rule.Channels) > 0 && !slices.Contains(rule.Channels, r.Channel):
		return fmt.Sprintf("channel %s is none of %s", r.Channel, words(rule.Channels))
	case (len(rule.From) > 0 || rule.Controllers) && !c.comesFrom(rule, source):
		return fmt.Sprintf("source %s is not in %s", orNothing(r.Source), fromText(rule))
	case len(rule.Principals) > 0 && !slices.ContainsFunc(rule.Principals, func(p Principal) bool { return p.Matches(r.Principal) }):
		return fmt.Sprintf("%s is none of %s", signer(r.Principal), list(rule.Principals))
	case len(rule.Types) > 0 && !slices.ContainsFunc(rule.Types, func(t Type) bool { return t.Number == r.Type && t.NB == r.NetBIOS.IsValid() }):
		return fmt.Sprintf("type %s is none of %s", r.TypeName(), list(rule.Types))
	}
	return ""
}

// missAddr is miss for the conditions about an address.
func (c *context) missAddr(rule *Rule, f Fate, plain netip.Addr) string {
	state := c.stateFor(plain)
	switch {
	case len(rule.States) > 0 && !slices.Contains(rule.States, state):
		if state == 0 {
			return fmt.Sprintf("state: %s is not a guarded name, and so nobody is %s", c.req.Name(), words(rule.States))
		}
		return fmt.Sprintf("state %s is none of %s", state, words(rule.States))
	case len(rule.Classes) > 0 && !f.Addr.IsValid():
		return "the request has no address, and so none of " + list(rule.Classes)
	case len(rule.Classes) > 0 && !slices.ContainsFunc(rule.Classes, func(ref ClassRef) bool { return c.isOf(f, ref.Name) }):
		return fmt.Sprintf("class: %s is %s, none of %s", f.Addr, c.classText(f), list(rule.Classes))
	}
	return ""
}

// isOf reports whether an address is of a class, or of what a selector stands for.
func (c *context) isOf(f Fate, class string) bool {
	switch class {
	case ClassFiltered:
		return f.Class != "" && f.Class != registry.PublicClass
	case ClassUnclassified:
		return f.Class == ""
	case ClassHolder:
		return c.sub.holds(f.Addr)
	case ClassMember:
		return c.sub.mayHold(f.Addr)
	}
	return f.Class == class
}

func (c *context) classText(f Fate) string {
	text := "of class " + f.Class
	if f.Class == "" {
		text = "of no class"
	}
	switch {
	case !c.sub.guarded():
	case c.sub.holds(f.Addr):
		text += ", the holder's"
	case c.sub.mayHold(f.Addr):
		text += ", a member's"
	}
	return text
}

func (c *context) comesFrom(rule *Rule, source netip.Addr) bool {
	in := func(p Prefix) bool { return p.Contains(source) }
	return source.IsValid() && (slices.ContainsFunc(rule.From, in) || rule.Controllers && slices.ContainsFunc(c.policy.Controllers, in))
}

// guardedHint says why a name is not guarded where a rule asks for that.
func (c *context) guardedHint(rule *Rule) string {
	asks := slices.ContainsFunc(rule.Names, func(p Pattern) bool { return p.Kind == PatternGuarded || p.Kind == PatternRole })
	switch {
	case !asks:
		return ""
	case c.sub.role != nil:
		return " (it belongs to role " + c.sub.role.Role.Name + ")"
	case c.sub.guarded():
		return " (it belongs to a host)"
	}
	return " (it is no name of a role or a host)"
}

func expiredMiss(rule *Rule, now time.Time) string {
	at := rule.Expires.UTC().Format(time.RFC3339)
	if now.IsZero() {
		return "it expires at " + at + ", and the request has no time"
	}
	return "expired at " + at
}

func signer(principal string) string {
	if principal == "" {
		return "principal: the request is not signed, and that"
	}
	return "principal " + principal
}

func orNothing(a netip.Addr) string {
	if !a.IsValid() {
		return "not known"
	}
	return a.String()
}

func fromText(r *Rule) string {
	text := list(r.From)
	switch {
	case !r.Controllers:
	case text == "":
		text = "@controllers"
	default:
		text += ", @controllers"
	}
	return text
}

// list writes the entries of a condition, the first few of a long one.
func list[T fmt.Stringer](all []T) string {
	const most = 6
	var out []string
	for i, v := range all {
		if i == most {
			out = append(out, fmt.Sprintf("... (%d in all)", len(all)))
			break
		}
		out = append(out, v.String())
	}
	return strings.Join(out, ", ")
}

// String is the pattern as it was written.
func (p Principal) String() string { return p.Text }

// String is the type as DNS writes it.
func (t Type) String() string { return t.Text }

// String is the class or selector.
func (c ClassRef) String() string { return c.Name }
