package lint

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/nameward/nameward/policy/finding"
)

// ignore is a comment that takes a finding back:
//
//	action: publish # nameward:ignore NW104 the backup server needs it, ticket 4711
//
// It counts for its own line, and in a rule or class of several lines for the finding at its beginning;
// alone on a line it counts for the next one that is not a comment.
type ignore struct {
	id     string
	reason string
	place  finding.Place
	line   int // that it counts for
	used   bool
	lines  [][]byte // of its file
}

var ignoreComment = regexp.MustCompile(`#\s*nameward:ignore\b[ \t:]*([^\s:]*)[ \t:]*(.*)$`)

// ignoresIn finds the comments in the text of a file.
func ignoresIn(file string, data []byte) []*ignore {
	var out []*ignore
	lines := bytes.Split(data, []byte("\n"))
	for i, line := range lines {
		m := ignoreComment.FindSubmatchIndex(line)
		if m == nil {
			continue
		}
		ig := &ignore{
			id: string(line[m[2]:m[3]]), reason: strings.TrimSpace(string(line[m[4]:m[5]])),
			place: finding.Place{File: file, Line: i + 1, Col: len([]rune(string(line[:m[0]]))) + 1}, line: i + 1, lines: lines,
		}
		if len(bytes.TrimSpace(line[:m[0]])) == 0 {
			ig.line = nextContent(lines, i+1) + 1
		}
		out = append(out, ig)
	}
	return out
}

// nextContent is the index of the first line from i on that is neither empty nor a comment.
func nextContent(lines [][]byte, i int) int {
	for ; i < len(lines); i++ {
		if t := bytes.TrimSpace(lines[i]); len(t) > 0 && t[0] != '#' {
			return i
		}
	}
	return i
}

// Ignore takes back the findings that comments in their files ignore with a reason, and adds findings
// about comments that have none or ignore nothing. text gives the content of a file.
func Ignore(found []finding.Finding, files []string, text func(file string) []byte) []finding.Finding {
	var ignores []*ignore
	for _, file := range files {
		ignores = append(ignores, ignoresIn(file, text(file))...)
	}
	var out []finding.Finding
	for _, f := range found {
		if !takenBack(&f, ignores) {
			out = append(out, f)
		}
	}
	for _, ig := range ignores {
		if problem := ig.problem(); problem != "" {
			out = append(out, finding.Finding{Kind: BadIgnore, Severity: BadIgnore.Severity, Message: problem, Place: ig.place})
		}
	}
	return out
}

func takenBack(f *finding.Finding, ignores []*ignore) bool {
	for _, ig := range ignores {
		if strings.EqualFold(ig.id, f.Kind.ID) && ig.place.File == f.Place.File && ig.covers(f.Place) {
			ig.used = true
			return ig.reason != ""
		}
	}
	return false
}

// covers reports whether a place is in the line of the comment, or begins the block that this line is in:
// all lines between are indented at least as far.
func (ig *ignore) covers(p finding.Place) bool {
	if p.Line < 1 || ig.line < p.Line || ig.line > p.Line && p.Col == 1 {
		return false
	}
	for _, line := range ig.lines[p.Line:min(ig.line, len(ig.lines))] {
		text := bytes.TrimLeft(line, " ")
		if len(text) > 0 && text[0] != '#' && (len(line)-len(text) < p.Col-1 || text[0] == '-' && len(line)-len(text) < p.Col) {
			return false
		}
	}
	return true
}

func (ig *ignore) problem() string {
	const form = "write # nameward:ignore NW104 and the reason"
	switch {
	case KindOf(ig.id) == nil:
		return fmt.Sprintf("%q is no id of a finding: %s", ig.id, form)
	case ig.reason == "":
		return fmt.Sprintf("%s is ignored without a reason, and so it is not: %s", ig.id, form)
	case !ig.used:
		return fmt.Sprintf("there is no %s to ignore: take the comment out", ig.id)
	}
	return ""
}
