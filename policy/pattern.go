package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
)

// Pattern is one entry of a rule's names.
type Pattern struct {
	Kind PatternKind
	Text string // as it was written
	// Role is the role of PatternRole.
	Role string
	// glob is the folded name: of DNS with its final dot, of NetBIOS without suffix and padding.
	glob   glob
	suffix int    // the 16th octet of a NetBIOS name; -1: any
	scope  string // of a NetBIOS name; "": any
}

// PatternKind says what a pattern is compared with.
type PatternKind uint8

// The kinds of patterns.
const (
	PatternAny      PatternKind = iota + 1 // *
	PatternGuarded                         // @guarded: names of roles, hosts of nodes, name servers of owned zones
	PatternRole                            // @role:NAME: names of one role
	PatternReserved                        // @reserved: names that nobody should register, see Reserved
	PatternDNS                             // mail.corp.example.
	PatternBelow                           // .corp.example.: that name and all below it
	PatternDNSGlob                         // db*.corp.example.
	PatternNetBIOS                         // MAIL, MAIL<20>
	PatternNBGlob                          // EX*, *<1b>
)

// anySuffix is written for "whatever the 16th octet is", which is also meant without it.
const anySuffix = "<*>"

// ErrNetBIOSLength is in the error of a NetBIOS pattern that no name can match.
var ErrNetBIOSLength = fmt.Errorf("a NetBIOS name has at most %d octets", netbios.BaseLen)

// ParsePattern reads an entry of a rule's names. What has a dot is a DNS name, with or without the
// final one; what has none is a NetBIOS name.
func ParsePattern(s string) (Pattern, error) {
	switch {
	case s == "":
		return Pattern{}, errors.New(`the name is empty, write one such as mail.corp.example. or MAIL`)
	case s == "*":
		return Pattern{Kind: PatternAny, Text: s}, nil
	case s[0] == '@':
		return parseSelector(s)
	case strings.HasSuffix(s, ">") || !strings.Contains(s, "."):
		return parseNetBIOS(s)
	}
	if _, _, scoped := strings.Cut(s, ">."); scoped {
		return parseNetBIOS(s)
	}
	return parseDNS(s)
}

func parseSelector(s string) (Pattern, error) {
	role, isRole := strings.CutPrefix(s, "@role:")
	switch {
	case s == "@guarded":
		return Pattern{Kind: PatternGuarded, Text: s}, nil
	case s == "@reserved":
		return Pattern{Kind: PatternReserved, Text: s}, nil
	case isRole && role != "":
		return Pattern{Kind: PatternRole, Text: s, Role: role}, nil
	}
	return Pattern{}, fmt.Errorf("%q is no selector of names, want @guarded, @role:NAME or @reserved", s)
}

func parseDNS(s string) (Pattern, error) {
	p := Pattern{Kind: PatternDNS, Text: s, suffix: -1}
	name := strings.ToLower(s)
	if !strings.HasSuffix(name, ".") {
		name += "."
	}
	if below, ok := strings.CutPrefix(name, "."); ok {
		p.Kind, name = PatternBelow, below
		if s == "." {
			name = "." // all of DNS
		}
	}
	if isGlob(name) {
		if p.Kind == PatternBelow {
			return Pattern{}, fmt.Errorf("%q is a suffix with wildcards, write *%s", s, s)
		}
		p.Kind = PatternDNSGlob
	}
	p.glob = glob(name)
	return p, checkDNS(s, name)
}

func checkDNS(written, name string) error {
	if len(name) > 254 { // RFC 1035, Section 2.3.4: 255 octets with the length octets
		return fmt.Errorf("DNS name %s has %d octets, 254 is the most: shorten it", written, len(name))
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		switch {
		case label == "" && written != ".":
			return fmt.Errorf("DNS name %q has an empty label, write labels with one dot between them", written)
		case len(label) > 63:
			return fmt.Errorf("label %q of a DNS name has %d octets, 63 is the most: shorten it", label, len(label))
		}
		for i := range len(label) {
			if c := label[i]; c <= ' ' || c > '~' || strings.IndexByte(`<>"\/@,;()`, c) >= 0 {
				return fmt.Errorf("%q does not belong into DNS name %q, write letters, digits, - and _, and * or ? as wildcards", c, written)
			}
		}
	}
	return nil
}

