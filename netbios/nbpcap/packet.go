package nbpcap

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/nameward/nameward/netbios"
)

// Packet is one packet of the name service in a capture: UDP with port 137 on either side.
type Packet struct {
	Number   int // of the frame in the file, from 1, counting all frames, as other tools show it
	Time     time.Time
	Src, Dst netip.AddrPort
	Payload  []byte // of UDP, as captured
	Message  netbios.Message
	// Err is set, and Message has the header at most, if the payload is malformed or the link type
	// of this frame is not supported (then addresses and payload are missing too).
	Err error
}

// FrameError is an error with the number of the frame that it belongs to.
type FrameError struct {
	Number int // from 1
	Err    error
}

// Error returns the number and the cause.
func (e *FrameError) Error() string { return fmt.Sprintf("packet %d: %v", e.Number, e.Err) }

// Unwrap returns the cause.
func (e *FrameError) Unwrap() error { return e.Err }

// frame is one frame of a capture file, of whatever protocol.
type frame struct {
	time time.Time
	link uint16 // the number in the file; gopacket's own type holds the lower octet only
	data []byte
}

// linkTypes are the link types that are read. gopacket knows more; these are those on which NetBIOS is
// captured, and each further one is more code for a stranger's octets.
var linkTypes = map[uint16]layers.LinkType{
	0:   layers.LinkTypeNull,
	1:   layers.LinkTypeEthernet,
	101: layers.LinkTypeRaw,
	108: layers.LinkTypeLoop,
	113: layers.LinkTypeLinuxSLL,
	228: layers.LinkTypeIPv4,
	229: layers.LinkTypeIPv6,
}

func linkType(number uint16) (layers.LinkType, error) {
	link, ok := linkTypes[number]
	if !ok {
		return 0, fmt.Errorf("link type %d is not supported", number)
	}
	return link, nil
}

// decodeFrame returns the packet in the frame; ok is false if it is none of the name service.
func decodeFrame(number int, f frame) (p Packet, ok bool) {
	p = Packet{Number: number, Time: f.time}
	link, err := linkType(f.link)
	if err != nil {
		p.Err = &FrameError{Number: number, Err: err}
		return p, true
	}
	// Lazy: decode as far as UDP only, for the payload goes to netbios.Parse directly.
	g := gopacket.NewPacket(f.data, link, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	udp, ok := g.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok || udp.SrcPort != netbios.Port && udp.DstPort != netbios.Port {
		return Packet{}, false
	}
	src, dst, ok := addresses(g)
	if !ok {
		return Packet{}, false
	}
	p.Src = netip.AddrPortFrom(src, uint16(udp.SrcPort))
	p.Dst = netip.AddrPortFrom(dst, uint16(udp.DstPort))
	p.Payload = udp.Payload
	m, err := netbios.Parse(udp.Payload)
	if err != nil {
		err = &FrameError{Number: number, Err: err}
	}
	p.Message, p.Err = m, err
	return p, true
}

// addresses returns the addresses of the network layer, the outer one in a tunnel.
func addresses(g gopacket.Packet) (src, dst netip.Addr, ok bool) {
	flow := g.NetworkLayer()
	if flow == nil {
		return src, dst, false
	}
	s, d := flow.NetworkFlow().Endpoints()
	src, ok1 := netip.AddrFromSlice(s.Raw())
	dst, ok2 := netip.AddrFromSlice(d.Raw())
	return src, dst, ok1 && ok2
}
