package lint

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/finding"
	"github.com/nameward/nameward/policy/ruleset"
	"github.com/nameward/nameward/registry"
)

// Subject is a policy to look at.
type Subject struct {
	Policy *policy.Policy
	World  *registry.World // an empty one when no configuration is at hand
	Now    time.Time
	// Covered tells whether a test has a rule; nil: there was no looking at tests.
	Covered func(r *policy.Rule) bool
}

// Columns are the keys of the fields of this package's findings.
var Columns = []string{"rule", "name", "address", "class", "channel", "witness", "old", "new", "held", "published", "why"}

// Check finds what is wrong with a policy that can be read. What it says of decisions is proved: it
// looks at every request that the rules can tell apart, and shows one that the engine was asked about.
func Check(sub Subject) ([]finding.Finding, error) {
	s, err := newSpace(sub.World, sub.Now, sub.Policy)
	if err != nil {
		return nil, err
	}
	a := &analysis{space: s, p: sub.Policy, rules: make([]ruleFacts, len(s.rules))}
	a.nested = nestedClasses(sub.Policy)
	s.walk(a.look)
	c := &checker{Subject: sub, analysis: a}
	c.run()
	slices.SortStableFunc(c.out, func(x, y finding.Finding) int {
		return cmp.Or(cmp.Compare(x.Place.File, y.Place.File), cmp.Compare(x.Place.Line, y.Place.Line),
			cmp.Compare(x.Place.Col, y.Place.Col), cmp.Compare(x.Kind.ID, y.Kind.ID), cmp.Compare(x.Message, y.Message))
	})
	return c.out, c.err
}

// analysis is what a walk over all requests says of the rules.
type analysis struct {
	*space
	p      *policy.Policy
	rules  []ruleFacts
	leaks  []leak
	broad  []broader
	nested []nesting
}

// ruleFacts is what was seen of one rule.
type ruleFacts struct {
	met      bool        // all of its conditions can be met together
	decides  bool        // it decides something, or would in shadow mode
	needed   bool        // without it some decision would be another
	hiddenBy ruleset.Set // the rules that decide where it is met
	unsigned *Witness    // an update without a signature that it publishes
}

// leak is how a rule publishes filtered addresses. The witness is for a guarded name if one can be had.
type leak struct {
	rule     int
	guarded  bool
	class    string // of the witness
	witness  Witness
	classes  []string
	channels []policy.Channel
}

// broader is a rule that decides for sources which a later rule with another action names more closely.
type broader struct {
	rule, later int
	outer       policy.Prefix
	inner       policy.Prefix
	witness     Witness
}

// nesting is a class prefix inside of one of another class.
type nesting struct {
	inner, outer           policy.Prefix
	innerClass, outerClass string
	witness                *Witness
	actions                [2]policy.Action
}

func nestedClasses(p *policy.Policy) []nesting {
	var out []nesting
	for _, a := range p.Classes {
		for _, b := range p.Classes {
			if a.Name == b.Name {
				continue
			}
			for _, inner := range a.Prefixes {
				for _, outer := range b.Prefixes {
					if outer.Bits() < inner.Bits() && outer.Contains(inner.Addr()) {
						out = append(out, nesting{inner: inner, outer: outer, innerClass: a.Name, outerClass: b.Name})
					}
				}
			}
		}
	}
	return out
}

// look takes in what happens in one context.
func (a *analysis) look(c *context, hits []hit) bool {
	for _, h := range hits {
		first, shadows := a.first(0, h.rules)
		for _, i := range shadows {
			a.rules[i].decides = true
		}
		a.rules[first].decides = true
		a.lookHidden(first, h)
		a.lookNeeded(first, h)
		a.lookLeak(first, c, h)
		a.lookUnsigned(first, c, h)
		a.lookBroader(first, c, h)
	}
	a.lookNested(c, hits)
	return true
}

func (a *analysis) lookHidden(first int, h hit) {
	for i := h.rules.Next(0); i >= 0; i = h.rules.Next(i + 1) {
		f := &a.rules[i]
		f.met = true
		if i > first && !f.decides {
			f.hiddenBy = ruleset.Grown(f.hiddenBy, a.words)
			f.hiddenBy.Add(first)
		}
	}
}

