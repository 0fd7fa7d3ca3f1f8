package lint

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/ruleset"
	"github.com/nameward/nameward/registry"
)

// nameAtom stands for all names that meet the same rules and belong to the same subject.
type nameAtom struct {
	dns     string
	netbios netbios.Name
	subject *subject
	rules   ruleset.Set
}

func (n *nameAtom) isNetBIOS() bool { return n.netbios.IsValid() }

// subject is what a guarded name belongs to, with everybody who may hold it.
type subject struct {
	guarded bool
	role    *registry.Role
	nodes   []*registry.Node // of the role, or the host alone
	server  []netip.Addr     // of a name server
	held    [][]int          // the choices of holders, as indexes in nodes
}

// nobody is the subject of names that are not guarded.
var nobody = &subject{held: [][]int{nil}}

// serverOwner is the owner of a name server's addresses, which are no node's.
const serverOwner = -1

func roleSubject(r *registry.Role) *subject {
	s := &subject{guarded: true, role: r, nodes: r.Nodes}
	all := []int{}
	for i := range r.Nodes {
		s.held = append(s.held, []int{i})
		all = append(all, i)
	}
	if r.Mode == registry.All {
		s.held = append(s.held, all)
	}
	s.held = append(s.held, []int{}) // last: a witness with a holder says more
	return s
}

// names are the nodes of a choice.
func (s *subject) names(held int) []string {
	out := []string{}
	for _, i := range s.held[held] {
		out = append(out, s.nodes[i].Name)
	}
	return out
}

// state is that of who has an address; owners are its nodes.
func (s *subject) state(held int, owners []int) policy.State {
	switch {
	case s.serves(held, owners):
		return policy.Holder
	case len(owners) > 0:
		return policy.Passive
	}
	return policy.Stranger
}

// serves reports whether one of the owners holds the name in a choice.
func (s *subject) serves(held int, owners []int) bool {
	if s.role == nil {
		return len(owners) > 0
	}
	return slices.ContainsFunc(owners, func(o int) bool { return slices.Contains(s.held[held], o) })
}

// ownersOf are the nodes that have an address, publicly or at all.
func (s *subject) ownersOf(a netip.Addr, public bool) []int {
	var out []int
	for i, n := range s.nodes {
		has := slices.Contains(n.Public, a)
		if !public {
			has = has || slices.ContainsFunc(n.Other, func(o registry.ClassAddr) bool { return o.Addr == a })
		}
		if has {
			out = append(out, i)
		}
	}
	if slices.Contains(s.server, a) {
		out = append(out, serverOwner)
	}
	return out
}

// addresses are all that the subject's nodes have.
func (s *subject) addresses() []netip.Addr {
	out := slices.Clone(s.server)
	for _, n := range s.nodes {
		out = append(out, n.Public...)
		for _, o := range n.Other {
			out = append(out, o.Addr)
		}
	}
	return out
}

// key tells subjects apart that a policy could treat differently.
func (s *subject) key() string {
	if !s.guarded {
		return ""
	}
	var b strings.Builder
	if s.role != nil {
		b.WriteString(s.role.Mode.String())
	}
	for _, n := range s.nodes {
		b.WriteString(" " + n.Name)
	}
	for _, a := range s.server {
		b.WriteString(" " + a.String())
	}
	return b.String()
}

// subjectOf is what a name belongs to.
func (s *space) subjectOf(name *policy.Request) *subject {
	if name.NetBIOS.IsValid() {
		if r, ok := s.snap.NetBIOS(name.NetBIOS); ok {
			return roleSubject(r.Role)
		}
		return nobody
	}
	e, ok := s.snap.Lookup(name.DNS)
	switch {
	case ok && e.Kind == registry.KindRole:
		return roleSubject(s.snap.RoleOf(e).Role)
	case ok && e.Kind == registry.KindHost:
		return hostSubject(s.snap.NodeOf(e))
	case ok && e.Kind == registry.KindNameServer:
		return serverSubject(s.snap.ServerOf(e))
	}
	return nobody
}

func hostSubject(n *registry.Node) *subject {
	return &subject{guarded: true, nodes: []*registry.Node{n}, held: [][]int{{0}}}
}

