// Package said makes what others said fit to be part of a failure.
package said

import (
	"strconv"
	"strings"
)

const (
	mostRunes = 120
	// Most is how many octets are worth reading.
	Most = 4 * mostRunes
)

// Line is the beginning of it on one line, without anything that a terminal would obey.
func Line(text []byte) string {
	text = text[:min(len(text), Most)]
	runes := []rune(strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "?")), " "))
	quoted := strconv.Quote(string(runes[:min(len(runes), mostRunes)]))
	return quoted[1 : len(quoted)-1]
}
