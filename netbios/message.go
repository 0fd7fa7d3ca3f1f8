package netbios

import (
	"fmt"
	"math"
)

// Port is the UDP port of the name service, RFC 1002, Section 6.
const Port = 137

// MaxDatagram is the largest datagram of the name service in octets, RFC 1002, Section 6
// (MAX_DATAGRAM_LENGTH). Parse takes longer ones.
const MaxDatagram = 576

// maxEntries limits each section of a packet that is read. RFC 1002 knows no packet with more than one
// entry; the limit keeps a packet of pointers from growing in memory.
const maxEntries = 32

// Message is one packet of the name service, RFC 1002, Section 4.2.
type Message struct {
	Header
	Questions  []Question
	Answers    []Record
	Authority  []Record
	Additional []Record
}

// Parse reads a packet of any form. The message shares no memory with b. If the error is not ErrShort
// for want of a header, the message returned beside it has the header and nothing else.
func Parse(b []byte) (Message, error) {
	h, c, err := parseHeader(b)
	if err != nil {
		return Message{}, err
	}
	m := Message{Header: h}
	for _, n := range c {
		if n > maxEntries {
			return m, ErrCounts
		}
	}
	body, err := parseBody(b, h, c)
	if err != nil {
		return m, err
	}
	return body, nil
}

func parseBody(b []byte, h Header, c counts) (m Message, err error) {
	m.Header = h
	off := headerLen
	for i := range c[0] {
		var q Question
		if q, off, err = decodeQuestion(b, off); err != nil {
			return m, fmt.Errorf("question %d: %w", i+1, err)
		}
		m.Questions = append(m.Questions, q)
	}
	for i, section := range m.sections() {
		if *section, off, err = decodeRecords(b, off, h.Opcode, c[1+i]); err != nil {
			return m, fmt.Errorf("%s %w", sectionNames[i], err)
		}
	}
	return m, nil
}

func decodeRecords(b []byte, off int, op Opcode, n uint16) (records []Record, next int, err error) {
	for i := range n {
		var r Record
		if r, off, err = decodeRecord(b, off, op); err != nil {
			return nil, 0, fmt.Errorf("record %d: %w", i+1, err)
		}
		records = append(records, r)
	}
	return records, off, nil
}

// sections returns the record sections in the order of the wire.
func (m *Message) sections() [3]*[]Record {
	return [3]*[]Record{&m.Answers, &m.Authority, &m.Additional}
}

var sectionNames = [3]string{"answer", "authority", "additional"}

// Append appends the message as a packet. Errors are those of the caller: an invalid name, an address
// that is not IPv4, a record without data, too much of anything. dst is then returned as it was.
func (m Message) Append(dst []byte) ([]byte, error) {
	c, err := m.counts()
	if err != nil {
		return dst, err
	}
	b := appendHeader(dst, m.ID, m.Word(), c)
	for _, q := range m.Questions {
		if q.Name.kind != kindNetBIOS {
			return dst, fmt.Errorf("question name: %s", q.Name)
		}
		b = appendQuestion(b, q)
	}
	var question Name
	if len(m.Questions) > 0 {
		question = m.Questions[0].Name
	}
	for _, section := range m.sections() {
		for _, r := range *section {
			if b, err = appendRecord(b, r, question); err != nil {
				return dst, err
			}
		}
	}
	return b, nil
}

func (m Message) counts() (c counts, err error) {
	for i, n := range []int{len(m.Questions), len(m.Answers), len(m.Authority), len(m.Additional)} {
		if n > math.MaxUint16 {
			return c, fmt.Errorf("section has %d entries, at most %d fit", n, math.MaxUint16)
		}
		c[i] = uint16(n)
	}
	return c, nil
}
