package nbpcap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var (
	server = netip.MustParseAddrPort("192.0.2.53:53")
	client = netip.MustParseAddrPort("192.0.2.21:40000")
)

// message returns a DNS message of n octets with a header that fits.
func message(id byte, n int) []byte {
	m := make([]byte, n)
	m[0], m[2] = id, 0x84
	for i := dnsHeaderLen; i < n; i++ {
		m[i] = id
	}
	return m
}

func prefixed(messages ...[]byte) []byte {
	var b []byte
	for _, m := range messages {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
	}
	return b
}

// seg is a TCP segment from the server; seq counts from SYN.
type seg struct {
	seq   uint32
	flags string // of S, F, R
	data  []byte
	port  uint16 // of the client
}

const syn = "S"

func tcpFrame(t testing.TB, isn uint32, s seg) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: server.Addr().AsSlice(), DstIP: client.Addr().AsSlice()}
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(server.Port()), DstPort: layers.TCPPort(client.Port() + s.port), Seq: isn + s.seq, ACK: true, Window: 1000,
		SYN: strings.Contains(s.flags, "S"), FIN: strings.Contains(s.flags, "F"), RST: strings.Contains(s.flags, "R"),
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, ip, tcp, gopacket.Payload(s.data))
}

// feed decodes frames of raw IP and returns what is found, as "NUMBER first-octet*length" or "NUMBER error".
func feed(d *decoder, frames [][]byte, times []time.Time) (found []string) {
	drain := func() {
		for p, ok := d.pop(); ok; p, ok = d.pop() {
			if p.Err != nil {
				found = append(found, p.Err.Error())
				continue
			}
			found = append(found, fmt.Sprintf("%d %d*%d", p.Number, p.Payload[0], len(p.Payload)))
		}
	}
	for i, data := range frames {
		at := time.Unix(1, 0)
		if times != nil {
			at = times[i]
		}
		d.decode(frame{number: i + 1, time: at, link: linkRaw, data: data})
		drain()
	}
	d.end()
	drain()
	return found
}

