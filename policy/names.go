package policy

import (
	"bytes"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/policy/ruleset"
	"github.com/nameward/nameward/registry"
)

// nameIndex finds the rules whose names match.
type nameIndex struct {
	words    int
	any      ruleset.Set // rules without names, or with *
	guarded  ruleset.Set
	reserved ruleset.Set // nil: no rule asks
	roles    map[string]ruleset.Set
	dns      map[string]ruleset.Set
	below    map[string]ruleset.Set
	nb       map[[netbios.BaseLen]byte]*nameNode // by the padded name
	scoped   []scopedPattern
	dnsGlobs *automaton
	nbGlobs  *automaton
}

// nameNode holds the rules of one NetBIOS name or of one glob: those for any suffix and those for one.
type nameNode struct {
	all      ruleset.Set
	bySuffix map[uint8]ruleset.Set
}

// scopedPattern is a pattern with a scope. They are rare enough to be tried one by one.
type scopedPattern struct {
	pattern Pattern
	rule    int
}

func (n *nameNode) add(words, suffix, rule int) {
	if suffix < 0 {
		n.all = ruleset.Grown(n.all, words)
		n.all.Add(rule)
		return
	}
	if n.bySuffix == nil {
		n.bySuffix = map[uint8]ruleset.Set{}
	}
	s := ruleset.Grown(n.bySuffix[uint8(suffix)], words)
	s.Add(rule)
	n.bySuffix[uint8(suffix)] = s
}

func (n *nameNode) addTo(out ruleset.Set, suffix int) {
	out.Or(n.all)
	if n.bySuffix != nil && suffix >= 0 {
		out.Or(n.bySuffix[uint8(suffix)])
	}
}

func addTo[K comparable](m map[K]ruleset.Set, key K, words, rule int) {
	s := ruleset.Grown(m[key], words)
	s.Add(rule)
	m[key] = s
}

func newNameIndex(rules []*Rule, words int) *nameIndex {
	x := &nameIndex{
		words: words, any: make(ruleset.Set, words), guarded: make(ruleset.Set, words), roles: map[string]ruleset.Set{}, dns: map[string]ruleset.Set{},
		below: map[string]ruleset.Set{}, nb: map[[netbios.BaseLen]byte]*nameNode{},
	}
	dns, nb := map[glob]*nameNode{}, map[glob]*nameNode{}
	for i, r := range rules {
		if len(r.Names) == 0 {
			x.any.Add(i)
		}
		for _, p := range r.Names {
			x.add(p, i, dns, nb)
		}
	}
	x.dnsGlobs, x.nbGlobs = newAutomaton(inOrder(dns)), newAutomaton(inOrder(nb))
	return x
}

func (x *nameIndex) add(p Pattern, rule int, dns, nb map[glob]*nameNode) {
	if p.scope != "" {
		x.scoped = append(x.scoped, scopedPattern{p, rule})
		return
	}
	switch p.Kind {
	case PatternAny:
		x.any.Add(rule)
	case PatternGuarded:
		x.guarded.Add(rule)
	case PatternRole:
		addTo(x.roles, p.Role, x.words, rule)
	case PatternReserved:
		x.reserved = ruleset.Grown(x.reserved, x.words)
		x.reserved.Add(rule)
	case PatternDNS:
		addTo(x.dns, string(p.glob), x.words, rule)
	case PatternBelow:
		addTo(x.below, string(p.glob), x.words, rule)
	case PatternDNSGlob:
		nodeIn(dns, p.glob).add(x.words, -1, rule)
	case PatternNetBIOS:
		nodeIn(x.nb, padded(string(p.glob))).add(x.words, p.suffix, rule)
	case PatternNBGlob:
		nodeIn(nb, p.glob).add(x.words, p.suffix, rule)
	}
}

func nodeIn[K comparable](m map[K]*nameNode, key K) *nameNode {
	n := m[key]
	if n == nil {
		n = &nameNode{}
		m[key] = n
	}
	return n
}

func inOrder(m map[glob]*nameNode) []indexedGlob {
	var out []indexedGlob
	for g, n := range m {
		out = append(out, indexedGlob{g, n})
	}
	return out
}

// padded is a name without suffix as the octets of a NetBIOS name hold it.
func padded(base string) [netbios.BaseLen]byte {
	var key [netbios.BaseLen]byte
	copy(key[:], bytes.Repeat([]byte{' '}, netbios.BaseLen))
	copy(key[:], base)
	return key
}

// find adds to out the rules whose names the request's name matches.
func (x *nameIndex) find(r *Request, sub subject, out ruleset.Set) {
	out.Or(x.any)
	if sub.guarded() {
		out.Or(x.guarded)
	}
	if sub.role != nil && len(x.roles) > 0 {
		out.Or(x.roles[sub.role.Role.Name])
	}
	if x.reserved != nil {
		if _, is := Reserved(r); is {
			out.Or(x.reserved)
		}
	}
	if r.NetBIOS.IsValid() {
		x.findNetBIOS(r.NetBIOS, out)
		return
	}
	x.findDNS(r.DNS, out)
}

func (x *nameIndex) findDNS(name string, out ruleset.Set) {
	if len(x.dns) > 0 {
		out.Or(x.dns[name])
	}
	if len(x.below) > 0 {
		for up := name; ; up = registry.Parent(up) {
			out.Or(x.below[up])
			if up == "." || up == "" {
				break
			}
		}
	}
	match(x.dnsGlobs, name, -1, out)
}

func (x *nameIndex) findNetBIOS(n netbios.Name, out ruleset.Set) {
	octets := n.Octets()
	base := [netbios.BaseLen]byte(octets[:netbios.BaseLen])
	if base[0] == '*' {
		base = padded(n.Base()) // the one name that is padded with zeros, RFC 1002, Section 4.2.17
	}
	if node := x.nb[base]; node != nil {
		node.addTo(out, int(n.Suffix()))
	}
	match(x.nbGlobs, bytes.TrimRight(base[:], " "), int(n.Suffix()), out)
	for _, s := range x.scoped {
		if s.pattern.matchesSuffix(n) && matchGlob(s.pattern.glob, n.Base()) {
			out.Add(s.rule)
		}
	}
}
