package nbpcap

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/nameward/nameward/netbios"
)

// frame is one frame of a capture, of whatever protocol. The data are valid until the next one.
type frame struct {
	number int
	time   time.Time
	link   uint16 // the number in the file; gopacket's own type holds the lower octet only
	data   []byte
}

// errPanic is a panic of gopacket. What it kept until then is not to be trusted any more.
var errPanic = errors.New("frame cannot be decoded")

// decoder finds the messages in frames. Its layers are used again for every frame, so that a frame of
// another protocol costs no allocation.
type decoder struct {
	dns bool

	ip4    layers.IPv4
	ip6    layers.IPv6
	skip   layers.IPv6ExtensionSkipper
	frag6  fragment6
	udp    layers.UDP
	tcp    layers.TCP
	v4, v6 *gopacket.DecodingLayerParser
	types  []gopacket.LayerType

	frags   defragmenter
	streams streams
	frame   frame  // the present one
	packet  Packet // found in it, and not yet handed out, beside those of streams
	found   bool
}

func newDecoder(opts []Option) *decoder {
	d := &decoder{}
	for _, o := range opts {
		o(d)
	}
	d.v4, d.v6 = d.parser(layers.LayerTypeIPv4), d.parser(layers.LayerTypeIPv6)
	return d
}

func (d *decoder) parser(first gopacket.LayerType) *gopacket.DecodingLayerParser {
	p := gopacket.NewDecodingLayerParser(first)
	// Of two layers for one type the later counts: the fragment's.
	table := gopacket.DecodingLayerContainer(gopacket.DecodingLayerSparse(nil))
	for _, l := range []gopacket.DecodingLayer{&d.ip4, &d.ip6, &d.skip, &d.frag6, &d.udp, &d.tcp} {
		table = table.Put(l)
	}
	p.SetDecodingLayerContainer(table)
	p.IgnorePanic = true // decode recovers
	p.IgnoreUnsupported = true
	return p
}

// decode looks for messages in the frame and leaves them for pop.
func (d *decoder) decode(f frame) {
	d.frame = f
	defer d.rescue()
	cut, err := linkHeader(f.link)
	if err != nil {
		d.leave(Packet{Err: err})
		return
	}
	if data := cut(f.data); len(data) > 0 {
		d.network(data)
	}
}

// end leaves for pop what waited for octets that will not come.
func (d *decoder) end() {
	defer d.rescue()
	d.streams.end()
}

// rescue makes a panic the error of the frame.
func (d *decoder) rescue() {
	if v := recover(); v != nil {
		d.frags, d.streams = defragmenter{}, streams{}
		d.leave(Packet{Err: fmt.Errorf("%w: %v", errPanic, v)})
	}
}

func (d *decoder) leave(p Packet) { d.packet, d.found = p, true }

// pop returns the next packet of the present frame.
func (d *decoder) pop() (p Packet, ok bool) {
	if d.found {
		p, d.found = d.packet, false
	} else if p, ok = d.streams.pop(); !ok {
		return Packet{}, false
	}
	p.Number, p.Time = d.frame.number, d.frame.time
	if p.Err != nil {
		p.Err = &FrameError{Number: p.Number, Err: p.Err}
	}
	return p, true
}

// network decodes an IP packet. What is malformed below the name services is none of them.
func (d *decoder) network(data []byte) {
	var p *gopacket.DecodingLayerParser
	switch data[0] >> 4 {
	case 4:
		p = d.v4
	case 6:
		p = d.v6
	default:
		return
	}
	if p.DecodeLayers(data, &d.types) != nil || len(d.types) < 1 {
		return
	}
	switch d.types[len(d.types)-1] {
	case layers.LayerTypeUDP:
		d.datagram()
	case layers.LayerTypeTCP:
		d.segment()
	case layers.LayerTypeIPv4:
		d.fragment()
	}
}

// fragment takes what ended with the header of IPv4: a fragment, or another protocol.
func (d *decoder) fragment() {
	if d.ip4.Flags&layers.IPv4MoreFragments == 0 && d.ip4.FragOffset == 0 {
		return
	}
	payload := d.frags.add(&d.ip4, d.frame.time)
	switch {
	case payload == nil:
	case d.ip4.Protocol == layers.IPProtocolUDP && d.udp.DecodeFromBytes(payload, gopacket.NilDecodeFeedback) == nil:
		d.datagram()
	case d.ip4.Protocol == layers.IPProtocolTCP && d.tcp.DecodeFromBytes(payload, gopacket.NilDecodeFeedback) == nil:
		d.segment()
	}
}

func (d *decoder) datagram() {
	src, dst := uint16(d.udp.SrcPort), uint16(d.udp.DstPort)
	nbns := src == netbios.Port || dst == netbios.Port
	if !nbns && !d.isDNS(src, dst) {
		return
	}
	p := Packet{Payload: d.udp.Payload, Protocol: DNS}
	p.Src, p.Dst = d.addrPorts(src, dst)
	if nbns {
		p.Protocol = NameService
		p.Message, p.Err = netbios.Parse(p.Payload)
	}
	d.leave(p)
}

func (d *decoder) segment() {
	src, dst := uint16(d.tcp.SrcPort), uint16(d.tcp.DstPort)
	if d.isDNS(src, dst) {
		a, b := d.addrPorts(src, dst)
		d.streams.add(&d.tcp, d.frame.time, a, b)
	}
}

func (d *decoder) isDNS(src, dst uint16) bool { return d.dns && (src == dnsPort || dst == dnsPort) }

// addrPorts returns the addresses of the last network layer, the inner one of a tunnel.
func (d *decoder) addrPorts(src, dst uint16) (a, b netip.AddrPort) {
	s, t := d.ip4.SrcIP, d.ip4.DstIP
	if d.isIPv6() {
		s, t = d.ip6.SrcIP, d.ip6.DstIP
	}
	from, _ := netip.AddrFromSlice(s)
	to, _ := netip.AddrFromSlice(t)
	return netip.AddrPortFrom(from, src), netip.AddrPortFrom(to, dst)
}

func (d *decoder) isIPv6() bool {
	for i := len(d.types) - 1; i >= 0; i-- {
		switch d.types[i] {
		case layers.LayerTypeIPv4:
			return false
		case layers.LayerTypeIPv6:
			return true
		}
	}
	return false
}
