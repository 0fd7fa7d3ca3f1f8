package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/yamlat"
)

type (
	at      = yamlat.At
	decoder = yamlat.D
	node    = yamlat.Node
)

// Codes of problems, beside those of yamlat.
const CodeNetBIOSLength = "netbios-length"

// file is a policy file as it is read.
type file struct {
	name        string
	config      string
	policy      string // a test file: the policy file that it is about
	classes     []Class
	controllers []Prefix
	rules       []*Rule
	fallback    int // index in fallbacks
	fallbackAt  at
	cases       []Case
	given       map[string][]string // a test file: for all of its cases
}

// fallbacks are the choices of "default".
var fallbacks = []string{"builtin", Publish.String(), Quarantine.String(), Refuse.String(), Forward.String()}

const fallbackBuiltin = 0

var fileShape = yamlat.Shape[file]{
	What: "a policy",
	Fields: []yamlat.Field[file]{
		{Key: "version", Set: func(d *decoder, n *node, f *file) { d.Choice(n, "1") }},
		{Key: "config", Set: func(d *decoder, n *node, f *file) { f.config = d.String(n).Value }},
		{Key: "classes", Set: func(d *decoder, n *node, f *file) {
			d.Entries(n, "classes", func(key yamlat.Item[string], n *node) { f.addClass(d, key, n) })
		}},
		{Key: "controllers", Set: func(d *decoder, n *node, f *file) { f.controllers = prefixes(d, n) }},
		{Key: "default", Set: func(d *decoder, n *node, f *file) {
			c := d.Choice(n, fallbacks...)
			f.fallback, f.fallbackAt = c.Value, c.At
		}},
		{Key: "rules", Set: func(d *decoder, n *node, f *file) {
			d.Each(n, func(n *node) {
				r := &Rule{File: f.name}
				r.At, _ = ruleShape.Decode(d, n, r)
				f.rules = append(f.rules, r)
			})
		}},
		{Key: "tests", Set: func(d *decoder, n *node, f *file) {
			d.Each(n, func(n *node) { f.cases = append(f.cases, decodeCase(d, n, f.name)) })
		}},
	},
}

var ruleShape = yamlat.Shape[Rule]{
	What: "a rule",
	Fields: []yamlat.Field[Rule]{
		{Key: "id", Required: true, Set: func(d *decoder, n *node, r *Rule) { r.ID = ident(d, n) }},
		{Key: "names", Set: func(d *decoder, n *node, r *Rule) { r.Names = condition(d, n, pattern) }},
		{Key: "channels", Set: func(d *decoder, n *node, r *Rule) { r.Channels = condition(d, n, channel) }},
		{Key: "from", Set: func(d *decoder, n *node, r *Rule) { decodeFrom(d, n, r) }},
		{Key: "principals", Set: func(d *decoder, n *node, r *Rule) { r.Principals = condition(d, n, principal) }},
		{Key: "types", Set: func(d *decoder, n *node, r *Rule) { r.Types = condition(d, n, recordType) }},
		{Key: "classes", Set: func(d *decoder, n *node, r *Rule) { r.Classes = condition(d, n, classRef) }},
		{Key: "state", Set: func(d *decoder, n *node, r *Rule) { r.States = condition(d, n, state) }},
		{Key: "action", Required: true, Set: func(d *decoder, n *node, r *Rule) { r.Action = choice(d, n, Actions) }},
		{Key: "shadow", Set: func(d *decoder, n *node, r *Rule) { r.Shadow = d.Bool(n).Value }},
		{Key: "alert", Set: func(d *decoder, n *node, r *Rule) { r.Alert = d.Bool(n).Value }},
		{Key: "expires", Set: func(d *decoder, n *node, r *Rule) { r.Expires = d.Date(n).Value }},
		{Key: "owner", Set: func(d *decoder, n *node, r *Rule) { r.Owner = d.String(n).Value }},
		{Key: "reason", Set: func(d *decoder, n *node, r *Rule) { r.Reason = d.String(n).Value }},
	},
}

// decode fills f from the nodes of its file and checks what shows when values are held together.
func (f *file) decode(d *decoder, root *node) {
	fileShape.Decode(d, root, f)
	f.checkIDs(d)
	f.checkClasses(d)
}

func (f *file) checkIDs(d *decoder) {
	seen := map[string]at{}
	for _, r := range f.rules {
		first, twice := seen[r.ID]
		switch {
		case r.ID == "":
		case twice:
			d.Problemf(r.At, "rule id %s is there already at %s, each id stands once: write another", r.ID, first)
		case (strings.HasPrefix(r.ID, "builtin-") || r.ID == "default") && f.name != BuiltinFile:
			d.Problemf(r.At, "rule id %s is one of the built-in rules' ids, write another", r.ID)
		default:
			seen[r.ID] = r.At
		}
	}
}

// checkClasses reports a prefix that two classes have. One that lies in another is allowed: the longer
// one decides.
func (f *file) checkClasses(d *decoder) {
	type owner struct {
		class string
		at    at
	}
	seen := map[netip.Prefix]owner{}
	for _, c := range f.classes {
		for _, p := range c.Prefixes {
			if first, ok := seen[p.Prefix]; ok {
				d.Problemf(p.At, "%s is in class %s already at %s, an address has one class: take one out", p.Prefix, first.class, first.at)
				continue
			}
			seen[p.Prefix] = owner{c.Name, p.At}
		}
	}
}

