package audit

import (
	"bytes"
	"net/netip"
	"regexp"
	"strings"

	"github.com/nameward/nameward/policy"
)

// What netsh shows of a WINS database is a heading, a line for each record and, for names with several
// addresses, lines with further addresses:
//
//	NAME            -T-S-  VERSION  -G-   IP ADDRESS    -  EXPIRATION DATE
//	MAIL     [20h]  -D-A-  1a3      -U-   10.9.0.11     -  6/12/2026 10:22:13 AM
//
// T is how it came (Dynamic, Static), S its state (Active, Released, Tombstone), G the type (Unique,
// Group or Normal group, Internet group, Multihomed). Blanks, dashes and bars between the columns are
// of no account.
type netshDatabase struct {
	x       *reading
	head    bool   // the heading was seen
	last    bool   // the owner is the last address of a record's line
	owner   string // of the section
	record  bool   // the lines with addresses belong to a record
	pending bool   // that record is to be given
}

var (
	netshSuffix = regexp.MustCompile(`\[([0-9A-Fa-f]{2})h\]`)
	netshAddr   = regexp.MustCompile(`(?:^|[^0-9.])((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?:$|[^0-9.])`)
	netshOwner  = regexp.MustCompile(`(?i)\bowner\b[^:]*:\s*(\S+)`)
	netshNoise  = regexp.MustCompile(`(?i)^(?:\*\*\*|[-=\s|]+$|total|command completed|displaying|retrieving|retrieved|changed|no records|press|name\b|owner|netsh)`)
)

const netshSeparators = " \t-|"

func (x *reading) readNetshDatabase() {
	t := &netshDatabase{x: x}
	for x.next() {
		t.readLine(x.text)
	}
	t.flush()
	if !t.head && !x.stopped {
		t.failHead()
	}
}

func (t *netshDatabase) failHead() {
	t.x.fatal("the heading NAME ... VERSION ... IP ADDRESS ... EXPIRATION DATE is missing: only the English output of " +
		"netsh wins server show database is understood; run it where Windows displays English")
}

func (t *netshDatabase) readLine(text []byte) {
	upper := strings.ToUpper(string(text))
	switch at := netshSuffix.FindIndex(text); {
	case isNetshHead(upper):
		t.flush()
		t.head, t.record = true, false
		t.last = strings.LastIndex(upper, "OWNER") > strings.Index(upper, "IP")
	case at != nil && !t.head:
		t.failHead()
	case at != nil:
		t.flush()
		t.readRecord(text, at)
	case netshOwner.Match(text):
		t.flush()
		t.owner, t.record = string(netshOwner.FindSubmatch(text)[1]), false
	default:
		t.readRest(text)
	}
}

// failCut gives what is complete. netsh ends its last line; a line without an end may want the last
// digits of an address.
func (t *netshDatabase) failCut() {
	t.flush()
	t.x.fatal("the output is cut off in this line")
}

func isNetshHead(upper string) bool {
	return strings.Contains(upper, "NAME") && strings.Contains(upper, "VERSION") && strings.Contains(upper, "IP")
}

// readRest reads a line that begins no record: further addresses, or what netsh says besides.
func (t *netshDatabase) readRest(text []byte) {
	trimmed := bytes.Trim(text, netshSeparators)
	addrs, _, _ := netshAddrs(trimmed)
	switch {
	case len(trimmed) == 0 || !t.head || netshNoise.Match(trimmed):
	case t.x.open:
		t.failCut()
	case t.record && len(addrs) > 0 && bytes.HasPrefix(trimmed, []byte(addrs[0])):
		t.addAddrs(addrs)
	default:
		t.x.problem(0, "the line is neither a record (NAME [20h] ...) nor an address of one: %q", clip(trimmed))
	}
}

// netshAddrs finds the addresses of a line and what stands before and behind them.
func netshAddrs(text []byte) (addrs []string, before, behind string) {
	end := 0
	for len(addrs) < maxAddrs {
		match := netshAddr.FindSubmatchIndex(text[end:])
		if match == nil {
			break
		}
		if len(addrs) == 0 {
			before = string(text[:match[2]])
		}
		addrs = append(addrs, string(text[end+match[2]:end+match[3]]))
		end += match[3]
	}
	if len(addrs) == 0 {
		return nil, string(text), ""
	}
	return addrs, before, strings.Trim(string(text[end:]), netshSeparators)
}

