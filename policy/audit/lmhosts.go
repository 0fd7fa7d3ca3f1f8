package audit

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/policy"
)

// A line of LMHOSTS is an address and a name, MS-NBTE, Section 2.2.3:
//
//	10.9.0.11   MAIL   #PRE #DOM:CORP
//	10.9.0.12   "MAIL           \0x20"   #PRE
//	10.9.0.13   MAIL#20                  (Samba)
//
// A plain name answers for the computer, so it stands for the suffixes 00 (workstation) and 20 (file
// server), which clients ask for. #DOM:X lists the address in the group X<1c> too.
var plainSuffixes = []byte{0x00, 0x20}

// domainControllers is the suffix of the group of a domain's controllers.
const domainControllers = 0x1c

func (x *reading) readLMHosts() {
	for x.next() {
		text := bytes.TrimSpace(x.text)
		switch {
		case len(text) == 0:
		case hasPrefixFold(text, "#INCLUDE"):
			x.problem(0, "#INCLUDE is not followed: audit that file as a source of its own")
		case text[0] != '#':
			x.lmhostsLine(text)
		}
	}
}

func hasPrefixFold(text []byte, prefix string) bool {
	return len(text) >= len(prefix) && bytes.EqualFold(text[:len(prefix)], []byte(prefix))
}

func (x *reading) lmhostsLine(text []byte) {
	address, rest := cutWord(text)
	addr, ok := parseIPv4(address)
	if !ok {
		x.problem(x.column(address), "%q is not an IPv4 address, ADDRESS NAME would be right", clip(address))
		return
	}
	names, tags, err := lmhostsNames(rest)
	if err != nil {
		x.problem(x.column(rest), "%w", err)
		return
	}
	for _, name := range names {
		x.lmhostsRecord(addr, name, false)
	}
	x.lmhostsDomain(addr, tags)
}

func (x *reading) lmhostsRecord(addr netip.Addr, name netbios.Name, group bool) {
	r := x.begin(policy.Answer, x.line)
	r.setName(name)
	r.Static, r.Group = true, group
	r.add(addr)
	x.emitWithAddrs()
}

// lmhostsDomain gives the record of a #DOM: tag.
func (x *reading) lmhostsDomain(addr netip.Addr, tags []byte) {
	for len(tags) > 0 {
		var tag []byte
		tag, tags = cutWord(tags)
		if !hasPrefixFold(tag, "#DOM:") {
			continue
		}
		name, err := nameOf(tag[len("#DOM:"):], domainControllers)
		if err != nil {
			x.problem(x.column(tag), "#DOM: %w", err)
			continue
		}
		x.lmhostsRecord(addr, name, true)
	}
}

// cutWord splits behind the first word and the blanks behind it.
func cutWord(text []byte) (word, rest []byte) {
	end := bytes.IndexAny(text, " \t")
	if end < 0 {
		return text, nil
	}
	return text[:end], bytes.TrimLeft(text[end:], " \t")
}

// lmhostsNames reads the name, and what the tags behind it are.
func lmhostsNames(text []byte) (names []netbios.Name, tags []byte, err error) {
	if len(text) == 0 || text[0] == '#' {
		return nil, nil, errors.New("no name stands behind the address")
	}
	if text[0] == '"' {
		return quotedName(text[1:])
	}
	word, tags := cutWord(text)
	base, suffix, typed := bytes.Cut(word, []byte("#"))
	if !typed {
		names, err = plainNames(base)
		return names, tags, err
	}
	if value, ok := parseHexByte(suffix); ok && len(suffix) == 2 {
		name, err := nameOf(base, value)
		return []netbios.Name{name}, tags, err
	}
	// Windows takes the rest for a comment or a tag, even without a blank before it.
	names, err = plainNames(base)
	return names, text[len(base):], err
}

func plainNames(base []byte) ([]netbios.Name, error) {
	names := make([]netbios.Name, 0, len(plainSuffixes))
	for _, suffix := range plainSuffixes {
		name, err := nameOf(base, suffix)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// quotedName reads a name in quotation marks. With 16 octets the last one is the suffix.
func quotedName(text []byte) ([]netbios.Name, []byte, error) {
	inside, tags, closed := bytes.Cut(text, []byte{'"'})
	if !closed {
		return nil, nil, errors.New("the quotation mark is not closed")
	}
	octets, escaped, err := unescapeName(inside)
	switch {
	case err != nil:
		return nil, nil, err
	case len(octets) == netbios.BaseLen+1:
		name, err := nameOf(octets[:netbios.BaseLen], octets[netbios.BaseLen])
		return []netbios.Name{name}, bytes.TrimLeft(tags, " \t"), err
	case len(octets) > netbios.BaseLen+1:
		return nil, nil, fmt.Errorf("the name in quotation marks has %d octets, at most 16 would be right", len(octets))
	case escaped:
		return nil, nil, fmt.Errorf("the escape at the end is octet %d, not the 16th: fill the name with blanks to 15 octets before it", len(octets))
	}
	names, err := plainNames(octets)
	return names, bytes.TrimLeft(tags, " \t"), err
}

// unescapeName reads \0xNN; escaped tells that the last octet was written so.
func unescapeName(text []byte) (octets []byte, escaped bool, err error) {
	for len(text) > 0 {
		if text[0] != '\\' {
			octets, text, escaped = append(octets, text[0]), text[1:], false
			continue
		}
		if len(text) < 5 || !hasPrefixFold(text, `\0x`) {
			return nil, false, fmt.Errorf(`the escape %q is not \0xNN`, clip(text))
		}
		value, ok := parseHexByte(text[3:5])
		if !ok {
			return nil, false, fmt.Errorf(`the escape %q is not \0xNN`, clip(text[:5]))
		}
		octets, text, escaped = append(octets, value), text[5:], true
	}
	return octets, escaped, nil
}
