package audit

import (
	"bytes"
	"strings"
)

// maxJoined bounds the lines of one row: a quotation mark that is forgotten must not swallow the file.
const maxJoined = 100

// csvTable reads what Export-Csv writes: comma, semicolon or tab between the fields, quotation marks
// that are doubled inside quoted fields.
type csvTable struct {
	x       *reading
	comma   byte
	columns map[string]int // by lower-case name; nil before the heading
	width   int            // of the heading
	row     []byte
	fields  []string
}

func (x *reading) readDNSCSV() {
	t := &csvTable{x: x}
	for x.next() {
		text := bytes.TrimSpace(x.text)
		switch {
		case len(text) == 0, t.columns == nil && text[0] == '#':
		case t.columns == nil:
			t.readHead(text)
		default:
			t.readRow()
		}
	}
	if t.columns == nil {
		x.fatal("the heading is missing, HostName,RecordType,... would be right")
	}
}

func (t *csvTable) readHead(text []byte) {
	for _, t.comma = range []byte(",;\t") {
		t.fields, _ = splitCSV(t.fields[:0], text, t.comma)
		t.width = len(t.fields)
		t.columns = make(map[string]int, len(t.fields))
		for i, name := range t.fields {
			t.columns[strings.ToLower(strings.TrimSpace(name))] = i
		}
		if t.has("hostname") && (t.has("recordtype") || t.has("type")) {
			return
		}
	}
	t.x.fatal("the heading has no columns HostName and RecordType; export with: %s | Export-Csv -NoTypeInformation corp.csv", exportCommand)
}

func (t *csvTable) has(column string) bool {
	_, ok := t.columns[column]
	return ok
}

func (t *csvTable) readRow() {
	line, ok := t.join()
	if !ok {
		return
	}
	t.fields, ok = splitCSV(t.fields[:0], t.row, t.comma)
	switch {
	case !ok:
		t.x.problemAt(line, "a quotation mark stands inside a field, two would be right")
	case len(t.fields) != t.width && t.x.open:
		t.x.fatal("the file is cut off in this line")
	case len(t.fields) != t.width:
		t.x.problemAt(line, "the row has %d fields, the heading has %d", len(t.fields), t.width)
	default:
		t.x.takeRow(t.record(line))
	}
}

// join gathers the lines of a row: a quoted field may have line ends in it.
func (t *csvTable) join() (line int, ok bool) {
	line = t.x.line
	t.row = append(t.row[:0], t.x.text...)
	for n := 1; bytes.Count(t.row, []byte(`"`))%2 == 1; n++ {
		if n == maxJoined || len(t.row) > maxLine {
			t.x.problemAt(line, "a quotation mark is not closed: lines %d to %d were passed over", line, t.x.line)
			return line, false
		}
		if !t.x.next() {
			t.x.fatal("the file is cut off: a quotation mark of line %d is not closed", line)
			return line, false
		}
		t.row = append(append(t.row, '\n'), t.x.text...)
	}
	return line, true
}

func (t *csvTable) record(line int) *dnsRow {
	return &dnsRow{
		line: line, host: t.field("hostname"), kind: t.field("recordtype"), number: t.field("type"),
		stamp: t.field("timestamp"), zone: t.field("zonename"), distinguished: t.field("distinguishedname"),
		address4: t.field("ipv4address"), address6: t.field("ipv6address"),
		data: t.field("data", "ipaddress", "address", "ptrdomainname"), recordData: t.field("recorddata"),
	}
}

// field is the first of the columns that has something in it.
func (t *csvTable) field(columns ...string) string {
	for _, column := range columns {
		if i, ok := t.columns[column]; ok {
			if text := strings.TrimSpace(t.fields[i]); text != "" {
				return text
			}
		}
	}
	return ""
}

// splitCSV splits a row, RFC 4180, Section 2. It is false if quotation marks stand where they may not.
func splitCSV(fields []string, row []byte, comma byte) ([]string, bool) {
	for {
		if len(row) == 0 || row[0] != '"' {
			field, rest, more := bytes.Cut(row, []byte{comma})
			fields = append(fields, string(field))
			if bytes.IndexByte(field, '"') >= 0 {
				return fields, false
			}
			if !more {
				return fields, true
			}
			row = rest
			continue
		}
		field, rest, ok := quotedField(row[1:])
		fields = append(fields, field)
		if !ok || len(rest) > 0 && rest[0] != comma {
			return fields, false
		}
		if len(rest) == 0 {
			return fields, true
		}
		row = rest[1:]
	}
}

// quotedField reads behind an opening quotation mark up to the closing one.
func quotedField(row []byte) (field string, rest []byte, ok bool) {
	for i := 0; i < len(row); i++ {
		if row[i] != '"' {
			continue
		}
		if i+1 < len(row) && row[i+1] == '"' {
			i++
			continue
		}
		return strings.ReplaceAll(string(row[:i]), `""`, `"`), row[i+1:], true
	}
	return string(row), nil, false
}
