package yamlat

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Item is a value with its place. A value that was not written has no place; one that was written
// but is wrong has a place and is not OK.
type Item[T any] struct {
	At    At
	OK    bool
	Value T
}

// Or is the value, or def when there is no good one.
func (i Item[T]) Or(def T) T {
	if i.OK {
		return i.Value
	}
	return def
}

// List is a list of values.
type List[T any] struct {
	At      At
	Items   []Item[T] // the good ones, in written order
	Written int       // how many there are with the wrong ones
}

// Field is one key of a mapping.
type Field[T any] struct {
	Key      string
	Required bool
	Set      func(d *D, n *Node, t *T) // reads the key's value n into t
}

// Shape is a kind of mapping: a fixed set of keys, declared once.
type Shape[T any] struct {
	What   string // as problems name it: "a role"
	Fields []Field[T]
	Other  func(d *D, key Item[string], n *Node, t *T) // keys that Fields does not know; nil refuses them
}

// Keys lists the keys of the shape.
func (s *Shape[T]) Keys() []string {
	keys := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		keys[i] = f.Key
	}
	return keys
}

func (s *Shape[T]) index(key string) int {
	for i := range s.Fields {
		if s.Fields[i].Key == key {
			return i
		}
	}
	return -1
}

// Decode reads the mapping n into t. It returns n's place, and false when n is no mapping. Shapes have
// at most 32 fields.
func (s *Shape[T]) Decode(d *D, n *Node, t *T) (At, bool) {
	var seen [32]At
	at, ok := d.entries(n, s.What, func(key Item[string], v *Node) {
		i := s.index(key.Value)
		switch {
		case i >= 0 && seen[i].IsSet():
			d.twice(key, s.What, seen[i])
		case i >= 0:
			seen[i] = key.At
			s.Fields[i].Set(d, v, t)
		case s.Other != nil:
			s.Other(d, key, v, t)
		default:
			d.unknown(key, s.What, s.Keys())
		}
	})
	for i, f := range s.Fields {
		if ok && f.Required && !seen[i].IsSet() && !d.stopped {
			d.Problemf(at, "%s needs the key %q, add it", s.What, f.Key)
		}
	}
	return at, ok
}

// Entries calls f for every key of the mapping n whose keys are names that people choose. A key that
// was written before is a problem and left out.
func (d *D) Entries(n *Node, what string, f func(key Item[string], n *Node)) (At, bool) {
	seen := make(map[string]At)
	return d.entries(n, what, func(key Item[string], v *Node) {
		if first, ok := seen[key.Value]; ok {
			d.twice(key, what, first)
			return
		}
		seen[key.Value] = key.At
		f(key, v)
	})
}

func (d *D) entries(n *Node, what string, f func(key Item[string], n *Node)) (At, bool) {
	target, at, ok := d.follow(n)
	if !ok {
		return at, false
	}
	if target.Kind != yaml.MappingNode || target.Tag != "!!map" {
		d.wrong(at, target, what+", a mapping of keys to values")
		return at, false
	}
	outer, via := d.key, d.via
	defer func() { d.key, d.via = outer, via }()
	if target != n {
		d.via = at
	}
	for i := 0; i+1 < len(target.Content) && !d.stopped; i += 2 {
		k, kAt, _ := d.follow(target.Content[i])
		switch {
		case k.Kind != yaml.ScalarNode:
			d.Problemf(kAt, "a key of %s is %s, write a plain word", what, describe(k))
		case k.Tag == "!!merge":
			d.Problemf(kAt, "merge keys (<<) are not read, write the keys out in %s", what)
		default:
			d.key = k.Value
			f(Item[string]{At: kAt, OK: true, Value: k.Value}, target.Content[i+1])
			d.key = outer
		}
	}
	return at, true
}

func (d *D) twice(key Item[string], what string, first At) {
	d.Problemf(key.At, "key %q stands twice in %s, first at %s: keep one", key.Value, what, first)
}

func (d *D) unknown(key Item[string], what string, known []string) {
	if near := Nearest(key.Value, known); near != "" {
		d.Problemf(key.At, "unknown key %q in %s, did you mean %q", key.Value, what, near)
		return
	}
	d.Problemf(key.At, "unknown key %q in %s, known are %s", key.Value, what, strings.Join(known, ", "))
}
