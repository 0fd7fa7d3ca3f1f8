package netbios

import (
	"fmt"
	"strings"
)

// parseScope reads a scope from text and returns its labels as on the wire, each behind its length,
// without the final zero. "" is the empty scope.
func parseScope(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	var b strings.Builder
	for part := range strings.SplitSeq(text, ".") {
		label, err := unescape(part)
		if err != nil {
			return "", fmt.Errorf("scope %q: %w", text, err)
		}
		if label == "" || len(label) > MaxLabel {
			return "", fmt.Errorf("scope %q: label %q has %d octets, want 1 to %d", text, part, len(label), MaxLabel)
		}
		b.WriteByte(byte(len(label)))
		b.WriteString(label)
	}
	// In wire form each dot and the beginning have a length octet: one octet more than the text.
	if n := b.Len() - 1; n > MaxScope {
		return "", fmt.Errorf("scope has %d octets, want at most %d", n, MaxScope)
	}
	return b.String(), nil
}

// formatScope is the reverse of parseScope.
func formatScope(labels string) string {
	if labels == "" {
		return ""
	}
	b := make([]byte, 0, len(labels))
	for len(labels) > 0 {
		n := int(labels[0])
		if len(b) > 0 {
			b = append(b, '.')
		}
		b = appendEscaped(b, labels[1:1+n])
		labels = labels[1+n:]
	}
	return string(b)
}
