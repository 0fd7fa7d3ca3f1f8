package dso

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrLength is a message that is too short or too long to be read.
var ErrLength = errors.New("a message of such a length is not read")

// ReadFrame reads a message from a stream, behind the two octets of its length: RFC 1035, Section 4.2.2. It must have
// a whole header and at most so many octets. It stands in buf, if there is room for it.
func ReadFrame(r io.Reader, buf []byte, most int) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return buf, err
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if n < HeaderLen || n > most {
		return buf, fmt.Errorf("%w: %d octets", ErrLength, n)
	}
	if n > cap(buf) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := io.ReadFull(r, buf)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return buf, err
}

// AppendFrame appends what write appends, with its length in front of it.
func AppendFrame(dst []byte, write func([]byte) []byte) []byte {
	start := len(dst)
	dst = write(append(dst, 0, 0))
	binary.BigEndian.PutUint16(dst[start:], uint16(len(dst)-start-2))
	return dst
}
