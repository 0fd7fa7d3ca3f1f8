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
	Kind     *Kind
	Severity Severity // usually that of the kind
	Message  string   // one line: what is wrong, what would be right
	Place    Place
	Fields   []Field // the facts, in the order of the report's columns; those without a value may be missing
	Related  []Related
}

// Field is one fact of a finding. Key is a short lower-case word: "name", "address", "witness".
type Field struct{ Key, Value string }

// Related is another place that has to do with a finding.
type Related struct {
	Place   Place
	Message string
}

// Place is where something stands: in a file with a line (and a column), or as a packet of a capture.
// Lines, columns and packets count from 1; 0 is none.
type Place struct {
	File      string
	Line, Col int
	EndCol    int // the column behind the last one, in the same line; 0: not known
	Packet    int
}

// String is FILE:LINE:COL, FILE:LINE, "FILE packet N" or FILE.
func (p Place) String() string {
	switch {
	case p.Packet > 0:
		return p.File + " packet " + strconv.Itoa(p.Packet)
	case p.Line > 0 && p.Col > 0:
		return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col)
	case p.Line > 0:
		return p.File + ":" + strconv.Itoa(p.Line)
	}
	return p.File
}

// Table is a part of a report's summary.
type Table struct {
	Title   string
	Columns []string
	Rows    [][]string
}
