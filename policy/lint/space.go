package lint

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/ruleset"
	"github.com/nameward/nameward/registry"
)

// space is every request that the rules of some policies can tell apart, in one world and at one time.
// In each dimension (name, channel, type, principal, source, holder, address) stand the values that
// differ in the rules they meet, each with a concrete one for a witness.
type space struct {
	world    *registry.World
	snap     *registry.Snapshot // every member holds its roles
	policies []*policy.Policy
	rules    []*policy.Rule   // of all policies, one behind the other
	of       []*policy.Policy // the policy of each rule
	start    []int            // the first rule of each policy, and the end
	alive    ruleset.Set      // the rules that have not expired
	words    int
	now      time.Time

	names      []*nameAtom
	principals []principalAtom
	types      []typeAtom
	channels   map[policy.Channel]ruleset.Set
	states     [4]ruleset.Set
	noClass    ruleset.Set // rules without classes
	holder     ruleset.Set
	member     ruleset.Set
	withFrom   ruleset.Set

	byHeld     map[string]*registry.Snapshot // for witnesses
	focus      netip.Prefix                  // only addresses in it, when it is valid
	regions    []netip.Addr                  // an address of every class prefix
	sources    map[string][]sourceAtom
	addrs      map[string][]addrAtom
	unfinished bool // there was too much to look at: what was not found may be there all the same
	steps      int
}

// limits bound the work for policies that are too tangled to be followed to the end.
const (
	maxSteps     = 30_000_000 // requests looked at
	maxWordSteps = 60_000_000 // see words.budget; for each kind of words
)

// typeAtom is a record type with the addresses that it can carry.
type typeAtom struct {
	number uint16
	nb     bool
	v4, v6 bool
	rules  ruleset.Set
}

// context is all of a request but its address.
type context struct {
	name      *nameAtom
	channel   policy.Channel
	typ       *typeAtom
	principal string
	held      int // index in name.subject.held
	source    *sourceAtom
}

// hit is an address in a context with the rules that it meets.
type hit struct {
	addr  *addrAtom // nil: the type carries none
	rules ruleset.Set
}

// newSpace makes the space of all names.
func newSpace(w *registry.World, now time.Time, policies ...*policy.Policy) (*space, error) {
	s, err := emptySpace(w, now, policies...)
	if err != nil {
		return nil, err
	}
	s.findRegions()
	s.findNames()
	s.findPrincipals()
	return s, nil
}

// newFocused makes the space of one name and of the addresses in a prefix.
func newFocused(w *registry.World, now time.Time, p *policy.Policy, name *policy.Request, prefix netip.Prefix) (*space, error) {
	s, err := emptySpace(w, now, p)
	if err != nil {
		return nil, err
	}
	s.focus = prefix
	s.findRegions()
	f := &nameFinder{space: s, seen: map[string]bool{}}
	f.add(name.DNS, name.NetBIOS, s.subjectOf(name))
	s.findPrincipals()
	return s, nil
}

// emptySpace has no names yet.
func emptySpace(w *registry.World, now time.Time, policies ...*policy.Policy) (*space, error) {
	snap, err := registry.Assume(w, nil)
	if err != nil {
		return nil, err
	}
	s := &space{
		world: w, snap: snap, policies: policies, now: now, channels: map[policy.Channel]ruleset.Set{},
		byHeld: map[string]*registry.Snapshot{}, sources: map[string][]sourceAtom{}, addrs: map[string][]addrAtom{}, steps: maxSteps,
	}
	for _, p := range policies {
		s.start = append(s.start, len(s.rules))
		for _, r := range p.Rules {
			s.rules, s.of = append(s.rules, r), append(s.of, p)
		}
	}
	s.start = append(s.start, len(s.rules))
	s.words = ruleset.Words(len(s.rules))
	s.prepare()
	return s, nil
}

// where is the set of the rules that meet a condition.
func (s *space) where(is func(r *policy.Rule) bool) ruleset.Set { return ruleset.Where(s.rules, is) }

