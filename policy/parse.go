package policy

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"

	"github.com/nameward/nameward/registry/yamlat"
)

// Load reads the policy file at path. The error is a [yamlat.Problems], or another one when the file
// cannot be read at all.
func Load(path string) (*Policy, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	return Parse(path, data)
}

// Parse reads data, the content of the policy file named name. The error is a [yamlat.Problems].
func Parse(name string, data []byte) (*Policy, error) {
	f := &file{name: name}
	d, root := parseRoot(name, data)
	if root != nil {
		f.decode(d, root)
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	return compile(f, data), nil
}

// parseRoot reads the YAML of a file that must not be empty.
func parseRoot(name string, data []byte) (*decoder, *node) {
	d, root := yamlat.Parse(name, data)
	if yamlat.Empty(root) {
		if d.Err() == nil {
			d.Problemf(at{Line: 1, Col: 1}, "the file is empty, write at least version: 1")
		}
		return d, nil
	}
	return d, root
}

// compile makes the policy of a file that was found right.
func compile(f *file, data []byte) *Policy {
	p := &Policy{File: f.name, Config: f.config, Classes: f.classes, Controllers: f.controllers, Cases: f.cases, Own: len(f.rules)}
	p.Rules = append(p.Rules, f.rules...)
	last := &Rule{ID: "default", File: f.name, At: f.fallbackAt, Action: Publish, Reason: "no rule said otherwise"}
	if f.fallback == fallbackBuiltin {
		for _, r := range builtinRules() {
			own := *r
			p.Rules = append(p.Rules, &own)
		}
	} else {
		last.Action, _ = ParseAction(fallbacks[f.fallback])
	}
	p.Rules = append(p.Rules, last)
	h := fnv.New64a()
	h.Write(data)
	h.Write(Builtin)
	p.Digest = h.Sum64()
	p.number()
	return p
}

// number gives the rules their positions and makes the index.
func (p *Policy) number() {
	for i, r := range p.Rules {
		r.Pos = i + 1
	}
	p.index = newIndex(p)
}

// Without returns the policy as it would be without one of its own rules.
func (p *Policy) Without(id string) *Policy {
	q := *p
	q.Rules = nil
	for _, r := range p.Rules {
		if r.ID == id && !r.IsBuiltin() {
			q.Own--
			continue
		}
		own := *r
		q.Rules = append(q.Rules, &own)
	}
	q.Digest++
	q.number()
	return &q
}

// WithCases returns the policy with other tests.
func (p *Policy) WithCases(cases []Case) *Policy {
	q := *p
	q.Cases = cases
	return &q
}

// Rule returns the rule with an id, or nil.
func (p *Policy) Rule(id string) *Rule {
	for _, r := range p.Rules {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// ConfigPath is the path of the nameward.yaml that the policy names, or "".
func (p *Policy) ConfigPath() string {
	if p.Config == "" || filepath.IsAbs(p.Config) {
		return p.Config
	}
	return filepath.Join(filepath.Dir(p.File), p.Config)
}

// Problems are what a parser found wrong in a file, nil when err is something else.
func Problems(err error) yamlat.Problems {
	var ps yamlat.Problems
	if errors.As(err, &ps) {
		return ps
	}
	return nil
}

func codeOf(err error) string {
	if errors.Is(err, ErrNetBIOSLength) {
		return CodeNetBIOSLength
	}
	return ""
}

func typeError(s string) error {
	if near := yamlat.Nearest(strings.ToUpper(s), []string{"A", "AAAA", "NB", "PTR", "CNAME", "TXT", "SRV", "MX", "NS", "HTTPS", "SVCB"}); near != "" {
		return fmt.Errorf("%q is no record type, did you mean %s", s, near)
	}
	return fmt.Errorf("%q is no record type, write one such as A, AAAA, PTR, or NB for NetBIOS names", s)
}
