package file

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

// Statement is what a claim file says, whatever the role.
type Statement struct {
	Nodes   []yamlat.Item[string] // one at least, no name twice
	Members bool                  // they were written as members, be it one only
	Epoch   uint64                // 0: none is written
	Expires time.Time             // zero: never
}

// maxLease is a year; who means "for ever" leaves the lease out.
const maxLease = 8760 * time.Hour

// Parse reads the content of the claim file at path, which was last written at written. The error is a
// yamlat.Problems.
func Parse(path string, content []byte, written time.Time) (Statement, error) {
	if structured(content) {
		return parseYAML(path, content, written)
	}
	return parseNames(path, content)
}

// structured reports whether the first line that says something is not a bare name.
func structured(content []byte) bool {
	for line := range bytes.Lines(content) {
		if text := bare(string(line)); text != "" {
			return strings.ContainsAny(text, ":{") || text == "---"
		}
	}
	return false
}

// bare is a line without its comment and the space around it.
func bare(line string) string {
	if i := strings.IndexByte(line, '#'); i == 0 || i > 0 && (line[i-1] == ' ' || line[i-1] == '\t') {
		line = line[:i]
	}
	return strings.TrimSpace(line)
}

func parseNames(path string, content []byte) (Statement, error) {
	var st Statement
	var problems yamlat.Problems
	first := map[string]int{}
	n := 0
	for line := range bytes.Lines(content) {
		n++
		text := bare(string(line))
		if text == "" {
			continue
		}
		at := yamlat.At{Line: int32(n), Col: int32(1 + bytes.Index(line, []byte(text)))}
		problem := func(format string, args ...any) {
			problems = append(problems, yamlat.Problem{File: path, Line: n, Col: int(at.Col), Text: fmt.Sprintf(format, args...)})
		}
		switch {
		case !isName(text):
			problem("%s is not the name of a node, write one name in a line, or \"holder: NAME\"", short(text))
		case first[text] > 0:
			problem("node %s stands twice, first in line %d: keep one", text, first[text])
		default:
			first[text] = n
			st.Nodes = append(st.Nodes, yamlat.Item[string]{At: at, OK: true, Value: text})
		}
		if len(problems) == maxProblems {
			return Statement{}, problems
		}
	}
	if len(problems) == 0 && len(st.Nodes) == 0 {
		problems = yamlat.Problems{{File: path, Line: 1, Col: 1, Text: "the file says nothing, write the name of the node that has the role"}}
	}
	if len(problems) > 0 {
		return Statement{}, problems
	}
	st.Members = len(st.Nodes) > 1
	return st, nil
}

// maxProblems is enough to see that a file is no claim at all.
const maxProblems = 5

// isName reports whether text looks like the name of a node.
func isName(text string) bool {
	for i, r := range text {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		if !letter && (i == 0 || r != '-' && r != '_' && r != '.') {
			return false
		}
	}
	return text != "" && len(text) <= 253
}

// short quotes text in a length that fits a line of status.
func short(text string) string {
	const most = 40
	if len(text) <= most {
		return strconv.Quote(text)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strconv.Quote(text[:cut]) + "..."
}

// raw is a structured claim as it is written.
type raw struct {
	holder  yamlat.Item[string]
	members yamlat.List[string]
	epoch   yamlat.Item[uint64]
	expires yamlat.Item[time.Time]
	lease   yamlat.Item[time.Duration]
}

var shape = yamlat.Shape[raw]{
	What: "a claim",
	Fields: []yamlat.Field[raw]{
		{Key: "holder", Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.holder = d.String(n) }},
		{Key: "members", Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.members = yamlat.ListOf(d, n, (*yamlat.D).String) }},
		{Key: "epoch", Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.epoch = epoch(d, n) }},
		{Key: "expires", Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.expires = d.Time(n) }},
		{Key: "lease", Set: func(d *yamlat.D, n *yamlat.Node, r *raw) {
			r.lease = d.Duration(n, time.Millisecond, maxLease, 0)
		}},
	},
}

