package yamlat

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// At is a place in a file: line and column count from 1. The zero At is no place.
type At struct{ Line, Col int32 }

// IsSet reports whether at is a place.
func (at At) IsSet() bool { return at.Line > 0 }

// String is LINE:COL.
func (at At) String() string { return fmt.Sprintf("%d:%d", at.Line, at.Col) }

// Problem is one thing that is wrong in a file. Text says what is wrong and what would be right.
type Problem struct {
	File      string
	Line, Col int // from 1
	Text      string
	Code      string // what class of problem it is, for tools; "" for most
}

// The codes of problems of this package.
const CodeHostBits = "host-bits" // a prefix whose address has bits behind its length

// String is FILE:LINE:COL: TEXT.
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Text)
}

// Problems is everything that is wrong in a file, as an error of one line for each.
type Problems []Problem

// Error is the problems in their order, separated by newlines.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders the problems by place and drops those that say the same twice.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Col, b.Col), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(ps)
}
