//go:build linux

package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/netbios/wins/winsctl"
)

// winsServer is where the WINS server under test listens.
var winsServer = netip.AddrPortFrom(netip.MustParseAddr(guardAddr), netbios.Port)

// winsWorld is pair with a WINS server; more are further keys of netbios.
func winsWorld(wins string, more ...string) string {
	keys := append([]string{"name: GUARD1", `listen: [{address: "0.0.0.0:137"}]`, "wins: " + wins}, more...)
	return pair + "netbios:\n  " + strings.Join(keys, "\n  ") + "\n"
}

// registrations are those that a filter leaves, sorted by name.
func (n *Nameward) registrations(t *testing.T, f winsctl.Filter) []winsctl.Registration {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var out []winsctl.Registration
	err := winsctl.Client{Client: n.Client}.Registrations(ctx, f, func(r winsctl.Registration) error {
		out = append(out, r)
		return nil
	})
	if err != nil {
		t.Fatalf("registrations: %v", err)
	}
	return out
}

// listed is what is registered under the names of a pattern, a line for each: "NODE1<20> unique active
// 192.0.2.11".
func (n *Nameward) listed(t *testing.T, pattern string) string {
	t.Helper()
	return words(n.registrations(t, winsctl.Filter{Name: pattern, Held: winsctl.NoneHeld}))
}

// held is the same of what is held: "EX1<20> multihomed quarantined 10.9.0.11 from
// 10.9.0.11: emptied, builtin-filtered".
func (n *Nameward) held(t *testing.T, pattern string) string {
	t.Helper()
	return words(n.registrations(t, winsctl.Filter{Name: pattern, Held: winsctl.OnlyHeld}))
}

func words(rs []winsctl.Registration) string {
	var lines []string
	for _, r := range rs {
		line := []string{r.Name.String(), r.Kind, r.State}
		for _, a := range r.Addresses {
			line = append(line, a.Address.String())
		}
		if r.Held != nil {
			line[1] = r.Held.What
			line = append(line, "from", r.Held.Source.String()+":", strings.Trim(r.Held.Reason+", "+r.Held.Rule, ", "))
		}
		lines = append(lines, strings.Join(line, " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Speaker is a socket from which a test speaks as a node does.
type Speaker struct {
	conn   *net.UDPConn
	addr   netip.Addr
	to     netip.AddrPort // the WINS server
	client *nbns.Client
}

// speakerAt is a speaker whose WINS server is another one.
func (h *Host) speakerAt(t *testing.T, addr, server string) *Speaker {
	t.Helper()
	s := h.speaker(t, addr, 0)
	s.to = netip.AddrPortFrom(netip.MustParseAddr(server), netbios.Port)
	return s
}

// speaker opens a socket at an address of the host; port 0 is any.
func (h *Host) speaker(t *testing.T, addr string, port uint16) *Speaker {
	t.Helper()
	s := &Speaker{addr: netip.MustParseAddr(addr), to: winsServer}
	err := h.inside(func() (err error) {
		s.conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.addr, port)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.lab.t.Cleanup(func() { s.conn.Close() })
	s.client = &nbns.Client{Conn: s.conn, UnicastTries: 1, UnicastTimeout: 6 * time.Second}
	return s
}

// at is an address with the flags of an H-node.
func at(addr string) netbios.Address {
	return netbios.Address{Flags: netbios.HNode, Addr: netip.MustParseAddr(addr)}
}

// claim sends one request and has the answer in words: "granted 3600", "released", "rcode 6", "silence",
// with "WACK, " before when there was one.
func (s *Speaker) claim(m netbios.Message) string {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	r, err := s.client.Claim(ctx, s.to, m)
	var negative *nbns.NegativeError
	text := fmt.Sprintf("granted %.0f", r.TTL.Seconds())
	switch {
	case errors.As(err, &negative):
		text = fmt.Sprintf("rcode %d", negative.Rcode)
	case errors.Is(err, os.ErrDeadlineExceeded):
		text = "silence"
	case err != nil:
		text = err.Error()
	case m.Opcode == netbios.OpRelease:
		text = "released"
	}
	if r.Wacked {
		text = "WACK, " + text
	}
	return text
}

func (s *Speaker) register(name string, addrs ...netbios.Address) string {
	if len(addrs) == 0 {
		addrs = []netbios.Address{at(s.addr.String())}
	}
	return s.claim(netbios.NewRegistration(0, netbios.MustParseName(name), 3600, addrs...))
}

func (s *Speaker) release(name string) string {
	return s.claim(netbios.NewRelease(0, netbios.MustParseName(name), at(s.addr.String())))
}

// send sends a packet and waits for nothing.
func (s *Speaker) send(t *testing.T, to netip.AddrPort, m netbios.Message) {
	t.Helper()
	packet, err := m.Append(nil)
	if err == nil {
		_, err = s.conn.WriteToUDPAddrPort(packet, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Seen is a NetBIOS name service packet that left a host or came to it.
type Seen struct {
	at       time.Time
	out      bool
	from, to netip.AddrPort
	netbios.Message
}

// Tap keeps what a host sends and receives on the port of the NetBIOS name service.
type Tap struct {
	t    *testing.T
	mu   sync.Mutex
	seen []Seen
}

// tap starts to look, until the end of the test.
func (h *Host) tap(t *testing.T) *Tap {
	t.Helper()
	tap := &Tap{t: t}
	t.Cleanup(h.packets(t, func(out bool, b []byte) {
		if from, to, payload, ok := datagram(b); ok && (from.Port() == netbios.Port || to.Port() == netbios.Port) {
			if m, err := netbios.Parse(payload); err == nil {
				tap.mu.Lock()
				defer tap.mu.Unlock()
				tap.seen = append(tap.seen, Seen{time.Now(), out, from, to, m})
			}
		}
	}))
	return tap
}

// datagram takes an IPv4 packet apart.
func datagram(b []byte) (from, to netip.AddrPort, payload []byte, ok bool) {
	if len(b) < 20 || b[9] != unix.IPPROTO_UDP {
		return
	}
	header := int(b[0]&0xf) * 4
	if len(b) < header+8 {
		return
	}
	port := func(i int) uint16 { return binary.BigEndian.Uint16(b[header+i:]) }
	from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:])), port(0))
	to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:])), port(2))
	return from, to, b[header+8:], true
}

// all returns the packets that match, in their order.
func (tap *Tap) all(match func(*Seen) bool) []Seen {
	tap.mu.Lock()
	defer tap.mu.Unlock()
	var out []Seen
	for i := range tap.seen {
		if match(&tap.seen[i]) {
			out = append(out, tap.seen[i])
		}
	}
	return out
}

// about reports whether a packet is about a name.
func (s *Seen) about(name string) bool {
	n := netbios.MustParseName(name)
	for _, q := range s.Questions {
		return q.Name == n
	}
	for _, r := range s.Answers {
		return r.Name == n
	}
	return false
}

// talk is what a host and the WINS server said to each other about a name, in words: "registration,
// wack, negative-registration 6".
func (tap *Tap) talk(name string) string {
	var out []string
	for _, s := range tap.all(func(s *Seen) bool {
		return s.about(name) && (s.from == winsServer || s.to == winsServer)
	}) {
		word := s.Form().String()
		if s.Rcode != 0 {
			word += fmt.Sprintf(" %d", s.Rcode)
		}
		out = append(out, word)
	}
	return strings.Join(out, ", ")
}