func parseNetBIOS(s string) (Pattern, error) {
	p := Pattern{Kind: PatternNetBIOS, Text: s, suffix: -1}
	base := strings.TrimSuffix(s, anySuffix)
	if base == s {
		if i := strings.LastIndexByte(s, '<'); i >= 0 {
			suffix, scope, err := parseSuffix(s[i:])
			if err != nil {
				return Pattern{}, fmt.Errorf("NetBIOS name %q: %w", s, err)
			}
			base, p.suffix, p.scope = s[:i], int(suffix), scope
		}
	}
	if isGlob(base) {
		p.Kind = PatternNBGlob
	}
	return p.withBase(s, base)
}

// withBase sets the name without its suffix. Its octets may be escaped as in netbios.ParseName.
func (p Pattern) withBase(written, base string) (Pattern, error) {
	if p.Kind == PatternNetBIOS {
		n, err := netbios.ParseName(base)
		if err != nil {
			if strings.IndexByte(base, '\\') < 0 && len(base) > netbios.BaseLen {
				err = fmt.Errorf("%q has %d octets: %w, which are not cut off here", written, len(base), ErrNetBIOSLength)
			}
			return Pattern{}, err
		}
		p.glob = glob(n.Fold().Base())
		return p, nil
	}
	if fixed := len(strings.ReplaceAll(base, "*", "")); fixed > netbios.BaseLen {
		return Pattern{}, fmt.Errorf("%q stands for names of %d octets at least: %w", written, fixed, ErrNetBIOSLength)
	}
	for i := range len(base) {
		if base[i] < ' ' || base[i] > '~' || base[i] == '\\' {
			return Pattern{}, fmt.Errorf("%q does not belong into a NetBIOS name with wildcards, write printable ASCII", base[i])
		}
	}
	p.glob = glob(strings.ToUpper(base))
	return p, nil
}

// parseSuffix reads <20> or <20>.scope.
func parseSuffix(s string) (suffix byte, scope string, err error) {
	hex, rest, ok := strings.Cut(strings.TrimPrefix(s, "<"), ">")
	v, hexErr := strconv.ParseUint(hex, 16, 8)
	if !ok || hexErr != nil || len(hex) != 2 {
		return 0, "", errors.New("the suffix is two hexadecimal digits, as in MAIL<20>, or <*> for any")
	}
	if rest == "" {
		return byte(v), "", nil
	}
	scope, ok = strings.CutPrefix(rest, ".")
	if !ok || scope == "" {
		return 0, "", errors.New("behind the suffix stands nothing or a scope, as in MAIL<20>.scope")
	}
	return byte(v), strings.ToUpper(scope), nil
}

// Glob is the folded name, with * and ? in it if it is a pattern of the kinds for that: of DNS with its
// final dot, of NetBIOS without suffix and padding. It is "" for the selectors.
func (p Pattern) Glob() string { return string(p.glob) }

// Suffix is the 16th octet that a NetBIOS pattern asks for, or -1 for any.
func (p Pattern) Suffix() int { return p.suffix }

// String is the pattern as it was written.
func (p Pattern) String() string { return p.Text }

// IsNetBIOS reports whether only NetBIOS names match.
func (p Pattern) IsNetBIOS() bool { return p.Kind == PatternNetBIOS || p.Kind == PatternNBGlob }

// Matches reports whether the name of a request matches. It is the plain meaning of a pattern; the
// engine's index gives the same answer faster.
func (p Pattern) Matches(s *registry.Snapshot, r *Request) bool {
	switch p.Kind {
	case PatternAny:
		return true
	case PatternGuarded:
		return subjectOf(s, r).guarded()
	case PatternRole:
		sub := subjectOf(s, r)
		return sub.role != nil && sub.role.Role.Name == p.Role
	case PatternReserved:
		_, is := Reserved(r)
		return is
	case PatternDNS:
		return r.DNS == string(p.glob)
	case PatternBelow:
		return r.DNS != "" && below(r.DNS, string(p.glob))
	case PatternDNSGlob:
		return r.DNS != "" && matchGlob(p.glob, r.DNS)
	}
	n := r.NetBIOS
	return n.IsValid() && p.matchesSuffix(n) && matchGlob(p.glob, n.Base())
}

func (p Pattern) matchesSuffix(n netbios.Name) bool {
	return (p.suffix < 0 || p.suffix == int(n.Suffix())) && (p.scope == "" || p.scope == n.Scope())
}

// below reports whether a DNS name is the other one or stands below it.
func below(name, top string) bool {
	for ; name != top; name = registry.Parent(name) {
		if name == "." {
			return false
		}
	}
	return true
}
