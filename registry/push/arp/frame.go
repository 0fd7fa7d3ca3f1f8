package arp

import (
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var (
	broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	// allNodes and its hardware address, RFC 4291, Section 2.7.1 and RFC 2464, Section 7.
	allNodes    = netip.MustParseAddr("ff02::1")
	allNodesMAC = net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}
)

// frames are those that announce an address from a network card. A router says that it is one, or else its neighbours
// would not use it as one any more (RFC 4861, Section 7.2.5).
func frames(mac net.HardwareAddr, addr netip.Addr, router bool) [][]byte {
	if addr.Is4() {
		return [][]byte{announcement(mac, addr, layers.ARPRequest), announcement(mac, addr, layers.ARPReply)}
	}
	return [][]byte{advertisement(mac, addr, router)}
}

func announcement(mac net.HardwareAddr, addr netip.Addr, op uint16) []byte {
	ip, target := addr.AsSlice(), make([]byte, len(mac))
	if op == layers.ARPReply {
		target = mac
	}
	return pack(
		&layers.Ethernet{SrcMAC: mac, DstMAC: broadcast, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, Operation: op,
			SourceHwAddress: mac, SourceProtAddress: ip, DstHwAddress: target, DstProtAddress: ip,
		})
}

const (
	flagRouter   = 0x80
	flagOverride = 0x20
	hopLimit     = 255 // RFC 4861, Section 7.1.2: what came through a router is thrown away
)

func advertisement(mac net.HardwareAddr, addr netip.Addr, router bool) []byte {
	ip := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolICMPv6, HopLimit: hopLimit, SrcIP: addr.AsSlice(), DstIP: allNodes.AsSlice()}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborAdvertisement, 0)}
	if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err) // it takes IPv6
	}
	na := &layers.ICMPv6NeighborAdvertisement{
		Flags: flagOverride, TargetAddress: addr.AsSlice(),
		Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: mac}},
	}
	if router {
		na.Flags |= flagRouter
	}
	return pack(&layers.Ethernet{SrcMAC: mac, DstMAC: allNodesMAC, EthernetType: layers.EthernetTypeIPv6}, ip, icmp, na)
}

func pack(parts ...gopacket.SerializableLayer) []byte {
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...); err != nil {
		panic(err) // addresses and cards are of the right length
	}
	return buf.Bytes()
}
