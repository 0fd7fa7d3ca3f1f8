package main

import (
	"fmt"
	"strings"
)

// row is one line of the table. What is for information has no requirement.
type row struct {
	what, ours, peer, ratio, required string
	met                               bool
}

// table collects the rows, the raw samples behind them and what has to be said beside them.
type table struct {
	rows  []row
	raw   [][]string
	notes []string
}

// require adds a row with a requirement.
func (t *table) require(met bool, r row) {
	r.met = met
	t.rows = append(t.rows, r)
}

// inform adds a row without one.
func (t *table) inform(r row) {
	r.required = ""
	t.rows = append(t.rows, r)
}

// keep puts samples into the table of raw figures.
func (t *table) keep(what, unit string, s samples) {
	t.raw = append(t.raw, append([]string{what, unit}, s.summary()...))
}

func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// met reports whether every requirement is met.
func (t *table) met() bool {
	for _, r := range t.rows {
		if r.required != "" && !r.met {
			return false
		}
	}
	return true
}

func (t *table) markdown() string {
	var b strings.Builder
	line(&b, "what", "ours", "peer", "ratio", "required", "met")
	line(&b, "---", "---", "---", "---", "---", "---")
	for _, r := range t.rows {
		met := "-"
		switch {
		case r.required != "" && r.met:
			met = "yes"
		case r.required != "":
			met = "**no**"
		}
		line(&b, r.what, dash(r.ours), dash(r.peer), dash(r.ratio), dash(r.required), met)
	}
	b.WriteString("\n")
	for _, n := range t.notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	b.WriteString("\nThe samples:\n\n")
	line(&b, "what", "unit", "n", "median (p50)", "p99", "min", "max")
	line(&b, "---", "---", "---", "---", "---", "---", "---")
	for _, r := range t.raw {
		line(&b, r...)
	}
	return b.String()
}

func line(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
