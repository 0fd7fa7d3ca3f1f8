package policy

import (
	"math/bits"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/policy/ruleset"
	"github.com/nameward/nameward/registry"
)

// Decision is what the policy says of a request.
type Decision struct {
	Verdict Action
	Reason  Reason
	Rule    *Rule  // the one that decided, never nil
	Shadow  *Rule  // the first rule in shadow mode that would have decided about an address; nil: none
	Alert   bool   // the rule, or that of a stripped address, asks for attention
	Guarded bool   // the name belongs to a role, a node or a name server
	Role    string // the role it belongs to; "" for none
	ID      ID

	rewritten []netip.Addr
	count     int
	few       [inline]Fate
	many      []Fate // when there are more than few holds
}

// inline is the number of addresses whose fates need no memory of their own. Nearly all requests carry
// one address.
const inline = 4

// Fate is what the policy says of one address of a request.
type Fate struct {
	Addr   netip.Addr
	Class  string // of the address; "" for none
	Kept   bool   // it is published
	Reason Reason
	Rule   *Rule // the one that decided about it
}

// Reason says in one stable word why a verdict or a fate is as it is. With the rule's id it is the
// label of logs and metrics.
type Reason uint8

// The reasons.
const (
	ByRule    Reason = iota + 1 // the rule says so
	ByDefault                   // no rule says anything, and the last word of the policy holds
	Emptied                     // every address was stripped: nothing is left to publish
	NoHolder                    // it was to be rewritten, and nobody holds the role
	WithRest                    // the whole request is treated so because of another address
)

var reasonWords = [...]string{"", "rule", "default", "emptied", "no-holder", "with-the-rest"}

func (r Reason) String() string { return reasonWords[r] }

// MarshalText writes the word.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Fates returns what becomes of each address, in the order of the request. The slice is valid as long
// as d is.
func (d *Decision) Fates() []Fate {
	if d.many != nil {
		return d.many
	}
	return d.few[:d.count]
}

// AppendPublished appends the addresses that are published: those that were kept, or the holder's when
// the request was rewritten.
func (d *Decision) AppendPublished(dst []netip.Addr) []netip.Addr {
	if d.Verdict == Rewrite {
		return append(dst, d.rewritten...)
	}
	for _, f := range d.Fates() {
		if f.Kept {
			dst = append(dst, f.Addr)
		}
	}
	return dst
}

// Decide says what becomes of a request. It is a pure function: the same policy, state and request give
// the same decision, with the same id. It does not allocate for requests of up to four addresses and
// policies of up to 1,024 rules.
//
// Each address is decided by the first rule that it meets. When that rule is about the whole request
// (rewrite, forward, quarantine, refuse) it decides all of it; of several such rules the first does. A
// request from which every address was stripped is quarantined.
func (p *Policy) Decide(s *registry.Snapshot, r *Request) Decision {
	c := context{policy: p, snap: s, req: r, sub: subjectOf(s, r)}
	c.claimant = c.claimantState()
	d := c.start()
	var few scratch
	met := few.set(p.index.words)
	c.candidates(met)
	for i := range max(1, len(r.Addrs)) {
		c.decideOne(met, i, &d)
	}
	c.conclude(&d)
	return d
}

// NameRules adds to out the rules whose names a request's name matches; rule i of Rules is member i.
func (p *Policy) NameRules(s *registry.Snapshot, r *Request, out ruleset.Set) {
	p.index.names.find(r, subjectOf(s, r), out)
}

// scratch is room for a set of up to 1,024 rules without allocating.
type scratch [16]uint64

func (s *scratch) set(words int) ruleset.Set {
	if words <= len(s) {
		return s[:words]
	}
	return make(ruleset.Set, words)
}

// context is a request with what the conditions of rules ask about it.
type context struct {
	policy   *Policy
	snap     *registry.Snapshot
	req      *Request
	sub      subject
	claimant State // by source; 0 when each address has to tell
}

