package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// jsonStream reads what ConvertTo-Json writes: an array of objects, or the objects alone.
type jsonStream struct {
	x       *reading
	in      *budgetReader
	decoder *json.Decoder
}

func (x *reading) readDNSJSON() {
	in := &budgetReader{r: x.in, line: 1, left: maxLine}
	s := &jsonStream{x: x, in: in, decoder: json.NewDecoder(in)}
	array, err := startsArray(x.in)
	if err != nil {
		x.fatal("the file is empty, the JSON of Get-DnsServerResourceRecord would be right")
		return
	}
	if array {
		_, _ = s.decoder.Token()
	}
	for !x.stopped && s.decoder.More() {
		s.readElement()
	}
	s.readEnd(array)
}

// startsArray looks at the first octet that is no blank.
func startsArray(r *bufio.Reader) (bool, error) {
	for {
		c, err := r.ReadByte()
		if err != nil {
			return false, err
		}
		if strings.IndexByte(" \t\r\n", c) < 0 {
			return c == '[', r.UnreadByte()
		}
	}
}

func (s *jsonStream) readElement() {
	var raw json.RawMessage
	if err := s.decoder.Decode(&raw); err != nil {
		s.fail(err)
		return
	}
	end := s.in.lineAt(s.decoder.InputOffset())
	s.in.left = maxLine
	s.x.line = end - bytes.Count(raw, []byte("\n"))
	var object jsonRow
	if err := json.Unmarshal(raw, &object); err != nil {
		s.x.problem(0, "the element is no record of Get-DnsServerResourceRecord: %s", jsonMistake(err))
		return
	}
	s.x.takeRow(object.row(s.x.line))
}

// jsonMistake says which member has the wrong type.
func jsonMistake(err error) string {
	var mistake *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &mistake):
		return err.Error()
	case mistake.Field == "":
		return "it is a JSON " + mistake.Value + ", an object would be right"
	}
	return mistake.Field + " is a JSON " + mistake.Value + ", a string would be right"
}

func (s *jsonStream) readEnd(array bool) {
	if s.x.stopped {
		return
	}
	if array {
		if _, err := s.decoder.Token(); err != nil {
			s.fail(err)
			return
		}
	}
	if _, err := s.decoder.Token(); err != io.EOF {
		s.x.line = s.in.lineAt(s.decoder.InputOffset())
		s.x.fatal("something stands behind the end of the JSON")
	}
}

func (s *jsonStream) fail(err error) {
	at := s.decoder.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at = max(at, syntax.Offset)
	}
	s.x.line = s.in.lineAt(at)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		s.x.fatal("the file is cut off: the JSON does not end")
	case errors.Is(err, errBudget):
		s.x.fatal("an element is longer than %d octets", maxLine)
	default:
		s.x.fatal("this is no JSON, nothing behind it can be read: %w", err)
	}
}

// jsonRow is a record as ConvertTo-Json writes it. Values are kept as they are: what is a string in one
// version is an object in another.
type jsonRow struct {
	HostName, ZoneName, DistinguishedName   string
	RecordType, Type, Timestamp, RecordData json.RawMessage
	Data, IPAddress, Address, PtrDomainName json.RawMessage
	IPv4Address, IPv6Address                json.RawMessage
}

func (o *jsonRow) row(line int) *dnsRow {
	row := &dnsRow{
		line: line, host: o.HostName, kind: jsonText(o.RecordType), number: jsonText(o.Type),
		stamp: jsonText(o.Timestamp), zone: o.ZoneName, distinguished: o.DistinguishedName,
		address4: jsonText(o.IPv4Address), address6: jsonText(o.IPv6Address), recordData: jsonText(o.RecordData),
	}
	for _, raw := range []json.RawMessage{o.Data, o.IPAddress, o.Address, o.PtrDomainName} {
		if row.data == "" {
			row.data = jsonText(raw)
		}
	}
	if row.recordData == "" {
		row.setProperties(o.RecordData)
	}
	return row
}

// jsonText is a string, a number, or what stands for an address or a time in an object.
func jsonText(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '"':
		var text string
		_ = json.Unmarshal(raw, &text)
		return strings.TrimSpace(text)
	case '{':
		var object struct {
			IPAddressToString, Value, DateTime string
		}
		_ = json.Unmarshal(raw, &object)
		return firstOf(object.IPAddressToString, object.Value, object.DateTime)
	case 'n', 't', 'f', '[':
		return ""
	}
	return string(raw)
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// setProperties reads RecordData as an object: {"IPv4Address": ...} or the properties of a CimInstance,
// which are text: "IPv4Address = \"192.0.2.1\"". Other values are left out with the first "..." in them.
func (row *dnsRow) setProperties(raw json.RawMessage) {
	var object struct {
		IPv4Address, IPv6Address, CimInstanceProperties json.RawMessage
	}
	if json.Unmarshal(raw, &object) != nil {
		return
	}
	row.address4, row.address6 = firstOf(row.address4, jsonText(object.IPv4Address)), firstOf(row.address6, jsonText(object.IPv6Address))
	for _, property := range propertyList(object.CimInstanceProperties) {
		row.setProperty(property)
	}
}

func propertyList(raw json.RawMessage) []string {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	return []string{jsonText(raw)}
}

func (row *dnsRow) setProperty(text string) {
	name, value, _ := strings.Cut(text, "=")
	value, quoted := strings.CutPrefix(strings.TrimSpace(value), `"`)
	value, closed := strings.CutSuffix(value, `"`)
	if !quoted {
		return
	}
	if !closed || strings.HasSuffix(value, "...") {
		row.recordDataIsTruncated = true
		return
	}
	switch strings.TrimSpace(name) {
	case "IPv4Address":
		row.address4 = firstOf(row.address4, value)
	case "IPv6Address":
		row.address6 = firstOf(row.address6, value)
	}
}

var errBudget = errors.New("too long")

// budgetReader bounds what is read for one element and tells the lines of offsets.
type budgetReader struct {
	r    io.Reader
	left int // octets that may be read before the next element is complete

	offset int64   // read so far
	ends   []int64 // offsets of line ends that lineAt has not passed
	line   int     // at the offset that lineAt was asked for last
}

func (b *budgetReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errBudget
	}
	n, err := b.r.Read(p)
	b.left -= n
	for i, c := range p[:n] {
		if c == '\n' {
			b.ends = append(b.ends, b.offset+int64(i))
		}
	}
	b.offset += int64(n)
	return n, err
}

// lineAt is the line of an offset, which must not go back.
func (b *budgetReader) lineAt(offset int64) int {
	passed := 0
	for passed < len(b.ends) && b.ends[passed] < offset {
		passed++
	}
	b.line += passed
	b.ends = append(b.ends[:0], b.ends[passed:]...)
	return b.line
}