func serverSubject(ns registry.NameServer) *subject {
	return &subject{guarded: true, server: ns.Addrs, held: [][]int{nil}}
}

// findNames fills the dimension of names: the guarded ones, those that patterns spell out, and a word
// for every combination of wildcards.
func (s *space) findNames() {
	f := &nameFinder{space: s, seen: map[string]bool{}, taken: map[string]bool{}}
	f.guarded()
	f.spelled()
	f.dnsWords()
	f.netbiosWords()
}

type nameFinder struct {
	*space
	seen  map[string]bool // atoms by rules and subject
	taken map[string]bool // names that are guarded or spelled out
}

// add enters a name if no other meets the same rules.
func (f *nameFinder) add(dns string, nb netbios.Name, sub *subject) {
	if f.steps -= nameSteps; f.steps < 0 {
		f.unfinished = true
		return
	}
	rules := f.nameRules(&policy.Request{DNS: dns, NetBIOS: nb})
	key := string([]byte{boolByte(nb.IsValid())}) + rules.Key() + sub.key()
	if !f.seen[key] {
		f.seen[key] = true
		f.names = append(f.names, &nameAtom{dns: dns, netbios: nb, subject: sub, rules: rules})
	}
}

// nameSteps is what a name counts for: the least that a walk takes for it.
const nameSteps = 30

// nameRules are the rules of all policies that a name meets.
func (s *space) nameRules(r *policy.Request) ruleset.Set {
	out := make(ruleset.Set, s.words)
	for k, p := range s.policies {
		own := make(ruleset.Set, ruleset.Words(len(p.Rules)))
		p.NameRules(s.snap, r, own)
		out.OrShifted(own, s.start[k])
	}
	return out
}

func (f *nameFinder) guarded() {
	subjects := map[string]*subject{}
	same := func(sub *subject) *subject {
		if sub.role != nil {
			return sub // its name stands in witnesses
		}
		if old := subjects[sub.key()]; old != nil {
			return old
		}
		subjects[sub.key()] = sub
		return sub
	}
	for _, r := range f.world.Roles {
		sub := roleSubject(r)
		for _, name := range r.NetBIOS {
			f.taken[name.String()] = true
			f.add("", name, sub)
		}
		for _, name := range r.DNS {
			f.taken[name] = true
			f.add(name, netbios.Name{}, sub)
		}
	}
	for _, n := range f.world.Nodes {
		if n.Host != "" {
			f.taken[n.Host] = true
			f.add(n.Host, netbios.Name{}, same(hostSubject(n)))
		}
	}
	for _, z := range f.world.Zones {
		for _, ns := range z.NS {
			if e, ok := f.snap.Lookup(ns.Name); ok && e.Kind == registry.KindNameServer && !f.taken[ns.Name] {
				f.taken[ns.Name] = true
				f.add(ns.Name, netbios.Name{}, same(serverSubject(ns)))
			}
		}
	}
}