func (s *space) prepare() {
	s.alive = s.where(func(r *policy.Rule) bool { return r.HoldsAt(s.now) })
	for _, ch := range policy.Channels {
		s.channels[ch] = s.where(func(r *policy.Rule) bool { return len(r.Channels) == 0 || slices.Contains(r.Channels, ch) })
	}
	for st := range s.states {
		s.states[st] = s.where(func(r *policy.Rule) bool { return len(r.States) == 0 || slices.Contains(r.States, policy.State(st)) })
	}
	asks := func(class string) ruleset.Set {
		return s.where(func(r *policy.Rule) bool {
			return slices.ContainsFunc(r.Classes, func(c policy.ClassRef) bool { return c.Name == class })
		})
	}
	s.noClass = s.where(func(r *policy.Rule) bool { return len(r.Classes) == 0 })
	s.holder, s.member = asks(policy.ClassHolder), asks(policy.ClassMember)
	s.withFrom = s.where(func(r *policy.Rule) bool { return len(r.From) > 0 || r.Controllers })
	s.findTypes()
}

// findTypes collects the types that rules name, those that carry addresses, and one that stands for the
// others.
func (s *space) findTypes() {
	types := []typeAtom{{number: policy.TypeNB, nb: true, v4: true}, {number: dns.TypeA, v4: true}, {number: dns.TypeAAAA, v6: true},
		{number: dns.TypeHTTPS, v4: true, v6: true}, {number: dns.TypePTR, v4: true, v6: true}}
	add := func(t typeAtom) {
		if !slices.ContainsFunc(types, func(o typeAtom) bool { return o.number == t.number && o.nb == t.nb }) {
			types = append(types, t)
		}
	}
	for _, r := range s.rules {
		for _, t := range r.Types {
			carries := !t.NB && policy.CarriesAddrs(t.Number)
			add(typeAtom{number: t.Number, nb: t.NB, v4: carries, v6: carries})
		}
	}
	for _, other := range []uint16{dns.TypeTXT, dns.TypeSRV, dns.TypeMX, 65280, 65281} {
		if !slices.ContainsFunc(types, func(o typeAtom) bool { return o.number == other }) {
			add(typeAtom{number: other})
			break
		}
	}
	for i := range types {
		t := &types[i]
		t.rules = s.where(func(r *policy.Rule) bool {
			return len(r.Types) == 0 ||
				slices.ContainsFunc(r.Types, func(o policy.Type) bool { return o.Number == t.number && o.NB == t.nb })
		})
	}
	s.types = types
}

// fits reports whether a name can come on a channel.
func fits(n *nameAtom, ch policy.Channel) bool {
	switch ch {
	case policy.WINS, policy.Broadcast:
		return n.isNetBIOS()
	case policy.Update, policy.Transfer:
		return !n.isNetBIOS()
	}
	return true
}

// walk visits every context with the addresses that differ in it. visit may keep nothing of its
// arguments but the atoms. It returns false to stop.
func (s *space) walk(visit func(c *context, hits []hit) bool) {
	for _, n := range s.names {
		for _, ch := range policy.Channels {
			if !fits(n, ch) {
				continue
			}
			met := slices.Clone(n.rules)
			met.And(s.channels[ch])
			met.And(s.alive)
			if !s.walkTypes(&context{name: n, channel: ch}, met, visit) {
				return
			}
		}
	}
}

