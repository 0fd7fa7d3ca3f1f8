package finding

import (
	"fmt"
	"strings"
)

// Format is one of the forms in which findings are written.
type Format uint8

// The formats. The zero Format is Text.
const (
	Text   Format = iota // for people at a terminal
	JSON                 // one object, for programs
	SARIF                // 2.1.0, for code scanning
	GitHub               // workflow commands: annotations of a pull request
	JUnit                // XML that CI servers read as a test report
	CSV                  // for spreadsheets
	HTML                 // one page that can be mailed
)

// Formats lists every format, in the order in which help texts name them.
var Formats = []Format{Text, JSON, SARIF, GitHub, JUnit, CSV, HTML}

var formatWords = [...]string{"text", "json", "sarif", "github", "junit", "csv", "html"}

func (f Format) String() string { return formatWords[f] }

// MarshalText writes the word.
func (f Format) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads the word.
func (f *Format) UnmarshalText(b []byte) (err error) {
	*f, err = ParseFormat(string(b))
	return err
}

// ParseFormat reads the word of a format.
func ParseFormat(s string) (Format, error) {
	for i, word := range formatWords {
		if word == s {
			return Format(i), nil
		}
	}
	return 0, fmt.Errorf("format %q is none, known are %s", s, strings.Join(formatWords[:], ", "))
}