// start is a decision with room for each address.
func (c *context) start() Decision {
	d := Decision{Guarded: c.sub.guarded(), count: len(c.req.Addrs)}
	if c.sub.role != nil {
		d.Role = c.sub.role.Role.Name
	}
	if d.count > inline {
		d.many = make([]Fate, d.count)
	}
	return d
}

// claimantState is the state of who asks, by the source of a registration. Where no source is known, or
// it is a server that answers for others, the addresses tell instead.
func (c *context) claimantState() State {
	if !c.sub.guarded() || !c.req.Source.IsValid() {
		return 0
	}
	switch c.req.Channel {
	case WINS, Broadcast, Update:
		return c.sub.stateOf(c.snap.Plain(c.req.Source))
	}
	return 0
}

// stateFor is the state of the claimant for an address, which is not valid when there is none.
func (c *context) stateFor(addr netip.Addr) State {
	if c.claimant != 0 || !c.sub.guarded() {
		return c.claimant
	}
	return c.sub.stateOf(addr)
}

// candidates fills met with the rules whose conditions hold, but for those that depend on the address.
func (c *context) candidates(met ruleset.Set) {
	x, r := c.policy.index, c.req
	x.names.find(r, c.sub, met)
	met.And(x.channels[r.Channel])
	types, ok := x.types[typeKey{r.Type, r.NetBIOS.IsValid()}]
	if !ok {
		types = x.anyType
	}
	met.And(types)
	from := x.anyFrom
	if r.Source.IsValid() {
		if s, ok := x.from.Lookup(c.snap.Plain(r.Source)); ok {
			from = s
		}
	}
	met.And(from)
	c.andPrincipal(met)
	for _, e := range x.expiring {
		if r.Time.IsZero() || !r.Time.Before(e.at) {
			met[e.rule/64] &^= 1 << (e.rule % 64)
		}
	}
}

func (c *context) andPrincipal(met ruleset.Set) {
	x := c.policy.index
	switch {
	case c.req.Principal == "":
		met.And(x.whom.none)
		return
	case len(x.whom.exact) == 0 && len(x.whom.globs) == 0:
		met.And(x.whom.any)
		return
	}
	var few scratch
	allowed := few.set(x.words)
	x.whom.find(c.req.Principal, allowed)
	met.And(allowed)
}

// Classify returns the address that is meant by addr and its class: the world's word, or else that of the
// policy's own prefixes; "" for none.
func (p *Policy) Classify(s *registry.Snapshot, addr netip.Addr) (plain netip.Addr, class string) {
	plain, class = s.Classify(addr)
	if class == "" && p.index.hasClass {
		class, _ = p.index.class.Lookup(plain)
	}
	return plain, class
}

// fateOf begins the fate of one address of the request, with the address that is meant; both are zero when
// the request has none.
func (c *context) fateOf(i int) (f Fate, plain netip.Addr) {
	if len(c.req.Addrs) > 0 {
		f.Addr = c.req.Addrs[i]
		plain, f.Class = c.policy.Classify(c.snap, f.Addr)
	}
	return f, plain
}

// decideOne decides about one address of the request, or about the request when it has none.
func (c *context) decideOne(met ruleset.Set, i int, d *Decision) {
	x := c.policy.index
	var sets classSets
	f, plain := c.fateOf(i)
	if f.Addr.IsValid() {
		sets = c.classSets(f.Addr, f.Class)
	}
	state := x.states[c.stateFor(plain)]
	for w := range met {
		hits := met[w] & state[w] & (x.classes.any[w] | sets.word(w))
		for ; hits != 0; hits &= hits - 1 {
			rule := x.rules[w*64+bits.TrailingZeros64(hits)]
			if rule.Shadow {
				d.shadow(rule)
				continue
			}
			f.Rule = rule
			c.settle(d, i, f)
			return
		}
	}
}

