package winsctl

import (
	"fmt"
	"strings"

	"github.com/nameward/nameward/netbios"
)

// pattern is a name as people ask for it: MAIL stands for all suffixes, MAIL<20> for one, and * in either
// part for anything. Case does not matter.
type pattern struct {
	parts []string // what stands between the wildcards
	whole bool     // the suffix is asked for, too
	name  netbios.Name
}

// parsePattern reads one; "" and * are all names.
func parsePattern(text string) (p pattern, err error) {
	if text == "" {
		text = "*"
	}
	p.whole = strings.Contains(text, "<")
	p.parts = strings.Split(strings.ToUpper(text), "*")
	if len(p.parts) > 1 {
		return p, nil
	}
	n, err := netbios.ParseName(text)
	if err != nil {
		return p, fmt.Errorf("%w; * stands for anything, as in MAIL*<20>", err)
	}
	p.parts[0] = strings.ToUpper(n.String()) // escapes may be written in several ways
	if p.name = n; !p.whole {
		p.parts[0], _, _ = strings.Cut(p.parts[0], "<")
	}
	return p, nil
}

// isAll reports that every name matches.
func (p *pattern) isAll() bool { return len(p.parts) == 2 && p.parts[0] == "" && p.parts[1] == "" }

func (p *pattern) matches(n netbios.Name) bool {
	if p.isAll() {
		return true
	}
	text := strings.ToUpper(n.String())
	if !p.whole {
		text, _, _ = strings.Cut(text, "<")
	}
	first, rest := p.parts[0], p.parts[1:]
	if len(rest) == 0 {
		return text == first
	}
	text, ok := strings.CutPrefix(text, first)
	for i, part := range rest {
		switch {
		case !ok:
			return false
		case i == len(rest)-1:
			return strings.HasSuffix(text, part)
		}
		_, text, ok = strings.Cut(text, part)
	}
	return true
}