func epoch(d *yamlat.D, n *yamlat.Node) yamlat.Item[uint64] {
	e := d.Uint64(n)
	if e.OK && (e.Value == 0 || e.Value > registry.MaxEpoch) {
		d.Badf(e.At, "%d is out of range, want 1 to %d, or leave the key out", e.Value, uint64(registry.MaxEpoch))
		e.OK = false
	}
	return e
}

func parseYAML(path string, content []byte, written time.Time) (Statement, error) {
	d, root := yamlat.Parse(path, content)
	var r raw
	if root != nil {
		if at, ok := shape.Decode(d, root, &r); ok {
			r.check(d, at)
		}
	} else if d.Err() == nil {
		d.Problemf(yamlat.At{}, "the file says nothing, write the name of the node that has the role")
	}
	if err := d.Err(); err != nil {
		return Statement{}, err
	}
	st := Statement{Nodes: r.members.Items, Members: r.members.At.IsSet(), Epoch: r.epoch.Value, Expires: r.expires.Value}
	if r.holder.OK {
		st.Nodes = []yamlat.Item[string]{r.holder}
	}
	if r.lease.OK {
		st.Expires = written.Add(r.lease.Value)
	}
	return st, nil
}

// check finds what is wrong with the keys of a claim together.
func (r *raw) check(d *yamlat.D, at yamlat.At) {
	holder, members := r.holder.At.IsSet(), r.members.At.IsSet()
	switch {
	case holder && members:
		d.Problemf(r.members.At, "members beside holder at %s, a claim has one of them: take one out", r.holder.At)
	case !holder && !members:
		d.Problemf(at, "the claim names no node, write \"holder: NAME\"")
	case members && r.members.Written == 0:
		d.Problemf(r.members.At, "members: the list is empty, write a node; delete the file when nobody has the role")
	}
	if r.expires.At.IsSet() && r.lease.At.IsSet() {
		d.Problemf(r.lease.At, "lease beside expires at %s, a claim has one of them: take one out", r.expires.At)
	}
	first := map[string]yamlat.At{}
	for _, m := range r.members.Items {
		if before, twice := first[m.Value]; twice {
			d.Problemf(m.At, "node %s stands twice, first at %s: keep one", m.Value, before)
			continue
		}
		first[m.Value] = m.At
	}
}

// Claim makes the claim on a role from what its file says. sole is false when the role has several
// files. The error is a yamlat.Problems.
func (st Statement) Claim(role *registry.Role, path string, sole bool) (registry.Claim, error) {
	var problems yamlat.Problems
	problem := func(at yamlat.At, format string, args ...any) {
		problems = append(problems, yamlat.Problem{File: path, Line: int(at.Line), Col: int(at.Col), Text: fmt.Sprintf(format, args...)})
	}
	nodes := make([]string, len(st.Nodes))
	for i, n := range st.Nodes {
		if nodes[i] = n.Value; role.Node(n.Value) == nil && len(problems) < maxProblems {
			problem(n.At, "%s is not a node of role %s, its nodes are %s", short(n.Value), role.Name, nodesOf(role))
		}
	}
	switch {
	case role.Mode == registry.Single && len(nodes) > 1:
		problem(st.Nodes[1].At, "a second node, role %s is in mode single: leave one", role.Name)
	case !sole && st.Epoch == 0:
		problem(st.Nodes[0].At, "no epoch, role %s has several claim files and each needs one: write \"holder: %s\" and \"epoch: N\"", role.Name, nodes[0])
	}
	if len(problems) > 0 {
		return registry.Claim{}, problems
	}
	return registry.Claim{Role: role.Name, Origin: Origin(path), Nodes: nodes, Epoch: st.Epoch, Expires: st.Expires}, nil
}

func nodesOf(role *registry.Role) string {
	names := make([]string, len(role.Nodes))
	for i, n := range role.Nodes {
		names[i] = n.Name
	}
	return strings.Join(names, ", ")
}

// Origin is how status names a claim file.
func Origin(path string) string { return "file " + path }

// whole reports that a file which ends in a newline is not the beginning of something longer: one bare
// name, or closed JSON.
func whole(content []byte) bool {
	text := bytes.TrimSpace(content)
	if len(text) > 0 && text[0] == '{' {
		return text[len(text)-1] == '}'
	}
	return bytes.IndexByte(text, '\n') < 0 && !structured(text)
}
