package nbpcap

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// Writer writes messages as a pcap file with nanoseconds, each in one IP packet without a link layer, so
// that no MAC addresses need be made up. Make one with NewWriter.
type Writer struct {
	w   *pcapgo.Writer
	buf gopacket.SerializeBuffer
	seq map[streamKey]uint32 // what comes next in each TCP stream
}

// NewWriter writes the header of the file.
func NewWriter(w io.Writer) (*Writer, error) {
	pw := pcapgo.NewWriterNanos(w)
	if err := pw.WriteFileHeader(maxFrame, layers.LinkTypeRaw); err != nil {
		return nil, fmt.Errorf("header of the capture file: %w", err)
	}
	return &Writer{w: pw, buf: gopacket.NewSerializeBuffer(), seq: map[streamKey]uint32{}}, nil
}

// Write writes the payload of p, or its message if there is no payload. With TCP it is a segment with the
// length before the payload; the first one of a stream has SYN, as in RFC 7413. The number of p serves
// for errors only: in the file the packets count from 1.
func (w *Writer) Write(p Packet) error {
	if err := w.write(p); err != nil {
		return &FrameError{Number: p.Number, Err: err}
	}
	return nil
}

func (w *Writer) write(p Packet) error {
	payload, err := payloadOf(p)
	if err != nil {
		return err
	}
	network, err := networkLayer(p)
	if err != nil {
		return err
	}
	transport, payload, err := w.transportLayer(p, network, payload)
	if err != nil {
		return err
	}
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(w.buf, opts, network, transport, gopacket.Payload(payload)); err != nil {
		return err
	}
	return w.frame(p.Time, w.buf.Bytes())
}

func (w *Writer) frame(at time.Time, data []byte) error {
	if at.IsZero() {
		at = time.Unix(0, 0) // pcapgo would write the present time
	}
	info := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(data)}
	return w.w.WritePacket(info, data)
}

// maxPayload is what fits into an IPv4 packet beside the headers, TCP's and the length.
const maxPayload = 65535 - 20 - 20 - prefixLen

func payloadOf(p Packet) ([]byte, error) {
	if p.Payload == nil {
		return p.Message.Append(nil)
	}
	if len(p.Payload) > maxPayload {
		return nil, fmt.Errorf("payload of %d octets, want %d at most", len(p.Payload), maxPayload)
	}
	return p.Payload, nil
}

// ipLayer is a layer of IPv4 or IPv6.
type ipLayer interface {
	gopacket.NetworkLayer
	gopacket.SerializableLayer
}

func networkLayer(p Packet) (ipLayer, error) {
	src, dst := p.Src.Addr().Unmap(), p.Dst.Addr().Unmap()
	protocol := layers.IPProtocolUDP
	if p.TCP {
		protocol = layers.IPProtocolTCP
	}
	switch {
	case src.Is4() && dst.Is4():
		return &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}, nil
	case src.Is6() && dst.Is6():
		return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}, nil
	}
	return nil, fmt.Errorf("addresses %s and %s, want both IPv4 or both IPv6", p.Src, p.Dst)
}

func (w *Writer) transportLayer(p Packet, ip gopacket.NetworkLayer, payload []byte) (gopacket.SerializableLayer, []byte, error) {
	if !p.TCP {
		udp := &layers.UDP{SrcPort: layers.UDPPort(p.Src.Port()), DstPort: layers.UDPPort(p.Dst.Port())}
		return udp, payload, udp.SetNetworkLayerForChecksum(ip)
	}
	payload = append(binary.BigEndian.AppendUint16(nil, uint16(len(payload))), payload...)
	key := streamKey{p.Src, p.Dst}
	seq, known := w.seq[key]
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(p.Src.Port()),
		DstPort: layers.TCPPort(p.Dst.Port()),
		Seq:     seq,
		SYN:     !known,
		ACK:     known,
		PSH:     true,
		Window:  65535,
	}
	if w.seq[key] = seq + uint32(len(payload)); !known {
		w.seq[key]++ // SYN counts too
	}
	return tcp, payload, tcp.SetNetworkLayerForChecksum(ip)
}
