package registry

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// view makes a role's state from its cell. It is a pure function of its arguments; before is the
// state that it will replace, nil at the start.
func view(ix *index, role *Role, c *cell, drained map[string]Drain, before *RoleState, now time.Time) *RoleState {
	s := &RoleState{
		Role: role, Holder: c.rec.Nodes, Epoch: c.rec.Epoch, Since: c.rec.Since, Origin: c.rec.Origin,
		Forced: c.override, Changed: c.rec.Since,
		Confirmed: c.confirmed || c.override != nil || role.Source.Kind == SourceOperator,
	}
	c = c.at(now)
	s.Limits = limitsOf(c)
	var serve []string
	s.State, serve, s.Why = judge(role, c, now)
	s.Served = membersOf(ix, role, serve)
	if len(s.Served) == 0 && len(serve) > 0 {
		s.State, s.Why = Lost, strings.Join(serve, ", ")+" is not a node of the role any more"
	}
	if role.Mode == All && c.override == nil {
		s.Served = withoutDrained(s.Served, drained)
	}
	s.addrs = addrsOf(ix, s.Served)
	if before != nil {
		s.Changed = before.Changed
		if !slices.EqualFunc(before.Served, s.Served, publishesSame) {
			s.Changed = now
		}
	}
	s.TTL = uint32(role.TTL / time.Second)
	if now.Before(changingUntil(s)) {
		s.TTL = uint32(role.TTLChanging / time.Second)
	}
	if s.Lowered != nil {
		s.TTL = min(s.TTL, s.Lowered.TTL)
	}
	return s
}

func limitsOf(c *cell) *Limits {
	if c.expires.IsZero() && len(c.rivals) == 0 && c.lowered == nil {
		return noLimits
	}
	l := &Limits{Expires: c.expires, Lowered: c.lowered}
	for _, r := range c.rivals {
		l.Rivals = append(l.Rivals, r.nodes...)
		l.rivalEnds = sooner(l.rivalEnds, r.expires)
	}
	return l
}

// publishesSame compares nodes of two worlds: a reload makes every Node anew.
func publishesSame(a, b *Node) bool { return a.Name == b.Name && slices.Equal(a.Public, b.Public) }

// judge says which nodes are to be served, and why.
func judge(role *Role, c *cell, now time.Time) (State, []string, string) {
	known := c.rec.Epoch > 0
	switch {
	case c.override != nil:
		return Forced, c.override.Nodes, forcedWhy(c.override)
	case len(c.rivals) > 0:
		return Conflict, contested(role, c), conflictWhy(role, c)
	case c.trouble != nil && (c.trouble.Gone || !known):
		return lost(role, c, c.trouble.Why)
	case !c.expires.IsZero() && !now.Before(c.expires):
		return lost(role, c, "the lease of "+strings.Join(c.rec.Nodes, ", ")+" ran out at "+c.expires.UTC().Format(time.RFC3339))
	case !known && role.Source.Kind == SourceOperator:
		return lost(role, c, fmt.Sprintf("no holder was ever named: nameward switch %s --to %s", role.Name, role.Nodes[0].Name))
	case !known:
		return lost(role, c, role.Source.String()+" has not spoken yet")
	case c.trouble != nil:
		return Stale, c.rec.Nodes, c.trouble.Why
	case !c.confirmed && role.Source.Kind != SourceOperator:
		return Stale, c.rec.Nodes, "last known state: " + role.Source.String() + " has not confirmed it since the start"
	}
	return Fresh, c.rec.Nodes, ""
}

func lost(role *Role, c *cell, why string) (State, []string, string) {
	if role.OnSourceLost == Withdraw {
		return Lost, nil, why
	}
	return Lost, c.rec.Nodes, why
}

func contested(role *Role, c *cell) []string {
	switch role.OnConflict {
	case Withdraw:
		return nil
	case AnswerAll:
		all := slices.Clone(c.rec.Nodes)
		for _, r := range c.rivals {
			all = append(all, r.nodes...)
		}
		return all
	}
	return c.rec.Nodes
}

func conflictWhy(role *Role, c *cell) string {
	var claims []string
	for _, r := range c.rivals {
		claims = append(claims, fmt.Sprintf("%s (%s)", strings.Join(r.nodes, ", "), r.origin))
	}
	return fmt.Sprintf("epoch %d is claimed by %s (%s) and by %s; on_conflict: %s", c.rec.Epoch,
		strings.Join(c.rec.Nodes, ", "), c.rec.Origin, strings.Join(claims, " and "), role.OnConflict)
}

func forcedWhy(o *Override) string {
	why := "forced to " + strings.Join(o.Nodes, ", ") + " since " + o.Since.UTC().Format(time.RFC3339)
	if o.By != "" {
		why += " by " + o.By
	}
	if o.Reason != "" {
		why += ": " + o.Reason
	}
	return why
}

// membersOf resolves names in written order. Names of nodes that the configuration dropped fall out.
func membersOf(ix *index, role *Role, names []string) []*Node {
	if len(names) == 1 {
		if n := role.Node(names[0]); n != nil {
			return ix.alone[n]
		}
		return nil
	}
	var out []*Node
	for _, n := range role.Nodes {
		if slices.Contains(names, n.Name) {
			out = append(out, n)
		}
	}
	return out
}

// withoutDrained leaves drained members out as long as somebody remains: a drained node that works
// is better than no answer.
func withoutDrained(nodes []*Node, drained map[string]Drain) []*Node {
	if len(drained) == 0 {
		return nodes
	}
	var out []*Node
	for _, n := range nodes {
		if _, is := drained[n.Name]; !is {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return nodes
	}
	return out
}

func addrsOf(ix *index, nodes []*Node) *addrSet {
	switch len(nodes) {
	case 0:
		return noAddrs
	case 1:
		return ix.nodeAddr[nodes[0]]
	}
	return newAddrSet(nodes...)
}

// changingUntil is when the window of ttl_changing ends, zero when the role has none.
func changingUntil(s *RoleState) time.Time {
	if s.Role.TTLChanging == 0 {
		return time.Time{}
	}
	return s.Changed.Add(s.Role.Changing)
}

// wakeAt is when time alone will change the state, zero for never.
func wakeAt(s *RoleState, now time.Time) time.Time {
	at := time.Time{}
	for _, t := range []time.Time{s.Expires, s.rivalEnds, changingUntil(s), s.Lowered.until()} {
		if t.After(now) {
			at = sooner(at, t)
		}
	}
	return at
}

// sooner is the earlier one; the zero time is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// same reports whether nobody could tell the two states apart.
func same(a, b *RoleState) bool {
	return a.State == b.State && a.Why == b.Why && a.Epoch == b.Epoch && a.TTL == b.TTL && a.Forced == b.Forced && a.Lowered == b.Lowered &&
		a.Confirmed == b.Confirmed &&
		a.Origin == b.Origin && a.Expires.Equal(b.Expires) && a.rivalEnds.Equal(b.rivalEnds) && a.Since.Equal(b.Since) &&
		slices.Equal(a.Holder, b.Holder) && slices.Equal(a.Rivals, b.Rivals) && slices.Equal(a.Served, b.Served)
}

// sameAnswers reports whether the two states publish the same.
func sameAnswers(a, b *RoleState) bool {
	return a.TTL == b.TTL && slices.Equal(a.Served, b.Served)
}
