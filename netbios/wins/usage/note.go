package usage

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nameward/nameward/netbios"
)

// Kind is what a client wanted with a name.
type Kind uint8

const (
	// Query is a name query.
	Query Kind = iota
	// Registration is a registration or a refresh, of one address or of several.
	Registration

	kinds = 2
)

var kindNames = [kinds]string{"query", "registration"}

// String returns "query" or "registration".
func (k Kind) String() string {
	if k >= kinds {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// MarshalText returns String; only the two kinds have text.
func (k Kind) MarshalText() ([]byte, error) {
	if k >= kinds {
		return nil, fmt.Errorf("%v has no text", k)
	}
	return []byte(k.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (k *Kind) UnmarshalText(text []byte) error {
	i := slices.Index(kindNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("bad kind %q, want %q or %q", text, kindNames[Query], kindNames[Registration])
	}
	*k = Kind(i)
	return nil
}

// Note is one request of a client.
type Note struct {
	// Name is a NetBIOS name; its letters are counted in upper case. A domain name is dropped.
	Name netbios.Name
	// Source is the client's IPv4 address; any other is dropped.
	Source netip.Addr
	Kind   Kind
	// Found tells that the answer was positive: the name was known, the registration was accepted.
	Found bool
}
