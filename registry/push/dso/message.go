package dso

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// Type is what a TLV is about, its DSO-TYPE.
type Type uint16

// The types: RFC 8490, Section 10.3, and RFC 8765, Section 8.
const (
	TypeKeepalive   Type = 0x0001
	TypeRetryDelay  Type = 0x0002
	TypePadding     Type = 0x0003
	TypeSubscribe   Type = 0x0040
	TypePush        Type = 0x0041
	TypeUnsubscribe Type = 0x0042
	TypeReconfirm   Type = 0x0043
)

var typeNames = map[Type]string{
	TypeKeepalive: "Keepalive", TypeRetryDelay: "Retry Delay", TypePadding: "Encryption Padding",
	TypeSubscribe: "SUBSCRIBE", TypePush: "PUSH", TypeUnsubscribe: "UNSUBSCRIBE", TypeReconfirm: "RECONFIRM",
}

func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return "DSO-TYPE " + strconv.Itoa(int(t))
}

// Opcode is that of DSO messages: RFC 8490, Section 5.4.
const Opcode = 6

// HeaderLen is the length of the header in octets.
const HeaderLen = 12

// TLV is one of the parts of a message.
type TLV struct {
	Type Type
	Data []byte // of a parsed message: a part of its octets
	// At is where Data begins in the message, of a parsed one; compressed names lead there.
	At int
}

// Message is a DSO message. The first TLV is the primary one; a response may have none.
type Message struct {
	ID       uint16 // 0: unidirectional, nobody answers
	Response bool
	Rcode    uint8
	TLVs     []TLV
}

// IsRequest reports a message that wants a response.
func (m *Message) IsRequest() bool { return m.ID != 0 && !m.Response }

// IsUnidirectional reports a message that wants none.
func (m *Message) IsUnidirectional() bool { return m.ID == 0 && !m.Response }

// Primary is the type of the first TLV, 0 when there is none.
func (m *Message) Primary() Type {
	if len(m.TLVs) == 0 {
		return 0
	}
	return m.TLVs[0].Type
}

// Find returns the data of an additional TLV.
func (m *Message) Find(t Type) (data []byte, ok bool) {
	for _, tlv := range m.TLVs[min(1, len(m.TLVs)):] {
		if tlv.Type == t {
			return tlv.Data, true
		}
	}
	return nil, false
}

// The errors of messages that are not well formed. Their header was read, if it is there.
var (
	ErrShort = errors.New("the message has no whole header")
	ErrForm  = errors.New("the message is not well formed")
)

// OpcodeOf returns the opcode of a DNS message, which has a whole header.
func OpcodeOf(msg []byte) int { return int(msg[2]>>3) & 15 }

// Parse reads a message with the opcode of DSO. After ErrForm the header of the message is right, and what TLVs there
// are in front of the mistake. The data of the TLVs stays in msg.
func Parse(msg []byte) (Message, error) {
	if len(msg) < HeaderLen {
		return Message{}, ErrShort
	}
	// The Z bits are ignored on receipt: RFC 8490, Section 5.4.
	m := Message{ID: binary.BigEndian.Uint16(msg), Response: msg[2]&0x80 != 0, Rcode: msg[3] & 15}
	if binary.BigEndian.Uint64(msg[4:]) != 0 {
		return m, fmt.Errorf("%w: a count is not zero", ErrForm)
	}
	for at := HeaderLen; at < len(msg); {
		if len(msg)-at < tlvHeaderLen {
			return m, fmt.Errorf("%w: %d octets behind the last TLV", ErrForm, len(msg)-at)
		}
		t, n := Type(binary.BigEndian.Uint16(msg[at:])), int(binary.BigEndian.Uint16(msg[at+2:]))
		at += tlvHeaderLen
		if n > len(msg)-at {
			return m, fmt.Errorf("%w: the %s TLV is to have %d octets, %d are left", ErrForm, t, n, len(msg)-at)
		}
		m.TLVs = append(m.TLVs, TLV{t, msg[at : at+n : at+n], at})
		at += n
	}
	if !m.Response && len(m.TLVs) == 0 {
		return m, fmt.Errorf("%w: there is no TLV", ErrForm)
	}
	return m, nil
}

const tlvHeaderLen = 4

// Append appends the message as it goes over the wire, without the length that stands in front of it there. TLVs that
// do not fit into 65,535 octets are our own mistake, and panic.
func (m *Message) Append(dst []byte) []byte {
	dst = appendHeader(dst, m.ID, m.Response, m.Rcode)
	for _, t := range m.TLVs {
		dst = t.Append(dst)
	}
	return dst
}

// Append appends the TLV as it goes over the wire.
func (t TLV) Append(dst []byte) []byte {
	if len(t.Data) > 0xffff {
		panic("dso: a TLV is too long")
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(t.Type))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(t.Data)))
	return append(dst, t.Data...)
}

func appendHeader(dst []byte, id uint16, isResponse bool, rcode uint8) []byte {
	dst = binary.BigEndian.AppendUint16(dst, id)
	flags := byte(Opcode << 3)
	if isResponse {
		flags |= 0x80
	}
	return append(dst, flags, rcode&15, 0, 0, 0, 0, 0, 0, 0, 0)
}
