package nbpcap

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/google/gopacket/pcapgo"
)

// pcapSource is the classic pcap format. Its one buffer is as long as the longest frame.
type pcapSource struct {
	r    *pcapgo.Reader
	link uint16
}

// pcapHeader is the length of the header of the file; the link type is its last field.
const pcapHeader = 24

func newPcap(br *bufio.Reader) (source, error) {
	header, err := br.Peek(pcapHeader)
	if err != nil {
		return nil, err
	}
	link := pcapLinkType(header)
	r, err := pcapgo.NewReader(br)
	if err != nil {
		return nil, err
	}
	if _, err := linkHeader(link); err != nil {
		return nil, err
	}
	// Writers exceed the length in the header, and strangers write 4 GiB there.
	r.SetSnaplen(maxFrame)
	return pcapSource{r: r, link: link}, nil
}

// pcapLinkType returns the link type in the header of a file. The upper half of its field is for other
// things.
func pcapLinkType(header []byte) uint16 {
	// The magic number is a1b2c3d4, or a1b23c4d for nanoseconds, in the order of the writer.
	if header[0] == 0xa1 {
		return binary.BigEndian.Uint16(header[pcapHeader-2:])
	}
	return binary.LittleEndian.Uint16(header[pcapHeader-4:])
}

func (s pcapSource) next() (frame, error) {
	data, info, err := s.r.ZeroCopyReadPacketData()
	if err == io.EOF && info.CaptureLength > 0 {
		// The file ends between a frame's header and its data.
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return frame{}, err
	}
	return frame{time: info.Timestamp, link: s.link, data: data}, nil
}
