package finding

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonDoc is JSON: one object, in it one line for each finding, so that line tools work on it too.
type jsonDoc struct {
	options Options
	started bool
	passed  int
}

func (d *jsonDoc) begin(b []byte) []byte {
	b = appendMember(append(b, "{\n  "...), "tool", d.options.Tool)
	b = appendMember(append(b, ",\n  "...), "version", d.options.Version)
	b = appendMember(append(b, ",\n  "...), "title", d.options.Title)
	return append(b, ",\n  \"findings\": ["...)
}

func (d *jsonDoc) finding(b []byte, f *Finding) []byte {
	if d.started {
		b = append(b, ',')
	}
	d.started = true
	b = append(b, "\n    {"...)
	if f.Kind != nil {
		b = append(appendMember(b, "id", f.Kind.ID), ", "...)
		b = append(appendMember(b, "name", f.Kind.Name), ", "...)
	}
	b = append(appendMember(b, "severity", f.Severity.String()), ", "...)
	b = appendMember(b, "message", f.Message)
	b = appendJSONPlace(append(b, `, "place": `...), f.Place)
	if len(f.Fields) > 0 {
		b = appendJSONFields(append(b, `, "fields": `...), f.Fields)
	}
	if len(f.Related) > 0 {
		b = appendJSONRelated(append(b, `, "related": `...), f.Related)
	}
	return append(b, '}')
}

func (d *jsonDoc) pass(b []byte, _, _ string) []byte {
	d.passed++
	return b
}

func (d *jsonDoc) end(b []byte, summary []Table) []byte {
	if d.started {
		b = append(b, "\n  "...)
	}
	b = strconv.AppendInt(append(b, "],\n  \"passed\": "...), int64(d.passed), 10)
	b = append(b, ",\n  \"summary\": "...)
	return append(appendJSONTables(b, summary), "\n}\n"...)
}

func appendJSONPlace(b []byte, p Place) []byte {
	b = append(b, '{')
	first := len(b)
	if p.File != "" {
		b = appendMember(b, "file", p.File)
	}
	for _, n := range [...]struct {
		key   string
		value int
	}{{"line", p.Line}, {"col", p.Col}, {"endCol", p.EndCol}, {"packet", p.Packet}} {
		if n.value <= 0 {
			continue
		}
		if len(b) > first {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(append(appendJSON(b, n.key), ": "...), int64(n.value), 10)
	}
	return append(b, '}')
}

func appendJSONFields(b []byte, fields []Field) []byte {
	b = append(b, '{')
	for i := range fields {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendMember(b, fields[i].Key, fields[i].Value)
	}
	return append(b, '}')
}

func appendJSONRelated(b []byte, related []Related) []byte {
	b = append(b, '[')
	for i := range related {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendMember(append(b, '{'), "message", related[i].Message)
		b = appendJSONPlace(append(b, `, "place": `...), related[i].Place)
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendJSONTables writes the summary, one line for each row.
func appendJSONTables(b []byte, tables []Table) []byte {
	b = append(b, '[')
	for i := range tables {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendMember(append(b, "\n    {"...), "title", tables[i].Title)
		b = appendJSONStrings(append(b, `, "columns": `...), tables[i].Columns)
		b = append(b, `, "rows": [`...)
		for j, row := range tables[i].Rows {
			if j > 0 {
				b = append(b, ',')
			}
			b = appendJSONStrings(append(b, "\n      "...), row)
		}
		b = append(b, "]}"...)
	}
	return append(b, ']')
}

func appendJSONStrings(b []byte, values []string) []byte {
	b = append(b, '[')
	for i, s := range values {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendJSON(b, s)
	}
	return append(b, ']')
}

// appendMember writes a name and its value.
func appendMember(b []byte, name, value string) []byte {
	return appendJSON(append(appendJSON(b, name), ": "...), value)
}

// appendJSON writes a string, RFC 8259, Section 7. What does not print is escaped; what is not UTF-8
// becomes U+FFFD. Unlike encoding/json it leaves < and > alone: MAIL<20> is a name of ours.
func appendJSON(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		n := jsonPrefix(s[i:])
		b = append(b, s[i:i+n]...)
		if i += n; i == len(s) {
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		b = appendJSONRune(b, r)
		i += size
	}
	return append(b, '"')
}

// jsonPrefix is how many bytes of s need no look.
func jsonPrefix(s string) int {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !plain(c) || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}

func appendJSONRune(b []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(b, '\\', byte(r))
	case r == '\n':
		return append(b, `\n`...)
	case r == '\t':
		return append(b, `\t`...)
	case strconv.IsPrint(r):
		return append(b, string(r)...)
	case r < 0x10000:
		return appendHex(append(b, `\u`...), uint32(r), 4)
	}
	high, low := utf16.EncodeRune(r)
	b = appendHex(append(b, `\u`...), uint32(high), 4)
	return appendHex(append(b, `\u`...), uint32(low), 4)
}
