package lint

import (
	"slices"
	"strings"

	"github.com/nameward/nameward/policy/ruleset"
)

// words finds, for a set of patterns, every combination of them that some word matches together, with a
// few of the shortest words for each. It follows all patterns at once from octet to octet (the subset
// construction, with the states of all patterns in one vector of bits), so that what it does not find
// does not exist.
type words struct {
	patterns []tokens
	valid    func(word string) bool // of a finished word; nil: any but the empty one
	follows  func(last, next byte) bool
	maxLen   int
	spare    string // octets that may stand for "any other"
	budget   int    // steps from octet to octet that may be taken, times the words of the vector

	alphabet []byte
	first    []int // the bit of each pattern's beginning
	literal  [256]ruleset.Set
	one      ruleset.Set
	run      ruleset.Set
	end      ruleset.Set // the bits behind the last token of a pattern
}

// token is a piece of a pattern: an octet, or a wildcard.
type token struct {
	octet byte
	run   bool // *: any run of octets
	one   bool // ?: one octet, but no dot
}

type tokens []token

// tokensOf reads a pattern in which * and ? are wildcards.
func tokensOf(pattern string) tokens {
	var out tokens
	for i := range len(pattern) {
		switch c := pattern[i]; {
		case c == '*' && i > 0 && pattern[i-1] == '*':
		case c == '*':
			out = append(out, token{run: true})
		case c == '?':
			out = append(out, token{one: true})
		default:
			out = append(out, token{octet: c})
		}
	}
	return out
}

// exactly reads a text in which nothing is a wildcard.
func exactly(text string) tokens {
	var out tokens
	for i := range len(text) {
		out = append(out, token{octet: text[i]})
	}
	return out
}

// found is a combination of patterns with words that match just these.
type found struct {
	patterns []int
	words    []string
}

const (
	manyWords  = 8 // are kept of a combination, because some are other names' already
	wordsState = 2 // are followed from a state, for the same reason

	maxStored = 24 << 20 // words of the vectors that are kept: 192 MiB
)

// find returns the combinations in the order of their shortest words. It reports false when the budget
// was not enough: then there may be more.
func (w *words) find() ([]found, bool) {
	w.prepare()
	type state struct {
		at   ruleset.Set
		word string
	}
	queue := []state{{w.start(), ""}}
	seen := [2]ruleset.Tally{{}, {}} // behind a dot, which limits what follows, and behind others
	var out []found
	index := map[string]int{}
	next, stored := make(ruleset.Set, len(w.one)), 0
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		w.accept(s.at, s.word, index, &out)
		if len(s.word) == w.maxLen {
			continue
		}
		for _, c := range w.alphabet {
			if !w.mayFollow(s.word, c) {
				continue
			}
			if w.budget -= len(next); w.budget < 0 {
				return out, false
			}
			w.step(s.at, c, next)
			if tally := seen[boolByte(c == '.')]; tally.Seen(next) < wordsState {
				if stored += len(next); stored > maxStored {
					return out, false
				}
				own := slices.Clone(next)
				tally.Count(own)
				queue = append(queue, state{own, s.word + string(c)})
			}
		}
	}
	return out, true
}

// prepare lays the patterns out in one vector: each has a bit for every number of its tokens that may be
// behind it.
func (w *words) prepare() {
	bits := 0
	for _, p := range w.patterns {
		w.first = append(w.first, bits)
		bits += len(p) + 1
	}
	n := ruleset.Words(bits)
	w.one, w.run, w.end = make(ruleset.Set, n), make(ruleset.Set, n), make(ruleset.Set, n)
	for i, p := range w.patterns {
		w.end.Add(w.first[i] + len(p))
		for j, t := range p {
			switch at := w.first[i] + j; {
			case t.run:
				w.run.Add(at)
			case t.one:
				w.one.Add(at)
			default:
				w.literal[t.octet] = ruleset.Grown(w.literal[t.octet], n)
				w.literal[t.octet].Add(at)
			}
		}
	}
	for c, set := range w.literal {
		if set != nil {
			w.alphabet = append(w.alphabet, byte(c))
		}
	}
	w.addSpare()
}

// addSpare puts two octets that no pattern names before the alphabet.
func (w *words) addSpare() {
	others := 0
	for i := range len(w.spare) {
		if c := w.spare[i]; w.literal[c] == nil && others < 2 {
			w.alphabet = slices.Insert(w.alphabet, 0, c)
			others++
		}
	}
}

func (w *words) mayFollow(word string, c byte) bool {
	last := byte(0)
	if word != "" {
		last = word[len(word)-1]
	}
	return w.follows == nil || w.follows(last, c)
}

func (w *words) start() ruleset.Set {
	s := make(ruleset.Set, len(w.one))
	for _, at := range w.first {
		s.Add(at)
	}
	w.close(s)
	return s
}

// close adds the places behind runs, which may be empty. No run stands behind another.
func (w *words) close(s ruleset.Set) {
	carry := uint64(0)
	for i := range s {
		runs := s[i] & w.run[i]
		s[i] |= runs<<1 | carry
		carry = runs >> 63
	}
}

// step sets next to the places behind an octet.
func (w *words) step(s ruleset.Set, c byte, next ruleset.Set) {
	literal, carry := w.literal[c], uint64(0)
	for i := range s {
		moved := s[i] & literal.Word(i)
		if c != '.' {
			moved |= s[i] & w.one[i]
		}
		next[i] = moved<<1 | carry | s[i]&w.run[i]
		carry = moved >> 63
	}
	w.close(next)
}

// ended is the first bit from one on that stands for the end of a pattern, or -1.
func (w *words) ended(s ruleset.Set, from int) int {
	for at := s.Next(from); at >= 0; at = s.Next(at + 1) {
		if w.end.Has(at) {
			return at
		}
	}
	return -1
}

// accept notes the combination of patterns that a word matches.
func (w *words) accept(s ruleset.Set, word string, index map[string]int, out *[]found) {
	if word == "" || w.valid != nil && !w.valid(word) {
		return
	}
	var all []int
	var key strings.Builder
	for at := w.ended(s, 0); at >= 0; at = w.ended(s, at+1) {
		i, _ := slices.BinarySearch(w.first, at)
		all = append(all, i-1)
		key.Write([]byte{byte(i), byte(i >> 8)})
	}
	i, ok := index[key.String()]
	if !ok {
		i = len(*out)
		index[key.String()] = i
		*out = append(*out, found{patterns: all})
	}
	if f := &(*out)[i]; len(f.words) < manyWords {
		f.words = append(f.words, word)
	}
}
