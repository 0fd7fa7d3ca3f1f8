package finding

import (
	"strconv"
	"unicode/utf8"
)

// Names, comments and labels come from the network and from files of others. In every format a
// character that does not print (a control character, a bidirectional override, an invisible space, a
// byte that is not UTF-8) is written so that it can be seen: \x1b, \u202e, \xff. A backslash stays as
// it is, so that a path of Windows can be read; the escapes are for eyes, not for programs.

// plain says whether a byte is a printable ASCII character.
func plain(c byte) bool { return ' ' <= c && c < 0x7f }

// appendVisible writes s with what does not print made visible.
func appendVisible(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		n := plainPrefix(s[i:])
		b = append(b, s[i:i+n]...)
		if i += n; i == len(s) {
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		b = appendRune(b, r, s[i:i+size])
		i += size
	}
	return b
}

func plainPrefix(s string) int {
	for i := 0; i < len(s); i++ {
		if !plain(s[i]) {
			return i
		}
	}
	return len(s)
}

// appendRune writes a rune, or its escape if it does not print. raw is its bytes.
func appendRune(b []byte, r rune, raw string) []byte {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		return appendHex(append(b, `\x`...), uint32(raw[0]), 2)
	case strconv.IsPrint(r):
		return append(b, raw...)
	case r == '\t':
		return append(b, `\t`...)
	case r == '\n':
		return append(b, `\n`...)
	case r == '\r':
		return append(b, `\r`...)
	case r < 0x80:
		return appendHex(append(b, `\x`...), uint32(r), 2)
	case r < 0x10000:
		return appendHex(append(b, `\u`...), uint32(r), 4)
	}
	return appendHex(append(b, `\U`...), uint32(r), 8)
}

const hexDigits = "0123456789abcdef"

func appendHex(b []byte, v uint32, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, hexDigits[v>>shift&15])
	}
	return b
}

// appendPlace writes a place for eyes: as its String, the file's name made visible.
func appendPlace(b []byte, p Place) []byte {
	return p.appendNumbers(appendVisible(b, p.File))
}
