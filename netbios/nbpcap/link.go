package nbpcap

import (
	"encoding/binary"
	"fmt"
)

// Link types, the numbers of https://www.tcpdump.org/linktypes.html.
const (
	linkNull     = 0
	linkEthernet = 1
	linkRaw      = 101
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

// linkHeaders cut the header of the link off a frame. gopacket knows more types, but not SLL2, and has
// no bounds check in SLL; these are those on which NetBIOS is captured, and each further one is more
// code for a stranger's octets. What is behind the header is told apart by the version in it.
var linkHeaders = map[uint16]func([]byte) []byte{
	linkNull:     func(b []byte) []byte { return behind(b, 4) },
	linkEthernet: func(b []byte) []byte { return untag(b, 12) },
	linkRaw:      func(b []byte) []byte { return b },
	linkLoop:     func(b []byte) []byte { return behind(b, 4) },
	linkSLL:      func(b []byte) []byte { return untag(b, 14) },
	linkIPv4:     func(b []byte) []byte { return b },
	linkIPv6:     func(b []byte) []byte { return b },
	linkSLL2:     sll2,
}

func linkHeader(number uint16) (func([]byte) []byte, error) {
	cut, ok := linkHeaders[number]
	if !ok {
		return nil, fmt.Errorf("link type %d is not supported", number)
	}
	return cut, nil
}

func behind(b []byte, n int) []byte {
	if len(b) < n {
		return nil
	}
	return b[n:]
}

// EtherTypes, IEEE 802 numbers of IANA.
const (
	etherIPv4  = 0x0800
	etherIPv6  = 0x86dd
	etherVLAN  = 0x8100 // IEEE 802.1Q
	etherQinQ  = 0x88a8 // IEEE 802.1ad
	etherQinQ1 = 0x9100 // of vendors, before 802.1ad
)

// maxTags is how many VLAN tags are passed over; switches add two.
const maxTags = 4

// untag returns what is behind the EtherType at the offset, and behind VLAN tags; nil if it is no IP.
func untag(b []byte, at int) []byte {
	for range maxTags + 1 {
		if len(b) < at+2 {
			return nil
		}
		switch binary.BigEndian.Uint16(b[at:]) {
		case etherIPv4, etherIPv6:
			return b[at+2:]
		case etherVLAN, etherQinQ, etherQinQ1:
			at += 4
		default:
			return nil
		}
	}
	return nil
}

// sll2 cuts off the 20 octets of LINKTYPE_LINUX_SLL2, which begins with the EtherType. Behind a VLAN's
// come the tag and the next EtherType.
func sll2(b []byte) []byte {
	const header = 20
	if len(b) < header {
		return nil
	}
	switch binary.BigEndian.Uint16(b) {
	case etherIPv4, etherIPv6:
		return b[header:]
	case etherVLAN, etherQinQ, etherQinQ1:
		return untag(b, header+2)
	}
	return nil
}
