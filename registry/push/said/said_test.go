package said

import (
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "",
		"no such room\r\n":        "no such room",
		"two\n lines\x00":         `two lines\x00`,
		"\x1b[31mred\xff":         `\x1b[31mred?`,
		`"quoted"`:                `\"quoted\"`,
		strings.Repeat("x", 1000): strings.Repeat("x", mostRunes),
	} {
		if got := Line([]byte(text)); got != want {
			t.Errorf("%.20q: %q, want %q", text, got, want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte("no such room"))
	f.Add([]byte("\x1b[31m\n\xff\u202e"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := Line(text)
		for _, r := range got {
			if r < ' ' || r == 0x7f || r == 0x202e {
				t.Errorf("%q has %q", got, r)
			}
		}
		if len(got) > 10*mostRunes {
			t.Errorf("%d octets", len(got))
		}
	})
}
