package finding

import "strings"

// appendMarkup writes text for XML and HTML, for elements and for quoted attributes. All that prints
// is allowed in both.
func appendMarkup(b []byte, s string) []byte {
	for s != "" {
		i := strings.IndexAny(s, `&<>"'`)
		if i < 0 {
			return appendVisible(b, s)
		}
		b = append(appendVisible(b, s[:i]), entity(s[i])...)
		s = s[i+1:]
	}
	return b
}

func entity(c byte) string {
	switch c {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '"':
		return "&#34;"
	}
	return "&#39;"
}

// appendLines writes text of several lines, which stay lines.
func appendLines(b []byte, s string) []byte {
	first := true
	for line := range strings.SplitSeq(s, "\n") {
		if !first {
			b = append(b, '\n')
		}
		first = false
		b = appendMarkup(b, strings.TrimSuffix(line, "\r"))
	}
	return b
}

// appendAttr writes an attribute with a space before it.
func appendAttr(b []byte, name, value string) []byte {
	b = append(append(append(b, ' '), name...), `="`...)
	return append(appendMarkup(b, value), '"')
}

// spool is a part of a document that cannot be written before its head is known. It is bounded: what
// does not fit is counted.
type spool struct {
	count  int // entries in it
	hidden int // entries that did not fit
	size   int
}

const (
	maxEntries   = 10_000
	maxSpoolSize = 16 << 20
)

// fits says whether there is room for one more entry, and counts it as hidden otherwise.
func (s *spool) fits() bool {
	if s.count == maxEntries || s.size >= maxSpoolSize {
		s.hidden++
		return false
	}
	return true
}

// took notes an entry of so many bytes.
func (s *spool) took(bytes int) {
	s.count++
	s.size += bytes
}
