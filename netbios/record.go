package netbios

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// Type is the type of a question or record, RFC 1002, Sections 4.2.1.2 and 4.2.1.3.
type Type uint16

// The types.
const (
	TypeA      Type = 0x0001
	TypeNS     Type = 0x0002
	TypeNull   Type = 0x000a
	TypeNB     Type = 0x0020
	TypeNBSTAT Type = 0x0021
)

// String returns the name of the type, or its number.
func (t Type) String() string {
	switch t {
	case TypeA:
		return "A"
	case TypeNS:
		return "NS"
	case TypeNull:
		return "NULL"
	case TypeNB:
		return "NB"
	case TypeNBSTAT:
		return "NBSTAT"
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// Class is the class of a question or record; only ClassIN is in use.
type Class uint16

// ClassIN is the Internet class.
const ClassIN Class = 1

// Question is one entry of the question section, RFC 1002, Section 4.2.1.2.
type Question struct {
	Name  Name
	Type  Type
	Class Class
}

// Record is one resource record, RFC 1002, Section 4.2.1.3.
type Record struct {
	Name  Name
	Type  Type
	Class Class
	TTL   uint32 // seconds; 0 means that the record does not expire
	Data  RData
}

const (
	questionTail = 4  // type, class
	recordTail   = 10 // type, class, TTL, data length
	// namePointer points to the first name of a packet, RFC 1002, Section 4.2.2.
	namePointer = 0xc000 | headerLen
)

func appendQuestion(dst []byte, q Question) []byte {
	dst = appendName(dst, q.Name)
	dst = binary.BigEndian.AppendUint16(dst, uint16(q.Type))
	return binary.BigEndian.AppendUint16(dst, uint16(q.Class))
}

// decodeQuestion reads the question at off and returns the offset behind it.
func decodeQuestion(b []byte, off int) (q Question, next int, err error) {
	name, off, err := decodeName(b, off)
	if err != nil {
		return q, 0, err
	}
	if name.kind != kindNetBIOS {
		return q, 0, ErrName
	}
	if len(b)-off < questionTail {
		return q, 0, ErrShort
	}
	q = Question{
		Name:  name,
		Type:  Type(binary.BigEndian.Uint16(b[off:])),
		Class: Class(binary.BigEndian.Uint16(b[off+2:])),
	}
	return q, off + questionTail, nil
}

// appendRecord appends a record; its name is a pointer if it is that of the question.
func appendRecord(dst []byte, r Record, question Name) ([]byte, error) {
	if !r.Name.IsValid() {
		return dst, fmt.Errorf("record name: %s", r.Name)
	}
	if r.Data == nil {
		return dst, fmt.Errorf("record %s %s has no data", r.Name, r.Type)
	}
	if r.Name == question {
		dst = binary.BigEndian.AppendUint16(dst, namePointer)
	} else {
		dst = appendName(dst, r.Name)
	}
	dst = appendRecordTail(dst, r.Type, r.Class, r.TTL, 0)
	begin := len(dst)
	dst, err := r.Data.appendTo(dst)
	if err != nil {
		return dst, fmt.Errorf("record %s %s: %w", r.Name, r.Type, err)
	}
	n := len(dst) - begin
	if n > math.MaxUint16 {
		return dst, fmt.Errorf("record %s %s: %d octets of data, at most %d fit", r.Name, r.Type, n, math.MaxUint16)
	}
	binary.BigEndian.PutUint16(dst[begin-2:], uint16(n))
	return dst, nil
}

func appendRecordTail(dst []byte, t Type, c Class, ttl uint32, length int) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(t))
	dst = binary.BigEndian.AppendUint16(dst, uint16(c))
	dst = binary.BigEndian.AppendUint32(dst, ttl)
	return binary.BigEndian.AppendUint16(dst, uint16(length))
}

// decodeRecord reads the record at off and returns the offset behind it.
func decodeRecord(b []byte, off int, op Opcode) (r Record, next int, err error) {
	r.Name, off, err = decodeName(b, off)
	if err != nil {
		return Record{}, 0, err
	}
	if len(b)-off < recordTail {
		return Record{}, 0, ErrShort
	}
	r.Type = Type(binary.BigEndian.Uint16(b[off:]))
	r.Class = Class(binary.BigEndian.Uint16(b[off+2:]))
	r.TTL = binary.BigEndian.Uint32(b[off+4:])
	end := off + recordTail + int(binary.BigEndian.Uint16(b[off+8:]))
	if end > len(b) {
		return Record{}, 0, ErrShort
	}
	if r.Data, err = decodeRData(b, off+recordTail, end, op, r.Type); err != nil {
		return Record{}, 0, err
	}
	if r.Name.IsDomain() && needsNetBIOSName(r.Data) {
		return Record{}, 0, ErrName
	}
	return r, end, nil
}

// needsNetBIOSName reports whether a record with such data belongs to a NetBIOS name. The others may
// belong to a domain, RFC 1002, Sections 4.2.15 and 4.2.16.
func needsNetBIOSName(d RData) bool {
	switch d.(type) {
	case NB, NodeStatus:
		return true
	}
	return false
}
