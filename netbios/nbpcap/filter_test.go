package nbpcap

import (
	"encoding/binary"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/net/bpf"
)

func TestFilter(t *testing.T) {
	ip4 := func(udp bool, src, dst uint16) []byte {
		b := udpFrame(t, 53, make([]byte, 20))[14:]
		if !udp {
			b = tcpFrame(t, 0, seg{flags: syn})
		}
		binary.BigEndian.PutUint16(b[20:], src)
		binary.BigEndian.PutUint16(b[22:], dst)
		return b
	}
	ip6 := func(udp bool, src, dst uint16) []byte {
		l := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolTCP, SrcIP: make([]byte, 16), DstIP: make([]byte, 16)}
		if udp {
			l.NextHeader = layers.IPProtocolUDP
		}
		b := serialize(t, l, gopacket.Payload(make([]byte, 20)))
		binary.BigEndian.PutUint16(b[40:], src)
		binary.BigEndian.PutUint16(b[42:], dst)
		return b
	}
	later := ip4(true, 1, 2)
	later[7] = 100
	options := append(append([]byte{0x46}, ip4(true, 53, 2)[1:20]...), append([]byte{1, 1, 1, 1}, ip4(true, 53, 2)[20:]...)...)
	tests := []struct {
		name     string
		packet   []byte
		nbns, ns bool // taken without and with DNS
	}{
		{"UDP from 137", ip4(true, 137, 2), true, true},
		{"UDP to 137", ip4(true, 1, 137), true, true},
		{"UDP from 53", ip4(true, 53, 2), false, true},
		{"UDP to 53", ip4(true, 1, 53), false, true},
		{"UDP of others", ip4(true, 1, 2), false, false},
		{"TCP from 53", ip4(false, 53, 2), false, true},
		{"TCP to 53", ip4(false, 1, 53), false, true},
		{"TCP to 137", ip4(false, 1, 137), false, false},
		{"UDP6 to 137", ip6(true, 1, 137), true, true},
		{"UDP6 from 53", ip6(true, 53, 1), false, true},
		{"TCP6 to 53", ip6(false, 1, 53), false, true},
		{"TCP6 of others", ip6(false, 1, 2), false, false},
		{"later fragment", later, true, true},
		{"options", options, false, true},
		{"ARP", []byte{0, 1, 8, 0, 6, 4}, false, false},
		{"short", ip4(true, 1, 137)[:21], false, false},
	}
	for _, dns := range []bool{false, true} {
		vm, err := bpf.NewVM(filter(dns))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range tests {
			n, err := vm.Run(tt.packet)
			if want := tt.nbns || dns && tt.ns; err != nil || (n > 0) != want {
				t.Errorf("%s, with DNS %v: takes %d octets, %v, want %v", tt.name, dns, n, err, want)
			}
		}
	}
}
