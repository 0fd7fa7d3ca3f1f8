package audit

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/policy"
)

// What dnscmd prints of a zone looks like a master file, with the time stamp of dynamic records behind
// the owner, in hours since 1601:
//
//	;  Zone:    corp.example
//	mail   [Aging:3705469] 1200 A  10.9.0.11
//	               1200 A  192.0.2.11
//
// /enumrecords names no zone and begins with "Returned records:".
type dnscmdText struct {
	x        *reading
	zone     string
	owner    string
	head     bool // the comment of /zoneprint was seen
	complete bool
}

func (x *reading) readDnscmd() {
	t := &dnscmdText{x: x, zone: zoneOrigin(x.opts.Origin, "")}
	for x.next() {
		t.readLine(string(x.text))
	}
	if t.head && !t.complete {
		x.fatal("the output is cut off: the line that tells its end is missing")
	}
}

func (t *dnscmdText) readLine(text string) {
	trimmed := strings.TrimSpace(text)
	lower := strings.ToLower(trimmed)
	switch {
	case trimmed == "", lower == "returned records:":
	case strings.HasPrefix(trimmed, ";"):
		t.readComment(strings.TrimSpace(strings.TrimLeft(trimmed, "; \t")))
	case strings.HasPrefix(lower, "enumerated zone:"):
		t.setZone(trimmed[len("enumerated zone:"):])
	case strings.HasPrefix(lower, "command completed"):
		t.complete = true
	case strings.HasPrefix(lower, "command failed"):
		t.x.fatal("dnscmd failed: %s", clip(trimmed))
	default:
		t.readRecord(text)
	}
}

func (t *dnscmdText) readComment(text string) {
	lower := strings.ToLower(text)
	switch {
	case strings.HasPrefix(lower, "zone:"):
		t.head = true
		t.setZone(text[len("zone:"):])
	case strings.HasPrefix(lower, "finished zone"):
		t.complete = true
	}
}

// setZone takes the zone of the text, unless the caller knows better.
func (t *dnscmdText) setZone(name string) {
	name = strings.TrimSpace(name)
	if _, ok := dns.IsDomainName(name); ok && name != "" && t.x.opts.Origin == "" {
		t.zone, t.owner = dns.CanonicalName(name), ""
	}
}

func (t *dnscmdText) readRecord(text string) {
	words := strings.Fields(text)
	if text[0] != ' ' && text[0] != '\t' {
		t.owner, words = words[0], words[1:]
	}
	if t.x.open {
		t.x.fatal("the output is cut off in this line")
		return
	}
	since, words, ok := aging(words)
	if !ok || len(words) < 2 || !isNumber(words[0]) || !isWord(words[1]) {
		t.x.problem(0, "the line is not NAME [Aging:HOURS] TTL TYPE DATA: %q", clip(text))
		return
	}
	rrtype := dns.StringToType[strings.ToUpper(words[1])]
	switch rrtype {
	case dns.TypeA, dns.TypeAAAA, dns.TypePTR:
		t.emit(rrtype, words[2:], since)
	}
}

// aging takes the time stamp off; records without one, or with none in it, are static.
func aging(words []string) (time.Time, []string, bool) {
	if len(words) == 0 || !strings.HasPrefix(strings.ToLower(words[0]), "[aging:") {
		return time.Time{}, words, true
	}
	number := words[0][len("[aging:"):]
	hours, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 32)
	if err != nil || !strings.HasSuffix(number, "]") {
		return time.Time{}, words, false
	}
	if hours == 0 {
		return time.Time{}, words[1:], true
	}
	return time.Unix(startOf1601+int64(hours)*3600, 0).UTC(), words[1:], true
}

// startOf1601 is 1601-01-01 in Unix time; a Duration cannot span so many years.
const startOf1601 = -11644473600

func (t *dnscmdText) emit(rrtype uint16, data []string, since time.Time) {
	if !t.checkOwner() {
		return
	}
	r := t.x.begin(policy.Transfer, t.x.line)
	r.setDNS(absolute(t.owner, t.zone), rrtype)
	r.Zone, r.Since, r.Static = t.zone, since, since.IsZero()
	if rrtype == dns.TypePTR {
		r.addOwner()
		t.x.emitWithAddrs()
		return
	}
	addr, err := addrOf(rrtype, strings.Join(data, " "))
	if err != nil {
		t.x.problem(0, "%w", err)
		return
	}
	r.add(addr)
	t.x.emitWithAddrs()
}

func (t *dnscmdText) checkOwner() bool {
	if t.owner == "" {
		t.x.problem(0, "the record has no owner name, and none stands before it")
		return false
	}
	return t.x.checkName(t.owner, t.zone)
}

// checkName reports an owner name that cannot be used. Without a zone, relative ones end the reading.
func (x *reading) checkName(owner, zone string) bool {
	if zone == "" && !dns.IsFqdn(owner) {
		x.fatal("the name %q is relative and the zone is not known: say it with --origin ZONE", clip(owner))
		return false
	}
	if _, ok := dns.IsDomainName(absolute(owner, zone)); !ok {
		x.problem(0, "%q is not a domain name", clip(owner))
		return false
	}
	return true
}

func (x *reading) emitWithAddrs() {
	if len(x.rec.Addrs) > 0 {
		x.emit()
	}
}

// addrOf reads the address of an A or AAAA record.
func addrOf(rrtype uint16, text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || typeOf(addr) != rrtype {
		return netip.Addr{}, &addrError{rrtype, text}
	}
	return addr, nil
}

type addrError struct {
	rrtype uint16
	text   string
}

func (e *addrError) Error() string {
	if e.rrtype == dns.TypeA {
		return strconv.Quote(clip(e.text)) + " is not an IPv4 address, as an A record has it"
	}
	return strconv.Quote(clip(e.text)) + " is not an IPv6 address, as an AAAA record has it"
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// isWord tells types, known or not, from data that stands where a type should.
func isWord(s string) bool {
	for _, c := range s {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && !isNumber(s)
}
