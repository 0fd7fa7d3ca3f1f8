package policy

import (
	"strings"

	"github.com/nameward/nameward/netbios"
)

// Reserved tells why nobody should register a name, in a short stable word, or false:
//
//	wpad      clients ask it for their proxy (MS09-008)
//	isatap    clients take it for their IPv6 router (MS09-008)
//	wildcard  * stands for every name
//	domain    a suffix under which clients look for domain controllers and browsers: 1B, 1C, 1D
//	spn       the name carries marshalled target information, which leads a client to authenticate to
//	          one host with a ticket for another
func Reserved(r *Request) (why string, is bool) {
	if r.NetBIOS.IsValid() {
		return reservedNetBIOS(r.NetBIOS)
	}
	return reservedDNS(r.DNS)
}

func reservedNetBIOS(n netbios.Name) (string, bool) {
	o := n.Octets()
	base := o[:netbios.BaseLen]
	switch {
	case startsAs(base, "WPAD"):
		return "wpad", true
	case startsAs(base, "ISATAP"):
		return "isatap", true
	case base[0] == '*':
		return "wildcard", true
	case o[15] == 0x1b || o[15] == 0x1c || o[15] == 0x1d:
		return "domain", true
	case carriesSPN(base):
		return "spn", true
	}
	return "", false
}

// startsAs reports whether base is the padded name.
func startsAs(base []byte, name string) bool {
	return string(base[:len(name)]) == name && (base[len(name)] == ' ' || base[len(name)] == 0)
}

func reservedDNS(name string) (string, bool) {
	switch {
	case strings.HasPrefix(name, "wpad."):
		return "wpad", true
	case strings.HasPrefix(name, "isatap."):
		return "isatap", true
	case name == "*." || strings.HasPrefix(name, "*."):
		return "wildcard", true
	case carriesSPN(name):
		return "spn", true
	}
	return "", false
}

// spnMark begins the marshalled form of CREDENTIAL_TARGET_INFORMATION behind a host name: its magic
// number and the zeros of its header in the base64 of CredMarshalTargetInfo. Case is lost in names.
const spnMark = "1uwhrcaaa"

func carriesSPN[T ~string | ~[]byte](name T) bool {
	for i := 0; i+len(spnMark) <= len(name); i++ {
		if name[i] == '1' && foldedAs(name[i:i+len(spnMark)], spnMark) {
			return true
		}
	}
	return false
}

func foldedAs[T ~string | ~[]byte](s T, lower string) bool {
	for i := range len(lower) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
