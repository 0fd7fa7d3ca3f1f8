package policy

import "strings"

// glob is a pattern in which * stands for any run of octets and ? for one octet other than a dot.
type glob string

// isGlob reports whether s needs matching, and not comparing.
func isGlob(s string) bool { return strings.ContainsAny(s, "*?") }

// matchGlob compares without allocating. It goes back to the last * only, so that its time is at most
// the product of both lengths.
func matchGlob[T ~string | ~[]byte](g glob, s T) bool {
	gi, si, star, from := 0, 0, -1, 0
	for si < len(s) {
		switch {
		case gi < len(g) && g[gi] == '*':
			star, from = gi, si
			gi++
		case gi < len(g) && (g[gi] == s[si] || g[gi] == '?' && s[si] != '.'):
			gi++
			si++
		case star >= 0:
			from++
			gi, si = star+1, from
		default:
			return false
		}
	}
	for gi < len(g) && g[gi] == '*' {
		gi++
	}
	return gi == len(g)
}

// literal is the longest run of octets that stands in everything the pattern matches.
func (g glob) literal() string {
	longest := ""
	for run := range strings.FieldsFuncSeq(string(g), func(r rune) bool { return r == '*' || r == '?' }) {
		if len(run) > len(longest) {
			longest = run
		}
	}
	return longest
}
