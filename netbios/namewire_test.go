package netbios

import (
	"errors"
	"strings"
	"testing"
)

// encodedFred is the name FRED of RFC 1001, Section 14.1, padded with spaces to 16 octets.
const encodedFred = "\x20EGFCEFEECACACACACACACACACACACACA"

// at returns a packet with the name at offset 12 and the offset.
func at(name string) ([]byte, int) {
	return append(make([]byte, headerLen), name...), headerLen
}

func TestDecodeName(t *testing.T) {
	tests := []struct {
		name, wire, want string
		next             int // behind offset 12
	}{
		{"RFC 1001, Section 14.1", encodedFred + "\x07NETBIOS\x03COM\x00", "FRED<20>.NETBIOS.COM", 46},
		{"no scope", encodedFred + "\x00", "FRED<20>", 34},
		{"domain", "\x07NETBIOS\x03COM\x00", ".NETBIOS.COM", 13},
		{"root", "\x00", ".", 1},
		{"letters beyond P", "\x20" + strings.Repeat("Q", 32) + "\x00", "." + strings.Repeat("Q", 32), 34},
		{"lower case letters", "\x20" + strings.Repeat("a", 32) + "\x00", "." + strings.Repeat("a", 32), 34},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, off := at(tt.wire)
			n, next, err := decodeName(b, off)
			if err != nil || n.String() != tt.want || next != off+tt.next {
				t.Fatalf("got %v, %d, %v, want %s, %d", n, next, err, tt.want, off+tt.next)
			}
			if got := string(appendName(nil, n)); got != tt.wire {
				t.Errorf("encoded again %q, want %q", got, tt.wire)
			}
		})
	}
}

func TestDecodeNameErrors(t *testing.T) {
	scope := strings.Repeat("\x01a", 119) // 237 octets with dots, 238 on the wire
	tests := []struct {
		name, wire string
		want       error
	}{
		{"nothing", "", ErrShort},
		{"label cut off", "\x20EGFC", ErrShort},
		{"no end", encodedFred, ErrShort},
		{"pointer cut off", "\xc0", ErrShort},
		{"pointer to itself", "\xc0\x0c", ErrName},
		{"pointer forward", "\xc0\x20", ErrName},
		{"pointer into the header", "\xc0\x00", ErrName},
		{"pointer into its own run", encodedFred + "\xc0\x0c", ErrName},
		{"reserved label type 40", "\x40", ErrName},
		{"reserved label type 80", "\x80", ErrName},
		{"longest scope", encodedFred + scope + "\x00", nil},
		{"scope too long", encodedFred + scope + "\x01a\x00", ErrScope},
		{"domain too long", scope + "\x01a\x00", ErrScope},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, off := at(tt.wire)
			if n, _, err := decodeName(b, off); !errors.Is(err, tt.want) {
				t.Errorf("got %v, %v, want %v", n, err, tt.want)
			}
		})
	}
}

func TestDecodeNamePointers(t *testing.T) {
	scope := "\x05scope\x00"
	b, first := at(scope)
	second := len(b)
	b = append(b, encodedFred+"\xc0\x0c"...) // into the scope
	third := len(b)
	b = append(b, 0xc0, byte(second)) // to a name that ends with a pointer

	for _, off := range []int{second, third} {
		n, next, err := decodeName(b, off)
		if err != nil || n != MustParseName("FRED<20>.scope") {
			t.Errorf("at %d: got %v, %v", off, n, err)
		}
		if want := map[int]int{second: third, third: len(b)}[off]; next != want {
			t.Errorf("at %d: next %d, want %d", off, next, want)
		}
	}
	if n, _, err := decodeName(b, first); err != nil || n.String() != ".scope" {
		t.Errorf("got %v, %v", n, err)
	}
}
