package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/nameward/nameward/registry/yamlat"
)

// document is a plan's file.
type document struct {
	Plan    string      `yaml:"plan"`
	Made    string      `yaml:"made"`
	By      string      `yaml:"by,omitempty"`
	Change  uint64      `yaml:"change"`
	TTL     string      `yaml:"ttl"`
	Wait    string      `yaml:"wait"`
	Roles   []roleDoc   `yaml:"roles"`
	Targets []targetDoc `yaml:"targets"`
	Checks  []string    `yaml:"checks"`
	Notes   []string    `yaml:"notes,omitempty"`
	Digest  string      `yaml:"digest"`
}

type roleDoc struct {
	Role     string   `yaml:"role"`
	From     []string `yaml:"from,flow"`
	To       []string `yaml:"to,flow"`
	Epoch    uint64   `yaml:"epoch"`
	Before   []string `yaml:"before,flow"`
	After    []string `yaml:"after,flow"`
	Names    []string `yaml:"names,flow"`
	Source   string   `yaml:"source"`
	TTL      string   `yaml:"ttl"`
	Negative string   `yaml:"negative,omitempty"`
}

type targetDoc struct {
	Name string `yaml:"name"`
	Kind string `yaml:"kind"`
}

// header stands above a plan for those who find it.
const header = `# A planned switchover. "nameward plan show FILE" says what has moved since, "nameward plan apply FILE" carries it out and
# "nameward plan revert FILE" takes it back. ttl holds while it is carried out; before the switch, wait is what caches
# may take to let go of the old answers. epoch is that of the role after it. It cannot be edited: make a new one.
`

// document is the plan as its file has it, without a digest.
func (p *Plan) document() document {
	doc := document{
		Plan: p.ID, Made: p.Made.Format(time.RFC3339), By: p.By, Change: p.Change, TTL: span(p.TTL), Wait: yamlat.Span(p.Wait()),
		Targets: []targetDoc{}, Checks: p.Checks, Notes: p.Notes,
	}
	for _, r := range p.Roles {
		d := roleDoc{
			Role: r.Role, From: r.From, To: r.To, Epoch: r.Epoch, Before: texts(r.Before), After: texts(r.After), Names: r.Names,
			Source: r.Source, TTL: span(r.TTL),
		}
		if r.Negative > 0 {
			d.Negative = span(r.Negative)
		}
		doc.Roles = append(doc.Roles, d)
	}
	for _, t := range p.Targets {
		doc.Targets = append(doc.Targets, targetDoc(t))
	}
	return doc
}

// Digest is that of all that the plan says: one that was edited, or cut short, has another one.
func (p *Plan) Digest() string {
	raw, err := yaml.Marshal(p.document())
	if err != nil {
		panic(err) // plain data
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Write writes the plan as [Read] reads it.
func (p *Plan) Write(w io.Writer) error {
	doc := p.document()
	doc.Digest = p.Digest()
	if _, err := io.WriteString(w, header); err != nil {
		return err
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return err
	}
	return enc.Close()
}

func span(seconds uint32) string { return yamlat.Span(time.Duration(seconds) * time.Second) }

func texts(addrs []netip.Addr) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return out
}

// raw is a plan while it is read.
type raw struct {
	Plan
	wait   time.Duration
	digest yamlat.Item[string]
}

var planShape = yamlat.Shape[raw]{
	What: "a plan",
	Fields: []yamlat.Field[raw]{
		{Key: "plan", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.ID = d.String(n).Value }},
		{Key: "made", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.Made = d.Time(n).Value }},
		{Key: "by", Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.By = d.String(n).Value }},
		{Key: "change", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.Change = d.Uint64(n).Value }},
		{Key: "ttl", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.TTL = seconds(d, n) }},
		{Key: "wait", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.wait = d.Duration(n, 0, longestWait, time.Second).Value }},
		{Key: "roles", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { readRoles(d, n, r) }},
		{Key: "targets", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { readTargets(d, n, r) }},
		{Key: "checks", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.Checks = words(d, n) }},
		{Key: "notes", Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.Notes = words(d, n) }},
		{Key: "digest", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *raw) { r.digest = d.String(n) }},
	},
}