// lookNeeded notes whether the rule behind the one that decides would do the same. The last rule of all
// does not count: who writes down what it does means it. For what is about the whole request the place
// in the order counts too.
func (a *analysis) lookNeeded(first int, h hit) {
	f := &a.rules[first]
	if f.needed {
		return
	}
	next := a.after(0, first, h.rules)
	r, n := a.space.rules[first], a.space.rules[next]
	if next == a.start[1]-1 || r.Action != n.Action || r.Alert != n.Alert {
		f.needed = true
		return
	}
	if r.Action == policy.Publish || r.Action == policy.Strip {
		return
	}
	for _, between := range a.space.rules[first+1 : next] {
		if between.Action != r.Action && between.Action != policy.Publish && between.Action != policy.Strip {
			f.needed = true
			return
		}
	}
}

func (a *analysis) lookLeak(first int, c *context, h hit) {
	if h.addr == nil || !isFiltered(h.addr.classes[0]) || a.space.rules[first].Action != policy.Publish {
		return
	}
	class, guarded := h.addr.classes[0], c.name.subject.guarded
	i := slices.IndexFunc(a.leaks, func(l leak) bool { return l.rule == first })
	if i < 0 {
		i = len(a.leaks)
		a.leaks = append(a.leaks, leak{rule: first})
	}
	l := &a.leaks[i]
	if l.class == "" || guarded && !l.guarded {
		l.class, l.guarded, l.witness = class, guarded, a.witness(c, h.addr.addr)
	}
	l.classes, l.channels = with(l.classes, class), with(l.channels, c.channel)
}

// with is a list that has v.
func with[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

func (a *analysis) lookUnsigned(first int, c *context, h hit) {
	r, f := a.space.rules[first], &a.rules[first]
	if f.unsigned != nil || c.channel != policy.Update || c.principal != "" || r.Action != policy.Publish ||
		!slices.Contains(r.Channels, policy.Update) {
		return
	}
	w := a.witness(c, addrOf(h))
	f.unsigned = &w
}

func addrOf(h hit) (none netip.Addr) {
	if h.addr == nil {
		return none
	}
	return h.addr.addr
}

// lookBroader finds a rule whose prefix holds that of a later rule which wants something else.
func (a *analysis) lookBroader(first int, c *context, h hit) {
	r := a.space.rules[first]
	if len(r.From) == 0 || !c.source.addr.IsValid() {
		return
	}
	for i := h.rules.Next(first + 1); i >= 0; i = h.rules.Next(i + 1) {
		later := a.space.rules[i]
		if len(later.From) == 0 || later.Action == r.Action || later.Shadow {
			continue
		}
		outer, inner := longest(r.From, c.source.addr), longest(later.From, c.source.addr)
		known := slices.ContainsFunc(a.broad, func(b broader) bool { return b.rule == first && b.later == i })
		if !known && outer.IsValid() && inner.IsValid() && outer.Bits() < inner.Bits() {
			a.broad = append(a.broad, broader{first, i, outer, inner, a.witness(c, addrOf(h))})
		}
	}
}

// longest is the longest prefix around an address.
func longest(list []policy.Prefix, addr netip.Addr) (best policy.Prefix) {
	for _, p := range list {
		if p.Contains(addr) && (!best.IsValid() || p.Bits() > best.Bits()) {
			best = p
		}
	}
	return best
}

// lookNested finds a context in which an address of an inner prefix is treated in another way than one
// of the outer prefix.
func (a *analysis) lookNested(c *context, hits []hit) {
	for i := range a.nested {
		n := &a.nested[i]
		if n.witness != nil {
			continue
		}
		in, out := hitOf(hits, n.innerClass), hitOf(hits, n.outerClass)
		if in == nil || out == nil {
			continue
		}
		x, _ := a.first(0, in.rules)
		y, _ := a.first(0, out.rules)
		if p, q := a.space.rules[x].Action, a.space.rules[y].Action; p != q {
			w := a.witness(c, in.addr.addr)
			n.witness, n.actions = &w, [2]policy.Action{p, q}
		}
	}
}

func hitOf(hits []hit, class string) *hit {
	for i := range hits {
		if h := &hits[i]; h.addr != nil && h.addr.classes[0] == class && len(h.addr.owners) == 0 {
			return h
		}
	}
	return nil
}

// checker turns facts into findings.
type checker struct {
	Subject
	analysis *analysis
	out      []finding.Finding
	err      error
}

func (c *checker) run() {
	for i, r := range c.Policy.Rules[:c.Policy.Own] {
		f := &c.analysis.rules[i]
		c.reachable(r, f)
		c.unsigned(r, f)
		c.manners(r)
	}
	c.leaks()
	c.overlaps()
	c.unusedClasses()
	if c.analysis.unfinished {
		c.add(NotProved, finding.Place{File: c.Policy.File},
			"there are too many combinations to look at all of them: what was found holds, but more may be there")
	}
}

// add enters a finding. fields are keys and values by turns; empty values are left out.
func (c *checker) add(k *finding.Kind, at finding.Place, message string, fields ...string) *finding.Finding {
	f := finding.Finding{Kind: k, Severity: k.Severity, Message: message, Place: at}
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i+1] != "" {
			f.Fields = append(f.Fields, finding.Field{Key: fields[i], Value: fields[i+1]})
		}
	}
	c.out = append(c.out, f)
	return &c.out[len(c.out)-1]
}

