package registry

import (
	"net/netip"
	"strings"
)

// ReverseAddr returns the address that a fully qualified name of a PTR record stands for, RFC 1035,
// Section 3.5 and RFC 3596, Section 2.5. Names of more or fewer labels, as those of RFC 2317 are, and
// numbers with leading zeros stand for none.
func ReverseAddr(name string) (netip.Addr, bool) {
	name = strings.ToLower(name)
	if labels, ok := strings.CutSuffix(name, ".in-addr.arpa."); ok {
		return reverseIPv4(labels)
	}
	if labels, ok := strings.CutSuffix(name, ".ip6.arpa."); ok {
		return reverseIPv6(labels)
	}
	return netip.Addr{}, false
}

func reverseIPv4(labels string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(labels)
	if err != nil || !addr.Is4() {
		return netip.Addr{}, false
	}
	b := addr.As4()
	return netip.AddrFrom4([4]byte{b[3], b[2], b[1], b[0]}), true
}

func reverseIPv6(labels string) (netip.Addr, bool) {
	var b [16]byte
	if len(labels) != 4*len(b)-1 {
		return netip.Addr{}, false
	}
	for i := range 2 * len(b) {
		digit := strings.IndexByte("0123456789abcdef", labels[2*i])
		if digit < 0 || i > 0 && labels[2*i-1] != '.' {
			return netip.Addr{}, false
		}
		at := 2*len(b) - 1 - i // of the nibble, the first one comes last
		b[at/2] |= byte(digit) << (4 * (1 - at%2))
	}
	return netip.AddrFrom16(b), true
}
