package hook

import (
	"bytes"
	"strings"
	"sync"
	"unicode"
)

// tail keeps the end of what is written to it. The zero tail works.
type tail struct {
	mu  sync.Mutex
	end []byte
}

const (
	tailOctets = 4096
	lineRunes  = 200 // of the line that becomes part of a failure
)

// Write implements io.Writer; it takes everything.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p[max(0, len(p)-tailOctets):]...)
	if over := len(t.end) - tailOctets; over > 0 {
		t.end = append(t.end[:0], t.end[over:]...)
	}
	return len(p), nil
}

// line is the last one that has something on it, fit to be shown.
func (t *tail) line() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := bytes.TrimRightFunc(bytes.ToValidUTF8(t.end, []byte("?")), unicode.IsSpace)
	text = text[bytes.LastIndexAny(text, "\r\n")+1:]
	line := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, string(text)))
	if len(line) > lineRunes {
		line = append(line[:lineRunes], '\u2026')
	}
	return strings.TrimSpace(string(line))
}