func (c *checker) reachable(r *policy.Rule, f *ruleFacts) {
	expired := !r.HoldsAt(c.Now)
	switch {
	case expired:
		c.add(Expired, rulePlace(c.Policy, r), fmt.Sprintf("rule %s expired at %s%s: renew it or take it out",
			r.ID, r.Expires.UTC().Format(time.RFC3339), owned(r)), "rule", r.ID)
	case c.analysis.unfinished:
	case !f.met:
		c.add(Unreachable, rulePlace(c.Policy, r), fmt.Sprintf("rule %s never decides: no request meets all of its conditions", r.ID), "rule", r.ID)
	case !f.decides:
		hidden := c.add(Unreachable, rulePlace(c.Policy, r), fmt.Sprintf("rule %s never decides: %s before it: move it up, or take it out",
			r.ID, c.takenBy(f.hiddenBy)), "rule", r.ID)
		for i := f.hiddenBy.Next(0); i >= 0; i = f.hiddenBy.Next(i + 1) {
			by := c.analysis.space.rules[i]
			hidden.Related = append(hidden.Related, finding.Related{Place: rulePlace(c.Policy, by), Message: "rule " + by.ID + ": " + by.Action.String()})
		}
	case !f.needed && !r.Shadow:
		c.add(Redundant, rulePlace(c.Policy, r), fmt.Sprintf("rule %s changes nothing: without it every decision is the same: take it out", r.ID), "rule", r.ID)
	}
}

func owned(r *policy.Rule) string {
	if r.Owner == "" {
		return ""
	}
	return " (owner " + r.Owner + ")"
}

// takenBy says which rules take all that another one is for.
func (c *checker) takenBy(s ruleset.Set) string {
	var names []string
	for i := s.Next(0); i >= 0; i = s.Next(i + 1) {
		names = append(names, c.analysis.space.rules[i].ID)
	}
	switch len(names) {
	case 1:
		return "all that it is for is taken by rule " + names[0]
	case 2, 3, 4:
		return "all that it is for is taken by rules " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
	}
	return fmt.Sprintf("all that it is for is taken by rules %s, %s and %d others", names[0], names[1], len(names)-2)
}

func (c *checker) unsigned(r *policy.Rule, f *ruleFacts) {
	if f.unsigned == nil {
		return
	}
	w := *f.unsigned
	if !c.proved(w, func(d *policy.Decision) bool { return d.Verdict == policy.Publish && d.Rule == r }) {
		return
	}
	c.add(Unsigned, rulePlace(c.Policy, r), fmt.Sprintf("rule %s publishes updates that nobody signed: name the keys or accounts in principals", r.ID),
		"rule", r.ID, "name", w.Request.Name(), "channel", policy.Update.String(), "witness", w.String())
}

// proved asks the engine about a witness before anybody is told.
func (c *checker) proved(w Witness, is func(d *policy.Decision) bool) bool {
	d, err := c.analysis.decide(c.Policy, w)
	if err == nil && !is(&d) {
		err = fmt.Errorf("the engine decides otherwise: %s by rule %s", d.Verdict, d.Rule.ID)
	}
	if err != nil {
		c.err = fmt.Errorf("internal error: witness %s: %w", w, err)
	}
	return err == nil
}

