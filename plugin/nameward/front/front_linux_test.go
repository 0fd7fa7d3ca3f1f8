package front

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/nameward/nameward/registry/servetest"
)

const (
	withRaw    = "raw=true status=<nil>"
	withoutRaw = "raw=false status=<nil>"
)

// checkSteered asks in every way, often enough that a choice by hash could not pass.
func (w *world) checkSteered(t *testing.T, addr string) {
	t.Helper()
	edns := query(dns.TypeA)
	edns.SetEdns0(1232, false)
	for range 25 {
		for _, tt := range []struct {
			network, want string
			m             *dns.Msg
		}{
			{"udp", withRaw, update()}, {"udp", withRaw, updateOf(1000)}, {"udp", withRaw, tkey()}, {"udp", withoutRaw, query(dns.TypeA)}, {"udp", withoutRaw, edns.Copy()},
			{"udp", withoutRaw, new(dns.Msg).SetQuestion(".", dns.TypeNS)},
			{"udp", withRaw, new(dns.Msg).SetQuestion(".", dns.TypeTKEY)},
			{"udp", withRaw, new(dns.Msg).SetQuestion(longName, dns.TypeTKEY)},
			{"udp", withoutRaw, new(dns.Msg).SetQuestion(longName, dns.TypeA)},
			{"tcp", withRaw, query(dns.TypeA)}, {"tcp", withRaw, update()}, {"tcp", withRaw, tkey()},
		} {
			if got := said(ask(t, tt.network, addr, tt.m)); got != tt.want {
				t.Fatalf("%s to %s over %s: %q, want %q", kindOf(tt.m), addr, tt.network, got, tt.want)
			}
		}
	}
}

// longName has as many labels as a name can have.
var longName = func() (name string) {
	for range 127 {
		name += "a."
	}
	return name
}()

func TestSteering(t *testing.T) {
	for _, tt := range []struct{ name, hosts, block string }{
		{"one address", "127.0.0.1", ""},
		{"IPv6", "::1", ""},
		{"both", "127.0.0.1 ::1", ""},
		{"every address", "", ""},
		{"every IPv4 address", "0.0.0.0", ""},
		{"multisocket", "127.0.0.1", "multisocket 3"},
		{"shed", "127.0.0.1", "shed"},
		{"shed and multisocket", "127.0.0.1 127.0.0.2", "shed\nmultisocket 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, port := newWorld(t), servetest.FreePort(t)
			bind, hosts := "bind "+tt.hosts, strings.Fields(tt.hosts)
			if tt.hosts == "" {
				bind, hosts = "", []string{""}
			}
			var addrs []string
			for _, h := range hosts {
				addrs = append(addrs, net.JoinHostPort(h, fmt.Sprint(port)))
			}
			w.start(t, fmt.Sprintf(".:%d {\n%s\necho\n%s\n}", port, bind, tt.block), addrs...)
			for _, addr := range addrs {
				w.checkSteered(t, addr)
			}
			if tt.hosts == "" {
				w.checkSteered(t, fmt.Sprintf("127.0.0.1:%d", port))
				w.checkSteered(t, fmt.Sprintf("127.0.0.7:%d", port))
				w.checkSteered(t, fmt.Sprintf("[::1]:%d", port))
			}
		})
	}
}

// leftAlone reports whether queries go to CoreDNS's own sockets.
func leftAlone(t *testing.T, addr string) bool {
	t.Helper()
	for range 25 {
		if said(ask(t, "udp", addr, query(dns.TypeA))) != withoutRaw {
			return false
		}
	}
	return true
}

// TestReceiveBuffer: our socket holds a burst, as far as the system lets us.
func TestReceiveBuffer(t *testing.T) {
	d, err := New(zerolog.Nop()).open("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.close() }()
	plain, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	if got, usual := receiveBufferOf(t, d.udp), receiveBufferOf(t, plain.(*net.UDPConn)); got <= usual {
		t.Errorf("a receive buffer of %d octets, and that of any socket has %d", got, usual)
	}
}

func receiveBufferOf(t *testing.T, c *net.UDPConn) (octets int) {
	t.Helper()
	err := control(c, func(fd int) (err error) {
		octets, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return octets
}
