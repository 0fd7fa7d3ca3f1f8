package policy

import "github.com/nameward/nameward/policy/ruleset"

// automaton finds which globs may match a name, in one pass over it whatever their number is: it looks
// for the longest literal of each (Aho and Corasick, Efficient String Matching, 1975), and only those
// that are found are compared.
type automaton struct {
	globs  []indexedGlob
	always []int32 // globs without any literal
	class  [256]uint8
	width  int       // classes of octets
	next   []int32   // by state*width+class
	found  [][]int32 // by state: the globs whose literal ends here
}

// indexedGlob is a glob with what hangs on it.
type indexedGlob struct {
	glob glob
	node *nameNode
}

func newAutomaton(globs []indexedGlob) *automaton {
	a := &automaton{globs: globs}
	a.classify()
	a.next, a.found = make([]int32, a.width), make([][]int32, 1)
	for i, g := range globs {
		if lit := g.glob.literal(); lit != "" {
			end := a.insert(lit)
			a.found[end] = append(a.found[end], int32(i))
		} else {
			a.always = append(a.always, int32(i))
		}
	}
	a.link()
	return a
}

// classify numbers the octets that stand in any literal; all others share class 0.
func (a *automaton) classify() {
	a.width = 1
	for _, g := range a.globs {
		for _, c := range []byte(g.glob.literal()) {
			if a.class[c] == 0 {
				a.class[c] = uint8(a.width)
				a.width++
			}
		}
	}
}

// insert adds a literal to the trie. 0 stands for "no edge" as well as for the root, to which no edge
// leads.
func (a *automaton) insert(literal string) int32 {
	state := int32(0)
	for _, c := range []byte(literal) {
		edge := int(state)*a.width + int(a.class[c])
		if a.next[edge] == 0 {
			a.next[edge] = int32(len(a.found))
			a.next = append(a.next, make([]int32, a.width)...)
			a.found = append(a.found, nil)
		}
		state = a.next[edge]
	}
	return state
}

// link fills the missing edges with those of the longest suffix that is in the trie, breadth first.
func (a *automaton) link() {
	fail := make([]int32, len(a.found))
	var queue []int32
	for c := range a.width {
		if s := a.next[c]; s != 0 {
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		a.found[state] = append(a.found[state], a.found[fail[state]]...)
		for c := range a.width {
			edge, back := int(state)*a.width+c, a.next[int(fail[state])*a.width+c]
			if s := a.next[edge]; s != 0 {
				fail[s] = back
				queue = append(queue, s)
			} else {
				a.next[edge] = back
			}
		}
	}
}

// match adds to out the rules of all globs that match the name. suffix is the 16th octet of a NetBIOS
// name, any other number for DNS.
func match[T ~string | ~[]byte](a *automaton, name T, suffix int, out ruleset.Set) {
	for _, i := range a.always {
		a.try(i, matchGlob(a.globs[i].glob, name), suffix, out)
	}
	if a.width == 1 {
		return
	}
	state := int32(0)
	for i := range len(name) {
		state = a.next[int(state)*a.width+int(a.class[name[i]])]
		for _, g := range a.found[state] {
			a.try(g, matchGlob(a.globs[g].glob, name), suffix, out)
		}
	}
}

func (a *automaton) try(i int32, matches bool, suffix int, out ruleset.Set) {
	if matches {
		a.globs[i].node.addTo(out, suffix)
	}
}
