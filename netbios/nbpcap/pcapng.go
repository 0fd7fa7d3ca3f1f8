package nbpcap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// The block types that matter, of draft-ietf-opsawg-pcapng, Section 4; all others are skipped.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6

	byteOrderMagic = 0x1a2b3c4d
	blockFrame     = 12 // type, length, and the length once more at the end
	maxBlock       = maxFrame + 64<<10
	maxInterfaces  = 1024
)

var errBlock = errors.New("pcapng block is too short for its type")

// pcapngSource is the pcapng format.
type pcapngSource struct {
	r      *bufio.Reader
	order  binary.ByteOrder
	ifaces []iface
	head   [8]byte
	rest   []byte // of the block, used again for the next one
}

func newPcapNG(br *bufio.Reader) (source, error) {
	s := &pcapngSource{r: br, order: binary.LittleEndian}
	// The section header is read here, so that a file that is none fails at once.
	if _, _, err := s.readBlock(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *pcapngSource) next() (frame, error) {
	for {
		typ, body, err := s.readBlock()
		if err != nil {
			return frame{}, err
		}
		switch typ {
		case blockSection:
			s.ifaces = nil
		case blockInterface:
			err = s.addInterface(body)
		case blockEnhanced:
			return s.enhanced(body)
		case blockSimple:
			return s.simple(body)
		case blockPacket:
			return s.obsolete(body)
		}
		if err != nil {
			return frame{}, err
		}
	}
}

// readBlock returns the next block without its frame; the body is valid until the next one is read. It
// takes the byte order from a section header.
func (s *pcapngSource) readBlock() (typ uint32, body []byte, err error) {
	head := s.head[:]
	if _, err := io.ReadFull(s.r, head); err != nil {
		return 0, nil, err
	}
	if typ = s.order.Uint32(head); typ == blockSection {
		if err := s.readByteOrder(); err != nil {
			return 0, nil, err
		}
	}
	n := s.order.Uint32(head[4:])
	if n < blockFrame || n > maxBlock || n%4 != 0 {
		return 0, nil, fmt.Errorf("pcapng block of %d octets, want %d to %d and a multiple of 4", n, blockFrame, maxBlock)
	}
	if uint32(cap(s.rest)) < n {
		s.rest = make([]byte, n)
	}
	rest := s.rest[:n-8]
	if _, err := io.ReadFull(s.r, rest); err != nil {
		return 0, nil, cutOff(err)
	}
	body, tail := rest[:len(rest)-4], rest[len(rest)-4:]
	if s.order.Uint32(tail) != n {
		return 0, nil, fmt.Errorf("pcapng block of %d octets ends with the length %d", n, s.order.Uint32(tail))
	}
	return typ, body, nil
}

// readByteOrder looks at the octets behind the head of a section header block.
func (s *pcapngSource) readByteOrder() error {
	magic, err := s.r.Peek(4)
	if err != nil {
		return cutOff(err)
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if order.Uint32(magic) == byteOrderMagic {
			s.order = order
			return nil
		}
	}
	return fmt.Errorf("pcapng section with the byte order %x", magic)
}

// cutOff turns the end of the file inside a block into io.ErrUnexpectedEOF.
func cutOff(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (s *pcapngSource) enhanced(body []byte) (frame, error) {
	if len(body) < 20 {
		return frame{}, errBlock
	}
	return s.frame(s.order.Uint32(body), body[4:])
}

func (s *pcapngSource) obsolete(body []byte) (frame, error) {
	if len(body) < 20 {
		return frame{}, errBlock
	}
	return s.frame(uint32(s.order.Uint16(body)), body[4:])
}

// frame reads what the enhanced and the obsolete packet block share: time, lengths, data.
func (s *pcapngSource) frame(id uint32, b []byte) (frame, error) {
	i, err := s.iface(id)
	if err != nil {
		return frame{}, err
	}
	ticks := uint64(s.order.Uint32(b))<<32 | uint64(s.order.Uint32(b[4:]))
	n := uint64(s.order.Uint32(b[8:]))
	if data := b[16:]; n <= uint64(len(data)) {
		return frame{time: i.time(ticks), link: i.link, data: data[:n]}, nil
	}
	return frame{}, errBlock
}

// simple reads a simple packet block, which has no time and belongs to the first interface.
func (s *pcapngSource) simple(body []byte) (frame, error) {
	if len(body) < 4 {
		return frame{}, errBlock
	}
	i, err := s.iface(0)
	if err != nil {
		return frame{}, err
	}
	n := s.order.Uint32(body)
	if i.snaplen != 0 {
		n = min(n, i.snaplen)
	}
	data := body[4:]
	n = min(n, uint32(len(data)))
	return frame{time: time.Time{}, link: i.link, data: data[:n]}, nil
}

func (s *pcapngSource) iface(id uint32) (iface, error) {
	if uint64(id) >= uint64(len(s.ifaces)) {
		return iface{}, fmt.Errorf("pcapng interface %d, of %d in this section", id, len(s.ifaces))
	}
	return s.ifaces[id], nil
}

func (s *pcapngSource) addInterface(body []byte) error {
	if len(body) < 8 {
		return errBlock
	}
	if len(s.ifaces) == maxInterfaces {
		return fmt.Errorf("pcapng section with more than %d interfaces", maxInterfaces)
	}
	i := iface{
		link:    s.order.Uint16(body),
		snaplen: s.order.Uint32(body[4:]),
		unit:    1e6,
	}
	i.setOptions(body[8:], s.order)
	s.ifaces = append(s.ifaces, i)
	return nil
}
