package yamlat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Node is a piece of a parsed file.
type Node = yaml.Node

// D decodes one file and collects its problems.
type D struct {
	file     string
	problems Problems
	key      string // the mapping key whose value is being read: problems begin with it
	via      At     // the outermost alias that is being followed
	visits   int    // values that may still be read
	stopped  bool
}

// A walk without aliases reads a value at most once, and a value takes at least one octet. What goes
// beyond that comes from aliases; spare is what a small file may have of it.
const spare = 100_000

// Parse reads data, the content of file, as one YAML document. The node is nil when the document is
// empty or cannot be read; in the second case [D.Err] says why.
func Parse(file string, data []byte) (*D, *Node) {
	d := &D{file: file, visits: spare + 2*len(data)}
	if at, text := garbage(data); text != "" {
		d.Problemf(at, "%s", text)
		return d, nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	root, err := document(dec)
	if err != nil {
		d.syntax(data, err)
		return d, nil
	}
	if root == nil {
		return d, nil
	}
	switch next, err := document(dec); {
	case err != nil:
		d.syntax(data, err)
	case next != nil:
		d.Problemf(At{int32(next.Line), int32(next.Column)},
			"a second document begins here, one file holds one: leave out what follows")
	}
	return d, root
}

// document reads the next document; both results are nil at the end.
func document(dec *yaml.Decoder) (n *Node, err error) {
	defer func() {
		// The library panics on states that it holds to be impossible. A file must not end the process.
		if r := recover(); r != nil {
			n, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	var doc Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if doc.Kind == yaml.DocumentNode {
		if len(doc.Content) == 0 {
			return nil, nil
		}
		return doc.Content[0], nil
	}
	return &doc, nil
}

// Empty reports whether n holds nothing: an empty document, or a key without a value.
func Empty(n *Node) bool {
	return n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}

// Err is the [Problems] found so far, sorted by place, or nil.
func (d *D) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	d.problems = d.problems.sorted()
	return d.problems
}

// Problemf adds a problem.
func (d *D) Problemf(at At, format string, args ...any) { d.add(at, "", fmt.Sprintf(format, args...)) }

func (d *D) add(at At, code, text string) {
	if d.stopped {
		return
	}
	d.problems = append(d.problems, Problem{
		File: d.file, Line: max(1, int(at.Line)), Col: max(1, int(at.Col)), Text: text, Code: code,
	})
}

// garbage finds the first octet that YAML does not allow; the library says no line for it.
func garbage(data []byte) (At, string) {
	at := At{1, 1}
	for i := 0; i < len(data); {
		c := data[i]
		if ' ' <= c && c < 0x7f {
			i++
			at.Col++
			continue
		}
		if c == '\n' {
			i++
			at = At{at.Line + 1, 1}
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			return at, "the file is not UTF-8 here, save it as UTF-8"
		case r < ' ' && r != '\t' && r != '\r', 0x7f <= r && r < 0xa0 && r != 0x85,
			r == 0xfeff && i > 0, r == 0xfffe, r == 0xffff:
			return at, fmt.Sprintf("control character U+%04X, take it out or write it as an escape in double quotes", r)
		}
		i += n
		at.Col++
	}
	return At{}, ""
}

var (
	errLine   = regexp.MustCompile(`^line (\d+): `)
	errAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)
)

// syntax adds the library's error with the best place that can be had from it.
func (d *D) syntax(data []byte, err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := errLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
		// The library counts from 0 here, and from 1 in the errors of its scanner.
		if strings.HasPrefix(text, "did not find expected") {
			line++
		}
	}
	if m := errAnchor.FindStringSubmatch(text); m != nil {
		if i := bytes.Index(data, []byte("*"+m[1])); i >= 0 {
			before := data[:i]
			line = bytes.Count(before, []byte("\n")) + 1
			col := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
			d.Problemf(At{int32(line), int32(col)}, "alias *%s has no anchor before it, write &%[1]s at the value it stands for, or quotes around text that begins with *", m[1])
			return
		}
	}
	if at, word := unquoted(data); word != "" && (strings.Contains(text, "cannot start any token") || strings.Contains(text, "expected alphabetic")) {
		d.Problemf(at, "%s begins with a character that YAML keeps for itself, write it in quotes: \"%[1]s\"", word)
		return
	}
	lines := bytes.Split(bytes.TrimRight(data, " \t\r\n"), []byte("\n"))
	line = min(max(line, 1), len(lines))
	written := lines[line-1]
	col := utf8.RuneCount(written) - utf8.RuneCount(bytes.TrimLeft(written, " \t")) + 1
	hint := "check indentation, brackets and quotes here and in the line before"
	if bytes.HasPrefix(bytes.TrimLeft(written, " "), []byte("\t")) {
		hint = "indent with spaces, not with a tab"
	}
	d.Problemf(At{int32(line), int32(col)}, "not YAML: %s; %s", text, hint)
}

var errReserved = regexp.MustCompile(`(?m)^[^#\n"']*?(?:^|[\s\[,])((?:[@\x60%]|\*[^\w-])[^\s,\[\]{}"']*)`)

// unquoted finds the first word that begins with one of the characters that no plain text may begin
// with, or with a * that begins no alias; the library says a line near it.
func unquoted(data []byte) (At, string) {
	for i, line := range bytes.Split(data, []byte("\n")) {
		if m := errReserved.FindSubmatchIndex(line); m != nil {
			return At{int32(i) + 1, int32(utf8.RuneCount(line[:m[2]])) + 1}, string(line[m[2]:m[3]])
		}
	}
	return At{}, ""
}
