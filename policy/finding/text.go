package finding

import "unicode/utf8"

// textDoc is Text:
//
//	zone.db:3:9: error: what is wrong [NW104]
//	    mail  A  10.9.0.11
//	             ^~~~~~~~~
//	    name:    mail.corp.example.
//	    address: 10.9.0.11
//	    wins.txt:12: registered here too
type textDoc struct {
	source source
	paint  paint
}

const indent = "    "

func (d *textDoc) begin(b []byte) []byte { return b }

func (d *textDoc) pass(b []byte, _, _ string) []byte { return b }

func (d *textDoc) finding(b []byte, f *Finding) []byte {
	b = d.headline(b, f)
	if f.Place.Line > 0 {
		b = d.snippet(b, f)
	}
	b = appendFacts(b, f.Fields)
	return appendRelated(b, f.Related)
}

func (d *textDoc) headline(b []byte, f *Finding) []byte {
	if f.Place != (Place{}) {
		b = append(appendPlace(b, f.Place), ": "...)
	}
	b = append(b, d.paint.severity[f.Severity]...)
	b = append(b, f.Severity.String()...)
	b = append(b, d.paint.reset...)
	b = appendVisible(append(b, ": "...), f.Message)
	if id := f.id(); id != "" {
		b = append(append(b, ' '), d.paint.dim...)
		b = append(appendVisible(append(b, '['), id), ']')
		b = append(b, d.paint.reset...)
	}
	return append(b, '\n')
}

func (d *textDoc) snippet(b []byte, f *Finding) []byte {
	line, ok := d.source.line(f.Place.File, f.Place.Line)
	if !ok {
		return b
	}
	shown := excerpt(line, f.Place.Col, f.Place.EndCol)
	if shown.text == "" {
		return b
	}
	b = append(append(append(b, indent...), shown.text...), '\n')
	if shown.caret == "" {
		return b
	}
	b = appendSpaces(append(b, indent...), shown.at)
	b = append(append(b, d.paint.severity[f.Severity]...), shown.caret...)
	return append(append(b, d.paint.reset...), '\n')
}

// appendFacts writes fields with aligned values.
func appendFacts(b []byte, fields []Field) []byte {
	width := 0
	for i := range fields {
		if fields[i].Value != "" {
			width = max(width, utf8.RuneCountInString(fields[i].Key))
		}
	}
	for i := range fields {
		if fields[i].Value == "" {
			continue
		}
		b = appendVisible(append(b, indent...), fields[i].Key)
		b = appendSpaces(append(b, ": "...), width-utf8.RuneCountInString(fields[i].Key))
		b = append(appendVisible(b, fields[i].Value), '\n')
	}
	return b
}

func appendRelated(b []byte, related []Related) []byte {
	for i := range related {
		b = append(b, indent...)
		if related[i].Place != (Place{}) {
			b = append(appendPlace(b, related[i].Place), ": "...)
		}
		b = append(appendVisible(b, related[i].Message), '\n')
	}
	return b
}

func (d *textDoc) end(b []byte, summary []Table) []byte {
	for i := range summary {
		b = appendTable(append(b, '\n'), &summary[i])
	}
	return b
}

// paint is the escape sequences of a terminal; all empty without colour.
type paint struct {
	severity   [3]string
	dim, reset string
}

func palette(colour bool) paint {
	if !colour {
		return paint{}
	}
	return paint{
		severity: [3]string{Note: "\x1b[36m", Warning: "\x1b[33m", Error: "\x1b[1;31m"},
		dim:      "\x1b[2m",
		reset:    "\x1b[0m",
	}
}

func appendSpaces(b []byte, n int) []byte {
	for ; n > 0; n-- {
		b = append(b, ' ')
	}
	return b
}
