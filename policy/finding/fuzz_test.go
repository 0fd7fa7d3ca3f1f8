package finding

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func addSeeds(f *testing.F) {
	f.Add("mail.example.", "zone.db", "10.9.0.11", "a\tb", 1, 2, 3)
	f.Add("\x1b[2J\r\n::error::x", `C:\a:b`, "=1+1", "\x00\xff\u202e", 1, 5, 0)
	f.Add(`</script><script>"'&]]>`, "../../x\n", "a;-1,\"", "日本\u0301", 1, 1, 99)
	f.Add("", "", "", "", 0, -1, -5)
	f.Add("tags", "//x", "tags", "tags", 1, 2, 0)
}

// hostile puts values where a report has room for any.
func hostile(message, file, value, line string, col, end, packet int) (Options, report) {
	kind := &Kind{ID: value, Name: message, Severity: Warning, Summary: line, Page: file}
	o := Options{
		Version: value, Title: line, Columns: []string{"name", line}, Kinds: []*Kind{kind, kind, published},
		Source: func(string) []byte { return []byte(line) },
	}
	return o, report{
		findings: []*Finding{{
			Kind: kind, Severity: Error, Message: message,
			Place:   Place{File: file, Line: 1, Col: col, EndCol: end, Packet: packet},
			Fields:  []Field{{"name", value}, {line, message}},
			Related: []Related{{Place{File: value, Line: col}, line}, {Place{}, line}},
		}},
		passed:  [][2]string{{file, message}},
		summary: []Table{{message, []string{value, line}, [][]string{{file, line}, {value}}}},
	}
}

// FuzzFormats writes hostile values in every format: the document is whole, has one entry for the
// finding, and no character in it reaches a terminal as a control character.
func FuzzFormats(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, message, file, value, line string, col, end, packet int) {
		o, r := hostile(message, file, value, line, col, end, packet)
		for _, format := range Formats {
			out := render(t, format, o, r)
			checkPrintable(t, format, out)
			checkDocument(t, format, out)
		}
	})
}

func checkPrintable(t *testing.T, format Format, out []byte) {
	t.Helper()
	if !utf8.Valid(out) {
		t.Errorf("%v is not UTF-8: %q", format, out)
	}
	for _, r := range string(out) {
		if r != '\n' && string(appendVisible(nil, string(r))) != string(r) {
			t.Errorf("%v has %q: %q", format, r, out)
			return
		}
	}
}

func checkDocument(t *testing.T, format Format, out []byte) {
	t.Helper()
	switch format {
	case Text:
		if !bytes.Contains(out, []byte("error: ")) {
			t.Errorf("text without the finding: %q", out)
		}
	case JSON:
		if r := readJSON(t, out); len(r.Findings) != 1 || r.Passed != 1 {
			t.Errorf("JSON reads as %+v", r)
		}
	case SARIF:
		if !json.Valid(out) {
			t.Errorf("SARIF is not JSON: %s", out)
		}
	case GitHub:
		if lines := bytes.Count(out, []byte("\n")); lines != 1 || !bytes.HasPrefix(out, []byte("::error ")) {
			t.Errorf("%d lines: %q", lines, out)
		}
	case JUnit:
		if r := readJUnit(t, out); r.Tests != 2 || r.Failures != 1 {
			t.Errorf("JUnit reads as %+v", r)
		}
	case CSV:
		checkCSV(t, out)
	case HTML:
		checkHTML(t, out)
	}
}

func checkCSV(t *testing.T, out []byte) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v: %q", len(rows), err, out)
	}
	for i, field := range rows[1] {
		number := i >= 3 && i <= 5
		if field != "" && !number && strings.ContainsAny(field[:1], "=+-@\t\r") {
			t.Errorf("a formula: %q", field)
		}
	}
}
