package nbpcap

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// Reader reads the messages of a capture file. Make one with NewReader.
type Reader struct {
	source  source
	decoder *decoder
	number  int // of the last frame
	err     error
}

// source gives the frames of one file format, without their number; io.EOF ends them.
type source interface {
	next() (frame, error)
}

const (
	// maxFrame is the largest frame taken, in octets. It is what tcpdump writes at most.
	maxFrame = 256 << 10

	// readAhead is the buffer of a file, in octets.
	readAhead = 64 << 10

	magicGzip   = 0x1f8b     // the first two octets
	magicPcapNG = 0x0a0d0d0a // the type of a section header block
)

// NewReader finds out the format, pcap or pcapng, with or without gzip around it, and reads the header
// of the file.
func NewReader(r io.Reader, opts ...Option) (*Reader, error) {
	br := bufio.NewReaderSize(r, readAhead)
	magic, err := br.Peek(4)
	if err == nil && binary.BigEndian.Uint16(magic) == magicGzip {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("capture in gzip: %w", err)
		}
		br = bufio.NewReaderSize(z, readAhead)
		magic, err = br.Peek(4)
		if err != nil {
			return nil, headerError(err)
		}
	} else if err != nil {
		return nil, headerError(err)
	}
	src, err := newSource(br, binary.BigEndian.Uint32(magic))
	if err != nil {
		return nil, headerError(err)
	}
	return &Reader{source: src, decoder: newDecoder(opts)}, nil
}

func newSource(br *bufio.Reader, magic uint32) (source, error) {
	if magic == magicPcapNG {
		return newPcapNG(br)
	}
	return newPcap(br)
}

func headerError(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("header of the capture file: %w", err)
}

// Next returns the next message. A malformed one is returned with its Err set, and reading goes on
// behind it. At the end of the file the error is io.EOF; an error of the file itself is a *FrameError
// and final, and wraps io.ErrUnexpectedEOF if the file is cut off.
func (r *Reader) Next() (Packet, error) {
	for {
		if p, ok := r.decoder.pop(); ok {
			return p, nil
		}
		if r.err != nil {
			return Packet{}, r.err
		}
		r.read()
	}
}

// read decodes the next frame. At the end come the messages that waited for more.
func (r *Reader) read() {
	f, err := r.source.next()
	if err != nil {
		r.err = frameError(r.number+1, err)
		r.decoder.end()
		return
	}
	r.number++
	f.number = r.number
	r.decoder.decode(f)
}

func frameError(number int, err error) error {
	if err == io.EOF {
		return io.EOF
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("capture file is cut off: %w", io.ErrUnexpectedEOF)
	}
	return &FrameError{Number: number, Err: err}
}

// All returns the remaining messages; the last pair has an error if the file is damaged.
func (r *Reader) All() iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		for {
			p, err := r.Next()
			if err == io.EOF {
				return
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// ReadFile returns the messages of a capture file, to keep. Beside an error it returns those before the
// damage.
func ReadFile(path string, opts ...Option) ([]Packet, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := NewReader(f, opts...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	packets, err := r.rest()
	if err != nil {
		return packets, fmt.Errorf("%s: %w", path, err)
	}
	return packets, nil
}

func (r *Reader) rest() ([]Packet, error) {
	var packets []Packet
	for p, err := range r.All() {
		if err != nil {
			return packets, err
		}
		p.Payload = bytes.Clone(p.Payload)
		packets = append(packets, p)
	}
	return packets, nil
}
