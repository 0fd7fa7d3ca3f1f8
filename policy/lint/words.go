package lint

import (
	"slices"
	"strings"
)

// words finds, for a set of patterns, every combination of them that some word matches together, with a
// shortest word for each. It follows all patterns at once from octet to octet (the subset construction),
// so that what it does not find does not exist.
type words struct {
	patterns []tokens
	valid    func(word string) bool // a finished word; nil: any but the empty one
	follows  func(last, next byte) bool
	maxLen   int
	spare    string // octets that may stand for "any other"
	budget   int    // steps that may be taken

	alphabet []byte
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
		switch c := pattern[i]; c {
		case '*':
			out = append(out, token{run: true})
		case '?':
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

// spot is a place in a pattern: how many of its tokens are behind it.
type spot struct{ pattern, at int32 }

// found is a combination of patterns with words that match just these.
type found struct {
	patterns []int
	words    []string
}

// manyWords is how many words of a combination are kept, because some are other names' already.
const manyWords = 8

// find returns the combinations in the order of their shortest words. It reports false when the budget
// was not enough: then there may be more.
func (w *words) find() ([]found, bool) {
	w.letters()
	type state struct {
		spots []spot
		word  string
	}
	start := w.closed(w.starts())
	seen := map[string]int{w.key(start, 0): 1}
	queue := []state{{start, ""}}
	var out []found
	index := map[string]int{}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		w.accept(s.spots, s.word, index, &out)
		if len(s.word) == w.maxLen {
			continue
		}
		for _, c := range w.alphabet {
			if !w.mayFollow(s.word, c) {
				continue
			}
			if w.budget -= len(s.spots) + 1; w.budget < 0 {
				return out, false
			}
			next := w.step(s.spots, c)
			if key := w.key(next, c); seen[key] < 2 { // two words each: one may be taken
				seen[key]++
				queue = append(queue, state{next, s.word + string(c)})
			}
		}
	}
	return out, true
}

// letters are the octets of the patterns, and a few that stand for all others.
func (w *words) letters() {
	has := [256]bool{}
	for _, p := range w.patterns {
		for _, t := range p {
			if !t.run && !t.one && !has[t.octet] {
				has[t.octet] = true
				w.alphabet = append(w.alphabet, t.octet)
			}
		}
	}
	slices.Sort(w.alphabet)
	others := 0
	for i := range len(w.spare) {
		if c := w.spare[i]; !has[c] && others < 2 {
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

func (w *words) starts() []spot {
	out := make([]spot, len(w.patterns))
	for i := range w.patterns {
		out[i] = spot{int32(i), 0}
	}
	return out
}

// closed adds the places behind runs, which may be empty, and sorts.
func (w *words) closed(spots []spot) []spot {
	for i := 0; i < len(spots); i++ {
		s := spots[i]
		if p := w.patterns[s.pattern]; int(s.at) < len(p) && p[s.at].run {
			spots = append(spots, spot{s.pattern, s.at + 1})
		}
	}
	slices.SortFunc(spots, func(a, b spot) int {
		if a.pattern != b.pattern {
			return int(a.pattern - b.pattern)
		}
		return int(a.at - b.at)
	})
	return slices.Compact(spots)
}

func (w *words) step(spots []spot, c byte) []spot {
	var out []spot
	for _, s := range spots {
		p := w.patterns[s.pattern]
		if int(s.at) == len(p) {
			continue
		}
		switch t := p[s.at]; {
		case t.run:
			out = append(out, s)
		case t.one && c != '.', !t.one && t.octet == c:
			out = append(out, spot{s.pattern, s.at + 1})
		}
	}
	return w.closed(out)
}

// key tells states apart. The last octet counts where it limits the next one.
func (w *words) key(spots []spot, last byte) string {
	var b strings.Builder
	b.Grow(len(spots)*4 + 1)
	if last == '.' {
		b.WriteByte('.')
	}
	for _, s := range spots {
		b.Write([]byte{byte(s.pattern), byte(s.pattern >> 8), byte(s.at), byte(s.at >> 8)})
	}
	return b.String()
}

// accept notes the combination of patterns that a word matches.
func (w *words) accept(spots []spot, word string, index map[string]int, out *[]found) {
	if word == "" || w.valid != nil && !w.valid(word) {
		return
	}
	var all []int
	var key strings.Builder
	for _, s := range spots {
		if int(s.at) == len(w.patterns[s.pattern]) {
			all = append(all, int(s.pattern))
			key.Write([]byte{byte(s.pattern), byte(s.pattern >> 8)})
		}
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
