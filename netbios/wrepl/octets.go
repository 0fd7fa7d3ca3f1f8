package wrepl

import (
	"bytes"
	"encoding/binary"

	"github.com/nameward/nameward/netbios/wins"
)

// reader takes octets from the front. After its first error all that it gives is zero.
type reader struct {
	b   []byte
	err error
}

// zeros is what a reader gives when there is nothing left, for the longest that is taken at once.
var zeros [maxLabel]byte

// take returns the next n octets, which the caller does not keep. n is at most maxLabel, or was checked to be.
func (r *reader) take(n int) []byte {
	if r.err == nil && n > len(r.b) {
		r.err = ErrShort
	}
	if r.err != nil {
		return zeros[:min(max(n, 0), len(zeros))]
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u16() uint16     { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32     { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64     { return binary.BigEndian.Uint64(r.take(8)) }
func (r *reader) ipv4() wins.IPv4 { return wins.IPv4(r.take(4)) }

// count reads the number of entries that follow, of which each has at least so many octets.
func (r *reader) count(least int) int {
	n := r.u32()
	if r.err == nil && uint64(n) > uint64(len(r.b)/least) {
		r.err = ErrCount
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// rest is all that is left, nil for nothing.
func (r *reader) rest() []byte {
	if r.err != nil || len(r.b) == 0 {
		return nil
	}
	out := bytes.Clone(r.b)
	r.b = nil
	return out
}

// padding is all that is left, nil for n zeros.
func (r *reader) padding(n int) []byte {
	if len(r.b) == n && bytes.Equal(r.b, zeros[:n]) {
		r.b = nil
		return nil
	}
	return append([]byte{}, r.rest()...)
}

// appendPadding is the reverse of padding.
func appendPadding(dst, rest []byte, n int) []byte {
	if rest == nil {
		rest = zeros[:n]
	}
	return append(dst, rest...)
}

func appendU32(dst []byte, words ...uint32) []byte {
	for _, w := range words {
		dst = binary.BigEndian.AppendUint32(dst, w)
	}
	return dst
}
