package nbpcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/ip4defrag"
	"github.com/google/gopacket/layers"
)

const (
	// maxFragments is how many octets of fragments are kept. Beyond it all are dropped.
	maxFragments = 4 << 20
	// fragmentTime is how long a datagram's fragments are waited for; Linux waits as long.
	fragmentTime = 30 * time.Second
	// fragmentCost is what a fragment takes beside its octets, about.
	fragmentCost = 400
)

// defragmenter puts datagrams of IPv4 together. The zero value is ready.
type defragmenter struct {
	of      *ip4defrag.IPv4Defragmenter
	octets  int // kept since the last time that all were dropped
	flushed time.Time
}

// add returns the payload of the datagram that the fragment completes, or nil. The library's sums wrap
// at 65536 and take every header for 20 octets long: what it cannot have right is not given to it.
func (d *defragmenter) add(ip *layers.IPv4, at time.Time) []byte {
	n := len(ip.Payload)
	last := ip.Flags&layers.IPv4MoreFragments == 0
	switch {
	case ip.Protocol != layers.IPProtocolUDP && ip.Protocol != layers.IPProtocolTCP,
		ip.IHL != 5, n != int(ip.Length)-20, n < 8, !last && n%8 != 0, int(ip.FragOffset)*8+n > 65535-20:
		return nil
	}
	if n += fragmentCost; d.of == nil || d.octets+n > maxFragments {
		*d = defragmenter{of: ip4defrag.NewIPv4Defragmenter(), flushed: at}
	}
	d.octets += n
	if at.Sub(d.flushed) >= fragmentTime {
		d.of.DiscardOlderThan(at.Add(-fragmentTime))
		d.flushed = at
	}
	out, err := d.of.DefragIPv4WithTimestamp(keep(ip), at)
	if err != nil || out == nil {
		return nil
	}
	return out.Payload
}

// keep copies what the library looks at, for the frame's memory is used again. It takes a packet with
// DF for a whole one, but RFC 6864, Section 4.1 allows fragments of one.
func keep(ip *layers.IPv4) *layers.IPv4 {
	c := *ip
	c.Flags &^= layers.IPv4DontFragment
	c.SrcIP, c.DstIP = bytes.Clone(ip.SrcIP), bytes.Clone(ip.DstIP)
	c.Payload = bytes.Clone(ip.Payload)
	c.Contents, c.Options, c.Padding = nil, nil, nil
	return &c
}

// fragment6 is the fragment header of IPv6, RFC 8200, Section 4.5. gopacket's skipper takes every
// fragment for the first one.
type fragment6 struct {
	layers.BaseLayer
	nextHeader layers.IPProtocol
	whole      bool // an atomic fragment, RFC 6946
}

func (l *fragment6) DecodeFromBytes(data []byte, df gopacket.DecodeFeedback) error {
	if len(data) < 8 {
		df.SetTruncated()
		return errors.New("IPv6 fragment header is too short")
	}
	l.nextHeader = layers.IPProtocol(data[0])
	l.whole = binary.BigEndian.Uint16(data[2:])&^6 == 0
	l.BaseLayer = layers.BaseLayer{Contents: data[:8], Payload: data[8:]}
	return nil
}

func (l *fragment6) CanDecode() gopacket.LayerClass { return layers.LayerTypeIPv6Fragment }

func (l *fragment6) NextLayerType() gopacket.LayerType {
	if !l.whole {
		return gopacket.LayerTypeFragment
	}
	return l.nextHeader.LayerType()
}
