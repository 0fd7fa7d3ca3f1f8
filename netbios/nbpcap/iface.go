package nbpcap

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// iface is an interface of a pcapng section.
type iface struct {
	link    uint16 // the number in the file
	snaplen uint32 // octets; 0 means no limit
	unit    uint64 // ticks of the clock in a second
	offset  int64  // seconds to add
}

// Options of an interface, of draft-ietf-opsawg-pcapng, Section 4.2.
const (
	optionEnd      = 0
	optionTSResol  = 9
	optionTSOffset = 14
)

// setOptions reads the options that bear on time. Damaged ones end the reading; the frames themselves
// are good without them.
func (i *iface) setOptions(b []byte, order binary.ByteOrder) {
	for len(b) >= 4 {
		code, n := order.Uint16(b), int(order.Uint16(b[2:]))
		padded := (n + 3) &^ 3
		if b = b[4:]; code == optionEnd || padded > len(b) {
			return
		}
		switch {
		case code == optionTSResol && n == 1:
			i.setResolution(b[0])
		case code == optionTSOffset && n == 8:
			i.offset = int64(order.Uint64(b))
		}
		b = b[padded:]
	}
}

// setResolution takes if_tsresol: a negative power of 10, or of 2 if the upper bit is set. Powers that
// do not fit into 64 bits leave microseconds.
func (i *iface) setResolution(v byte) {
	exp := int(v & 0x7f)
	if v&0x80 != 0 {
		if exp < 64 {
			i.unit = 1 << exp
		}
		return
	}
	if exp > 19 {
		return
	}
	i.unit = 1
	for range exp {
		i.unit *= 10
	}
}

func (i iface) time(ticks uint64) time.Time {
	sec, rest := ticks/i.unit, ticks%i.unit
	hi, lo := bits.Mul64(rest, uint64(time.Second))
	nsec, _ := bits.Div64(hi, lo, i.unit)
	return time.Unix(int64(sec)+i.offset, int64(nsec)).UTC()
}