func TestStreams(t *testing.T) {
	a, b, long := message(1, 30), message(2, 50), message(3, 65535)
	both := prefixed(a, b)
	all := prefixed(long, a)
	tests := []struct {
		name string
		segs []seg
		want []string
	}{
		{"one message", []seg{{flags: syn}, {seq: 1, data: prefixed(a)}, {seq: 33, flags: "F"}}, []string{"2 1*30"}},
		{"two in a segment", []seg{{flags: syn}, {seq: 1, data: both}}, []string{"2 1*30", "2 2*50"}},
		{"length alone", []seg{{flags: syn}, {seq: 1, data: both[:2]}, {seq: 3, data: both[2:32]}, {seq: 33, data: both[32:]}}, []string{"3 1*30", "4 2*50"}},
		{"length cut", []seg{{flags: syn}, {seq: 1, data: both[:33]}, {seq: 34, data: both[33:]}}, []string{"2 1*30", "3 2*50"}},
		{"out of order", []seg{{flags: syn}, {seq: 21, data: both[20:]}, {seq: 1, data: both[:20]}}, []string{"3 1*30", "3 2*50"}},
		{"retransmitted", []seg{{flags: syn}, {flags: syn}, {seq: 1, data: both[:40]}, {seq: 1, data: both[:40]}, {seq: 21, data: both[20:]}, {seq: 1, data: both}}, []string{"3 1*30", "5 2*50"}},
		{"longest", []seg{{flags: syn}, {seq: 1, data: all[:40000]}, {seq: 40001, data: all[40000:]}}, []string{"3 3*65535", "3 1*30"}},
		{"data with SYN", []seg{{flags: syn, data: both}}, []string{"1 1*30", "1 2*50"}},
		{"start not captured", []seg{{seq: 501, data: both}}, []string{"1 1*30", "1 2*50"}},
		{"taken up at a message", []seg{{seq: 501, data: both[10:32]}, {seq: 523, data: both[32:]}}, []string{"2 2*50"}},
		{"octets not captured", []seg{{flags: syn}, {seq: 1, data: both[:20]}, {seq: 33, data: both[32:]}},
			[]string{"packet 3: TCP stream without 12 octets that were not captured", "3 2*50"}},
		{"ends inside a message", []seg{{flags: syn}, {seq: 1, data: both[:60]}, {seq: 61, flags: "F"}},
			[]string{"2 1*30", "packet 3: TCP stream ends inside a DNS message"}},
		{"reset inside a message", []seg{{flags: syn}, {seq: 1, data: both[:31]}, {seq: 32, flags: "R"}},
			[]string{"packet 3: TCP stream ends inside a DNS message"}},
		{"message too short", []seg{{flags: syn}, {seq: 1, data: append([]byte{0, 11}, both...)}, {seq: 300, data: both}},
			[]string{"packet 2: TCP stream with a DNS message of 11 octets", "3 1*30", "3 2*50"}},
		{"port used again", []seg{{flags: syn}, {seq: 1, data: prefixed(a)}, {seq: 1 << 30, flags: syn}, {seq: 1<<30 + 1, data: prefixed(b)}}, []string{"2 1*30", "4 2*50"}},
		{"two streams", []seg{{flags: syn}, {flags: syn, port: 1}, {seq: 1, data: both[:20]}, {seq: 1, data: both[:32], port: 1}, {seq: 21, data: both[20:]}},
			[]string{"4 1*30", "5 1*30", "5 2*50"}},
	}
	for _, tt := range tests {
		for _, isn := range []uint32{0, 1<<32 - 20, 1<<32 - 1} {
			t.Run(fmt.Sprint(tt.name, " from ", isn), func(t *testing.T) {
				var frames [][]byte
				for _, s := range tt.segs {
					frames = append(frames, tcpFrame(t, isn, s))
				}
				got := feed(newDecoder([]Option{WithDNS()}), frames, nil)
				if tt.name == "message too short" {
					got = got[:min(len(got), len(tt.want))]
				}
				if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		}
	}
}

// TestStreamsCutAnywhere cuts two messages into two and three segments at every place, in both orders.
func TestStreamsCutAnywhere(t *testing.T) {
	all := prefixed(message(1, 14), message(2, 12))
	start := tcpFrame(t, 0, seg{flags: syn})
	for i := 1; i < len(all); i++ {
		for j := i; j < len(all); j++ {
			first := tcpFrame(t, 1, seg{data: all[:i]})
			second := tcpFrame(t, 1, seg{seq: uint32(i), data: all[i:j]})
			third := tcpFrame(t, 1, seg{seq: uint32(j), data: all[j:]})
			for _, frames := range [][][]byte{
				{start, first, second, third}, {start, third, second, first}, {start, second, second, third, first, first},
			} {
				got := strings.Join(feed(newDecoder([]Option{WithDNS()}), frames, nil), " ")
				if !strings.Contains(got, " 1*14") || !strings.Contains(got, " 2*12") || len(got) != len("3 1*14 4 2*12") {
					t.Fatalf("cut at %d and %d: %s", i, j, got)
				}
			}
		}
	}
}

func TestStreamsOfOthersAreLeft(t *testing.T) {
	frame := tcpFrame(t, 0, seg{flags: syn, data: prefixed(message(1, 30))})
	if got := feed(newDecoder(nil), [][]byte{frame}, nil); got != nil {
		t.Errorf("without DNS: %q", got)
	}
	binary.BigEndian.PutUint16(frame[20:], 54)
	if got := feed(newDecoder([]Option{WithDNS()}), [][]byte{frame}, nil); got != nil {
		t.Errorf("port 54: %q", got)
	}
}

// TestStreamsAreBounded opens many streams, some with what is kept for as long as possible.
func TestStreamsAreBounded(t *testing.T) {
	d := newDecoder([]Option{WithDNS()})
	unfinished := append([]byte{0xff, 0xff}, make([]byte, 60000)...)
	gap := make([]byte, 60000)
	full := 0
	for i := range 2*maxStreams + 1 {
		segs := []seg{{flags: syn}}
		if i < 600 {
			segs = append(segs, seg{seq: 1, data: unfinished})
		}
		if i < 100 {
			segs = append(segs, seg{seq: 70000, data: gap})
		}
		for _, s := range segs {
			s.port = uint16(i)
			d.decode(frame{time: time.Unix(1, 0), link: linkRaw, data: tcpFrame(t, 0, s)})
			for p, ok := d.pop(); ok; p, ok = d.pop() {
				if p.Err != nil && strings.Contains(p.Err.Error(), errUnfinished.Error()) {
					full++
				}
			}
		}
		checkKept(t, &d.streams)
	}
	if full == 0 {
		t.Error("no stream was dropped for its octets")
	}
	d.streams.end()
	if len(d.streams.known) != 0 || d.streams.octets != 0 {
		t.Errorf("%d streams and %d octets are left", len(d.streams.known), d.streams.octets)
	}
}

func checkKept(t *testing.T, s *streams) {
	t.Helper()
	kept := 0
	for _, one := range s.known {
		kept += cap(one.buf)
	}
	if len(s.known) > maxStreams || kept != s.octets || kept > maxUnfinished+2*65537 {
		t.Fatalf("%d streams with %d octets are kept, %d counted", len(s.known), kept, s.octets)
	}
}

// TestOldStreams: by the capture's clock a stream that says nothing is given up.
func TestOldStreams(t *testing.T) {
	d := newDecoder([]Option{WithDNS()})
	d.decode(frame{time: time.Unix(1, 0), link: linkRaw, data: tcpFrame(t, 0, seg{flags: syn})})
	late := tcpFrame(t, 0, seg{flags: syn, port: 1})
	for range flushSegments {
		d.decode(frame{time: time.Unix(1, 0).Add(streamTime + time.Second), link: linkRaw, data: late})
	}
	if len(d.streams.known) != 1 {
		t.Errorf("%d streams are known, want the young one", len(d.streams.known))
	}
}

// TestPanic: what gopacket throws is the error of one packet, and the next one is read.
func TestPanic(t *testing.T) {
	d := newDecoder([]Option{WithDNS()})
	d.streams.known = nil
	good := tcpFrame(t, 0, seg{flags: syn, data: prefixed(message(1, 30))})
	d.decode(frame{number: 1, link: linkRaw, data: good})
	d.pop()
	d.streams.known = nil // the next new stream panics
	got := feed(d, [][]byte{tcpFrame(t, 0, seg{flags: syn, port: 2}), good}, nil)
	if len(got) != 2 || !strings.Contains(got[0], "packet 1: "+errPanic.Error()) || got[1] != "2 1*30" {
		t.Errorf("got %q", got)
	}
}

func TestFragments(t *testing.T) {
	payload := message(7, 3000)
	udp := &layers.UDP{SrcPort: 53, DstPort: 40000}
	ip := func(offset uint16, more bool, data []byte) []byte {
		l := &layers.IPv4{Version: 4, TTL: 64, Id: 9, Protocol: layers.IPProtocolUDP, SrcIP: server.Addr().AsSlice(), DstIP: client.Addr().AsSlice(), FragOffset: offset / 8}
		if more {
			l.Flags = layers.IPv4MoreFragments
		}
		return serialize(t, l, gopacket.Payload(data))
	}
	datagram := serialize(t, &layers.IPv4{Version: 4, Protocol: layers.IPProtocolUDP, SrcIP: server.Addr().AsSlice(), DstIP: client.Addr().AsSlice()}, noChecksum{udp}, gopacket.Payload(payload))[20:]
	one, two, three := ip(0, true, datagram[:1480]), ip(1480, true, datagram[1480:2960]), ip(2960, false, datagram[2960:])
	tests := []struct {
		name   string
		frames [][]byte
		want   string
	}{
		{"in order", [][]byte{one, two, three}, "3 7*3000"},
		{"last first", [][]byte{three, two, one}, "3 7*3000"},
		{"one twice", [][]byte{three, three, one, two}, ""},
		{"one missing", [][]byte{one, three}, ""},
		{"too long", [][]byte{ip(65528, false, make([]byte, 64)), ip(0, true, make([]byte, 64))}, ""},
		{"too short", [][]byte{one, ip(1480, false, []byte{1})}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(feed(newDecoder([]Option{WithDNS()}), tt.frames, nil), " ")
			if tt.name == "one twice" {
				return // the library counts the second one; no panic is enough
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	d := newDecoder([]Option{WithDNS()})
	for i := range 4 * maxFragments / 1000 {
		f := ip(0, true, make([]byte, 1000))
		binary.BigEndian.PutUint16(f[4:], uint16(i))
		d.decode(frame{time: time.Unix(int64(i), 0), link: linkRaw, data: f})
		if d.frags.octets > maxFragments {
			t.Fatalf("%d octets are kept", d.frags.octets)
		}
	}
	if got := feed(d, [][]byte{one, two, three}, nil); len(got) != 1 {
		t.Errorf("after many fragments: %q", got)
	}
}

// noChecksum is UDP without a network layer to sum over.
type noChecksum struct{ *layers.UDP }

func (l noChecksum) SerializeTo(b gopacket.SerializeBuffer, opts gopacket.SerializeOptions) error {
	opts.ComputeChecksums = false
	return l.UDP.SerializeTo(b, opts)
}

// TestLinks reads one message behind each header, with and without VLAN tags.
func TestLinks(t *testing.T) {
	frame4 := udpFrame(t, 53, message(5, 20))[14:]
	ip6 := &layers.IPv6{Version: 6, HopLimit: 1, NextHeader: layers.IPProtocolUDP, SrcIP: netip.MustParseAddr("2001:db8::1").AsSlice(), DstIP: netip.MustParseAddr("2001:db8::2").AsSlice()}
	frame6 := serialize(t, ip6, noChecksum{&layers.UDP{SrcPort: 53, DstPort: 1}}, gopacket.Payload(message(5, 20)))
	atomic := bytes.Clone(frame6[:40])
	atomic[5], atomic[6] = atomic[5]+8, 44
	later := append(bytes.Clone(atomic), 17, 0, 0, 8, 0, 0, 0, 0)
	atomic = append(append(atomic, 17, 0, 0, 0, 0, 0, 0, 0), frame6[40:]...)
	later = append(later, frame6[40:]...)
	macs := make([]byte, 12)
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	v4, v6, vlan, qinq := []byte{8, 0}, []byte{0x86, 0xdd}, []byte{0x81, 0, 0, 5}, []byte{0x88, 0xa8, 0, 5}
	sll := make([]byte, 14)
	sll2tail := make([]byte, 18)
	tests := []struct {
		name string
		link uint16
		data []byte
		want bool
	}{
		{"null", linkNull, cat([]byte{2, 0, 0, 0}, frame4), true},
		{"loop", linkLoop, cat([]byte{0, 0, 0, 24}, frame6), true},
		{"raw", linkRaw, frame4, true},
		{"raw IPv6", linkRaw, frame6, true},
		{"IPv4", linkIPv4, frame4, true},
		{"IPv6", linkIPv6, frame6, true},
		{"IPv6 atomic fragment", linkIPv6, atomic, true},
		{"IPv6 later fragment", linkIPv6, later, false},
		{"Ethernet", linkEthernet, cat(macs, v4, frame4), true},
		{"Ethernet IPv6", linkEthernet, cat(macs, v6, frame6), true},
		{"VLAN", linkEthernet, cat(macs, vlan, v4, frame4), true},
		{"two VLANs", linkEthernet, cat(macs, qinq, vlan, v6, frame6), true},
		{"five VLANs", linkEthernet, cat(macs, vlan, vlan, vlan, vlan, vlan, v4, frame4), false},
		{"ARP", linkEthernet, cat(macs, []byte{8, 6}, frame4), false},
		{"Ethernet padding", linkEthernet, cat(macs, v4, frame4, make([]byte, 30)), true},
		{"cooked", linkSLL, cat(sll, v4, frame4), true},
		{"cooked VLAN", linkSLL, cat(sll, vlan, v4, frame4), true},
		{"cooked 2", linkSLL2, cat(v4, sll2tail, frame4), true},
		{"cooked 2 IPv6", linkSLL2, cat(v6, sll2tail, frame6), true},
		{"cooked 2 VLAN", linkSLL2, cat([]byte{0x81, 0}, sll2tail, []byte{0, 5}, v4, frame4), true},
		{"cooked 2 ARP", linkSLL2, cat([]byte{8, 6}, sll2tail, frame4), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDecoder([]Option{WithDNS()})
			d.decode(frame{link: tt.link, data: tt.data})
			p, ok := d.pop()
			if ok != tt.want || p.Err != nil || ok && len(p.Payload) != 20 {
				t.Errorf("got %+v, %v, want %v", p, ok, tt.want)
			}
			for n := range tt.data {
				d.decode(frame{link: tt.link, data: tt.data[:n]})
				if p, ok := d.pop(); ok && p.Err != nil {
					t.Errorf("cut to %d: %v", n, p.Err)
				}
			}
		})
	}
}