// classSets are the sets of rules that an address meets by its class.
type classSets [4]ruleset.Set

func (s *classSets) word(w int) uint64 {
	return s[0].Word(w) | s[1].Word(w) | s[2].Word(w) | s[3].Word(w)
}

func (c *context) classSets(addr netip.Addr, class string) (sets classSets) {
	x := &c.policy.index.classes
	switch class {
	case "":
		sets[0] = x.unclassified
	case registry.PublicClass:
		sets[0] = x.named[class]
	default:
		sets[0], sets[1] = x.named[class], x.filtered
	}
	if x.holder != nil && c.sub.holds(addr) {
		sets[2] = x.holder
	}
	if x.member != nil && c.sub.mayHold(addr) {
		sets[3] = x.member
	}
	return sets
}

func (d *Decision) shadow(r *Rule) {
	if d.Shadow == nil || r.Pos < d.Shadow.Pos {
		d.Shadow = r
	}
}

// settle notes the rule that decides about an address.
func (c *context) settle(d *Decision, i int, f Fate) {
	f.Kept = f.Rule.Action == Publish
	f.Reason = c.reasonOf(f.Rule)
	d.Alert = d.Alert || f.Rule.Alert && f.Rule.Action != Publish
	if stronger(f.Rule, d.Rule) {
		d.Rule = f.Rule
	}
	if fates := d.Fates(); len(fates) > 0 {
		fates[i] = f
	}
}

func (c *context) reasonOf(r *Rule) Reason {
	if r.Pos == len(c.policy.Rules) {
		return ByDefault
	}
	return ByRule
}

// stronger reports whether rule r decides about a request rather than o: what is about the whole goes
// before strip, and strip before publish; among equals the first.
func stronger(r, o *Rule) bool {
	if o == nil {
		return true
	}
	if a, b := rank(r), rank(o); a != b {
		return a > b
	}
	return r.Pos < o.Pos
}

func rank(r *Rule) int {
	switch {
	case r.Action.ofWhole():
		return 2
	case r.Action == Strip:
		return 1
	}
	return 0
}

// conclude makes the verdict of the fates.
func (c *context) conclude(d *Decision) {
	d.Verdict, d.Reason = d.Rule.Action, c.reasonOf(d.Rule)
	switch {
	case d.Verdict == Rewrite:
		c.rewrite(d)
	case d.Verdict == Strip && !d.keepsAny():
		d.Verdict, d.Reason = Quarantine, Emptied
	}
	if d.Rule.Action.ofWhole() {
		d.spread()
	}
	d.ID = newID(c, d)
}

func (d *Decision) keepsAny() bool {
	for _, f := range d.Fates() {
		if f.Kept {
			return true
		}
	}
	return false
}

// rewrite puts the holder's public addresses in the place of what was asked for.
func (c *context) rewrite(d *Decision) {
	switch {
	case c.req.NetBIOS.IsValid() || c.req.Type == dns.TypeA:
		d.rewritten = c.sub.public(true)
	case c.req.Type == dns.TypeAAAA:
		d.rewritten = c.sub.public(false)
	case c.req.Type == dns.TypeHTTPS || c.req.Type == dns.TypeSVCB: // hints, RFC 9460, Section 7.3
		d.rewritten = slices.Concat(c.sub.public(true), c.sub.public(false))
	}
	if len(d.rewritten) == 0 {
		d.Verdict, d.Reason = Quarantine, NoHolder
	}
}

// spread lets a decision about the whole request show in every fate.
func (d *Decision) spread() {
	fates := d.Fates()
	for i := range fates {
		f := &fates[i]
		if !f.Rule.Action.ofWhole() {
			f.Reason = WithRest
		}
		f.Rule, f.Kept = d.Rule, false
		if d.Verdict == Rewrite {
			f.Kept = slices.Contains(d.rewritten, f.Addr)
		}
	}
}
