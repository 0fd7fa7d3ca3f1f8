package nbpcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Lengths of RFC 1035, Sections 4.1.1, 4.1.3 and 4.2.2.
const (
	prefixLen    = 2
	dnsHeaderLen = 12
	minQuestion  = 5
	minRecord    = 11
)

var errUnfinished = errors.New("TCP stream dropped: too many octets of unfinished messages")

// stream is one direction of a TCP connection, cut into messages.
type stream struct {
	of       *streams
	src, dst netip.AddrPort
	first    uint32 // sequence number of SYN
	next     uint32 // that of the octet that comes next
	inStep   bool   // the next octet is the expected one of a message
	buf      []byte // an unfinished message with its length
}

// feed takes octets that begin a chunk: a segment, or a part of a long one.
func (s *stream) feed(chunk []byte) {
	s.next += uint32(len(chunk))
	if !s.inStep {
		if !startsMessage(chunk) {
			return
		}
		s.inStep = true
	}
	for len(chunk) > 0 && s.inStep {
		chunk = s.take(chunk)
	}
}

// take takes the octets of one message and returns the others.
func (s *stream) take(b []byte) []byte {
	if len(s.buf) == 0 {
		if n, ok := messageLen(b); ok && n >= dnsHeaderLen && len(b) >= prefixLen+n {
			s.of.found(s, bytes.Clone(b[prefixLen:prefixLen+n]), nil)
			return b[prefixLen+n:]
		}
	}
	want := prefixLen
	n, ok := messageLen(s.buf)
	if ok {
		want += n
	}
	k := min(want-len(s.buf), len(b))
	if !s.keep(b[:k]) {
		return nil
	}
	if n, ok = messageLen(s.buf); ok && n < dnsHeaderLen {
		s.lose(fmt.Errorf("TCP stream with a DNS message of %d octets", n))
	} else if ok && len(s.buf) == prefixLen+n {
		message := s.buf[prefixLen:]
		s.forget()
		s.of.found(s, message, nil)
	}
	return b[k:]
}

// keep adds octets to the unfinished message.
func (s *stream) keep(b []byte) bool {
	before := cap(s.buf)
	if s.of.octets+len(b) > maxUnfinished {
		s.lose(errUnfinished)
		return false
	}
	s.buf = append(s.buf, b...)
	s.of.octets += cap(s.buf) - before
	return true
}

// forget gives the buffer away.
func (s *stream) forget() {
	s.of.octets -= cap(s.buf)
	s.buf = nil
}

// lose reports that messages are lost; at a chunk that looks like the start of one it goes on.
func (s *stream) lose(err error) {
	if s.inStep {
		s.of.found(s, nil, err)
	}
	s.inStep = false
	s.forget()
}

// skip passes over octets that were not captured.
func (s *stream) skip(n int) {
	s.next += uint32(n)
	s.lose(fmt.Errorf("TCP stream without %d octets that were not captured", n))
}

func (s *stream) end() {
	if len(s.buf) > 0 {
		s.lose(errors.New("TCP stream ends inside a DNS message"))
	}
}

// messageLen reads the length before a message, RFC 1035, Section 4.2.2.
func messageLen(b []byte) (n int, ok bool) {
	if len(b) < prefixLen {
		return 0, false
	}
	return int(binary.BigEndian.Uint16(b)), true
}

// startsMessage reports whether a chunk looks like the start of a message: a length, and a header whose
// counts fit into it.
func startsMessage(b []byte) bool {
	n, ok := messageLen(b)
	if !ok || n < dnsHeaderLen || len(b) < prefixLen+dnsHeaderLen {
		return false
	}
	header := b[prefixLen:]
	const opcodeUpdate, zero = 5, 0x40 // RFC 2136, Section 2.2; RFC 1035, Section 4.1.1
	if opcode := header[2] >> 3 & 0xf; opcode > opcodeUpdate || header[3]&zero != 0 {
		return false
	}
	questions := int(binary.BigEndian.Uint16(header[4:]))
	records := 0
	for at := 6; at < dnsHeaderLen; at += 2 {
		records += int(binary.BigEndian.Uint16(header[at:]))
	}
	return questions <= 1 && dnsHeaderLen+questions*minQuestion+records*minRecord <= n
}
