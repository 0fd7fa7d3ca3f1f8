package finding

import "strings"

// shownLine is a line of a source as a terminal shows it.
type shownLine struct {
	text  string // "": nothing to be seen
	caret string // "^~~~"; "" without a place in the line
	at    int    // the cell of the caret
}

const (
	maxLine  = 8 << 10 // bytes of a line that are looked at, for each finding in it
	maxCells = 100     // cells of a line that are shown
	ahead    = 30      // cells that are kept before the caret if the line is cut
	maxMarks = 4       // marks over one character; more are a joke of somebody's
	cut      = "..."   // stands where something was left out
)

// excerpt shows a line, or the part of it around its columns col to end-1. Without a column, or if the
// column is behind the line, there is no caret.
func excerpt(line string, col, end int) shownLine {
	if strings.TrimSpace(line) == "" {
		return shownLine{}
	}
	m := measureLine(line, col, end)
	from, to := window(m)
	s := shownLine{text: cells(line, from, to)}
	if from > 0 {
		s.text = cut + s.text
	}
	if to < m.cells {
		s.text += cut
	}
	s.text = strings.TrimRight(s.text, " ")
	if m.found {
		s.at = m.from - from
		if from > 0 {
			s.at += len(cut)
		}
		s.caret = "^" + strings.Repeat("~", max(0, min(m.to, to)-m.from-1))
	}
	return s
}

// measured is where a place stands in a line, in cells.
type measured struct {
	cells    int // the line's
	from, to int
	found    bool
}

func measureLine(line string, col, end int) (m measured) {
	n := 1
	for ; len(line) > 0; n++ {
		m.mark(n, col, end)
		g := nextGlyph(line, m.cells)
		m.cells += g.width
		line = line[g.size:]
	}
	m.mark(n, col, end) // a place right behind the line: something is missing there
	if end > n {
		m.to = m.cells
	}
	m.to = max(m.to, m.from+1)
	return m
}

// mark takes down that character n begins at the cell that was reached.
func (m *measured) mark(n, col, end int) {
	if n == col {
		m.from, m.found = m.cells, true
	}
	if n == end {
		m.to = m.cells
	}
}

// window is the cells of a line that are shown.
func window(m measured) (from, to int) {
	if m.cells <= maxCells {
		return 0, m.cells
	}
	if m.found {
		from = max(0, min(m.from-ahead, m.cells-maxCells))
	}
	return from, min(m.cells, from+maxCells)
}

// cells is the cells from..to-1 of a line. What is there in part only is blank.
func cells(line string, from, to int) string {
	var b strings.Builder
	marks := 0
	for x := 0; len(line) > 0 && x < to; {
		g := nextGlyph(line, x)
		line = line[g.size:]
		switch {
		case g.width == 0:
			if marks++; x > from && marks <= maxMarks {
				b.WriteString(g.text)
			}
			continue
		case x >= from && x+g.width <= to:
			b.WriteString(g.text)
		default:
			b.WriteString(strings.Repeat(" ", max(0, min(x+g.width, to)-max(x, from))))
		}
		marks = 0
		x += g.width
	}
	return b.String()
}
