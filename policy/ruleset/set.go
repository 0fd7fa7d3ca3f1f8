// Package ruleset holds sets of rules by their index, as the engine and its proofs intersect them.
package ruleset

import (
	"math/bits"
	"slices"
	"strings"
	"unsafe"
)

// Set is a set of rules: rule i is bit i%64 of word i/64. Sets that are used together have the same
// length; nil is the empty set.
type Set []uint64

// Words is the length of sets of n rules.
func Words(n int) int { return (n + 63) / 64 }

// Where is the set of the rules that a condition holds for.
func Where[R any](rules []R, is func(r R) bool) Set {
	s := make(Set, Words(len(rules)))
	for i, r := range rules {
		if is(r) {
			s.Add(i)
		}
	}
	return s
}

// Add adds a rule.
func (s Set) Add(i int) { s[i/64] |= 1 << (i % 64) }

// Remove takes a rule out.
func (s Set) Remove(i int) { s[i/64] &^= 1 << (i % 64) }

// Has reports whether a rule is in the set.
func (s Set) Has(i int) bool { return s != nil && s[i/64]&(1<<(i%64)) != 0 }

// Or adds the members of o.
func (s Set) Or(o Set) {
	for i, w := range o {
		s[i] |= w
	}
}

// And keeps the members of o.
func (s Set) And(o Set) {
	for i := range s {
		s[i] &= o.Word(i)
	}
}

// OrShifted adds the members of o, each by so many higher.
func (s Set) OrShifted(o Set, by int) {
	for i := o.Next(0); i >= 0; i = o.Next(i + 1) {
		s.Add(i + by)
	}
}

// Word is a word of the set.
func (s Set) Word(i int) uint64 {
	if s == nil {
		return 0
	}
	return s[i]
}

// Next is the first member from i on, or -1.
func (s Set) Next(i int) int {
	for w := i / 64; w < len(s); w++ {
		word := s[w]
		if w == i/64 {
			word &= ^uint64(0) << (i % 64)
		}
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
	}
	return -1
}

// Grown is s, or an empty set of that length if s is nil.
func Grown(s Set, words int) Set {
	if s == nil {
		return make(Set, words)
	}
	return s
}

// Interner lets equal sets share memory: most prefixes of a large policy belong to few rules.
type Interner map[string]Set

// Intern returns a set equal to s that nobody may change.
func (in Interner) Intern(s Set) Set {
	key := s.view()
	if have, ok := in[key]; ok {
		return have
	}
	own := slices.Clone(s)
	in[strings.Clone(key)] = own
	return own
}

// Tally counts how often a set was seen.
type Tally map[string]int

// Seen is how often a set equal to s was counted.
func (t Tally) Seen(s Set) int { return t[s.view()] }

// Count counts s once more. Nobody may change s afterwards.
func (t Tally) Count(s Set) { t[s.view()]++ }

// Key tells sets of one length apart.
func (s Set) Key() string { return strings.Clone(s.view()) }

// view is the set's memory as text, for as long as nobody changes it.
func (s Set) view() string {
	return unsafe.String((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*8)
}
