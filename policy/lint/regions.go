package lint

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/ruleset"
)

// sourceAtom stands for all sources that meet the same rules and belong to the same nodes. The zero
// address is a source that nobody knows.
type sourceAtom struct {
	addr   netip.Addr
	owners []int // nodes of the subject
	rules  ruleset.Set
}

// addrAtom stands for all addresses of one class, as each policy has it, and of the same nodes. The zero
// address is that of a type which carries none.
type addrAtom struct {
	addr    netip.Addr
	classes []string    // by policy
	owners  []int       // nodes of the subject that have it
	public  []int       // nodes of the subject that have it publicly
	rules   ruleset.Set // those that ask for the class
}

// findRegions finds an address of every prefix that makes a class which lies in none of the longer ones.
func (s *space) findRegions() {
	var all []netip.Prefix
	if s.focus.IsValid() {
		all = append(all, s.focus)
	}
	for _, c := range s.world.Classes {
		all = append(all, c.Prefixes...)
	}
	for _, p := range s.policies {
		for _, c := range p.Classes {
			all = append(all, plain(c.Prefixes)...)
		}
	}
	for _, n := range s.world.Nodes {
		for _, o := range n.Other {
			all = append(all, single(o.Addr))
		}
		for _, a := range n.Public {
			all = append(all, single(a))
		}
	}
	s.regions = samples(all)
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func plain(list []policy.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, p := range list {
		out[i] = p.Prefix
	}
	return out
}

// outer are prefixes in which a sample outside of all others is looked for: those of documentation
// first, then everything.
var outer = []netip.Prefix{
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"),
}

// samples returns an address of each prefix, and of each family outside of all of them, that lies in no
// longer prefix of the list. A prefix that is wholly covered has none.
func samples(list []netip.Prefix) []netip.Addr {
	list = slices.Clone(list)
	slices.SortFunc(list, comparePrefix)
	list = slices.Compact(list)
	var out []netip.Addr
	for i, p := range list {
		if a := free(p, inside(p, list[i+1:])); a.IsValid() {
			out = append(out, a)
		}
	}
	for _, p := range outer {
		if !slices.ContainsFunc(out[min(len(out), len(list)):], func(a netip.Addr) bool { return a.Is4() == p.Addr().Is4() }) {
			if a := free(p, within(p, list)); a.IsValid() && !covered(a, list) {
				out = append(out, a)
			}
		}
	}
	return out
}

func comparePrefix(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// inside are the prefixes of a sorted list, from the one behind p on, that lie in p.
func inside(p netip.Prefix, sorted []netip.Prefix) []netip.Prefix {
	n := 0
	for n < len(sorted) && p.Contains(sorted[n].Addr()) {
		n++
	}
	return sorted[:n]
}

func within(p netip.Prefix, list []netip.Prefix) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(list), func(o netip.Prefix) bool { return !p.Overlaps(o) || o.Bits() < p.Bits() })
}

func covered(a netip.Addr, list []netip.Prefix) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// free is an address of p outside of the sorted prefixes in it, the first host rather than the network
// itself; not valid when they cover it.
func free(p netip.Prefix, taken []netip.Prefix) netip.Addr {
	at := p.Addr()
	if p.Bits() < p.Addr().BitLen() {
		if host := at.Next(); !covered(host, taken) {
			return host
		}
	}
	for _, t := range taken {
		if !at.IsValid() || at.Less(t.Addr()) {
			break
		}
		if next := last(t).Next(); t.Contains(at) {
			at = next
		}
	}
	if !at.IsValid() || !p.Contains(at) {
		return netip.Addr{}
	}
	return at
}

// last is the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	raw := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(raw)*8; bit++ {
		raw[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(raw)
	return a
}

// sourcesFor are the sources that differ in a set of rules. Nobody knows where a transfer or a push
// comes from: it is our own.
func (s *space) sourcesFor(met ruleset.Set, c *context) []sourceAtom {
	asking := slices.Clone(met)
	asking.And(s.withFrom)
	v4 := c.name.isNetBIOS()
	ours := c.channel == policy.Transfer || c.channel == policy.Push
	key := fmt.Sprint(v4, ours) + asking.Key() + c.name.subject.key()
	if have, ok := s.sources[key]; ok {
		return have
	}
	out := s.makeSources(asking, c.name.subject, v4, ours)
	s.sources[key] = out
	return out
}

