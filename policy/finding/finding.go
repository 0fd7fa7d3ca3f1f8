package finding

import "strconv"

// Severity says how much a finding matters.
type Severity uint8

// The severities.
const (
	Note    Severity = iota // good to know
	Warning                 // probably not what was meant
	Error                   // something that must not be published can be, or the file cannot be used
)

func (s Severity) String() string { return [...]string{"note", "warning", "error"}[s] }

// MarshalText writes the word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Kind is a class of findings: what a rule is to SARIF.
type Kind struct {
	ID       string // stable: NW104
	Name     string // a few words, lower case, hyphens: published-management-address
	Severity Severity
	Summary  string // one sentence
	Page     string // Markdown: what it means, an example, how to mend it
}

// Finding is one thing that somebody should look at.
type Finding struct {
	Kind     *Kind    // nil: of no kind
	Severity Severity // usually that of the kind
	Message  string   // one line: what is wrong, what would be right
	Place    Place
	Fields   []Field // the facts, in the order of the report's columns; those without a value may be missing
	Related  []Related
}

// id is the kind's, if there is one.
func (f *Finding) id() string {
	if f.Kind == nil {
		return ""
	}
	return f.Kind.ID
}

// value is that of the field with a key, "" without one.
func (f *Finding) value(key string) string {
	for i := range f.Fields {
		if f.Fields[i].Key == key {
			return f.Fields[i].Value
		}
	}
	return ""
}

// Field is one fact of a finding. Key is a short lower-case word: "name", "address", "witness". A key
// that comes twice is written once, with both values: "a, b".
type Field struct{ Key, Value string }

// Related is another place that has to do with a finding.
type Related struct {
	Place   Place
	Message string
}

// Place is where something stands: in a file with a line (and a column), or as a packet of a capture.
// Lines, columns and packets count from 1; 0 is none.
//
// A column counts characters, that is Unicode code points, each byte that is not UTF-8 being one: what
// an editor shows, what package yaml counts and what our SARIF files declare.
type Place struct {
	File      string // as the user wrote it, so that the editor or the CI finds it
	Line, Col int
	EndCol    int // the column behind the last one, in the same line; 0: not known
	Packet    int
}

// String is FILE:LINE:COL, FILE:LINE, "FILE packet N" or FILE.
func (p Place) String() string { return string(p.append(nil)) }

func (p Place) append(b []byte) []byte {
	return p.appendNumbers(append(b, p.File...))
}

// appendNumbers writes what String has behind the file.
func (p Place) appendNumbers(b []byte) []byte {
	switch {
	case p.Packet > 0:
		return strconv.AppendInt(append(b, " packet "...), int64(p.Packet), 10)
	case p.Line > 0 && p.Col > 0:
		b = strconv.AppendInt(append(b, ':'), int64(p.Line), 10)
		return strconv.AppendInt(append(b, ':'), int64(p.Col), 10)
	case p.Line > 0:
		return strconv.AppendInt(append(b, ':'), int64(p.Line), 10)
	}
	return b
}

// Table is a part of a report's summary.
type Table struct {
	Title   string
	Columns []string
	Rows    [][]string
}