func (f *file) addClass(d *decoder, key yamlat.Item[string], n *node) {
	if text := badIdent(key.Value); text != "" {
		d.Problemf(key.At, "class %q %s", key.Value, text)
	}
	f.classes = append(f.classes, Class{Name: key.Value, At: key.At, Prefixes: prefixes(d, n)})
}

// condition reads a list of at least one entry: an empty one would be met by everything.
func condition[T any](d *decoder, n *node, item func(d *decoder, n *node) yamlat.Item[T]) []T {
	l := yamlat.ListOf(d, n, item)
	if l.At.IsSet() && l.Written == 0 && yamlat.IsList(n) {
		d.Badf(l.At, "the list is empty, write at least one or leave the key out")
	}
	return values(l)
}

func values[T any](l yamlat.List[T]) []T {
	var out []T
	for _, i := range l.Items {
		out = append(out, i.Value)
	}
	return out
}

func prefixes(d *decoder, n *node) []Prefix {
	var out []Prefix
	for _, i := range yamlat.ListOf(d, n, (*decoder).Prefix).Items {
		out = append(out, Prefix{i.Value, i.At})
	}
	return out
}

// decodeFrom reads prefixes and @controllers.
func decodeFrom(d *decoder, n *node, r *Rule) {
	r.From = condition(d, n, func(d *decoder, n *node) yamlat.Item[Prefix] {
		if n.Value == "@controllers" {
			r.Controllers = true
			return yamlat.Item[Prefix]{}
		}
		p := d.Prefix(n)
		return yamlat.Item[Prefix]{At: p.At, OK: p.OK, Value: Prefix{p.Value, p.At}}
	})
}

func pattern(d *decoder, n *node) yamlat.Item[Pattern] {
	return parsed(d, n, ParsePattern)
}

func channel(d *decoder, n *node) yamlat.Item[Channel] { return parsed(d, n, ParseChannel) }

// parsed reads text that a function understands.
func parsed[T any](d *decoder, n *node, parse func(string) (T, error)) yamlat.Item[T] {
	s := d.String(n)
	if !s.OK {
		return yamlat.Item[T]{At: s.At}
	}
	v, err := parse(s.Value)
	if err != nil {
		d.Codef(s.At, codeOf(err), "%v", err)
		return yamlat.Item[T]{At: s.At}
	}
	return yamlat.Item[T]{At: s.At, OK: true, Value: v}
}

func principal(d *decoder, n *node) yamlat.Item[Principal] {
	s := d.String(n)
	if s.OK && strings.HasPrefix(s.Value, "@") && s.Value != Unsigned {
		d.Badf(s.At, "%q is no selector of principals, want %s, or a key or account", s.Value, Unsigned)
		s.OK = false
	}
	return yamlat.Item[Principal]{At: s.At, OK: s.OK, Value: Principal{s.Value, glob(foldPrincipal(s.Value))}}
}

func recordType(d *decoder, n *node) yamlat.Item[Type] { return parsed(d, n, ParseType) }

// ParseType reads a record type: A, AAAA, TYPE65280 (RFC 3597, Section 5), or NB for NetBIOS names.
func ParseType(s string) (Type, error) {
	up := strings.ToUpper(s)
	if up == "NB" {
		return Type{Text: up, Number: TypeNB, NB: true}, nil
	}
	if n, ok := dns.StringToType[up]; ok {
		return Type{Text: up, Number: n}, nil
	}
	if num, ok := strings.CutPrefix(up, "TYPE"); ok {
		if v, err := strconv.ParseUint(num, 10, 16); err == nil {
			return Type{Text: up, Number: uint16(v)}, nil
		}
	}
	return Type{}, typeError(s)
}

func classRef(d *decoder, n *node) yamlat.Item[ClassRef] {
	s := d.String(n)
	if s.OK && !slices.Contains(classSelectors, s.Value) {
		if text := badIdent(s.Value); text != "" {
			d.Badf(s.At, "class %q %s; selectors are %s", s.Value, text, strings.Join(classSelectors, ", "))
			s.OK = false
		}
	}
	return yamlat.Item[ClassRef]{At: s.At, OK: s.OK, Value: ClassRef{s.Value, s.At}}
}

func state(d *decoder, n *node) yamlat.Item[State] {
	v := choice(d, n, States)
	return yamlat.Item[State]{OK: v != 0, Value: v}
}

// choice reads one of the words of a list.
func choice[T interface {
	comparable
	String() string
}](d *decoder, n *node, list []T) (v T) {
	all := make([]string, len(list))
	for i, e := range list {
		all[i] = e.String()
	}
	if i := d.Choice(n, all...); i.OK {
		return list[i.Value]
	}
	return v
}

func ident(d *decoder, n *node) string {
	s := d.String(n)
	if !s.OK {
		return ""
	}
	if text := badIdent(s.Value); text != "" {
		d.Badf(s.At, "%q %s", s.Value, text)
		return ""
	}
	return s.Value
}

// badIdent says what is wrong with an identifier, or nothing.
func badIdent(s string) string {
	const want = "is no identifier, write letters, digits, - and _ behind a letter, at most 63"
	if len(s) > 63 || s == "" {
		return want
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || !('0' <= c && c <= '9') && c != '-' && c != '_') {
			return want
		}
	}
	return ""
}

// timeOf reads the time of a request: a day means its first moment.
func timeOf(d *decoder, n *node) time.Time {
	v := d.Date(n)
	if v.OK && len(n.Value) == len(time.DateOnly) {
		return v.Value.AddDate(0, 0, -1)
	}
	return v.Value
}
