package audit

import (
	"bytes"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// maxGenerated bounds what the $GENERATE lines of one file make together.
const maxGenerated = 1 << 20

// zoneFile reads a master file entry by entry: an entry is a directive or a record with all its lines.
// The parser of the dns package gets one entry at a time. That gives every record its line, and lets
// the reading go on behind an entry that is wrong.
type zoneFile struct {
	x       *reading
	sets    rrsets
	origin  string // fully qualified; "" if not known
	owner   string // of the record before, for one that begins with a blank
	entry   []byte
	start   int // line in which the entry begins
	depth   int // parentheses that are open
	made    int // records made by $GENERATE
	content bytes.Reader
}

func (x *reading) readZone() {
	z := &zoneFile{x: x, origin: zoneOrigin(x.opts.Origin, x.file)}
	z.sets = rrsets{x: x, zone: z.origin}
	for x.next() {
		z.addLine()
	}
	if z.depth > 0 {
		z.sets.flush()
		x.fatal("the file is cut off: the parenthesis of the record in line %d is not closed", z.start)
	}
	z.sets.flush()
}

// zoneOrigin is the zone as the caller says it, else as the file is named.
func zoneOrigin(origin, file string) string {
	if origin != "" {
		return dns.CanonicalName(origin)
	}
	base := strings.ToLower(path.Base(filepath.ToSlash(file)))
	for _, suffix := range []string{".zone", ".dns", ".db"} {
		if name, ok := strings.CutSuffix(base, suffix); ok {
			return zoneLike(name)
		}
	}
	if name, ok := strings.CutPrefix(base, "db."); ok {
		return zoneLike(name)
	}
	return ""
}

// zoneLike takes names of files for zones only if they look like them: db.10 does not.
func zoneLike(name string) string {
	_, ok := dns.IsDomainName(name)
	if !ok || !strings.Contains(name, ".") || strings.Trim(name, "0123456789.") == "" {
		return ""
	}
	return dns.CanonicalName(name)
}

// addLine adds a line to the entry and reads the entry if it is complete.
func (z *zoneFile) addLine() {
	if z.depth == 0 {
		z.start, z.entry = z.x.line, z.entry[:0]
	}
	// The parser takes no line end for a blank, although it is one inside of parentheses.
	z.entry = append(append(z.entry, z.x.text...), " \n"...)
	depth, quoted := openParens(z.depth, z.x.text)
	z.depth = depth
	switch {
	case quoted:
		z.sets.flush()
		z.depth = 0
		z.x.problem(0, "a quotation mark is not closed on its line")
	case len(z.entry) > maxLine:
		z.x.fatal("the record that begins in line %d is longer than %d octets: a parenthesis may not be closed", z.start, maxLine)
	case z.depth == 0:
		z.readEntry()
	}
}

// openParens counts parentheses through a line, RFC 1035, Section 5.1. Those in quotes and comments do
// not count. Quoted tells that a quotation mark is open at the end of the line: a text may not go on in
// the next one here, so that a mark that is forgotten does not swallow the rest of the file.
func openParens(depth int, line []byte) (open int, quoted bool) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';':
			return depth, false
		case c == '(':
			depth++
		case c == ')':
			depth = max(depth-1, 0)
		}
	}
	return depth, quoted
}

func (z *zoneFile) readEntry() {
	first, rest := firstWord(z.entry)
	switch {
	case len(first) == 0 && len(bytes.TrimSpace(rest)) == 0:
	case bytes.EqualFold(first, []byte("$ORIGIN")):
		z.setOrigin(rest)
	case bytes.EqualFold(first, []byte("$INCLUDE")):
		z.sets.flush()
		z.x.problemAt(z.start, "$INCLUDE is not followed: audit that file as a source of its own")
	case bytes.EqualFold(first, []byte("$GENERATE")):
		z.parse(maxGenerated - z.made)
	case bytes.EqualFold(first, []byte("$TTL")):
		z.parse(1)
	default:
		z.readRecord(first)
	}
}

// firstWord splits an entry behind its first word, which is empty if the entry begins with a blank.
// A comment is no word.
func firstWord(entry []byte) (first, rest []byte) {
	end := bytes.IndexAny(entry, " \t\n;(")
	first, rest = entry[:end], entry[end:]
	if trimmed := bytes.TrimLeft(rest, " \t\n"); len(trimmed) == 0 || trimmed[0] == ';' && bytes.Count(rest, []byte("\n")) == 1 {
		rest = nil
	}
	return first, rest
}

func (z *zoneFile) setOrigin(rest []byte) {
	words := bytes.Fields(rest)
	if len(words) == 0 {
		z.x.problemAt(z.start, "$ORIGIN has no name behind it")
		return
	}
	name := string(words[0])
	if _, ok := dns.IsDomainName(name); !ok || z.origin == "" && !dns.IsFqdn(name) {
		z.x.problemAt(z.start, "$ORIGIN %s: a domain name with a dot at its end would be right", clip(name))
		return
	}
	if z.origin = absolute(name, z.origin); z.sets.zone == "" {
		z.sets.zone = z.origin
	}
}

func (z *zoneFile) readRecord(first []byte) {
	switch {
	case len(first) > 0:
		if !z.knows(string(first)) {
			return
		}
	case z.owner == "":
		z.x.problemAt(z.start, "the record has no owner name, and none stands before it")
		return
	default:
		z.entry = append([]byte(z.owner), z.entry...)
	}
	z.parse(1)
}

// knows notes the owner name and stops the reading if it cannot be completed.
func (z *zoneFile) knows(owner string) bool {
	if z.origin == "" && !dns.IsFqdn(owner) {
		z.sets.flush()
		z.x.problemAt(z.start, "%s is relative and the zone is not known", clip(owner))
		z.x.fatal("which zone this is cannot be told: say it with --origin ZONE, or write $ORIGIN")
		return false
	}
	if _, ok := dns.IsDomainName(owner); ok {
		z.owner = absolute(owner, z.origin)
	}
	return true
}

// parse reads the entry with the parser; at most limit records come of it.
func (z *zoneFile) parse(limit int) {
	z.content.Reset(z.entry)
	parser := dns.NewZoneParser(&z.content, z.origin, "")
	parser.SetDefaultTTL(3600) // so that no TTL is missed; they do not matter here
	rr, ok := parser.Next()
	for n := 0; ok && !z.x.stopped; n++ {
		if n == limit {
			z.x.problemAt(z.start, "$GENERATE made %d records by now, the rest was passed over", maxGenerated)
			return
		}
		z.take(rr)
		if limit == 1 {
			break
		}
		z.made++
		rr, ok = parser.Next()
	}
	if err := parser.Err(); err != nil {
		z.fail(err)
	}
}

func (z *zoneFile) take(rr dns.RR) {
	if soa, ok := rr.(*dns.SOA); ok {
		z.sets.zone = dns.CanonicalName(soa.Hdr.Name)
	}
	z.sets.add(rr, z.start)
}

var parseErrorText = regexp.MustCompile(`^(?:dns: )?(?s:(.*)) at line: (\d+):\d+$`)

// fail reports what the parser says, with the line of the file.
func (z *zoneFile) fail(err error) {
	text, line := err.Error(), z.start
	if match := parseErrorText.FindStringSubmatch(text); match != nil {
		n, _ := strconv.Atoi(match[2])
		text, line = match[1], z.start+max(n-1, 0)
	}
	z.sets.flush()
	z.x.problemAt(min(line, z.x.line), "this is no record: %s", clip(text))
}
