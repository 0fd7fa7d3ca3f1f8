//go:build linux

package e2e

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/nameward/nameward/netbios"
)

// management is the prefix that no answer may hold an address of.
var management = netip.MustParsePrefix("10.9.0.0/16")

// Capture looks at every UDP answer that leaves a host from the ports of DNS and NetBIOS.
type Capture struct {
	t    *testing.T
	stop func()

	mu      sync.Mutex
	answers map[uint16]int // by port
	leaks   []string
}

// capture starts to look. At the end of the test every answer with a management address is an error.
func (h *Host) capture(t *testing.T) *Capture {
	t.Helper()
	c := &Capture{t: t, answers: map[uint16]int{}}
	c.stop = h.packets(t, func(out bool, b []byte) {
		if out {
			c.look(b)
		}
	})
	t.Cleanup(c.end)
	return c
}

func (c *Capture) end() {
	c.stop()
	if st := c.answers; st[53] == 0 {
		c.t.Errorf("the capture saw no DNS answer at all")
	}
	for _, leak := range slices.Compact(c.leaks) {
		c.t.Errorf("a management address was sent: %s", leak)
	}
	c.t.Logf("captured %d DNS and %d NetBIOS answers", c.answers[53], c.answers[137])
}

// packets calls look with each IPv4 packet that leaves the host or comes to it, one after the other, until
// it is stopped.
func (h *Host) packets(t *testing.T, look func(out bool, b []byte)) (stop func()) {
	t.Helper()
	var fd int
	err := h.inside(func() (err error) {
		// Outgoing frames are shown to sockets for all protocols only: packet(7).
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(bigEndian(unix.ETH_P_ALL)))
		return err
	})
	if err != nil {
		t.Fatalf("capturing on %s: %v", h.name, err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20) // smaller is slower, not wrong
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, 65536)
		for {
			select {
			case <-stopped:
				return
			default:
			}
			n, from, err := unix.Recvfrom(fd, buf, 0)
			if ll, ok := from.(*unix.SockaddrLinklayer); err == nil && ok && ll.Protocol == bigEndian(unix.ETH_P_IP) {
				look(ll.Pkttype == unix.PACKET_OUTGOING, buf[:n])
			}
		}
	})
	return func() {
		time.Sleep(100 * time.Millisecond) // what was sent is in the socket by now
		close(stopped)
		done.Wait()
		unix.Close(fd)
	}
}

func bigEndian(v uint16) uint16 { return v<<8 | v>>8 }

// look takes an IPv4 packet.
func (c *Capture) look(b []byte) {
	if len(b) < 20 || b[9] != unix.IPPROTO_UDP {
		return
	}
	header := int(b[0]&0xf) * 4
	if len(b) < header+8 {
		return
	}
	port, payload := binary.BigEndian.Uint16(b[header:]), b[header+8:]
	var leaks []string
	switch port {
	case 53:
		leaks = dnsLeaks(payload)
	case netbios.Port:
		leaks = netbiosLeaks(payload)
	default:
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[port]++
	c.leaks = append(c.leaks, leaks...)
}

// dnsLeaks names the management addresses in a message, in whatever section and record.
func dnsLeaks(payload []byte) []string {
	m := new(dns.Msg)
	if m.Unpack(payload) != nil || len(m.Question) == 0 {
		return nil
	}
	var leaks []string
	for _, rr := range slices.Concat(m.Answer, m.Ns, m.Extra) {
		if strings.Contains(strings.TrimPrefix(rr.String(), rr.Header().String()), "10.9.") {
			leaks = append(leaks, fmt.Sprintf("%s %s: %s", m.Question[0].Name, dns.TypeToString[m.Question[0].Qtype], rr))
		}
	}
	return leaks
}

// netbiosLeaks names the management addresses in a name query's answer. Replies to registrations echo
// what was asked for and publish nothing.
func netbiosLeaks(payload []byte) []string {
	m, err := netbios.Parse(payload)
	if err != nil || m.Opcode != netbios.OpQuery {
		return nil
	}
	var leaks []string
	claim, _ := m.Claim()
	for _, a := range claim.Addrs {
		if management.Contains(a.Addr) {
			leaks = append(leaks, fmt.Sprintf("NetBIOS %s: %s", claim.Name, a.Addr))
		}
	}
	return leaks
}
