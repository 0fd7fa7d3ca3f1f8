package dso

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Forever is the time that stands for no timeout at all: RFC 8490, Sections 6.4.2 and 6.5.2.
const Forever = 0xffffffff * time.Millisecond

// LeastKeepalive is the shortest keepalive interval that a server may set: RFC 8490, Section 6.5.2.
const LeastKeepalive = 10 * time.Second

// DefaultTimeout is the inactivity timeout and the keepalive interval of a session in which nothing else was said: RFC
// 8490, Section 6.2.
const DefaultTimeout = 15 * time.Second

// Keepalive sets the timers of a session, in whole milliseconds: RFC 8490, Section 7.1.
func Keepalive(inactivity, interval time.Duration) TLV {
	data := binary.BigEndian.AppendUint32(nil, milliseconds(inactivity))
	return TLV{Type: TypeKeepalive, Data: binary.BigEndian.AppendUint32(data, milliseconds(interval))}
}

// ParseKeepalive reads the timers of a session.
func ParseKeepalive(data []byte) (inactivity, interval time.Duration, err error) {
	if len(data) != 8 {
		return 0, 0, wrongLength(TypeKeepalive, data, 8)
	}
	return duration(data), duration(data[4:]), nil
}

// RetryDelay says for how long what was asked for is not to be asked for again or, in a unidirectional message, that the
// session is to be ended and for how long not to come back: RFC 8490, Section 7.2.
func RetryDelay(d time.Duration) TLV {
	return TLV{Type: TypeRetryDelay, Data: binary.BigEndian.AppendUint32(nil, milliseconds(d))}
}

// ParseRetryDelay reads the delay.
func ParseRetryDelay(data []byte) (time.Duration, error) {
	if len(data) != 4 {
		return 0, wrongLength(TypeRetryDelay, data, 4)
	}
	return duration(data), nil
}

// Padding is so many octets that say nothing: RFC 8490, Section 7.3.
func Padding(octets int) TLV { return TLV{Type: TypePadding, Data: make([]byte, octets)} }

// PadTo fills a message of so many octets up to a whole multiple of block octets, of which the padding's own header
// is a part: RFC 8467, Section 4.1.
func PadTo(block, octets int) TLV {
	return Padding((block - (octets+tlvHeaderLen)%block) % block)
}

func milliseconds(d time.Duration) uint32 { return uint32(min(max(d, 0), Forever) / time.Millisecond) }

func duration(data []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(data)) * time.Millisecond
}

func wrongLength(t Type, data []byte, want int) error {
	return fmt.Errorf("%w: the %s TLV has %d octets, it takes %d", ErrForm, t, len(data), want)
}
