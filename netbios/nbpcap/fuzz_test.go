package nbpcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzReader checks that no file makes the reader panic, run on after an error, or hand out a packet
// that cannot be written and read again.
func FuzzReader(f *testing.F) {
	for _, path := range captures(f) {
		b := readFile(f, path)
		f.Add(b)
		f.Add(toPcapNG(f, b))
	}
	f.Add(zip(f, readFile(f, "../testdata/nmbd-node-status.pcap")))
	f.Add(write(f, dnsPackets()...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b), WithDNS())
		if err != nil {
			return
		}
		last := 0
		var packets []Packet
		for {
			p, err := r.Next()
			if err != nil {
				if _, again := r.Next(); again != err {
					t.Fatalf("after %v comes %v", err, again)
				}
				if _, ok := err.(*FrameError); !ok && err != io.EOF {
					t.Fatalf("error without a number: %v", err)
				}
				break
			}
			if p.Number < last || p.Number == last && !p.TCP {
				t.Fatalf("packet %d after packet %d", p.Number, last)
			}
			if errors.Is(p.Err, errPanic) {
				t.Fatal(p.Err)
			}
			last = p.Number
			if p.Err == nil && len(p.Payload) <= maxPayload {
				p.Payload = bytes.Clone(p.Payload)
				packets = append(packets, p)
			}
		}
		checkWritten(t, packets)
	})
}

// dnsPackets are messages of each transport and address family.
func dnsPackets() []Packet {
	var packets []Packet
	for _, tcp := range []bool{false, true} {
		packets = append(packets,
			Packet{Protocol: DNS, TCP: tcp, Src: server, Dst: client, Payload: message(1, 40)},
			Packet{Protocol: DNS, TCP: tcp, Src: server, Dst: client, Payload: message(2, 13)},
			Packet{Protocol: DNS, TCP: tcp, Src: netip.MustParseAddrPort("[2001:db8::53]:53"), Dst: netip.MustParseAddrPort("[2001:db8::1]:53"), Payload: message(3, 12)})
	}
	return packets
}

func checkWritten(t *testing.T, want []Packet) {
	t.Helper()
	got, err := readAll(write(t, want...), WithDNS())
	if err != nil {
		t.Fatalf("written and read again: %v", err)
	}
	if diff := cmp.Diff(want, got, byValue, cmpopts.IgnoreFields(Packet{}, "Number", "Time")); diff != "" {
		t.Fatalf("written and read again (-want +got):\n%s", diff)
	}
}

// FuzzFrames checks the same of frames, two octets of length before each, in a capture of raw IP: there
// the fuzzer gets to TCP and fragments.
func FuzzFrames(f *testing.F) {
	var seed []byte
	for _, frame := range [][]byte{
		tcpFrame(f, 0, seg{flags: syn}), tcpFrame(f, 0, seg{seq: 20, data: message(1, 20)}), tcpFrame(f, 0, seg{seq: 1, data: prefixed(message(1, 40))}),
		udpFrame(f, dnsPort, message(1, 30))[14:],
	} {
		seed = append(seed, prefixed(frame)...)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDecoder([]Option{WithDNS()})
		drain := func() {
			for p, ok := d.pop(); ok; p, ok = d.pop() {
				if errors.Is(p.Err, errPanic) {
					t.Fatal(p.Err)
				}
			}
		}
		for number := 1; len(b) > 2; number++ {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			d.decode(frame{number: number, link: linkRaw, data: b[2 : 2+n]})
			b = b[2+n:]
			drain()
			checkKept(t, &d.streams)
		}
		d.end()
		drain()
	})
}
