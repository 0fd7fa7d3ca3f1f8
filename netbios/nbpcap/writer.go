package nbpcap

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// Writer writes packets of the name service as a pcap file with nanoseconds, each in IPv4 and UDP
// without a link layer, so that no MAC addresses need be made up. Make one with NewWriter.
type Writer struct {
	w   *pcapgo.Writer
	buf gopacket.SerializeBuffer
}

// NewWriter writes the header of the file.
func NewWriter(w io.Writer) (*Writer, error) {
	pw := pcapgo.NewWriterNanos(w)
	if err := pw.WriteFileHeader(maxFrame, layers.LinkTypeRaw); err != nil {
		return nil, fmt.Errorf("header of the capture file: %w", err)
	}
	return &Writer{w: pw, buf: gopacket.NewSerializeBuffer()}, nil
}

// Write writes the payload of p, or its message if there is no payload. Both addresses must be IPv4.
// The number of p serves for errors only: in the file the packets count from 1.
func (w *Writer) Write(p Packet) error {
	if err := w.write(p); err != nil {
		return &FrameError{Number: p.Number, Err: err}
	}
	return nil
}

func (w *Writer) write(p Packet) error {
	if !p.Src.Addr().Unmap().Is4() || !p.Dst.Addr().Unmap().Is4() {
		return fmt.Errorf("addresses %s and %s, want IPv4", p.Src, p.Dst)
	}
	ip := &layers.IPv4{
		Version:  4,
		TTL:      64,
		Protocol: layers.IPProtocolUDP,
		SrcIP:    net.IP(p.Src.Addr().Unmap().AsSlice()),
		DstIP:    net.IP(p.Dst.Addr().Unmap().AsSlice()),
	}
	udp := &layers.UDP{SrcPort: layers.UDPPort(p.Src.Port()), DstPort: layers.UDPPort(p.Dst.Port())}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		return err
	}
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(w.buf, opts, ip, udp, payload(p)); err != nil {
		return err
	}
	data := w.buf.Bytes()
	at := p.Time
	if at.IsZero() {
		at = time.Unix(0, 0) // pcapgo would write the present time
	}
	info := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(data)}
	return w.w.WritePacket(info, data)
}

func payload(p Packet) gopacket.SerializableLayer {
	if p.Payload != nil {
		return gopacket.Payload(p.Payload)
	}
	return &NBNS{Message: p.Message}
}
