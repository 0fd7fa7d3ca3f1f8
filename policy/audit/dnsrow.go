package audit

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/policy"
)

// dnsRow is one object of Get-DnsServerResourceRecord, as CSV and JSON have it.
type dnsRow struct {
	line                  int
	host                  string // relative to the zone, "@" for its apex
	kind                  string // RecordType, a word
	number                string // Type, the same as a number
	stamp                 string // Timestamp: empty or 0 for a record that is entered by hand
	zone, distinguished   string
	address4, address6    string // of RecordData, as far as they could be told apart
	data                  string // of a calculated column: the address, or what a PTR record points to
	recordData            string // of the column RecordData itself
	recordDataIsTruncated bool   // ConvertTo-Json shortens long values
}

// exportCommand is how the records are exported so that their addresses are in it.
const exportCommand = `Get-DnsServerResourceRecord -ZoneName corp.example | ` +
	`Select-Object HostName,RecordType,Timestamp,@{n='ZoneName';e={'corp.example'}},` +
	`@{n='Data';e={"$($_.RecordData.IPv4Address)$($_.RecordData.IPv6Address)$($_.RecordData.PtrDomainName)"}}`

var uselessData = regexp.MustCompile(`^(?:DnsServerResourceRecord\w*|Microsoft\.Management\.Infrastructure\..*|CimInstance.*)$`)

// takeRow gives the record of a row, if it carries an address.
func (x *reading) takeRow(row *dnsRow) {
	x.line = row.line
	rrtype, ok := row.rrtype()
	if !ok {
		x.problem(0, "the record type %q of %q is not known", clip(row.kind+row.number), clip(row.host))
		return
	}
	if rrtype != dns.TypeA && rrtype != dns.TypeAAAA && rrtype != dns.TypePTR {
		return
	}
	zone := row.zoneName(x.opts.Origin)
	if row.host == "" {
		x.problem(0, "the row has no HostName")
		return
	}
	if !x.checkName(row.host, zone) {
		return
	}
	r := x.begin(policy.Transfer, row.line)
	r.setDNS(absolute(row.host, zone), rrtype)
	r.Zone = zone
	r.setStamp(row.stamp)
	if rrtype == dns.TypePTR {
		r.addOwner()
	} else if !x.addRowAddr(row, rrtype) {
		return
	}
	x.emitWithAddrs()
}

// addRowAddr adds the address of an A or AAAA row. A column without data is the same in all rows, so it
// ends the reading.
func (x *reading) addRowAddr(row *dnsRow, rrtype uint16) bool {
	text := row.address(rrtype)
	switch {
	case text != "":
	case row.recordDataIsTruncated:
		x.problem(0, "RecordData of %q is cut off; export with: %s | ConvertTo-Json", clip(row.host), exportCommand)
		return false
	default:
		x.fatal("no column has the records' addresses (RecordData is only %q); export with: %s | Export-Csv -NoTypeInformation corp.csv",
			clip(row.recordData), exportCommand)
		return false
	}
	addr, err := addrOf(rrtype, text)
	if err != nil {
		x.problem(0, "%q: %w", clip(row.host), err)
		return false
	}
	x.rec.add(addr)
	return true
}

func (row *dnsRow) address(rrtype uint16) string {
	own := row.address4
	if rrtype == dns.TypeAAAA {
		own = row.address6
	}
	for _, text := range []string{own, row.data, row.recordData} {
		if text != "" && !uselessData.MatchString(text) {
			return text
		}
	}
	return ""
}

func (row *dnsRow) rrtype() (uint16, bool) {
	word := strings.ToUpper(row.kind)
	if word == "" || isNumber(word) {
		n, err := strconv.ParseUint(word+row.number, 10, 16)
		return uint16(n), err == nil
	}
	// Windows has types of its own, WINS and WINSR, which carry no address.
	return dns.StringToType[word], isWord(word)
}

// zoneName is the zone that the caller says, else that of a column. "" if there is none.
func (row *dnsRow) zoneName(origin string) string {
	for _, name := range []string{origin, row.zone, zoneOfDN(row.distinguished)} {
		if _, ok := dns.IsDomainName(name); ok && name != "" {
			return dns.CanonicalName(name)
		}
	}
	return ""
}

// zoneOfDN takes the zone out of DC=mail,DC=corp.example,cn=MicrosoftDNS,...
func zoneOfDN(dn string) string {
	parts := strings.Split(dn, ",")
	if len(parts) < 3 || !strings.EqualFold(strings.TrimSpace(parts[2]), "CN=MicrosoftDNS") {
		return ""
	}
	key, zone, _ := strings.Cut(strings.TrimSpace(parts[1]), "=")
	if !strings.EqualFold(key, "DC") {
		return ""
	}
	return zone
}

// setStamp sets Since. A time that is written in the way of a country cannot be read safely, so it
// becomes a detail.
func (r *Record) setStamp(text string) {
	if text == "" || text == "0" {
		r.Static = true
		return
	}
	since, ok := parseStamp(text)
	if !ok {
		r.Detail = "time stamp " + clip(text)
		return
	}
	r.Since = since
}

var jsonDate = regexp.MustCompile(`^/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/$`)

// stampLayouts: PowerShell 7 writes RFC 3339, and Export-Csv in the way of the country, of which only
// the American one can be told by its AM and PM. Times without a zone are taken for UTC.
var stampLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", time.DateTime, "1/2/2006 3:04:05 PM"}

func parseStamp(text string) (time.Time, bool) {
	if match := jsonDate.FindStringSubmatch(text); match != nil {
		ms, err := strconv.ParseInt(match[1], 10, 64)
		return time.UnixMilli(ms).UTC(), err == nil
	}
	for _, layout := range stampLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
