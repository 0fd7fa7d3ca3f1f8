package finding

import (
	"bytes"
	"strings"
)

// appendTable writes a table for a terminal: its columns aligned, numbers to the right. The last
// column is not padded.
func appendTable(b []byte, t *Table) []byte {
	rows := visibleRows(t)
	widths, numeric := measure(rows)
	if t.Title != "" {
		b = append(appendVisible(b, t.Title), '\n')
	}
	for _, row := range rows {
		b = appendCells(b, row, widths, numeric)
	}
	return b
}

// visibleRows is the columns' names, if any, and the rows, as they are shown.
func visibleRows(t *Table) [][]string {
	rows := make([][]string, 0, len(t.Rows)+1)
	if len(t.Columns) > 0 {
		rows = append(rows, t.Columns)
	}
	rows = append(rows, t.Rows...)
	for i, row := range rows {
		shown := make([]string, len(row))
		for j, cell := range row {
			shown[j] = string(appendVisible(nil, cell))
		}
		rows[i] = shown
	}
	return rows
}

// measure is the width of each column in cells, and whether it holds numbers only, below its name.
func measure(rows [][]string) (widths []int, numeric []bool) {
	for i, row := range rows {
		for j, cell := range row {
			if j == len(widths) {
				widths, numeric = append(widths, 0), append(numeric, true)
			}
			widths[j] = max(widths[j], textWidth(cell))
			numeric[j] = numeric[j] && (i == 0 || isNumber(cell))
		}
	}
	return widths, numeric
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789.,%+-") == "" }

func appendCells(b []byte, row []string, widths []int, numeric []bool) []byte {
	b = append(b, ' ')
	for j, cell := range row {
		pad := widths[j] - textWidth(cell)
		b = append(b, ' ')
		if numeric[j] {
			b = append(appendSpaces(b, pad), cell...)
		} else if b = append(b, cell...); j < len(row)-1 {
			b = appendSpaces(b, pad)
		}
		b = append(b, ' ')
	}
	return append(bytes.TrimRight(b, " "), '\n')
}
