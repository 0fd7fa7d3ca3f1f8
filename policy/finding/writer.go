package finding

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"time"
)

// Options says what a Writer has to know beside the findings.
type Options struct {
	Tool    string // "nameward"
	Version string // its version
	Title   string // what was done: "policy check", "audit"

	Kinds   []*Kind  // all kinds that may come: the rules of SARIF. Others are written too, without their text
	Columns []string // keys of Fields, in order: the columns of CSV and HTML

	// Colour marks severities in Text. The caller decides it: a terminal, no NO_COLOR.
	Colour bool

	// Source gives the content of a file, so that Text shows the line and a caret under the place.
	// Nil, or a nil result: none. It is called once for each of the files that alternate, not for
	// each finding.
	Source func(file string) []byte

	Time time.Time // shown in the head of HTML; zero: not shown
}

// Writer writes findings in one format. It is for one goroutine.
type Writer struct {
	out    *bufio.Writer
	doc    document
	row    []byte // scratch: what one call writes
	begun  bool
	closed bool
}

// document is a format. Each method appends to b what stands there in the document; what it keeps
// itself is bounded.
type document interface {
	begin(b []byte) []byte
	finding(b []byte, f *Finding) []byte
	pass(b []byte, suite, name string) []byte
	end(b []byte, summary []Table) []byte
}

var errClosed = errors.New("findings are written already")

// NewWriter returns a Writer of a format. Nothing is written before the first call.
func NewWriter(w io.Writer, f Format, o Options) *Writer {
	return &Writer{out: bufio.NewWriterSize(w, 64<<10), doc: newDocument(f, o)}
}

func newDocument(f Format, o Options) document {
	switch f {
	case JSON:
		return &jsonDoc{options: o}
	case SARIF:
		return newSarifDoc(o)
	case GitHub:
		return githubDoc{}
	case JUnit:
		return newJUnitDoc(o)
	case CSV:
		return &csvDoc{columns: o.Columns}
	case HTML:
		return newHTMLDoc(o)
	}
	return &textDoc{source: source{read: o.Source}, paint: palette(o.Colour)}
}

// Add writes a finding; it may be changed afterwards. An error is that of the underlying writer, and
// once there was one nothing more is written.
func (w *Writer) Add(f *Finding) error {
	if w.closed {
		return errClosed
	}
	if repeated(f.Fields) {
		g := *f
		g.Fields = joined(f.Fields)
		f = &g
	}
	return w.write(w.doc.finding(w.start(), f))
}

// Pass tells of a check that found nothing: a test case of JUnit, a count elsewhere. Text writes
// nothing.
func (w *Writer) Pass(suite, name string) error {
	if w.closed {
		return errClosed
	}
	return w.write(w.doc.pass(w.start(), suite, name))
}

// Flush writes out what is buffered: for findings that come one at a time.
func (w *Writer) Flush() error { return w.out.Flush() }

// Close ends the document and flushes it; the underlying writer stays open. Of the formats only Text,
// JSON, SARIF and HTML have a place for the summary.
func (w *Writer) Close(summary ...Table) error {
	if w.closed {
		return errClosed
	}
	err := w.write(w.doc.end(w.start(), summary))
	w.closed = true
	if err != nil {
		return err
	}
	return w.out.Flush()
}

// start empties the scratch, and fills it with the document's head the first time.
func (w *Writer) start() []byte {
	if w.begun {
		return w.row[:0]
	}
	w.begun = true
	return w.doc.begin(w.row[:0])
}

// maxScratch is what is kept for the next call: one huge finding does not stay in memory.
const maxScratch = 1 << 20

func (w *Writer) write(b []byte) error {
	if cap(b) <= maxScratch {
		w.row = b
	}
	_, err := w.out.Write(b)
	return err
}

// repeated says whether a key comes twice. There are few fields: no map.
func repeated(fields []Field) bool {
	for i := range fields {
		if keyed(fields[:i], fields[i].Key) >= 0 {
			return true
		}
	}
	return false
}

// joined is fields with each key once.
func joined(fields []Field) []Field {
	out := make([]Field, 0, len(fields))
	for _, f := range fields {
		if i := keyed(out, f.Key); i >= 0 {
			out[i].Value += ", " + f.Value
		} else {
			out = append(out, f)
		}
	}
	return out
}

func keyed(fields []Field, key string) int {
	return slices.IndexFunc(fields, func(f Field) bool { return f.Key == key })
}
