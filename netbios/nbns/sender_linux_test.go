package nbns

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func routeTo(t *testing.T, to netip.AddrPort) route {
	t.Helper()
	r := route{local: netip.MustParseAddr("127.0.0.1")}
	r.to.Family, r.to.Addr = unix.AF_INET, to.Addr().As4()
	r.to.Port = to.Port()>>8 | to.Port()<<8
	return r
}

// TestGroup: what leaves as one packet, by the way and the length of replies.
func TestGroup(t *testing.T) {
	here, there := routeTo(t, netip.MustParseAddrPort("192.0.2.1:137")), routeTo(t, netip.MustParseAddrPort("192.0.2.2:137"))
	other := here
	other.local = netip.MustParseAddr("127.0.0.2")
	type run struct {
		to   route
		len  int
		many int
	}
	for _, tt := range []struct {
		name string
		runs []run
		want string // the numbers of replies in the packets
	}{
		{"few", []run{{here, 62, 15}}, "[1 1 1 1 1 1 1 1 1 1 1 1 1 1 1]"},
		{"many", []run{{here, 62, 32}}, "[32]"},
		{"a shorter one ends it", []run{{here, 62, 16}, {here, 56, 1}, {here, 62, 15}}, "[17 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1]"},
		{"a longer one is another", []run{{here, 56, 16}, {here, 62, 16}}, "[16 16]"},
		{"two nodes", []run{{here, 62, 16}, {there, 62, 16}}, "[16 16]"},
		{"two of our addresses", []run{{here, 62, 16}, {other, 62, 16}}, "[16 16]"},
	} {
		var s sender
		s.init(nil, false, 16)
		for _, r := range tt.runs {
			for range r.many {
				s.queue(r.to, make([]byte, r.len))
			}
		}
		var got []int
		for i := range s.group(0, s.queued) {
			got = append(got, int(s.heads[i].hdr.Iovlen))
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
		s.single = true
		if n := s.group(0, s.queued); n != s.queued {
			t.Errorf("%s: %d packets for %d replies of a kernel that cuts nothing up", tt.name, n, s.queued)
		}
	}
}

// TestSegments: each reply arrives by itself, also where the kernel refuses to cut.
func TestSegments(t *testing.T) {
	for _, refused := range []bool{false, true} {
		to, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		sock, err := Listen(t.Context(), ListenConfig{Addr: netip.MustParseAddrPort("0.0.0.0:0")})
		if err != nil {
			t.Fatal(err)
		}
		defer sock.Close()
		if refused {
			// A packet without a checksum cannot be cut up.
			sock.raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) })
			if err != nil {
				t.Fatal(err)
			}
		}
		out := newOutgoing(sock)
		r := routeTo(t, addrPort(to.LocalAddr()))
		for i := range batch {
			out.queue(r, fmt.Appendf(out.room(), "reply %02d", i))
		}
		if err := out.flush(); err != nil || out.single != refused {
			t.Errorf("refused %t: %v, and cuts nothing up: %t", refused, err, out.single)
		}
		buf := make([]byte, 100)
		to.SetReadDeadline(time.Now().Add(5 * time.Second))
		for i := range batch {
			n, from, err := to.ReadFrom(buf)
			if want := fmt.Sprintf("reply %02d", i); err != nil || string(buf[:n]) != want || addrPort(from).Addr().String() != "127.0.0.1" {
				t.Fatalf("refused %t: %q from %v, %v, want %q", refused, buf[:n], from, err, want)
			}
		}
	}
}
