//go:build !linux

package nbns

import (
	"net"
	"net/netip"
	"time"
)

const batch = 1

// Socket is a UDP socket. Here the system does not tell to which address a packet was sent, so that
// the B flag of the packet decides what is taken for a broadcast.
type Socket struct {
	udp     *net.UDPConn
	hears   bool // broadcasts are answered
	buf     [maxRequest]byte
	n       int
	from    netip.AddrPort
	replies []byte
	out     [maxReply]byte
}

func newSocket(udp *net.UDPConn, _ []netip.Addr, allowed map[int]bool) (*Socket, error) {
	// A smaller buffer than asked for is the system's choice.
	udp.SetReadBuffer(receiveBuffer)
	return &Socket{udp: udp, hears: len(allowed) > 0}, nil
}

// SmallBuffer returns 0: what the system has granted is not told here.
func (s *Socket) SmallBuffer() int { return 0 }

// Close closes the socket.
func (s *Socket) Close() error { return s.udp.Close() }

// LocalAddr returns the address that the socket is bound to.
func (s *Socket) LocalAddr() net.Addr { return s.udp.LocalAddr() }

func (s *Socket) interrupt() { s.udp.SetReadDeadline(time.Unix(1, 0)) }

func (s *Socket) read() (int, error) {
	var err error
	s.replies = nil
	s.n, s.from, err = s.udp.ReadFromUDPAddrPort(s.buf[:])
	s.from = netip.AddrPortFrom(s.from.Addr().Unmap(), s.from.Port())
	if err != nil {
		return 0, err
	}
	return 1, nil
}

func (s *Socket) packet(int) (packet, bool) {
	p := packet{data: s.buf[:s.n], from: s.from, route: route(s.from)}
	p.broadcast = s.n > 3 && s.buf[3]&0x10 != 0
	return p, s.from.Port() != 0 && (!p.broadcast || s.hears)
}

func (s *Socket) room(int) []byte { return s.out[:0] }

func (s *Socket) queue(_ int, reply []byte) { s.replies = reply }

func (s *Socket) flush() error {
	if s.replies == nil {
		return nil
	}
	_, err := s.udp.WriteToUDPAddrPort(s.replies, s.from)
	return err
}

func (s *Socket) replier(int) func([]byte) error {
	to := s.from
	return func(reply []byte) error {
		_, err := s.udp.WriteToUDPAddrPort(reply, to)
		return err
	}
}

// route is the way back to who sent a packet.
type route netip.AddrPort

// outgoing sends replies beside the loop that receives.
type outgoing struct {
	udp *net.UDPConn
	buf [maxReply]byte
}

func newOutgoing(s *Socket) *outgoing { return &outgoing{udp: s.udp} }

func (o *outgoing) room() []byte { return o.buf[:0] }

func (o *outgoing) queue(r route, reply []byte) error { return o.now(r, reply) }

func (o *outgoing) flush() error { return nil }

func (o *outgoing) now(r route, reply []byte) error {
	_, err := o.udp.WriteToUDPAddrPort(reply, netip.AddrPort(r))
	return err
}
