package finding

import (
	"strings"
	"testing"
)

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("0123456789", 30)
	tests := []struct {
		name     string
		line     string
		col, end int
		want     string // the line, and below it the caret
	}{
		{"plain", "a = 10.0.0.1", 5, 13, "a = 10.0.0.1\n    ^~~~~~~~"},
		{"no end", "a = b", 5, 0, "a = b\n    ^"},
		{"no column", "a = b", 0, 0, "a = b\n"},
		{"end before column", "a = b", 5, 2, "a = b\n    ^"},
		{"right behind the line", "a =", 4, 0, "a =\n   ^"},
		{"far behind the line", "a =", 9, 12, "a =\n"},
		{"end behind the line", "a = b", 5, 99, "a = b\n    ^"},
		{"tab", "a\tb\tc", 5, 0, "a       b       c\n                ^"},
		{"the tab itself", "a\tb", 2, 3, "a       b\n ^~~~~~~"},
		{"wide", "日本 x", 4, 0, "日本 x\n     ^"},
		{"under wide", "日本 x", 2, 3, "日本 x\n  ^~"},
		{"combining", "e\u0301e\u0301 x", 6, 0, "e\u0301e\u0301 x\n   ^"},
		{"many marks", "e" + strings.Repeat("\u0301", 50) + "x", 52, 0, "e\u0301\u0301\u0301\u0301x\n ^"},
		{"control", "\x1b[2J x", 6, 0, `\x1b[2J x` + "\n        ^"},
		{"not UTF-8", "\xff\xfe x", 4, 0, `\xff\xfe x` + "\n         ^"},
		{"right to left override", "\u202ex", 2, 0, `\u202ex` + "\n      ^"},
		{"blank", " \t ", 1, 0, "\n"},
		{"empty", "", 1, 0, "\n"},
		{"long, at its start", long, 3, 5, long[:100] + "...\n  ^~"},
		{"long, in the middle", long, 151, 161, "..." + long[120:220] + "...\n" + strings.Repeat(" ", 33) + "^~~~~~~~~~"},
		{"long, at its end", long, 300, 301, "..." + long[200:] + "\n" + strings.Repeat(" ", 102) + "^"},
		{"long, no column", long, 0, 0, long[:100] + "...\n"},
		{"long place", long, 1, 300, long[:100] + "...\n^" + strings.Repeat("~", 99)},
		{"cut in a wide one", "x" + strings.Repeat("日", 80), 1, 0, "x" + strings.Repeat("日", 49) + " ...\n^"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := excerpt(test.line, test.col, test.end)
			shown := got.text + "\n" + strings.Repeat(" ", got.at) + got.caret
			if shown != test.want {
				t.Errorf("got\n%s\nwant\n%s", shown, test.want)
			}
		})
	}
}

func TestSourceLines(t *testing.T) {
	var b strings.Builder
	for range 1000 {
		b.WriteString("x\r\n")
	}
	b.WriteString("last")
	reads := 0
	s := source{read: func(file string) []byte {
		reads++
		if file == "none" {
			return nil
		}
		return []byte(file + b.String())
	}}
	tests := []struct {
		file string
		line int
		want string
		ok   bool
	}{
		{"a", 1, "ax", true}, {"a", 2, "x", true}, {"b", 1, "bx", true}, {"a", 128, "x", true}, {"a", 129, "x", true},
		{"a", 1001, "last", true}, {"a", 1002, "", false}, {"a", 1 << 40, "", false}, {"none", 1, "", false}, {"", 1, "", false},
	}
	for _, test := range tests {
		got, ok := s.line(test.file, test.line)
		if got != test.want || ok != test.ok {
			t.Errorf("line %d of %q is %q, %v", test.line, test.file, got, ok)
		}
	}
	if reads != 3 {
		t.Errorf("%d reads of 3 files", reads)
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		`C:\x "q" é 日`:             `C:\x "q" é 日`,
		"\x00\a\x1b\x7f":           `\x00\x07\x1b\x7f`,
		"a\tb\r\n":                 `a\tb\r\n`,
		"\u0085\u00a0\u200b\ufeff": `\u0085\u00a0\u200b\ufeff`,
		"\u2028\u202e\U000e0041":   `\u2028\u202e\U000e0041`,
		"\xff\xc3(":                `\xff\xc3(`,
	} {
		if got := string(appendVisible(nil, in)); got != want {
			t.Errorf("%q is shown as %s, want %s", in, got, want)
		}
	}
}

func TestTextTable(t *testing.T) {
	got := string(appendTable(nil, &Table{"Kinds", []string{"id", "kind", "count"}, [][]string{
		{"NW1", "日本", "7"}, {"NW22", "long one", "1,204"}, {"only"}, {"\x1b", "", "50%"}}}))
	want := "Kinds\n" +
		"  id    kind      count\n" +
		"  NW1   日本          7\n" +
		"  NW22  long one  1,204\n" +
		"  only\n" +
		`  \x1b              50%` + "\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
