package policy

import "math/bits"

// set is a set of rules by their index: bit i%64 of word i/64. All sets of an index have the same
// length; nil is the empty set.
type set []uint64

func (s set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// or adds the members of o.
func (s set) or(o set) {
	for i, w := range o {
		s[i] |= w
	}
}

// and keeps the members of o.
func (s set) and(o set) {
	for i := range s {
		if o == nil {
			s[i] = 0
			continue
		}
		s[i] &= o[i]
	}
}

// word is a word of a set that may be empty.
func (s set) word(i int) uint64 {
	if s == nil {
		return 0
	}
	return s[i]
}

// each calls f for every member.
func (s set) each(f func(i int)) {
	for w, word := range s {
		for ; word != 0; word &= word - 1 {
			f(w*64 + bits.TrailingZeros64(word))
		}
	}
}
