package lint

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/finding"
	"github.com/nameward/nameward/registry"
)

// Difference is a kind of request that two policies decide in different ways. One request stands for
// all that the same two rules decide.
type Difference struct {
	Witness  Witness
	Old, New policy.Decision
	Channels []policy.Channel // on which it was seen
}

// Diff finds every way in which the decisions of two policies differ: other verdicts, or other addresses
// that are published. proved is false when there was too much to look at all of it.
func Diff(w *registry.World, now time.Time, older, newer *policy.Policy) (diffs []Difference, proved bool, err error) {
	s, err := newSpace(w, now, older, newer)
	if err != nil {
		return nil, false, err
	}
	d := &differ{space: s, seen: map[pair]int{}}
	s.walk(d.look)
	return d.out, !s.unfinished, d.err
}

// pair is the rules that decide, each by its index in the space, one after the other for two addresses.
type pair struct{ old, new, old2, new2 int }

type differ struct {
	*space
	seen map[pair]int // index in out, from 1
	out  []Difference
	err  error
}

func (d *differ) look(c *context, hits []hit) bool {
	type decided struct {
		addr     netip.Addr
		old, new int
	}
	var all []decided
	for _, h := range hits {
		o, _ := d.first(0, h.rules)
		n, _ := d.first(1, h.rules)
		all = append(all, decided{addrOf(h), o, n})
		if d.action(o) != d.action(n) {
			d.try(c, pair{o, n, -1, -1}, addrOf(h))
		}
	}
	// What is about the whole request depends on the order of the rules when addresses meet different
	// ones, and what is stripped shows beside an address that is kept.
	for i, x := range all {
		for _, y := range all[i+1:] {
			if d.differTogether(x.old, x.new, y.old, y.new) {
				d.try(c, pair{x.old, x.new, y.old, y.new}, x.addr, y.addr)
			}
		}
	}
	return d.err == nil
}

func (d *differ) action(rule int) policy.Action { return d.rules[rule].Action }

// differTogether reports whether two addresses in one request may be decided otherwise, though neither
// differs alone or only in a way that does not show.
func (d *differ) differTogether(o1, n1, o2, n2 int) bool {
	if d.seen[pair{o1, n1, -1, -1}] > 0 || d.seen[pair{o2, n2, -1, -1}] > 0 {
		return false // told already
	}
	if d.action(o1) != d.action(n1) || d.action(o2) != d.action(n2) {
		return true
	}
	whole := func(r int) bool { return d.action(r) != policy.Publish && d.action(r) != policy.Strip }
	return whole(o1) && whole(o2) && d.action(o1) != d.action(o2) && (o1 < o2) != (n1 < n2)
}

// try asks both engines. Two rules that make no difference in one context may make one in another.
func (d *differ) try(c *context, p pair, addrs ...netip.Addr) {
	if i, ok := d.seen[p]; ok {
		d.out[i-1].Channels = with(d.out[i-1].Channels, c.channel)
		return
	}
	w := d.witness(c, addrs...)
	old, err := d.decide(d.policies[0], w)
	if err != nil {
		d.err = err
		return
	}
	now, err := d.decide(d.policies[1], w)
	if err != nil {
		d.err = err
		return
	}
	if same(&old, &now) {
		return
	}
	d.out = append(d.out, Difference{Witness: w, Old: old, New: now, Channels: []policy.Channel{c.channel}})
	d.seen[p] = len(d.out)
}

func same(a, b *policy.Decision) bool {
	return a.Verdict == b.Verdict && slices.Equal(a.AppendPublished(nil), b.AppendPublished(nil))
}

// DiffFinding is a difference as a finding. file is that of the new policy.
func DiffFinding(d *Difference, newer *policy.Policy) finding.Finding {
	r := &d.Witness.Request
	f := finding.Finding{
		Kind: ChangedDecision, Severity: ChangedDecision.Severity,
		Message: fmt.Sprintf("%s is %s by rule %s and was %s by rule %s", r.Name(), done(d.New.Verdict), d.New.Rule.ID, done(d.Old.Verdict), d.Old.Rule.ID),
		Place:   rulePlace(newer, d.New.Rule),
		Fields: []finding.Field{
			{Key: "rule", Value: d.New.Rule.ID}, {Key: "name", Value: r.Name()}, {Key: "address", Value: addrTexts(r.Addrs)},
			{Key: "channel", Value: channelList(d.Channels)}, {Key: "old", Value: outcome(&d.Old)}, {Key: "new", Value: outcome(&d.New)},
			{Key: "witness", Value: d.Witness.String()},
		},
	}
	if !d.Old.Rule.IsBuiltin() {
		f.Related = append(f.Related, finding.Related{
			Place:   finding.Place{File: d.Old.Rule.File, Line: int(d.Old.Rule.At.Line), Col: int(d.Old.Rule.At.Col)},
			Message: "the rule that decided before",
		})
	}
	return f
}

// outcome is a decision in a few words.
func outcome(d *policy.Decision) string {
	text := d.Verdict.String()
	if d.Reason != policy.ByRule {
		text += " (" + d.Reason.String() + ")"
	}
	if addrs := d.AppendPublished(nil); len(addrs) > 0 {
		return text + ": " + addrTexts(addrs)
	}
	if len(d.Fates()) > 0 {
		return text + ": nothing published"
	}
	return text
}

func addrTexts(l []netip.Addr) string {
	out := make([]string, len(l))
	for i, a := range l {
		out[i] = a.String()
	}
	return strings.Join(out, ", ")
}
