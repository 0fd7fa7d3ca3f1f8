package policy

import (
	"net/netip"
	"slices"
	"time"

	"github.com/gaissmai/bart"

	"github.com/nameward/nameward/policy/ruleset"
)

// index holds, for each thing that a request may have, the set of the rules that allow it. The rules
// that a request meets are those in all of its sets; the first of them decides.
type index struct {
	words    int
	rules    []*Rule
	names    *nameIndex
	channels []ruleset.Set // by Channel
	states   []ruleset.Set // by State
	types    map[typeKey]ruleset.Set
	anyType  ruleset.Set
	from     bart.Table[ruleset.Set]
	anyFrom  ruleset.Set
	whom     principalIndex
	classes  classIndex
	expiring []expiring
	class    bart.Table[string] // of the policy's own classes
	hasClass bool
	screens  screens
}

type typeKey struct {
	number uint16
	nb     bool
}

// principalIndex finds rules by who signed.
type principalIndex struct {
	any   ruleset.Set // rules without principals
	none  ruleset.Set // those, and rules for @unsigned
	exact map[string]ruleset.Set
	globs []principalGlob
}

type principalGlob struct {
	pattern Principal
	rules   ruleset.Set
}

// classIndex finds rules by the class of an address. any has the rules without classes, which are in no
// other set.
type classIndex struct {
	any, filtered, unclassified, holder, member ruleset.Set
	named                                       map[string]ruleset.Set
}

type expiring struct {
	at   time.Time
	rule int
}

func newIndex(p *Policy) *index {
	x := &index{rules: p.Rules, words: ruleset.Words(len(p.Rules)), types: map[typeKey]ruleset.Set{}}
	x.names = newNameIndex(p.Rules, x.words)
	x.channels, x.states = make([]ruleset.Set, len(channelWords)), make([]ruleset.Set, len(States)+1)
	for i := range x.channels {
		x.channels[i] = x.where(func(r *Rule) bool { return len(r.Channels) == 0 || slices.Contains(r.Channels, Channel(i)) })
	}
	for i := range x.states {
		x.states[i] = x.where(func(r *Rule) bool { return len(r.States) == 0 || slices.Contains(r.States, State(i)) })
	}
	x.addTypes()
	x.addFrom(p)
	x.addPrincipals()
	x.addClasses(p)
	for i, r := range p.Rules {
		if !r.Expires.IsZero() {
			x.expiring = append(x.expiring, expiring{r.Expires, i})
		}
	}
	return x
}

// where is the set of the rules that meet a condition.
func (x *index) where(is func(r *Rule) bool) ruleset.Set { return ruleset.Where(x.rules, is) }

func (x *index) addTypes() {
	x.anyType = x.where(func(r *Rule) bool { return len(r.Types) == 0 })
	for i, r := range x.rules {
		for _, t := range r.Types {
			addTo(x.types, typeKey{t.Number, t.NB}, x.words, i)
		}
	}
	for _, s := range x.types {
		s.Or(x.anyType)
	}
}

// addFrom fills the table of source prefixes. What is found for an address is the set of its longest
// prefix, which holds the rules of all shorter ones too.
func (x *index) addFrom(p *Policy) {
	x.anyFrom = x.where(func(r *Rule) bool { return len(r.From) == 0 && !r.Controllers })
	own := map[netip.Prefix][]int{}
	for i, r := range x.rules {
		for _, f := range r.From {
			own[f.Prefix] = append(own[f.Prefix], i)
		}
		if r.Controllers {
			for _, f := range p.Controllers {
				own[f.Prefix] = append(own[f.Prefix], i)
			}
		}
	}
	prefixes := make([]netip.Prefix, 0, len(own))
	for f := range own {
		prefixes = append(prefixes, f)
	}
	slices.SortFunc(prefixes, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	shared := ruleset.Interner{}
	scratch := make(ruleset.Set, x.words)
	for _, f := range prefixes {
		above := x.anyFrom
		if s, ok := x.from.LookupPrefix(f); ok {
			above = s
		}
		copy(scratch, above)
		for _, i := range own[f] {
			scratch.Add(i)
		}
		x.from.Insert(f, shared.Intern(scratch))
	}
}

func (x *index) addPrincipals() {
	x.whom.any = x.where(func(r *Rule) bool { return len(r.Principals) == 0 })
	x.whom.none = x.where(func(r *Rule) bool {
		return len(r.Principals) == 0 || slices.ContainsFunc(r.Principals, func(p Principal) bool { return p.Matches("") })
	})
	x.whom.exact = map[string]ruleset.Set{}
	globs := map[glob]int{}
	for i, r := range x.rules {
		for _, p := range r.Principals {
			if p.Text == Unsigned {
				continue
			}
			if !isGlob(string(p.glob)) {
				addTo(x.whom.exact, string(p.glob), x.words, i)
				continue
			}
			at, ok := globs[p.glob]
			if !ok {
				at = len(x.whom.globs)
				globs[p.glob] = at
				x.whom.globs = append(x.whom.globs, principalGlob{p, make(ruleset.Set, x.words)})
			}
			x.whom.globs[at].rules.Add(i)
		}
	}
}

func (x *index) addClasses(p *Policy) {
	c := &x.classes
	c.any = x.where(func(r *Rule) bool { return len(r.Classes) == 0 })
	c.named = map[string]ruleset.Set{}
	selectors := map[string]*ruleset.Set{
		ClassFiltered: &c.filtered, ClassUnclassified: &c.unclassified, ClassHolder: &c.holder, ClassMember: &c.member,
	}
	for i, r := range x.rules {
		for _, ref := range r.Classes {
			if s, ok := selectors[ref.Name]; ok {
				*s = ruleset.Grown(*s, x.words)
				s.Add(i)
				continue
			}
			addTo(c.named, ref.Name, x.words, i)
		}
	}
	for _, class := range p.Classes {
		for _, prefix := range class.Prefixes {
			x.class.Insert(prefix.Prefix, class.Name)
			x.hasClass = true
		}
	}
}

// find adds to out the rules that allow a principal.
func (w *principalIndex) find(principal string, out ruleset.Set) {
	out.Or(w.any)
	key := foldPrincipal(principal)
	out.Or(w.exact[key])
	for _, g := range w.globs {
		if matchGlob(g.pattern.glob, key) {
			out.Or(g.rules)
		}
	}
}