func (f *nameFinder) patterns(kinds ...policy.PatternKind) []policy.Pattern {
	var out []policy.Pattern
	seen := map[string]bool{}
	for _, r := range f.rules {
		for _, p := range r.Names {
			if slices.Contains(kinds, p.Kind) && !seen[p.Text] {
				seen[p.Text] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// spelled enters the names that patterns spell out.
func (f *nameFinder) spelled() {
	for _, p := range f.patterns(policy.PatternDNS, policy.PatternBelow) {
		f.unguarded(p.Glob(), netbios.Name{})
	}
	for _, p := range f.patterns(policy.PatternNetBIOS) {
		f.base(p.Glob())
	}
}

// unguarded enters a name if it is nobody's.
func (f *nameFinder) unguarded(dns string, nb netbios.Name) {
	key := dns
	if nb.IsValid() {
		key = nb.String()
	}
	if !f.taken[key] {
		f.taken[key] = true
		f.add(dns, nb, nobody)
	}
}

// base enters a NetBIOS name with every suffix that matters.
func (f *nameFinder) base(base string) {
	for _, suffix := range f.suffixes() {
		if n, err := netbios.NewName(base, suffix, ""); err == nil {
			f.unguarded("", n)
		}
	}
}

// suffixes are those that patterns name, those of domains, and one that stands for the others.
func (f *nameFinder) suffixes() []byte {
	out := []byte{0x20, 0x00, 0x1b, 0x1c, 0x1d}
	for _, p := range f.patterns(policy.PatternNetBIOS, policy.PatternNBGlob) {
		if s := p.Suffix(); s >= 0 && !slices.Contains(out, byte(s)) {
			out = append(out, byte(s))
		}
	}
	for c := byte(0x03); ; c++ {
		if !slices.Contains(out, c) {
			return append(out, c)
		}
	}
}

const (
	lowerSpare = "xyzqwjkvhgnmprtlsdfcbaeiou0123456789"
	upperSpare = "XYZQWJKVHGNMPRTLSDFCBAEIOU0123456789"
)

// dnsWords enters a name for every combination of DNS patterns with wildcards and of what is reserved.
func (f *nameFinder) dnsWords() {
	w := words{spare: lowerSpare, maxLen: 253, budget: maxWordSteps, follows: func(last, next byte) bool {
		return next != '.' || last != 0 && last != '.'
	}, valid: func(word string) bool { return strings.HasSuffix(word, ".") && !longLabel(word) }}
	for _, p := range f.patterns(policy.PatternDNSGlob) {
		w.patterns = append(w.patterns, tokensOf(p.Glob()))
	}
	for _, p := range f.patterns(policy.PatternBelow) {
		if p.Glob() == "." {
			continue // every name is below the root
		}
		w.patterns = append(w.patterns, exactly(p.Glob()), append(tokens{{run: true}}, exactly("."+p.Glob())...))
	}
	w.patterns = append(w.patterns, tokensOf("wpad.*"), tokensOf("isatap.*"), append(exactly("*."), token{run: true}), tokensOf("*1uwhrcaaa*"), tokensOf("*."))
	f.enter(&w, func(word string) { f.unguarded(word, netbios.Name{}) })
}

func longLabel(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > 63 {
			return true
		}
	}
	return false
}

// netbiosWords does the same for NetBIOS names.
func (f *nameFinder) netbiosWords() {
	w := words{spare: upperSpare, maxLen: netbios.BaseLen, budget: maxWordSteps}
	for _, p := range f.patterns(policy.PatternNBGlob) {
		w.patterns = append(w.patterns, tokensOf(p.Glob()))
	}
	w.patterns = append(w.patterns, exactly("WPAD"), exactly("ISATAP"), append(exactly("*"), token{run: true}), tokensOf("*1UWHRCAAA*"), tokensOf("*"))
	f.enter(&w, f.base)
}

// enter adds the words of each combination. All of them are tried: the first may be guarded, or spelled
// out by a rule.
func (f *nameFinder) enter(w *words, add func(word string)) {
	all, done := w.find()
	f.unfinished = f.unfinished || !done
	for _, combination := range all {
		for _, word := range combination.words {
			add(word)
		}
	}
}

// principalAtom is somebody who signs, or nobody.
type principalAtom struct {
	name  string
	rules ruleset.Set
}

func (s *space) findPrincipals() {
	seen := map[string]bool{}
	add := func(name string) {
		rules := s.where(func(r *policy.Rule) bool {
			return len(r.Principals) == 0 ||
				slices.ContainsFunc(r.Principals, func(p policy.Principal) bool { return p.Matches(name) })
		})
		if key := rules.Key(); !seen[key] {
			seen[key] = true
			s.principals = append(s.principals, principalAtom{name, rules})
		}
	}
	add("")
	w := words{spare: lowerSpare, maxLen: 200, budget: maxWordSteps}
	for _, r := range s.rules {
		for _, p := range r.Principals {
			if p.Text == policy.Unsigned {
				continue
			}
			w.patterns = append(w.patterns, tokensOf(p.Glob()))
		}
	}
	all, done := w.find()
	s.unfinished = s.unfinished || !done
	for _, f := range all {
		add(f.words[0])
	}
}