// manners are findings about a rule as it is written.
func (c *checker) manners(r *policy.Rule) {
	if r.Action == policy.Quarantine && !r.Alert && !r.Shadow {
		c.add(SilentQuarantine, rulePlace(c.Policy, r), fmt.Sprintf("rule %s quarantines, and nobody is told: add alert: true", r.ID), "rule", r.ID)
	}
	if c.Covered != nil && !c.Covered(r) && r.HoldsAt(c.Now) {
		c.add(Untested, rulePlace(c.Policy, r), fmt.Sprintf("rule %s has no test: write a case that it decides", r.ID), "rule", r.ID)
	}
	c.forgotten(r)
}

// forgotten finds rules for DNS that look at one family only, in a world that has both.
func (c *checker) forgotten(r *policy.Rule) {
	if !c.carriesDNS(r) {
		return
	}
	has := func(name string) bool {
		return slices.ContainsFunc(r.Types, func(t policy.Type) bool { return t.Text == name })
	}
	switch {
	case has("A") && !has("AAAA"):
		c.add(ForgottenIPv6, rulePlace(c.Policy, r), fmt.Sprintf("rule %s is for A and not for AAAA: add AAAA to its types", r.ID), "rule", r.ID)
	case len(r.From) > 0 && onlyIPv4(r.From) && c.worldHasIPv6():
		c.add(ForgottenIPv6, placeIn(c.Policy, r.File, r.From[0].At.Line, r.From[0].At.Col),
			fmt.Sprintf("rule %s is for IPv4 sources only, and the configuration has IPv6 addresses: add their prefixes to from", r.ID), "rule", r.ID)
	}
}

func (c *checker) carriesDNS(r *policy.Rule) bool {
	if len(r.Names) > 0 && !slices.ContainsFunc(r.Names, func(p policy.Pattern) bool { return !p.IsNetBIOS() }) {
		return false
	}
	return len(r.Channels) == 0 || slices.ContainsFunc(r.Channels, func(ch policy.Channel) bool {
		return ch != policy.WINS && ch != policy.Broadcast
	})
}

func onlyIPv4(list []policy.Prefix) bool {
	return !slices.ContainsFunc(list, func(p policy.Prefix) bool { return p.Addr().Is6() })
}

func (c *checker) worldHasIPv6() bool {
	is6 := func(p netip.Prefix) bool { return p.Addr().Is6() }
	if slices.ContainsFunc(c.World.Classes, func(cl registry.Class) bool { return slices.ContainsFunc(cl.Prefixes, is6) }) {
		return true
	}
	return slices.ContainsFunc(c.World.Nodes, func(n *registry.Node) bool {
		return slices.ContainsFunc(n.Public, netip.Addr.Is6) ||
			slices.ContainsFunc(n.Other, func(o registry.ClassAddr) bool { return o.Addr.Is6() })
	})
}

func (c *checker) leaks() {
	for _, l := range c.analysis.leaks {
		r, w := c.analysis.space.rules[l.rule], l.witness
		addr := w.Request.Addrs[0]
		if !c.proved(w, func(d *policy.Decision) bool { return slices.Contains(d.AppendPublished(nil), addr) }) {
			continue
		}
		what := "the name " + w.Request.Name()
		if l.guarded {
			what = "the guarded name " + w.Request.Name()
		}
		f := c.add(Published, rulePlace(c.Policy, r), fmt.Sprintf("rule %s publishes %s of class %s under %s: strip \"@filtered\" in a rule before it, or name the classes that it is for", r.ID, addr, l.class, what),
			"rule", r.ID, "name", w.Request.Name(), "address", addr.String(), "class", strings.Join(l.classes, ", "), "channel", channelList(l.channels), "witness", w.String())
		if !l.guarded {
			f.Severity = finding.Warning
		}
		if l.rule < c.Policy.Own && namesFiltered(r) && (r.Expires.IsZero() || r.Owner == "") {
			c.openException(r)
		}
	}
}

