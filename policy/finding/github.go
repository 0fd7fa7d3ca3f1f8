package finding

import (
	"strconv"
	"strings"
)

// githubDoc is GitHub: one workflow command for each finding, which the runner makes into an
// annotation. It has no place for the summary: a line that is no command could be made into one by
// a hostile name.
type githubDoc struct{}

func (githubDoc) begin(b []byte) []byte { return b }

func (githubDoc) pass(b []byte, _, _ string) []byte { return b }

func (githubDoc) end(b []byte, _ []Table) []byte { return b }

var commands = [...]string{Note: "::notice ", Warning: "::warning ", Error: "::error "}

func (githubDoc) finding(b []byte, f *Finding) []byte {
	b = append(b, commands[f.Severity]...)
	if f.Place.File != "" {
		b = appendCommand(append(b, "file="...), strings.ReplaceAll(f.Place.File, `\`, "/"), true)
		b = appendRegion(b, f.Place)
		b = append(b, ',')
	}
	b = append(appendTitle(append(b, "title="...), f), "::"...)
	if f.Place.Packet > 0 { // a command has no property for it
		b = strconv.AppendInt(append(b, "packet "...), int64(f.Place.Packet), 10)
		b = append(b, ": "...)
	}
	return append(appendCommand(b, f.Message, false), '\n')
}

// appendTitle writes the kind's id and name.
func appendTitle(b []byte, f *Finding) []byte {
	if f.Kind == nil {
		return append(b, f.Severity.String()...)
	}
	b = appendCommand(b, f.Kind.ID, true)
	if f.Kind.Name == "" {
		return b
	}
	return appendCommand(append(b, ' '), f.Kind.Name, true)
}

func appendRegion(b []byte, p Place) []byte {
	if p.Line <= 0 {
		return b
	}
	b = strconv.AppendInt(append(b, ",line="...), int64(p.Line), 10)
	if p.Col > 0 {
		b = strconv.AppendInt(append(b, ",col="...), int64(p.Col), 10)
	}
	if p.Col > 0 && p.EndCol > p.Col {
		b = strconv.AppendInt(append(b, ",endColumn="...), int64(p.EndCol), 10)
	}
	return b
}

// appendCommand writes a command's data, or the value of a property, with what the runner gives a
// meaning to percent-encoded.
func appendCommand(b []byte, s string, property bool) []byte {
	for s != "" {
		i := strings.IndexAny(s, "%\r\n:,")
		if i < 0 {
			return appendVisible(b, s)
		}
		b = appendVisible(b, s[:i])
		if c := s[i]; !property && (c == ':' || c == ',') {
			b = append(b, c)
		} else {
			b = appendPercent(b, c)
		}
		s = s[i+1:]
	}
	return b
}

const hexUpper = "0123456789ABCDEF"

func appendPercent(b []byte, c byte) []byte {
	return append(b, '%', hexUpper[c>>4], hexUpper[c&15])
}
