package policy

import (
	"bytes"

	"github.com/nameward/nameward/netbios"
)

// nameIndex finds the rules whose names match.
type nameIndex struct {
	words    int
	any      set // rules without names, or with *
	guarded  set
	reserved set // nil: no rule asks
	roles    map[string]set
	dns      map[string]set
	below    map[string]set
	nb       map[[netbios.BaseLen]byte]*nameNode // by the padded name
	scoped   []scopedPattern
	dnsGlobs *automaton
	nbGlobs  *automaton
}

// nameNode holds the rules of one NetBIOS name or of one glob: those for any suffix and those for one.
type nameNode struct {
	all      set
	bySuffix map[uint8]set
}

// scopedPattern is a pattern with a scope. They are rare enough to be tried one by one.
type scopedPattern struct {
	pattern Pattern
	rule    int
}

func (n *nameNode) add(words, suffix, rule int) {
	if suffix < 0 {
		n.all = grown(n.all, words)
		n.all.add(rule)
		return
	}
	if n.bySuffix == nil {
		n.bySuffix = map[uint8]set{}
	}
	s := grown(n.bySuffix[uint8(suffix)], words)
	s.add(rule)
	n.bySuffix[uint8(suffix)] = s
}

func (n *nameNode) addTo(out set, suffix int) {
	out.or(n.all)
	if n.bySuffix != nil && suffix >= 0 {
		out.or(n.bySuffix[uint8(suffix)])
	}
}

func grown(s set, words int) set {
	if s == nil {
		return make(set, words)
	}
	return s
}

func addTo[K comparable](m map[K]set, key K, words, rule int) {
	s := grown(m[key], words)
	s.add(rule)
	m[key] = s
}

func newNameIndex(rules []*Rule, words int) *nameIndex {
	x := &nameIndex{
		words: words, any: make(set, words), guarded: make(set, words), roles: map[string]set{}, dns: map[string]set{},
		below: map[string]set{}, nb: map[[netbios.BaseLen]byte]*nameNode{},
	}
	dns, nb := map[glob]*nameNode{}, map[glob]*nameNode{}
	for i, r := range rules {
		if len(r.Names) == 0 {
			x.any.add(i)
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
		x.any.add(rule)
	case PatternGuarded:
		x.guarded.add(rule)
	case PatternRole:
		addTo(x.roles, p.Role, x.words, rule)
	case PatternReserved:
		x.reserved = grown(x.reserved, x.words)
		x.reserved.add(rule)
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
func (x *nameIndex) find(r *Request, sub subject, out set) {
	out.or(x.any)
	if sub.guarded() {
		out.or(x.guarded)
	}
	if sub.role != nil && len(x.roles) > 0 {
		out.or(x.roles[sub.role.Role.Name])
	}
	if x.reserved != nil {
		if _, is := Reserved(r); is {
			out.or(x.reserved)
		}
	}
	if r.NetBIOS.IsValid() {
		x.findNetBIOS(r.NetBIOS, out)
		return
	}
	x.findDNS(r.DNS, out)
}

func (x *nameIndex) findDNS(name string, out set) {
	if len(x.dns) > 0 {
		out.or(x.dns[name])
	}
	if len(x.below) > 0 {
		for up := name; ; up = parent(up) {
			out.or(x.below[up])
			if up == "." || up == "" {
				break
			}
		}
	}
	match(x.dnsGlobs, name, -1, out)
}

func (x *nameIndex) findNetBIOS(n netbios.Name, out set) {
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
			out.add(s.rule)
		}
	}
}
