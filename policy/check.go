package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

// CheckWorld reports what a policy says of a world that has no such thing: classes, roles, and prefixes
// to which both give a class. The error is a [yamlat.Problems].
func (p *Policy) CheckWorld(w *registry.World) error {
	k := &worldCheck{policy: p, known: p.knownClasses(w)}
	for _, r := range p.Rules[:p.Own] {
		k.classes(r)
		k.roles(r, w)
	}
	for _, c := range p.Classes {
		k.prefixes(c, w)
	}
	k.cases(w)
	if len(k.problems) == 0 {
		return nil
	}
	return k.problems
}

// worldCheck collects the problems of a policy with a world.
type worldCheck struct {
	policy   *Policy
	known    []string
	problems yamlat.Problems
}

func (k *worldCheck) problemf(file string, at yamlat.At, format string, args ...any) {
	k.problems = append(k.problems, yamlat.Problem{
		File: file, Line: int(at.Line), Col: int(at.Col), Text: fmt.Sprintf(format, args...),
	})
}

// knownClasses are all classes that an address can have.
func (p *Policy) knownClasses(w *registry.World) []string {
	known := []string{registry.PublicClass}
	add := func(class string) {
		if !slices.Contains(known, class) {
			known = append(known, class)
		}
	}
	for _, c := range w.Classes {
		add(c.Name)
	}
	for _, n := range w.Nodes {
		for _, o := range n.Other {
			add(o.Class)
		}
	}
	for _, c := range p.Classes {
		add(c.Name)
	}
	return known
}

func (k *worldCheck) classes(r *Rule) {
	for _, ref := range r.Classes {
		if strings.HasPrefix(ref.Name, "@") || slices.Contains(k.known, ref.Name) {
			continue
		}
		hint := "known are " + strings.Join(k.known, ", ")
		if near := yamlat.Nearest(ref.Name, k.known); near != "" {
			hint = "did you mean " + near
		}
		k.problemf(r.File, ref.At, "class %s is nowhere declared, %s", ref.Name, hint)
	}
}

func (k *worldCheck) roles(r *Rule, w *registry.World) {
	for _, p := range r.Names {
		if p.Kind == PatternRole && !slices.ContainsFunc(w.Roles, func(o *registry.Role) bool { return o.Name == p.Role }) {
			k.problemf(r.File, r.At, "rule %s: there is no role %s%s", r.ID, p.Role, nearRole(p.Role, w))
		}
	}
}

func nearRole(name string, w *registry.World) string {
	names := make([]string, len(w.Roles))
	for i, r := range w.Roles {
		names[i] = r.Name
	}
	if near := yamlat.Nearest(name, names); near != "" {
		return ", did you mean " + near
	}
	return " in the configuration"
}

// prefixes reports a prefix of the policy that overlaps one of the world with another class.
func (k *worldCheck) prefixes(c Class, w *registry.World) {
	for _, p := range c.Prefixes {
		for _, theirs := range w.Classes {
			i := slices.IndexFunc(theirs.Prefixes, p.Overlaps)
			if i >= 0 && theirs.Name != c.Name {
				k.problemf(k.policy.File, p.At, "%s of class %s overlaps %s of class %s in the configuration, which counts: take it out here",
					p.Prefix, c.Name, theirs.Prefixes[i], theirs.Name)
			}
		}
	}
}

func (k *worldCheck) cases(w *registry.World) {
	for _, c := range k.policy.Cases {
		if _, err := registry.Assume(w, c.Given); err != nil {
			k.problemf(c.File, c.At, "test %q: given: %v", c.Name, err)
		}
		for i, id := range []string{c.Want.Rule, c.Want.Shadow} {
			if id != "" && k.policy.Rule(id) == nil && !(i == 1 && id == noShadow) {
				k.problemf(c.File, c.Want.At, "test %q: there is no rule %s", c.Name, id)
			}
		}
	}
}
