package policy

import (
	"slices"
	"sync"

	"github.com/nameward/nameward/policy/ruleset"
	"github.com/nameward/nameward/registry"
)

// Screen tells requests of one channel that no rule can touch from those that have to be decided. It
// looks at less than Decide does and errs on one side only: a DNS name that is not guarded, a type and
// classes of addresses that it does not hold back are published or forwarded as they are; what it holds
// back may be so too. Its methods do not allocate and may be called from any goroutine.
type Screen struct {
	names    *nameIndex // of the rules for certain names
	words    int
	everyone []ruleTypes     // what is touched whatever the name and the address are
	classes  map[string]bool // touched whatever the name is
	filtered bool
	none     bool // addresses of no class are touched
}

// ruleTypes are the record types of a rule, nil for any.
type ruleTypes []uint16

// screens are made when they are first asked for.
type screens [len(channelWords)]struct {
	once   sync.Once
	screen *Screen
}

// Screen returns the screen of a channel.
func (p *Policy) Screen(c Channel) *Screen {
	s := &p.index.screens[c]
	s.once.Do(func() { s.screen = newScreen(p.Rules, c) })
	return s.screen
}

func newScreen(rules []*Rule, c Channel) *Screen {
	s := &Screen{classes: map[string]bool{}}
	var named []*Rule
	for _, r := range rules {
		types, anybody := typesOf(r), len(r.Names) == 0 || slices.ContainsFunc(r.Names, func(p Pattern) bool { return p.Kind == PatternAny })
		switch {
		case r.Shadow, r.Action == Publish, r.Action == Forward, len(r.States) > 0:
			// A state is that of a guarded name.
		case len(r.Channels) > 0 && !slices.Contains(r.Channels, c), len(r.Types) > 0 && len(types) == 0:
		case !anybody:
			named = append(named, r)
		case len(r.Classes) > 0:
			s.addClasses(r)
		default:
			s.everyone = append(s.everyone, types)
		}
	}
	if len(named) > 0 {
		s.words = ruleset.Words(len(named))
		s.names = newNameIndex(named, s.words)
	}
	return s
}

// typesOf lists the types of DNS names in a rule.
func typesOf(r *Rule) (types ruleTypes) {
	for _, t := range r.Types {
		if !t.NB {
			types = append(types, t.Number)
		}
	}
	return types
}

func (s *Screen) addClasses(r *Rule) {
	for _, c := range r.Classes {
		switch c.Name {
		case ClassFiltered:
			s.filtered = true
		case ClassUnclassified:
			s.none = true
		case ClassHolder, ClassMember: // of guarded names
		default:
			s.classes[c.Name] = true
		}
	}
}

// TouchesName reports whether a rule may touch records of a DNS name that is not guarded, lower case and
// fully qualified, because of that name.
func (s *Screen) TouchesName(name string) bool {
	if s.names == nil {
		return false
	}
	var few scratch
	met := few.set(s.words)
	s.names.find(&Request{DNS: name}, subject{}, met)
	return met.Next(0) >= 0
}

// TouchesType reports whether a rule may touch every record of a type.
func (s *Screen) TouchesType(rrtype uint16) bool {
	for _, types := range s.everyone {
		if types == nil || slices.Contains(types, rrtype) {
			return true
		}
	}
	return false
}

// TouchesClass reports whether a rule may touch an address because of its class, "" for none: see
// [Policy.Classify].
func (s *Screen) TouchesClass(class string) bool {
	switch class {
	case "":
		return s.none
	case registry.PublicClass:
		return s.classes[class]
	}
	return s.filtered || s.classes[class]
}
