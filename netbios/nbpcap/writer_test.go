package nbpcap

import (
	"bytes"
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nameward/nameward/netbios"
)

func write(t testing.TB, packets ...Packet) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestWriteWhatWasRead writes each capture with its payloads and again with its messages alone.
func TestWriteWhatWasRead(t *testing.T) {
	for _, path := range captures(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, err := ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			messages := make([]Packet, len(want))
			for i := range want {
				want[i].Number = i + 1 // frames of other protocols are not written
				messages[i] = want[i]
				messages[i].Payload = nil
			}
			got, err := readAll(write(t, want...))
			if diff := cmp.Diff(want, got, byValue); err != nil || diff != "" {
				t.Errorf("payloads: %v (-want +got):\n%s", err, diff)
			}
			got, err = readAll(write(t, messages...))
			noPayload := cmpopts.IgnoreFields(Packet{}, "Payload")
			if diff := cmp.Diff(messages, got, byValue, noPayload); err != nil || diff != "" {
				t.Errorf("messages: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestWriteWithoutTime(t *testing.T) {
	at := netip.MustParseAddrPort("[::ffff:192.0.2.1]:137")
	m := netbios.NewQuery(1, netbios.MustParseName("MAIL<20>"))
	got, err := readAll(write(t, Packet{Src: at, Dst: at, Message: m}))
	if err != nil || len(got) != 1 || !got[0].Time.Equal(time.Unix(0, 0)) {
		t.Fatalf("%+v, %v", got, err)
	}
	if want := netip.MustParseAddrPort("192.0.2.1:137"); got[0].Src != want {
		t.Errorf("source %v, want %v", got[0].Src, want)
	}
}

func TestWriteErrors(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("192.0.2.1:137"), netip.MustParseAddrPort("[2001:db8::1]:137")
	query := netbios.NewQuery(1, netbios.MustParseName("MAIL<20>"))
	tests := []struct {
		name   string
		packet Packet
	}{
		{"no addresses", Packet{Message: query}},
		{"IPv6 to IPv4", Packet{Src: v6, Dst: v4, Message: query}},
		{"IPv4 to IPv6", Packet{Src: v4, Dst: v6, Message: query}},
		{"too long", Packet{Src: v4, Dst: v4, Payload: make([]byte, maxPayload+1)}},
		{"bad message", Packet{Src: v4, Dst: v4, Message: netbios.NewQuery(1, netbios.Name{})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, err := NewWriter(&bytes.Buffer{})
			if err != nil {
				t.Fatal(err)
			}
			tt.packet.Number = 7
			var frame *FrameError
			if err := w.Write(tt.packet); !errors.As(err, &frame) || frame.Number != 7 {
				t.Errorf("got %v, want a FrameError of packet 7", err)
			}
		})
	}
	if _, err := NewWriter(full{}); !errors.Is(err, errFull) {
		t.Errorf("header on a full disk: %v", err)
	}
}

var errFull = errors.New("disk is full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// TestWriteDNS writes messages of each transport and address family, several in one TCP stream.
func TestWriteDNS(t *testing.T) {
	want := dnsPackets()
	for i := range want {
		want[i].Number, want[i].Time = i+1, time.Unix(1, 5).UTC()
	}
	got, err := readAll(write(t, want...), WithDNS())
	if diff := cmp.Diff(want, got, byValue); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := readAll(write(t, want...)); err != nil || got != nil {
		t.Errorf("without DNS: %v, %v", got, err)
	}
}