func (s *space) walkTypes(c *context, met ruleset.Set, visit func(c *context, hits []hit) bool) bool {
	seen := map[string]bool{}
	for i := range s.types {
		t := &s.types[i]
		if t.nb != c.name.isNetBIOS() {
			continue
		}
		c.typ = t
		for _, p := range s.principals {
			if p.name != "" && c.channel != policy.Update && c.channel != policy.Transfer {
				continue
			}
			c.principal = p.name
			rules := slices.Clone(met)
			rules.And(t.rules)
			rules.And(p.rules)
			key := rules.Key() + string([]byte{boolByte(t.v4), boolByte(t.v6)})
			if seen[key] {
				continue
			}
			seen[key] = true
			if !s.walkSources(c, rules, visit) {
				return false
			}
		}
	}
	return true
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (s *space) walkSources(c *context, met ruleset.Set, visit func(c *context, hits []hit) bool) bool {
	sources := s.sourcesFor(met, c)
	addrs := s.addrsFor(c)
	arena := make(ruleset.Set, 0, s.words*len(addrs))
	var hits []hit
	seen := map[string]bool{}
	for held := range c.name.subject.held {
		c.held = held
		clear(seen)
		for i := range sources {
			c.source = &sources[i]
			state := s.claimant(c)
			rules := slices.Clone(met)
			rules.And(c.source.rules)
			key := rules.Key() + string([]byte{byte(state)})
			if seen[key] {
				continue
			}
			seen[key] = true
			hits, arena = hits[:0], arena[:0]
			for a := range addrs {
				arena = append(arena, rules...)
				own := arena[len(arena)-s.words:]
				own.And(s.states[s.stateOf(c, state, &addrs[a])])
				own.And(s.classRules(c, &addrs[a]))
				h := hit{addr: &addrs[a], rules: own}
				if !addrs[a].addr.IsValid() {
					h.addr = nil
				}
				hits = append(hits, h)
			}
			if s.steps -= len(hits); s.steps < 0 {
				s.unfinished = true
				return false
			}
			if !visit(c, hits) {
				return false
			}
		}
	}
	return true
}

// claimant is the state of who asks, 0 when each address has to tell: as the engine has it.
func (s *space) claimant(c *context) policy.State {
	if !c.name.subject.guarded || !c.source.addr.IsValid() {
		return 0
	}
	switch c.channel {
	case policy.WINS, policy.Broadcast, policy.Update:
		return c.name.subject.state(c.held, c.source.owners)
	}
	return 0
}

func (s *space) stateOf(c *context, claimant policy.State, a *addrAtom) policy.State {
	if claimant != 0 || !c.name.subject.guarded {
		return claimant
	}
	return c.name.subject.state(c.held, a.owners)
}

// classRules are the rules that an address meets by its class, and those that do not ask.
func (s *space) classRules(c *context, a *addrAtom) ruleset.Set {
	out := slices.Clone(s.noClass)
	out.Or(a.rules)
	if len(a.public) > 0 {
		out.Or(s.member)
		if c.name.subject.serves(c.held, a.public) {
			out.Or(s.holder)
		}
	}
	return out
}

// first is the rule of policy k that decides, and the rules in shadow mode that it meets before.
func (s *space) first(k int, rules ruleset.Set) (decides int, shadows []int) {
	for i := rules.Next(s.start[k]); i >= 0 && i < s.start[k+1]; i = rules.Next(i + 1) {
		if !s.rules[i].Shadow {
			return i, shadows
		}
		shadows = append(shadows, i)
	}
	return s.start[k+1] - 1, shadows // the last rule of a policy meets everything
}

// after is the rule of policy k that would decide if rule i were not there.
func (s *space) after(k, i int, rules ruleset.Set) int {
	for j := rules.Next(i + 1); j >= 0 && j < s.start[k+1]; j = rules.Next(j + 1) {
		if !s.rules[j].Shadow {
			return j
		}
	}
	return s.start[k+1] - 1
}

// witness is the request of a context with some addresses, and who holds the role.
func (s *space) witness(c *context, addrs ...netip.Addr) Witness {
	w := Witness{Request: policy.Request{
		Channel: c.channel, DNS: c.name.dns, NetBIOS: c.name.netbios, Type: c.typ.number, Principal: c.principal,
		Source: c.source.addr, Time: s.now,
	}}
	for _, a := range addrs {
		if a.IsValid() {
			w.Request.Addrs = append(w.Request.Addrs, a)
		}
	}
	if sub := c.name.subject; sub.role != nil {
		w.Held = map[string][]string{sub.role.Name: sub.names(c.held)}
	}
	return w
}
