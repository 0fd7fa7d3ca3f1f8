package netbios

import (
	"fmt"
	"strconv"
	"strings"
)

const hexDigits = "0123456789abcdef"

// appendEscaped appends the text form of a base or of one label of a scope.
func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '\\':
			dst = append(dst, `\\`...)
		case needsEscape(c), c == ' ' && (i == 0 || i == len(s)-1):
			// A space at either end would be lost in a form or on a command line.
			dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// needsEscape reports whether an octet has a meaning in the text form or is not printable ASCII.
// Octets from 0x80 belong to a code page that the wire does not name.
func needsEscape(c byte) bool {
	return c < ' ' || c > '~' || c == '.' || c == '<' || c == '>'
}

// unescape reads what appendEscaped writes.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if needsEscape(s[i]) {
			return "", fmt.Errorf(`character %q at offset %d must be written as \x%02x`, s[i], i, s[i])
		}
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		c, n, err := unescapeOne(s[i:])
		if err != nil {
			return "", err
		}
		b.WriteByte(c)
		i += n - 1
	}
	return b.String(), nil
}

// unescapeOne reads the escape at the start of s and returns its octet and its length in s.
func unescapeOne(s string) (c byte, n int, err error) {
	if strings.HasPrefix(s, `\\`) {
		return '\\', 2, nil
	}
	if strings.HasPrefix(s, `\x`) && len(s) >= 4 {
		if v, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
			return byte(v), 4, nil
		}
	}
	return 0, 0, fmt.Errorf(`bad escape at %q, want \\ or \x and two hexadecimal digits`, s)
}