func (t *netshDatabase) readRecord(text []byte, at []int) {
	t.record = false
	addrs, columns, expires := netshAddrs(text[at[1]:])
	fields, ok := splitNetshColumns(columns)
	switch {
	case t.x.open:
		t.failCut()
		return
	case !ok:
		t.x.problem(at[1]+1, "the columns behind the name are not D or S, A, R or T, the version, and U, G, N, I or M: %q", clip(strings.TrimSpace(columns)))
		return
	}
	suffix, _ := parseHexByte(text[at[0]+1 : at[0]+3])
	name, err := nameOf(bytes.TrimLeft(text[:at[0]], " \t"), suffix)
	if err != nil {
		t.x.problem(1, "%w", err)
		return
	}
	t.record = true
	if fields.state != 'A' {
		t.x.passed.Add(1)
		return
	}
	r := t.x.begin(policy.WINS, t.x.line)
	r.setFolded(name)
	r.Static, r.Group = fields.class == 'S', fields.group != 'U' && fields.group != 'M'
	owner := t.owner
	if t.last && len(addrs) > 1 {
		owner, addrs = addrs[len(addrs)-1], addrs[:len(addrs)-1]
	}
	r.Detail = netshDetail(owner, firstOf(expires, fields.rest), fields.version)
	t.pending = true
	t.addAddrs(addrs)
}

func netshDetail(owner, expires, version string) string {
	parts := make([]string, 0, 3)
	if owner != "" {
		parts = append(parts, "owner "+clip(owner))
	}
	parts = append(parts, "version "+clip(version))
	if expires != "" {
		parts = append(parts, "expires "+clip(expires))
	}
	return strings.Join(parts, ", ")
}

func (t *netshDatabase) addAddrs(addrs []string) {
	if !t.pending {
		return
	}
	for _, text := range addrs {
		addr, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			t.x.problem(0, "%q is not an IPv4 address", clip(text))
		case len(t.x.rec.Addrs) < maxAddrs:
			t.x.rec.add(addr)
		}
	}
}

func (t *netshDatabase) flush() {
	if t.pending {
		t.x.emit()
	}
	t.pending = false
}

// netshColumns are the columns between the suffix and the addresses.
type netshColumns struct {
	class, state, group byte
	version, rest       string
}

// splitNetshColumns reads D or S and the state in either order, the version in one or two words, and
// the type.
func splitNetshColumns(text string) (c netshColumns, ok bool) {
	words := strings.FieldsFunc(text, func(char rune) bool { return strings.ContainsRune(netshSeparators, char) })
	if len(words) < 4 {
		return c, false
	}
	if letterOf(words[0], stateWords) != 0 {
		words[0], words[1] = words[1], words[0]
	}
	c.class, c.state = letterOf(words[0], classWords), letterOf(words[1], stateWords)
	at := 3
	if c.group = letterOf(words[at], groupWords); c.group == 0 && len(words) > 4 {
		at = 4
		c.group = letterOf(words[at], groupWords)
	}
	c.version, c.rest = strings.Join(words[2:at], " "), strings.Join(words[at+1:], " ")
	return c, c.class != 0 && c.state != 0 && c.group != 0 && strings.Trim(c.version, "0123456789abcdefABCDEFx ") == ""
}

var (
	classWords = []string{"DYNAMIC", "STATIC"}
	stateWords = []string{"ACTIVE", "RELEASED", "TOMBSTONE", "TOMBSTONED"}
	groupWords = []string{"UNIQUE", "GROUP", "NORMAL", "INTERNET", "MULTIHOMED"}
)

// letterOf is the letter of a column: words holds the long forms. 0 for what is none of them.
func letterOf(word string, words []string) byte {
	word = strings.ToUpper(word)
	for _, long := range words {
		if word == long || word == long[:1] {
			return long[0]
		}
	}
	return 0
}
