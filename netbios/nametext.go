package netbios

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseName reads the text form of a name: base, suffix and scope, as in
//
//	MAIL   MAIL<20>   MAIL<1b>.scope.example   *   \x01\x02__MSBROWSE__\x02<01>
//
// The suffix is two hexadecimal digits; text without it has the suffix 00 and no scope. An octet is
// written as \xHH if it is not printable ASCII, and so are '.', '<' and '>' inside a base or a label;
// the backslash is written twice. Nothing is folded.
func ParseName(s string) (Name, error) {
	n, err := parseName(s)
	if err != nil {
		return Name{}, fmt.Errorf("NetBIOS name %q: %w", s, err)
	}
	return n, nil
}

// MustParseName is ParseName for names known at compile time; it panics on an error.
func MustParseName(s string) Name {
	n, err := ParseName(s)
	if err != nil {
		panic(err)
	}
	return n
}

func parseName(s string) (Name, error) {
	// Escapes contain no '<', so the first one always opens the suffix.
	text, rest, bracket := strings.Cut(s, "<")
	base, err := unescape(text)
	if err != nil {
		return Name{}, err
	}
	if !bracket {
		return newName(base, 0, "")
	}
	suffix, scope, err := parseSuffix(rest)
	if err != nil {
		return Name{}, err
	}
	return newName(base, suffix, scope)
}

// parseSuffix reads what stands behind the '<'. The returned scope is in wire form.
func parseSuffix(s string) (suffix byte, scope string, err error) {
	digits, rest, ok := strings.Cut(s, ">")
	v, convErr := strconv.ParseUint(digits, 16, 8)
	if !ok || convErr != nil || len(digits) != 2 {
		return 0, "", fmt.Errorf("bad suffix %q, want two hexadecimal digits such as <20>", "<"+s)
	}
	if rest == "" {
		return byte(v), "", nil
	}
	text, ok := strings.CutPrefix(rest, ".")
	if !ok || text == "" {
		return 0, "", fmt.Errorf("%q after the suffix, want a dot and a scope, or nothing", rest)
	}
	scope, err = parseScope(text)
	return byte(v), scope, err
}

// String returns the text form, which ParseName reads back to the same octets: "MAIL<20>". The suffix
// is always written. A domain name begins with a dot, and the zero Name is "invalid Name".
func (n Name) String() string {
	switch n.kind {
	case kindNone:
		return "invalid Name"
	case kindDomain:
		return "." + formatScope(n.scope)
	}
	b := make([]byte, 0, BaseLen+len("<00>")+len(n.scope))
	b = appendEscaped(b, n.textBase())
	b = fmt.Appendf(b, "<%02x>", n.Suffix())
	if n.scope != "" {
		b = append(append(b, '.'), formatScope(n.scope)...)
	}
	return string(b)
}

// textBase is Base, with one octet of padding kept where the text would otherwise be read back with
// other padding: a '*' that is padded with spaces, and a base of nothing but spaces.
func (n Name) textBase() string {
	base := n.Base()
	if base == "" || base == "*" && !n.isWildcard() {
		base += " "
	}
	return base
}

// MarshalText returns String for a NetBIOS name and nothing for the zero Name. A domain name has no
// text form that could be read back and is an error.
func (n Name) MarshalText() ([]byte, error) {
	switch n.kind {
	case kindNone:
		return []byte{}, nil
	case kindDomain:
		return nil, fmt.Errorf("domain name %s is not a NetBIOS name", n)
	}
	return []byte(n.String()), nil
}

// UnmarshalText is ParseName; empty text gives the zero Name.
func (n *Name) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*n = Name{}
		return nil
	}
	p, err := ParseName(string(text))
	if err != nil {
		return err
	}
	*n = p
	return nil
}
