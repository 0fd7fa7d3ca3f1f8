package finding

import (
	"strconv"
	"strings"
)

// csvDoc is CSV, RFC 4180, one row for each finding. Related places and the summary have no column.
//
// It appends by itself rather than by encoding/csv, which does not quote a semicolon: a spreadsheet
// that takes it for the separator, as in much of Europe, would see a formula behind it.
type csvDoc struct{ columns []string }

func (d *csvDoc) begin(b []byte) []byte {
	b = append(b, "severity,id,file,line,column,packet,"...)
	for _, c := range d.columns {
		b = append(appendCSV(b, c), ',')
	}
	return append(b, "message\n"...)
}

func (d *csvDoc) finding(b []byte, f *Finding) []byte {
	b = append(append(b, f.Severity.String()...), ',')
	b = append(appendCSV(b, f.id()), ',')
	b = append(appendCSV(b, f.Place.File), ',')
	b = append(appendCount(b, f.Place.Line), ',')
	b = append(appendCount(b, f.Place.Col), ',')
	b = append(appendCount(b, f.Place.Packet), ',')
	for _, c := range d.columns {
		b = append(appendCSV(b, f.value(c)), ',')
	}
	return append(appendCSV(b, f.Message), '\n')
}

func (d *csvDoc) pass(b []byte, _, _ string) []byte { return b }

func (d *csvDoc) end(b []byte, _ []Table) []byte { return b }

// appendCount writes a number that counts from 1; 0 is an empty field.
func appendCount(b []byte, n int) []byte {
	if n <= 0 {
		return b
	}
	return strconv.AppendInt(b, int64(n), 10)
}

// appendCSV writes a field. Names come from the network: one that a spreadsheet would take for a
// formula gets an apostrophe.
func appendCSV(b []byte, s string) []byte {
	quote := s != "" && (s[0] == ' ' || strings.ContainsAny(s, `",;`))
	if quote {
		b = append(b, '"')
	}
	if isFormula(s) {
		b = append(b, '\'')
	}
	for quote {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			break
		}
		b = append(appendVisible(b, s[:i]), `""`...)
		s = s[i+1:]
	}
	if b = appendVisible(b, s); quote {
		b = append(b, '"')
	}
	return b
}

// isFormula looks behind spaces, which some programs trim, and at the wide forms of the characters,
// which some take for the narrow ones.
func isFormula(s string) bool {
	if s == "" {
		return false
	}
	if s[0] == '\t' || s[0] == '\r' {
		return true
	}
	s = strings.TrimLeft(s, " ")
	for _, sign := range [...]string{"=", "+", "-", "@", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(s, sign) {
			return true
		}
	}
	return false
}