var roleShape = yamlat.Shape[Role]{
	What: "a role of a plan",
	Fields: []yamlat.Field[Role]{
		{Key: "role", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *Role) { r.Role = d.String(n).Value }},
		{Key: "from", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *Role) { r.From = words(d, n) }},
		{Key: "to", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *Role) { r.To = words(d, n) }},
		{Key: "epoch", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *Role) { r.Epoch = d.Uint64(n).Value }},
		{Key: "before", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *Role) { r.Before = addrs(d, n) }},
		{Key: "after", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *Role) { r.After = addrs(d, n) }},
		{Key: "names", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *Role) { r.Names = words(d, n) }},
		{Key: "source", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *Role) { r.Source = d.String(n).Value }},
		{Key: "ttl", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, r *Role) { r.TTL = seconds(d, n) }},
		{Key: "negative", Set: func(d *yamlat.D, n *yamlat.Node, r *Role) { r.Negative = seconds(d, n) }},
	},
}

var targetShape = yamlat.Shape[Target]{
	What: "a target of a plan",
	Fields: []yamlat.Field[Target]{
		{Key: "name", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, t *Target) { t.Name = d.String(n).Value }},
		{Key: "kind", Required: true, Set: func(d *yamlat.D, n *yamlat.Node, t *Target) { t.Kind = d.String(n).Value }},
	},
}

// longestWait is longer than any: roles may have TTLs of an hour, zones negative ones of a day.
const longestWait = 7 * 24 * time.Hour

func seconds(d *yamlat.D, n *yamlat.Node) uint32 {
	return uint32(d.Duration(n, 0, longestWait, time.Second).Value / time.Second)
}

func words(d *yamlat.D, n *yamlat.Node) []string {
	out := []string{}
	for _, w := range yamlat.ListOf(d, n, (*yamlat.D).String).Items {
		out = append(out, w.Value)
	}
	return out
}

func addrs(d *yamlat.D, n *yamlat.Node) []netip.Addr {
	out := []netip.Addr{}
	for _, a := range yamlat.ListOf(d, n, (*yamlat.D).Addr).Items {
		out = append(out, a.Value)
	}
	return out
}

func readRoles(d *yamlat.D, n *yamlat.Node, r *raw) {
	d.Each(n, func(n *yamlat.Node) {
		var role Role
		roleShape.Decode(d, n, &role)
		r.Roles = append(r.Roles, role)
	})
}

func readTargets(d *yamlat.D, n *yamlat.Node, r *raw) {
	d.Each(n, func(n *yamlat.Node) {
		var t Target
		targetShape.Decode(d, n, &t)
		r.Targets = append(r.Targets, t)
	})
}

// Read reads a plan. Its errors have their place in the file, all of them at once.
func Read(file string, data []byte) (*Plan, error) {
	d, root := yamlat.Parse(file, data)
	if err := d.Err(); err != nil {
		return nil, err
	}
	if root == nil {
		return nil, fmt.Errorf("%s:1:1: the file is empty, want a plan of nameward plan create", file)
	}
	var r raw
	planShape.Decode(d, root, &r)
	if err := d.Err(); err != nil {
		return nil, err
	}
	if r.digest.Value != r.Digest() || r.wait != r.Wait() {
		d.Problemf(r.digest.At, "digest: it does not fit what stands above: the plan was edited after it was made, make a new one")
		return nil, d.Err()
	}
	return &r.Plan, nil
}

// Summary is the plan in one line.
func (p *Plan) Summary() string {
	return strings.Join(p.RoleNames(), ", ") + " to " + strings.Join(newHolders(p.Moves()), ", ")
}
