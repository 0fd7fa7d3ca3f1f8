package finding

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// runeWidth is how many cells of a terminal a printable rune takes: Unicode Standard Annex 11, and
// none for marks, which stand over the rune before them.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	}
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

// textWidth is that of a text that is visible already.
func textWidth(s string) int {
	if plainPrefix(s) == len(s) {
		return len(s)
	}
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// glyph is how one character of a source line is shown.
type glyph struct {
	text  string
	width int
	size  int // in bytes of the line
}

const tabStop = 8

// tabs are the spaces that a tab may stand for.
const tabs = "        "

// nextGlyph is that of the character at the start of line, of which the first cell is x.
func nextGlyph(line string, x int) glyph {
	if c := line[0]; plain(c) {
		return glyph{line[:1], 1, 1}
	} else if c == '\t' {
		n := tabStop - x%tabStop
		return glyph{tabs[:n], n, 1}
	}
	r, size := utf8.DecodeRuneInString(line)
	if shown := string(appendRune(nil, r, line[:size])); shown != line[:size] {
		return glyph{shown, len(shown), size}
	}
	return glyph{line[:size], runeWidth(r), size}
}
