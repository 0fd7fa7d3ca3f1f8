package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// updateAddr is the address of every record that is added.
var updateAddr = netip.MustParseAddr("198.51.100.7")

// updateConn sends updates to one server and reads its responses, over a socket of the kernel's own.
type updateConn struct {
	*updatePacker
	fd     int
	stream bool
	id     uint16
	out    []byte
	in     [1 << 14]byte
	have   int // octets of in that are not read yet, of a stream
}

// longest is how long any server may take for an update before it counts as lost.
const longest = 10 * time.Second

func dialUpdates(server netip.AddrPort, stream bool) (*updateConn, error) {
	kind := unix.SOCK_DGRAM
	if stream {
		kind = unix.SOCK_STREAM
	}
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a socket: %w", err)
	}
	tv := unix.NsecToTimeval(int64(longest))
	// As the load client of NetBIOS: the responses to a burst must not be lost here.
	const room = 32 << 20
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, room)
	}
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err == nil && stream {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().As4()})
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connecting to %s: %w", server, err)
	}
	return &updateConn{updatePacker: newUpdatePacker(), fd: fd, stream: stream}, nil
}

func (c *updateConn) close() { unix.Close(c.fd) }

// send sends a change under the next id.
func (c *updateConn) send(ch change) error {
	c.id++
	c.out = c.out[:0]
	if c.stream {
		c.out = append(c.out, 0, 0)
	}
	c.out = c.append(c.out, c.id, ch, time.Now())
	if c.stream {
		binary.BigEndian.PutUint16(c.out, uint16(len(c.out)-2))
	}
	return ignoringSignals(func() error { return unix.Send(c.fd, c.out, 0) })
}

// receive returns one response. It is not ok when there is none; wait says whether to wait for it then.
func (c *updateConn) receive(wait bool) (id uint16, rcode int, ok bool, err error) {
	for {
		if packet := c.next(); packet != nil {
			id, rcode, ok = readUpdateReply(packet)
			return id, rcode, ok, nil
		}
		flags := unix.MSG_DONTWAIT
		if wait {
			flags = 0
		}
		var n int
		err := ignoringSignals(func() (err error) { n, _, err = unix.Recvfrom(c.fd, c.in[c.have:], flags); return err })
		switch {
		case err == unix.EAGAIN:
			return 0, 0, false, nil
		case err != nil:
			return 0, 0, false, err
		case n == 0 && c.stream:
			return 0, 0, false, fmt.Errorf("the server has closed the connection")
		}
		c.have += n
	}
}

// next takes one message out of what was read.
func (c *updateConn) next() []byte {
	if !c.stream {
		packet := c.in[:c.have]
		if c.have = 0; len(packet) == 0 {
			return nil
		}
		return packet
	}
	if c.have < 2 {
		return nil
	}
	end := 2 + int(binary.BigEndian.Uint16(c.in[:]))
	if c.have < end {
		return nil
	}
	packet := append([]byte(nil), c.in[2:end]...)
	copy(c.in[:], c.in[end:c.have])
	c.have -= end
	return packet
}

// exchange makes a change and waits for the NOERROR.
func (c *updateConn) exchange(ch change) error {
	if err := c.send(ch); err != nil {
		return err
	}
	for {
		id, rcode, ok, err := c.receive(true)
		switch {
		case err != nil:
			return err
		case !ok:
			return fmt.Errorf("no response to an update in %s", longest)
		case id != c.id:
			continue
		case rcode != dns.RcodeSuccess:
			return fmt.Errorf("an update is answered with %s", dns.RcodeToString[rcode])
		}
		return nil
	}
}

// newUpdateAsker asks for the names that updates add.
func newUpdateAsker(server netip.AddrPort) (*asker, error) {
	return newAsker(server, func(dst []byte, id uint16, name int) ([]byte, error) {
		m := new(dns.Msg).SetQuestion(updateName(name), dns.TypeA)
		m.Id = id
		return m.PackBuffer(dst[:cap(dst)])
	}, readDNS)
}