// namesFiltered reports whether a rule is for filtered addresses on purpose.
func namesFiltered(r *policy.Rule) bool {
	return slices.ContainsFunc(r.Classes, func(ref policy.ClassRef) bool {
		return ref.Name == policy.ClassFiltered || ref.Name[0] != '@' && isFiltered(ref.Name)
	})
}

func (c *checker) openException(r *policy.Rule) {
	at := rulePlace(c.Policy, r)
	if slices.ContainsFunc(c.out, func(f finding.Finding) bool { return f.Kind == OpenException && f.Place == at }) {
		return
	}
	lacks := "an owner"
	switch {
	case r.Expires.IsZero() && r.Owner == "":
		lacks = "an end and an owner"
	case r.Expires.IsZero():
		lacks = "an end"
	}
	c.add(OpenException, at, fmt.Sprintf("rule %s is an exception without %s: write expires and owner", r.ID, lacks), "rule", r.ID)
}

func channelList(list []policy.Channel) string {
	out := make([]string, len(list))
	for i, ch := range list {
		out[i] = ch.String()
	}
	return strings.Join(out, ", ")
}

func (c *checker) overlaps() {
	for _, b := range c.analysis.broad {
		r, later := c.analysis.space.rules[b.rule], c.analysis.space.rules[b.later]
		if b.later >= c.Policy.Own || !c.analysis.rules[b.later].decides {
			continue
		}
		f := c.add(Overlap, placeIn(c.Policy, later.File, b.inner.At.Line, b.inner.At.Col),
			fmt.Sprintf("%s of rule %s lies in %s of rule %s, which stands before it: what comes from there is %s and not %s",
				b.inner.Prefix, later.ID, b.outer.Prefix, r.ID, done(r.Action), done(later.Action)),
			"rule", later.ID, "name", b.witness.Request.Name(), "witness", b.witness.String())
		f.Related = []finding.Related{{Place: placeIn(c.Policy, r.File, b.outer.At.Line, b.outer.At.Col), Message: "rule " + r.ID}}
	}
	for _, n := range c.analysis.nested {
		if n.witness == nil {
			continue
		}
		f := c.add(Overlap, placeIn(c.Policy, c.Policy.File, n.inner.At.Line, n.inner.At.Col),
			fmt.Sprintf("%s of class %s lies in %s of class %s: it is %s where the rest is %s",
				n.inner.Prefix, n.innerClass, n.outer.Prefix, n.outerClass, done(n.actions[0]), done(n.actions[1])),
			"class", n.innerClass, "name", n.witness.Request.Name(), "witness", n.witness.String())
		f.Related = []finding.Related{{Place: placeIn(c.Policy, c.Policy.File, n.outer.At.Line, n.outer.At.Col), Message: "class " + n.outerClass}}
	}
}

func done(a policy.Action) string {
	switch a {
	case policy.Strip:
		return "stripped"
	case policy.Rewrite:
		return "rewritten"
	case policy.Forward:
		return "forwarded"
	case policy.Refuse:
		return "refused"
	case policy.Quarantine:
		return "quarantined"
	}
	return "published"
}

// unusedClasses finds classes that no rule looks at.
func (c *checker) unusedClasses() {
	for _, class := range c.Policy.Classes {
		used := slices.ContainsFunc(c.Policy.Rules, func(r *policy.Rule) bool {
			return slices.ContainsFunc(r.Classes, func(ref policy.ClassRef) bool {
				return ref.Name == class.Name || ref.Name == policy.ClassFiltered && isFiltered(class.Name)
			})
		})
		at := placeIn(c.Policy, c.Policy.File, class.At.Line, class.At.Col)
		switch {
		case len(class.Prefixes) == 0:
			c.add(UnusedClass, at, fmt.Sprintf("class %s has no prefix, so that no address is of it: write its prefixes or take it out", class.Name), "class", class.Name)
		case !used:
			c.add(UnusedClass, at, fmt.Sprintf("no rule looks at class %s: use it or take it out", class.Name), "class", class.Name)
		case onlyIPv4(class.Prefixes) && c.worldHasIPv6():
			c.add(ForgottenIPv6, at, fmt.Sprintf("class %s has IPv4 prefixes only, and the configuration has IPv6 addresses: add its IPv6 prefixes", class.Name), "class", class.Name)
		}
	}
}
