package nbpcap

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/nameward/nameward/netbios"
)

// BenchmarkReader reads captures on Ethernet; what it reports is for one frame.
func BenchmarkReader(b *testing.B) {
	registration, err := netbios.NewRegistration(1, netbios.MustParseName("MAIL<20>"), 0,
		netbios.Address{Addr: netip.MustParseAddr("192.0.2.11")}).Append(nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, bm := range []struct {
		name  string
		frame []byte
		found bool
	}{
		{"registration", udpFrame(b, netbios.Port, registration), true},
		{"dns", udpFrame(b, dnsPort, make([]byte, 100)), true},
		{"other", udpFrame(b, 443, make([]byte, 1200)), false},
	} {
		b.Run(bm.name, func(b *testing.B) {
			const frames = 100000
			file := repeat(b, bm.frame, frames)
			b.SetBytes(int64(len(bm.frame)))
			b.ReportAllocs()
			r := openBytes(b, file)
			for b.Loop() {
				if r.err != nil {
					r = openBytes(b, file)
				}
				r.read()
				if _, found := r.decoder.pop(); found != bm.found && r.err == nil {
					b.Fatalf("packet found: %v", found)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
		})
	}
}

func openBytes(t testing.TB, file []byte, opts ...Option) *Reader {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file), append(opts, WithDNS())...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func udpFrame(t testing.TB, port uint16, payload []byte) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2}}
	udp := &layers.UDP{SrcPort: layers.UDPPort(port), DstPort: 40000}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4},
		ip, udp, gopacket.Payload(payload))
}

func serialize(t testing.TB, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, l...); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(buf.Bytes())
}

func repeat(t testing.TB, data []byte, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := pcapgo.NewWriter(&out)
	if err := w.WriteFileHeader(maxFrame, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	info := gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: len(data), Length: len(data)}
	for range n {
		if err := w.WritePacket(info, data); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}
