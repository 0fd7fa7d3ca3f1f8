package nbpcap

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/nameward/nameward/netbios"
)

var byValue = cmp.Options{
	cmpopts.EquateComparable(netbios.Name{}, netip.Addr{}, netip.AddrPort{}),
	cmpopts.EquateErrors(),
}

const example = "../testdata/nmbd-wins-client-node-start-stop.pcap"

func readAll(b []byte, opts ...Option) ([]Packet, error) {
	r, err := NewReader(bytes.NewReader(b), opts...)
	if err != nil {
		return nil, err
	}
	return r.rest()
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadFile(t *testing.T) {
	packets, err := ReadFile(example)
	if err != nil || len(packets) != 49 {
		t.Fatalf("%d packets, %v, want 49 of 51 frames", len(packets), err)
	}
	first := packets[0]
	want := Packet{
		Number: 1,
		Time:   time.Date(2026, 11, 22, 1, 58, 42, 170904000, time.UTC),
		Src:    netip.MustParseAddrPort("10.99.0.21:137"),
		Dst:    netip.MustParseAddrPort("10.99.0.255:137"),
	}
	if diff := cmp.Diff(want, first, byValue, cmpopts.IgnoreFields(Packet{}, "Payload", "Message")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := first.Message; got.Form() != netbios.FormRegistration || got.Questions[0].Name.String() != "CLI2NODE<20>" {
		t.Errorf("message %+v", got)
	}
	// Two frames are no name service; the others keep the numbers that other tools show.
	if last := packets[len(packets)-1]; last.Number != 51 {
		t.Errorf("last packet has the number %d, want 51", last.Number)
	}
}

func TestReadFileErrors(t *testing.T) {
	if _, err := ReadFile("testdata/none.pcap"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	path := filepath.Join(t.TempDir(), "cut.pcap")
	b := readFile(t, example)
	if err := os.WriteFile(path, b[:len(b)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	packets, err := ReadFile(path)
	if len(packets) != 48 || !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "cut.pcap: packet 51") {
		t.Errorf("%d packets, %v", len(packets), err)
	}
}

// TestFormats reads the same frames from each format.
func TestFormats(t *testing.T) {
	pcap := readFile(t, example)
	ng := toPcapNG(t, pcap)
	want, err := readAll(pcap)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"pcapng": ng, "pcap in gzip": zip(t, pcap), "pcapng in gzip": zip(t, ng)} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(b)
			if diff := cmp.Diff(want, got, byValue); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func zip(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// toPcapNG writes the frames of a pcap file as pcapng with the writer of pcapgo.
func toPcapNG(t testing.TB, pcap []byte) []byte {
	t.Helper()
	r, err := pcapgo.NewReader(bytes.NewReader(pcap))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := pcapgo.NewNgWriter(&out, r.LinkType())
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, err := r.ReadPacketData()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WritePacket(info, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestCutOff cuts a file at every octet: the packets before the cut are read, and the cut is an error
// unless it falls between two frames.
func TestCutOff(t *testing.T) {
	pcap := readFile(t, "../testdata/nmbd-node-status.pcap")
	ng := toPcapNG(t, pcap)
	whole, err := readAll(pcap)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"pcap": pcap, "pcapng": ng, "gzip": zip(t, pcap)} {
		clean := 0
		for n := range b {
			got, err := readAll(b[:n])
			if err == nil {
				clean++
			} else if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s cut to %d octets: %v", name, n, err)
			}
			if len(got) > len(whole) || len(got) > 0 && !cmp.Equal(whole[:len(got)], got, byValue) {
				t.Errorf("%s cut to %d octets: got %d other packets", name, n, len(got))
			}
		}
		// pcap has two clean cuts: behind the header and behind the first frame. pcapng has one more,
		// behind the interface. gzip has its own end and shows every cut.
		if want := map[string]int{"pcap": 2, "pcapng": 3, "gzip": 0}[name]; clean != want {
			t.Errorf("%s: %d clean cuts, want %d", name, clean, want)
		}
	}
}

func TestMalformedPackets(t *testing.T) {
	good, err := ReadFile("../testdata/nmbd-node-status.pcap")
	if err != nil {
		t.Fatal(err)
	}
	bad := good[0]
	bad.Payload = bad.Payload[:20]
	empty := good[0]
	empty.Payload = []byte{}
	packets, err := readAll(write(t, bad, empty, good[1]))
	if err != nil || len(packets) != 3 {
		t.Fatalf("%d packets, %v", len(packets), err)
	}
	var frame *FrameError
	if err := packets[0].Err; !errors.As(err, &frame) || frame.Number != 1 || netbios.Reason(err) != "short" {
		t.Errorf("got %v, want a short packet 1", err)
	}
	if packets[0].Message.ID != good[0].Message.ID || !bytes.Equal(packets[0].Payload, bad.Payload) {
		t.Errorf("header or payload lost: %+v", packets[0])
	}
	if packets[1].Err == nil || packets[2].Err != nil {
		t.Errorf("errors %v and %v", packets[1].Err, packets[2].Err)
	}
}

func TestBadHeaders(t *testing.T) {
	pcap := readFile(t, "../testdata/nmbd-node-status.pcap")
	change := func(at int, octets string) []byte {
		b := bytes.Clone(pcap)
		copy(b[at:], octets)
		return b
	}
	ng := toPcapNG(t, pcap)
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "header of the capture file: unexpected EOF"},
		{"text", []byte("no capture file at all, just text"), "nknown magic"},
		{"gzip of nothing", zip(t, nil), "unexpected EOF"},
		{"gzip that is none", []byte("\x1f\x8bxxxxxxxxxx"), "capture in gzip"},
		{"link type", change(20, "\xff\x00\x00\x00"), "link type 255"},
		{"link type above 255", change(20, "\x01\x01\x00\x00"), "link type 257"},
		{"frame of 4 GiB", change(32, "\xff\xff\xff\xff\xff\xff\xff\xff"), "packet 1: capture length exceeds"},
		{"byte order of pcapng", append(append([]byte{}, ng[:8]...), "\x00\x00\x00\x00rest"...), "byte order"},
		{"block of 4 GiB", append(append([]byte{}, ng[:4]...), "\xfc\xff\xff\xff\x4d\x3c\x2b\x1a"...), "block of 4294967292"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := readAll(tt.file); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestOtherProtocols checks that frames of other ports and protocols are counted and left out.
func TestOtherProtocols(t *testing.T) {
	ip := &layers.IPv4{Version: 4, TTL: 1, Protocol: layers.IPProtocolUDP, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2}}
	udp := &layers.UDP{SrcPort: 138, DstPort: 138}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, ip, udp); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"port 138": buf.Bytes(), "no IP": {0}, "nothing": {}} {
		if p, ok := decodeOne(frame{number: 1, link: linkRaw, data: data}); ok {
			t.Errorf("%s: %+v", name, p)
		}
	}
	p, ok := decodeOne(frame{number: 3, link: 999})
	if !ok || p.Err == nil || p.Err.Error() != "packet 3: link type 999 is not supported" {
		t.Errorf("unknown link type: %+v, %v", p, ok)
	}
}

func decodeOne(f frame) (Packet, bool) {
	d := newDecoder(nil)
	d.decode(f)
	return d.pop()
}
