package audit

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestPlainText(t *testing.T) {
	for _, tt := range []struct{ test, in, want string }{
		{"UTF-8 with its mark", markUTF8 + "ä", "ä"},
		{"octets of another character set", "UML\xc4UT", "UML\xc4UT"},
		{"little endian", wideText("a\u00e4\u20ac", false), "aä€"},
		{"big endian", wideText("a\u00e4\u20ac", true), "aä€"},
		{"without a mark", wideText("ab", false)[2:], "ab"},
		{"a pair of surrogates", wideText("x\U0001d11ey", false), "x\U0001d11ey"},
		{"half a pair before a letter", markUTF16LE + "\x34\xd8x\x00", "\ufffdx"},
		{"half a pair at the end", markUTF16LE + "x\x00\x34\xd8", "x\ufffd"},
		{"half a unit at the end", markUTF16LE + "x\x00y", "x\ufffd"},
		{"a mark alone", markUTF16BE, ""},
	} {
		t.Run(tt.test, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in))} {
				got, err := io.ReadAll(iotest.OneByteReader(plainText(bufio.NewReader(r))))
				if string(got) != tt.want || err != nil {
					t.Errorf("%q, %v, want %q", got, err, tt.want)
				}
			}
		})
	}
}
