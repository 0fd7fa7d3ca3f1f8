package dso

import (
	"encoding/binary"
	"fmt"

	"github.com/miekg/dns"
)

// Question is what a client subscribes to.
type Question struct {
	Name  string // fully qualified
	Type  uint16 // ANY: all types
	Class uint16 // ANY: all classes
}

// Subscribe asks for the records of a name and for their changes: RFC 8765, Section 6.2.1.
func Subscribe(q Question) (TLV, error) {
	data, err := q.append(nil)
	return TLV{Type: TypeSubscribe, Data: data}, err
}

// ParseSubscribe reads what is asked for.
func ParseSubscribe(data []byte) (Question, error) {
	q, rest, err := parseQuestion(TypeSubscribe, data)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d octets behind the class of a SUBSCRIBE", ErrForm, len(rest))
	}
	return q, err
}

// Unsubscribe ends the subscription that the request with this ID began: RFC 8765, Section 6.4.1.
func Unsubscribe(id uint16) TLV {
	return TLV{Type: TypeUnsubscribe, Data: binary.BigEndian.AppendUint16(nil, id)}
}

// ParseUnsubscribe reads the ID.
func ParseUnsubscribe(data []byte) (id uint16, err error) {
	if len(data) != 2 {
		return 0, wrongLength(TypeUnsubscribe, data, 2)
	}
	return binary.BigEndian.Uint16(data), nil
}

// Reconfirm says that the client doubts a record: RFC 8765, Section 6.5.1.
func Reconfirm(q Question, rdata []byte) (TLV, error) {
	data, err := q.append(nil)
	return TLV{Type: TypeReconfirm, Data: append(data, rdata...)}, err
}

// ParseReconfirm reads which record is doubted. It must be one record: ANY is no type and no class of it.
func ParseReconfirm(data []byte) (q Question, rdata []byte, err error) {
	if q, rdata, err = parseQuestion(TypeReconfirm, data); err == nil && (q.Type == dns.TypeANY || q.Class == dns.ClassANY) {
		err = fmt.Errorf("%w: a RECONFIRM of ANY", ErrForm)
	}
	return q, rdata, err
}

func (q Question) append(dst []byte) ([]byte, error) {
	name := make([]byte, maxName)
	n, err := dns.PackDomainName(q.Name, name, 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("the name %q: %w", q.Name, err)
	}
	dst = append(dst, name[:n]...)
	dst = binary.BigEndian.AppendUint16(dst, q.Type)
	return binary.BigEndian.AppendUint16(dst, q.Class), nil
}

// maxName is in octets: RFC 1035, Section 2.3.4.
const maxName = 255

func parseQuestion(t Type, data []byte) (q Question, rest []byte, err error) {
	n, ok := plainName(data)
	if !ok || len(data)-n < 4 {
		return q, nil, fmt.Errorf("%w: the %s TLV has no whole name, type and class", ErrForm, t)
	}
	if q.Name, _, err = dns.UnpackDomainName(data[:n], 0); err != nil {
		return q, nil, fmt.Errorf("%w: the name in the %s TLV: %v", ErrForm, t, err)
	}
	q.Type, q.Class = binary.BigEndian.Uint16(data[n:]), binary.BigEndian.Uint16(data[n+2:])
	return q, data[n+4:], nil
}

// plainName measures the name that data begins with. It must not be compressed: RFC 8765, Section 6.2.1.
func plainName(data []byte) (n int, ok bool) {
	for n < len(data) && n < maxName {
		label := int(data[n])
		n += 1 + label
		switch {
		case label == 0:
			return n, true
		case label > 63:
			return 0, false
		}
	}
	return 0, false
}

// What stands in the place of a TTL in a PUSH of something that is gone: RFC 8765, Section 6.3.1.
const (
	// Removed is the TTL of a record that is gone.
	Removed = 0xffffffff
	// AllRemoved is the TTL for all records of the name and the type, of the name if the type is ANY. There is no RDATA.
	AllRemoved = 0xfffffffe
	// MostTTL is the longest time of a record that is added.
	MostTTL = 0x7fffffff
)

// MaxPush is how many octets a PUSH message may have: RFC 8765, Section 6.3.1.
const MaxPush = 16382

// Change packs one record of a PUSH, with the TTL or one of the marks for what is gone. One that no PUSH can carry is
// an error.
func Change(rr dns.RR, ttl uint32) ([]byte, error) {
	buf := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("packing %s: %w", rr.Header(), err)
	}
	if n > MaxPush-HeaderLen-tlvHeaderLen {
		return nil, fmt.Errorf("%s is too long to be pushed: %d octets", rr.Header(), n)
	}
	SetTTL(buf[:n], ttl)
	return buf[:n:n], nil
}

// SetTTL writes the TTL of a packed change.
func SetTTL(change []byte, ttl uint32) {
	n, ok := plainName(change)
	if !ok {
		panic("dso: no packed record")
	}
	binary.BigEndian.PutUint32(change[n+4:], ttl)
}

// AllGone packs the change that all records of a type are gone, ANY for all there are, at the name of a packed one: RFC
// 8765, Section 6.3.1.
func AllGone(change []byte, rrtype uint16) []byte {
	n, ok := plainName(change)
	if !ok {
		panic("dso: no packed record")
	}
	out := append(make([]byte, 0, n+10), change[:n]...)
	out = binary.BigEndian.AppendUint16(out, rrtype)
	out = binary.BigEndian.AppendUint16(out, dns.ClassINET)
	out = binary.BigEndian.AppendUint32(out, AllRemoved)
	return append(out, 0, 0)
}

// AppendPush appends a PUSH message with as many of the packed changes as fit into one, and returns how many these
// are: at least one, if there is one.
func AppendPush(dst []byte, changes [][]byte) ([]byte, int) {
	start := len(dst)
	dst = appendHeader(dst, 0, false, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(TypePush))
	length := len(dst)
	dst = append(dst, 0, 0)
	n := 0
	for n < len(changes) && len(dst)-start+len(changes[n]) <= MaxPush {
		dst = append(dst, changes[n]...)
		n++
	}
	binary.BigEndian.PutUint16(dst[length:], uint16(len(dst)-length-2))
	return dst, n
}

// ParsePush reads the changes from the primary TLV of a message. Names in it may be compressed, which is why the whole
// message is needed. A record with a TTL of AllRemoved has no data.
func ParsePush(msg []byte, t TLV) ([]dns.RR, error) {
	end := t.At + len(t.Data)
	if len(t.Data) == 0 {
		return nil, fmt.Errorf("%w: a PUSH without a change", ErrForm)
	}
	var out []dns.RR
	for at := t.At; at < end; {
		rr, next, err := dns.UnpackRR(msg[:end], at)
		if err != nil {
			return nil, fmt.Errorf("%w: a change in a PUSH: %v", ErrForm, err)
		}
		out = append(out, rr)
		at = next
	}
	return out, nil
}
