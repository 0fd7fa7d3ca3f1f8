package nbns

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many packets one system call takes at the most.
const batch = 32

// Socket is a UDP socket that receives and sends in batches and knows to which of the host's addresses
// a packet was sent.
type Socket struct {
	udp     *net.UDPConn
	raw     syscall.RawConn
	bound   bool // to one address, so that there is nothing to be told of packets
	local   []netip.Addr
	allowed map[int]bool // interfaces whose broadcasts are answered

	rx    mmsg
	tx    sender
	info  [batch]packetInfo
	rooms [batch][]byte
}

// packetInfo is what IP_PKTINFO tells, ip(7).
type packetInfo struct {
	ifIndex int
	local   netip.Addr // the host's address that takes the packet: ipi_spec_dst
	to      netip.Addr // the destination in the header: ipi_addr
}

func newSocket(udp *net.UDPConn, local []netip.Addr, allowed map[int]bool) (*Socket, error) {
	raw, err := udp.SyscallConn()
	if err != nil {
		return nil, err
	}
	addr := addrPort(udp.LocalAddr()).Addr()
	s := &Socket{udp: udp, raw: raw, bound: !addr.IsUnspecified(), local: local, allowed: allowed}
	if !s.bound {
		if err := tellDestination(raw); err != nil {
			return nil, err
		}
	}
	enlarge(udp, raw)
	s.rx.call, s.rx.try = unix.SYS_RECVMMSG, s.rx.tryOnce
	s.tx.init(raw, s.bound, leastAnswers)
	for i := range batch {
		s.info[i] = packetInfo{local: addr, to: addr}
		s.rooms[i] = make([]byte, 0, maxReply)
		var oob []byte
		if !s.bound {
			oob = make([]byte, oobLen)
		}
		s.rx.set(i, make([]byte, maxRequest), &s.rx.addrs[i], oob)
	}
	return s, nil
}

// tellDestination asks for an in_pktinfo with each packet, ip(7).
func tellDestination(raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1) })
	return errors.Join(err, os.NewSyscallError("setsockopt", failed))
}

// enlarge asks for a large receive buffer: first past the system's limit, which needs CAP_NET_ADMIN,
// then within it.
func enlarge(udp *net.UDPConn, raw syscall.RawConn) {
	forced := syscall.EPERM
	raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) == nil {
			forced = 0
		}
	})
	if forced != 0 {
		udp.SetReadBuffer(receiveBuffer)
	}
}

// SmallBuffer returns the size of the receive buffer in octets if it is smaller than a burst of thousands of
// requests needs, else 0.
func (s *Socket) SmallBuffer() int {
	size := 0
	s.raw.Control(func(fd uintptr) {
		// The kernel doubles what was asked for and tells the double, socket(7).
		if n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
			size = n / 2
		}
	})
	if size >= receiveBuffer {
		return 0
	}
	return size
}

// Close closes the socket.
func (s *Socket) Close() error { return s.udp.Close() }

// LocalAddr returns the address that the socket is bound to.
func (s *Socket) LocalAddr() net.Addr { return s.udp.LocalAddr() }

func (s *Socket) interrupt() { s.udp.SetReadDeadline(time.Unix(1, 0)) }

func (s *Socket) read() (int, error) {
	if s.bound {
		return s.rx.receive(s.raw)
	}
	for i := range batch {
		s.rx.expect(i, oobLen)
	}
	n, err := s.rx.receive(s.raw)
	for i := range n {
		s.info[i] = parsePacketInfo(s.rx.oob(i))
	}
	return n, err
}

// packet returns the i-th packet of the batch, or false if it is not for us.
func (s *Socket) packet(i int) (packet, bool) {
	from, ok := s.rx.from(i)
	if !ok || from.Port() == 0 {
		return packet{}, false
	}
	info := &s.info[i]
	p := packet{data: s.rx.data(i), from: from, broadcast: info.to != info.local, route: route{s.rx.addrs[i], info.local}}
	if p.broadcast {
		return p, s.allowed[info.ifIndex]
	}
	return p, len(s.local) == 0 || slices.Contains(s.local, info.local)
}

func (s *Socket) room(i int) []byte { return s.rooms[i][:0] }

// queue sends the reply to the i-th packet with the next flush, from the address that was asked.
func (s *Socket) queue(i int, reply []byte) { s.tx.queue(route{s.rx.addrs[i], s.info[i].local}, reply) }

func (s *Socket) flush() error { return s.tx.flush() }

// replier returns a function that replies to the i-th packet after the batch is gone.
func (s *Socket) replier(i int) func([]byte) error {
	to, _ := s.rx.from(i)
	oob := sourceOOB()
	setSource(oob, s.info[i].local)
	return func(reply []byte) error {
		_, _, err := s.udp.WriteMsgUDPAddrPort(reply, oob, to)
		return err
	}
}

// route is the way back to who sent a packet: to its source, from the address that was asked.
type route struct {
	to    unix.RawSockaddrInet4
	local netip.Addr
}

// outgoing sends replies in batches of its own, beside the loop that receives. One goroutine at a time may
// queue and flush.
type outgoing struct {
	sender
	udp   *net.UDPConn
	rooms [batch][]byte
}

func newOutgoing(s *Socket) *outgoing {
	o := &outgoing{udp: s.udp}
	o.init(s.raw, s.bound, leastRegistrations)
	for i := range batch {
		o.rooms[i] = make([]byte, 0, maxReply)
	}
	return o
}

// room is where the next reply may be built.
func (o *outgoing) room() []byte { return o.rooms[o.queued][:0] }

// queue sends a reply with the next flush, or when a batch is full.
func (o *outgoing) queue(r route, reply []byte) error {
	o.sender.queue(r, reply)
	if o.queued < batch {
		return nil
	}
	return o.flush()
}

// now sends one reply at once; any goroutine may.
func (o *outgoing) now(r route, reply []byte) error {
	oob := sourceOOB()
	setSource(oob, r.local)
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&r.to.Port))[:])
	_, _, err := o.udp.WriteMsgUDPAddrPort(reply, oob, netip.AddrPortFrom(netip.AddrFrom4(r.to.Addr), port))
	return err
}

// oobLen is the room for one in_pktinfo.
var oobLen = unix.CmsgSpace(unix.SizeofInet4Pktinfo)

// sourceOOB returns a control message with an in_pktinfo that chooses the source address.
func sourceOOB() []byte {
	oob := make([]byte, oobLen)
	h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(oob)))
	h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
	h.Level, h.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
	return oob
}

// offsets in a struct in_pktinfo: int ifindex, in_addr spec_dst, in_addr addr.
const (
	cmsgData   = unix.SizeofCmsghdr
	offSpecDst = cmsgData + 4
	offAddr    = cmsgData + 8
)

func setSource(oob []byte, a netip.Addr) {
	raw := a.As4()
	copy(oob[offSpecDst:], raw[:])
}

func parsePacketInfo(oob []byte) packetInfo {
	if len(oob) < cmsgData+unix.SizeofInet4Pktinfo {
		return packetInfo{local: netip.IPv4Unspecified(), to: netip.IPv4Unspecified()}
	}
	return packetInfo{
		ifIndex: int(int32(binary.NativeEndian.Uint32(oob[cmsgData:]))),
		local:   netip.AddrFrom4([4]byte(oob[offSpecDst:])),
		to:      netip.AddrFrom4([4]byte(oob[offAddr:])),
	}
}
