package netbios

import (
	"encoding/binary"
	"strconv"
)

// Opcode is the operation of a message, RFC 1002, Section 4.2.1.1; four bits.
type Opcode uint8

// The opcodes. RFC 1002 numbers refresh 8 in its list and 9 in the figure of Section 4.2.4; both are
// seen. OpMultihomed came with Windows.
const (
	OpQuery        Opcode = 0x0
	OpRegistration Opcode = 0x5
	OpRelease      Opcode = 0x6
	OpWack         Opcode = 0x7
	OpRefresh      Opcode = 0x8
	OpRefreshAlt   Opcode = 0x9
	OpMultihomed   Opcode = 0xf
)

// String returns the opcode in words, or its number.
func (o Opcode) String() string {
	switch o {
	case OpQuery:
		return "query"
	case OpRegistration:
		return "registration"
	case OpRelease:
		return "release"
	case OpWack:
		return "wack"
	case OpRefresh, OpRefreshAlt:
		return "refresh"
	case OpMultihomed:
		return "multihomed"
	}
	return "opcode " + strconv.Itoa(int(o))
}

// Flags are the bits of the header's flags word that are neither opcode nor rcode, in their places:
// R, NM_FLAGS and the reserved bits, RFC 1002, Section 4.2.1.1.
type Flags uint16

// The flags.
const (
	FlagResponse           Flags = 0x8000 // R
	FlagAuthoritative      Flags = 0x0400 // AA
	FlagTruncated          Flags = 0x0200 // TC
	FlagRecursionDesired   Flags = 0x0100 // RD
	FlagRecursionAvailable Flags = 0x0080 // RA
	FlagBroadcast          Flags = 0x0010 // B

	flagsMask = 0x87f0
)

// Rcode is the result in a response, RFC 1002, Sections 4.2.6, 4.2.11 and 4.2.14; four bits.
type Rcode uint8

// The rcodes.
const (
	RcodeOK             Rcode = 0x0
	RcodeFormat         Rcode = 0x1 // FMT_ERR: the request was malformed
	RcodeServer         Rcode = 0x2 // SRV_ERR: the server cannot process names
	RcodeName           Rcode = 0x3 // NAM_ERR: the name does not exist
	RcodeNotImplemented Rcode = 0x4 // IMP_ERR: the request is not supported
	RcodeRefused        Rcode = 0x5 // RFS_ERR: refused for reasons of policy
	RcodeActive         Rcode = 0x6 // ACT_ERR: the name is owned by another node
	RcodeConflict       Rcode = 0x7 // CFT_ERR: the name is in conflict
)

// String returns the short name of RFC 1002, or the number.
func (r Rcode) String() string {
	names := [...]string{"OK", "FMT_ERR", "SRV_ERR", "NAM_ERR", "IMP_ERR", "RFS_ERR", "ACT_ERR", "CFT_ERR"}
	if int(r) < len(names) {
		return names[r]
	}
	return "rcode " + strconv.Itoa(int(r))
}

// Header is the fixed part of a message without the section counts, RFC 1002, Section 4.2.1.1.
type Header struct {
	ID     uint16 // NAME_TRN_ID
	Opcode Opcode
	Flags  Flags
	Rcode  Rcode
}

// IsResponse reports whether the response bit is set.
func (h Header) IsResponse() bool { return h.Flags&FlagResponse != 0 }

// Word returns the flags word as it is on the wire: flags, opcode and rcode.
func (h Header) Word() uint16 {
	return uint16(h.Flags)&flagsMask | uint16(h.Opcode&15)<<11 | uint16(h.Rcode&15)
}

// headerOf is the reverse of Word.
func headerOf(id, word uint16) Header {
	return Header{
		ID:     id,
		Opcode: Opcode(word >> 11 & 15),
		Flags:  Flags(word & flagsMask),
		Rcode:  Rcode(word & 15),
	}
}

// counts are the numbers of questions, answers, authority and additional records.
type counts [4]uint16

// ParseHeader reads the fixed header. Its only error is ErrShort, for less than 12 octets.
func ParseHeader(b []byte) (Header, error) {
	h, _, err := parseHeader(b)
	return h, err
}

func parseHeader(b []byte) (h Header, c counts, err error) {
	if len(b) < headerLen {
		return h, c, ErrShort
	}
	for i := range c {
		c[i] = binary.BigEndian.Uint16(b[4+2*i:])
	}
	return headerOf(binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])), c, nil
}

func appendHeader(dst []byte, id, word uint16, c counts) []byte {
	dst = binary.BigEndian.AppendUint16(dst, id)
	dst = binary.BigEndian.AppendUint16(dst, word)
	for _, n := range c {
		dst = binary.BigEndian.AppendUint16(dst, n)
	}
	return dst
}
