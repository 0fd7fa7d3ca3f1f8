package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/nameward/nameward/netbios"
)

// asker asks one server for the address of a name, over a socket that stays open. It blocks in the
// kernel and not in Go's poller, which would add its own latency to every answer.
type asker struct {
	fd   int
	id   uint16
	out  []byte
	in   [1500]byte
	pack func(dst []byte, id uint16, name int) ([]byte, error)
	read func(reply []byte) (id uint16, addr netip.Addr, err error)
}

func newDNSAsker(server netip.AddrPort) (*asker, error) { return newAsker(server, packDNS, readDNS) }
func newNBNSAsker(server netip.AddrPort) (*asker, error) {
	return newAsker(server, packNBNS, readNBNS)
}

func newAsker(
	server netip.AddrPort, pack func([]byte, uint16, int) ([]byte, error), read func([]byte) (uint16, netip.Addr, error),
) (*asker, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a socket: %w", err)
	}
	tv := unix.NsecToTimeval(int64(answerTimeout))
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
		unix.Connect(fd, &unix.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().As4()}),
	)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("asking %s: %w", server, err)
	}
	return &asker{fd: fd, pack: pack, read: read}, nil
}

// answerTimeout is how long an answer may take before it counts as lost.
const answerTimeout = time.Second

func (a *asker) close() { unix.Close(a.fd) }

// ask returns the address that the name is answered with, the zero Addr if it is answered without one.
func (a *asker) ask(name int) (netip.Addr, error) {
	a.id++
	packet, err := a.pack(a.out[:0], a.id, name)
	if err != nil {
		return netip.Addr{}, err
	}
	a.out = packet
	if err := ignoringSignals(func() error { return unix.Send(a.fd, packet, 0) }); err != nil {
		return netip.Addr{}, err
	}
	for {
		var n int
		err := ignoringSignals(func() (err error) { n, _, err = unix.Recvfrom(a.fd, a.in[:], 0); return err })
		if err != nil {
			return netip.Addr{}, err
		}
		id, addr, err := a.read(a.in[:n])
		if err != nil || id == a.id {
			return addr, err
		}
	}
}

// ignoringSignals repeats a call that a signal has interrupted; the Go runtime sends them to preempt.
func ignoringSignals(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// until asks until the name is answered with an address and returns the time of that, and how often it
// was answered otherwise. A server that is not there yet is asked again.
func (a *asker) until(name int, want netip.Addr, limit time.Duration) (at time.Time, others int, err error) {
	for end := time.Now().Add(limit); ; {
		addr, err := a.ask(name)
		now := time.Now()
		switch {
		case err == nil && addr == want:
			return now, others, nil
		case err == nil:
			others++
		case errors.Is(err, unix.ECONNREFUSED):
			time.Sleep(time.Millisecond)
		}
		if now.After(end) {
			return now, others, fmt.Errorf("name %d is not answered with %s after %s: %s, %v", name, want, limit, addr, err)
		}
	}
}

func packDNS(dst []byte, id uint16, name int) ([]byte, error) {
	var m dns.Msg
	m.SetQuestion(dnsName(name), dns.TypeA)
	m.Id = id
	return m.PackBuffer(dst[:cap(dst)])
}

func readDNS(reply []byte) (uint16, netip.Addr, error) {
	var m dns.Msg
	if err := m.Unpack(reply); err != nil {
		return 0, netip.Addr{}, fmt.Errorf("reading an answer: %w", err)
	}
	if len(m.Answer) == 1 {
		if a, ok := m.Answer[0].(*dns.A); ok {
			addr, _ := netip.AddrFromSlice(a.A.To4())
			return m.Id, addr, nil
		}
	}
	return m.Id, netip.Addr{}, nil
}

func packNBNS(dst []byte, id uint16, name int) ([]byte, error) {
	return netbios.NewQuery(id, netbiosName(name)).Append(dst)
}

func readNBNS(reply []byte) (uint16, netip.Addr, error) {
	m, err := netbios.Parse(reply)
	if err != nil {
		return 0, netip.Addr{}, fmt.Errorf("reading an answer: %w", err)
	}
	if claim, ok := m.Claim(); ok && len(claim.Addrs) == 1 {
		return m.ID, claim.Addrs[0].Addr, nil
	}
	return m.ID, netip.Addr{}, nil
}