func (s *space) makeSources(asking ruleset.Set, sub *subject, v4, ours bool) []sourceAtom {
	var list []netip.Prefix
	for i := asking.Next(0); i >= 0; i = asking.Next(i + 1) {
		list = append(list, plain(s.rules[i].From)...)
		if s.rules[i].Controllers {
			list = append(list, plain(s.of[i].Controllers)...)
		}
	}
	for _, a := range sub.addresses() {
		list = append(list, single(a))
	}
	candidates := append(samples(list), netip.Addr{})
	if ours {
		candidates = candidates[len(candidates)-1:]
	}
	var out []sourceAtom
	seen := map[string]bool{}
	for _, a := range candidates {
		if v4 && a.Is6() {
			continue
		}
		atom := sourceAtom{addr: a, owners: sub.ownersOf(a, false), rules: s.comingFrom(a)}
		rules := slices.Clone(atom.rules)
		rules.And(asking)
		if key := rules.Key() + fmt.Sprint(atom.owners, a.IsValid()); !seen[key] {
			seen[key] = true
			out = append(out, atom)
		}
	}
	return out
}

// comingFrom are the rules that allow a source.
func (s *space) comingFrom(a netip.Addr) ruleset.Set {
	out := make(ruleset.Set, s.words)
	in := func(p policy.Prefix) bool { return p.Contains(a) }
	for i, r := range s.rules {
		open := len(r.From) == 0 && !r.Controllers
		if open || slices.ContainsFunc(r.From, in) || r.Controllers && slices.ContainsFunc(s.of[i].Controllers, in) {
			out.Add(i)
		}
	}
	return out
}

// addrsFor are the addresses that differ for a subject and a type.
func (s *space) addrsFor(c *context) []addrAtom {
	key := string([]byte{boolByte(c.typ.v4), boolByte(c.typ.v6)}) + c.name.subject.key()
	if have, ok := s.addrs[key]; ok {
		return have
	}
	out := s.makeAddrs(c.name.subject, c.typ)
	s.addrs[key] = out
	return out
}

func (s *space) makeAddrs(sub *subject, t *typeAtom) []addrAtom {
	if !t.v4 && !t.v6 {
		return []addrAtom{{classes: make([]string, len(s.policies)), rules: make(ruleset.Set, s.words)}}
	}
	var out []addrAtom
	seen := map[string]bool{}
	add := func(a netip.Addr) {
		if s.focus.IsValid() && !s.focus.Contains(a) && !s.focus.Contains(s.snap.Plain(a)) {
			return
		}
		atom := s.addrAtom(sub, a)
		key := fmt.Sprintf("%q %v %v", atom.classes, atom.owners, atom.public)
		if !seen[key] {
			seen[key] = true
			out = append(out, atom)
		}
	}
	own := sub.addresses()
	for _, a := range append(own, s.regions...) {
		if t.v4 && a.Is4() || t.v6 && a.Is6() {
			add(a)
		}
	}
	if t.v6 { // an IPv4 address behind NAT64 has its class
		for _, a := range append(own, s.regions...) {
			if a.Is4() {
				add(behindNAT64(a))
			}
		}
	}
	return out
}

// behindNAT64 is an IPv4 address in the well-known prefix, RFC 6052, Section 2.1.
func behindNAT64(a netip.Addr) netip.Addr {
	raw := netip.MustParseAddr("64:ff9b::").As16()
	v4 := a.As4()
	copy(raw[12:], v4[:])
	return netip.AddrFrom16(raw)
}

func (s *space) addrAtom(sub *subject, a netip.Addr) addrAtom {
	atom := addrAtom{addr: a, owners: sub.ownersOf(s.snap.Plain(a), false), public: sub.ownersOf(a, true), rules: make(ruleset.Set, s.words)}
	for k, p := range s.policies {
		_, class := p.Classify(s.snap, a)
		atom.classes = append(atom.classes, class)
		for i := s.start[k]; i < s.start[k+1]; i++ {
			if slices.ContainsFunc(s.rules[i].Classes, func(ref policy.ClassRef) bool { return asksFor(ref.Name, class) }) {
				atom.rules.Add(i)
			}
		}
	}
	return atom
}

// asksFor reports whether a class meets a condition, but for the selectors that depend on the holder.
func asksFor(ref, class string) bool {
	switch ref {
	case policy.ClassFiltered:
		return isFiltered(class)
	case policy.ClassUnclassified:
		return class == ""
	}
	return ref == class
}
