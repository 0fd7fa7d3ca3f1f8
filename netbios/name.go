package netbios

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
)

const (
	// BaseLen is the number of octets of a name without its suffix, RFC 1001, Section 14.1.
	BaseLen = 15
	// MaxScope is the largest number of octets of a scope, dots included. The limit is that of the
	// WINS database, where name, scope and a NUL share one length octet (MS-WINSRA, Section 2.2.10.1).
	MaxScope = 237
	// MaxLabel is the largest number of octets of one label of a scope, RFC 1002, Section 4.1.
	MaxLabel = 63
)

// Name is a NetBIOS name: 15 octets, the suffix (the 16th octet) and a scope, which may be empty. It is
// comparable; two names are equal if all of their octets are. The zero Name is not valid.
//
// A Name can also hold the plain domain name of a record in a redirect (IsDomain); such a name has no
// base and no suffix, and it never comes out of ParseName, NewName or ParseQuestion.
type Name struct {
	octets [BaseLen + 1]byte
	scope  string // labels as on the wire, each behind its length, without the final zero
	kind   kind
}

// kind tells what the other fields of a Name mean; its zero value makes the zero Name invalid.
type kind uint8

const (
	kindNone kind = iota
	kindNetBIOS
	kindDomain
)

// NewName returns the name of 1 to 15 octets in base, taken as they are, padded; suffix is the 16th
// octet. The scope is text, labels with dots between them, in the form that ParseName takes behind the
// suffix; it may be empty.
func NewName(base string, suffix byte, scope string) (Name, error) {
	labels, err := parseScope(scope)
	if err != nil {
		return Name{}, err
	}
	return newName(base, suffix, labels)
}

// newName pads the base and puts a name together; scope is in wire form.
func newName(base string, suffix byte, scope string) (Name, error) {
	if base == "" {
		return Name{}, fmt.Errorf("name is empty, want 1 to %d octets before the suffix", BaseLen)
	}
	if len(base) > BaseLen {
		return Name{}, fmt.Errorf("name has %d octets, at most %d fit before the suffix", len(base), BaseLen)
	}
	n := Name{scope: scope, kind: kindNetBIOS}
	copy(n.octets[:], base)
	// The wildcard alone is padded with NULs, RFC 1002, Section 4.2.17; all other names with spaces.
	if base != "*" {
		for i := len(base); i < BaseLen; i++ {
			n.octets[i] = ' '
		}
	}
	n.octets[BaseLen] = suffix
	return n, nil
}

// NameFromOctets returns the name with exactly these 16 octets and no scope, as a node status response
// or a WINS record carries it.
func NameFromOctets(octets [BaseLen + 1]byte) Name {
	return Name{octets: octets, kind: kindNetBIOS}
}

// IsValid reports whether n is a name at all; only the zero Name is not.
func (n Name) IsValid() bool { return n.kind != kindNone }

// IsDomain reports whether n is a plain domain name, as records of a redirect may have it.
func (n Name) IsDomain() bool { return n.kind == kindDomain }

// Octets returns the 16 octets of the name, suffix last.
func (n Name) Octets() [BaseLen + 1]byte { return n.octets }

// Base returns the octets before the suffix, without the padding and without escapes.
func (n Name) Base() string {
	if n.isWildcard() {
		return "*"
	}
	return strings.TrimRight(string(n.octets[:BaseLen]), " ")
}

// isWildcard reports whether the base is '*' padded with NULs.
func (n Name) isWildcard() bool {
	return n.octets[0] == '*' && bytes.Count(n.octets[1:BaseLen], []byte{0}) == BaseLen-1
}

// Suffix returns the 16th octet.
func (n Name) Suffix() byte { return n.octets[BaseLen] }

// WithSuffix returns n with another 16th octet; a Name that has no suffix stays as it is.
func (n Name) WithSuffix(suffix byte) Name {
	if n.kind == kindNetBIOS {
		n.octets[BaseLen] = suffix
	}
	return n
}

// WithScope returns n with another scope, text in the form that Scope returns; "" takes it away.
func (n Name) WithScope(scope string) (Name, error) {
	labels, err := parseScope(scope)
	if err != nil {
		return Name{}, err
	}
	n.scope = labels
	return n, nil
}

// Scope returns the scope as text, labels with dots between them, escaped as in String; "" if there is
// none.
func (n Name) Scope() string { return formatScope(n.scope) }

// Fold returns n with the ASCII letters of base and scope in upper case. The suffix is a number and
// stays, though some suffixes are letters too.
func (n Name) Fold() Name {
	for i, c := range n.octets[:BaseLen] {
		if 'a' <= c && c <= 'z' {
			n.octets[i] = c - ('a' - 'A')
		}
	}
	// Label lengths are at most 63 and so never taken for letters.
	n.scope = foldString(n.scope)
	return n
}

// foldString is strings.ToUpper for ASCII only; it returns s itself if there is nothing to fold.
func foldString(s string) string {
	isLower := func(r byte) bool { return 'a' <= r && r <= 'z' }
	for i := range len(s) {
		if !isLower(s[i]) {
			continue
		}
		b := []byte(s)
		for j := i; j < len(b); j++ {
			if isLower(b[j]) {
				b[j] -= 'a' - 'A'
			}
		}
		return string(b)
	}
	return s
}

// Compare orders names by their octets, then by scope. It returns -1, 0 or +1.
func (n Name) Compare(o Name) int {
	if c := bytes.Compare(n.octets[:], o.octets[:]); c != 0 {
		return c
	}
	if c := strings.Compare(n.scope, o.scope); c != 0 {
		return c
	}
	return cmp.Compare(n.kind, o.kind)
}
