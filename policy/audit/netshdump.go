package audit

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/policy"
)

// netsh wins server dump is a script. Its lines "add name" hold the records, all with tags:
//
//	add name Name="MAIL" EndChar=20 Scope="" RecType=0 Group=0 Node=1 IP={10.9.0.11}
//
// RecType is 0 for static (the default) and 1 for dynamic; Group is 0 for unique, 1 for a group, 2 for
// an internet group, 3 for multihomed, 4 for a domain name. Other lines set up the server.
var netshAddName = regexp.MustCompile(`(?i)^\s*(?:netsh\s+)?(?:wins\s+)?(?:server\s+(?:\S+\s+)?)?add\s+name\s+`)

// staticSuffixes are those that a static mapping without EndChar stands for.
var staticSuffixes = []byte{0x00, 0x03, 0x20}

func (x *reading) readNetshDump() {
	for x.next() {
		if at := netshAddName.FindIndex(x.text); at != nil {
			x.netshName(x.text[at[1]:])
		}
	}
}

func (x *reading) netshName(text []byte) {
	tags, err := splitTags(text)
	if err == nil {
		var entry netshEntry
		if entry, err = tags.entry(); err == nil {
			x.netshEntry(&entry)
			return
		}
	}
	if x.open {
		x.fatal("the script is cut off in this line: %w", err)
		return
	}
	x.problem(0, "%w", err)
}

// netshEntry is what "add name" adds.
type netshEntry struct {
	names         []netbios.Name
	addrs         []netip.Addr
	static, group bool
}

func (x *reading) netshEntry(e *netshEntry) {
	for _, name := range e.names {
		r := x.begin(policy.WINS, x.line)
		r.setName(name)
		r.Static, r.Group = e.static, e.group
		for _, addr := range e.addrs {
			r.add(addr)
		}
		x.emit()
	}
}

// netshTags are the tags of a line by their lower-case names.
type netshTags map[string]string

// splitTags reads KEY=VALUE, KEY="VALUE" and KEY={VALUE,VALUE}.
func splitTags(text []byte) (netshTags, error) {
	tags := netshTags{}
	for text = bytes.TrimSpace(text); len(text) > 0; text = bytes.TrimSpace(text) {
		key, rest, ok := bytes.Cut(text, []byte{'='})
		if !ok || len(bytes.Fields(key)) != 1 {
			return nil, fmt.Errorf("%q has no tag, Name=... EndChar=... IP={...} would be right", clip(text))
		}
		value, behind, err := tagValue(bytes.TrimLeft(rest, " \t"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", clip(bytes.TrimSpace(key)), err)
		}
		tags[strings.ToLower(string(bytes.TrimSpace(key)))], text = value, behind
	}
	return tags, nil
}

func tagValue(text []byte) (value string, rest []byte, err error) {
	closing := byte(0)
	if len(text) > 0 {
		closing = map[byte]byte{'"': '"', '{': '}'}[text[0]]
	}
	if closing == 0 {
		word, rest := cutWord(text)
		return string(word), rest, nil
	}
	end := bytes.IndexByte(text[1:], closing)
	if end < 0 {
		return "", nil, fmt.Errorf("%q is not closed by %c", clip(text), closing)
	}
	return string(text[1 : end+1]), text[end+2:], nil
}

func (t netshTags) entry() (e netshEntry, err error) {
	if e.names, err = t.names(); err != nil {
		return e, err
	}
	if e.addrs, err = t.addrs(); err != nil {
		return e, err
	}
	recType, err := t.number("rectype", 1)
	if err != nil {
		return e, err
	}
	group, err := t.number("group", 4)
	e.static, e.group = recType == 0, group == 1 || group == 2 || group == 4
	return e, err
}

func (t netshTags) names() ([]netbios.Name, error) {
	base, ok := t["name"]
	if !ok {
		return nil, errors.New("the tag Name is missing")
	}
	suffixes := staticSuffixes
	if text := t["endchar"]; text != "" {
		suffix, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(text), "0x"), 16, 8)
		if err != nil {
			return nil, fmt.Errorf("EndChar %q is not a hexadecimal octet", clip(text))
		}
		suffixes = []byte{byte(suffix)}
	}
	names := make([]netbios.Name, 0, len(suffixes))
	for _, suffix := range suffixes {
		name, err := scopedName(base, suffix, t["scope"])
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func scopedName(base string, suffix byte, scope string) (netbios.Name, error) {
	name, err := nameOf([]byte(base), suffix)
	if err != nil || scope == "" {
		return name, err
	}
	return netbios.NewName(strings.TrimRight(base, " "), suffix, scope)
}

func (t netshTags) addrs() ([]netip.Addr, error) {
	text := t["ip"]
	list := strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })
	if len(list) == 0 {
		return nil, errors.New("the tag IP={ADDRESS,...} is missing or empty")
	}
	addrs := make([]netip.Addr, 0, min(len(list), maxAddrs))
	for _, one := range list[:min(len(list), maxAddrs)] {
		addr, ok := parseIPv4([]byte(one))
		if !ok {
			return nil, fmt.Errorf("IP: %q is not an IPv4 address", clip(one))
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

// number is the number of a tag, 0 if it is missing.
func (t netshTags) number(tag string, most uint64) (uint64, error) {
	text := t[tag]
	if text == "" {
		return 0, nil
	}
	value, ok := parseDecimal([]byte(text), most)
	if !ok {
		return 0, fmt.Errorf("%s %q is not one of the numbers 0 to %d", tag, clip(text), most)
	}
	return value, nil
}
