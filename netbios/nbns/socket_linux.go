package nbns

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// batch is how many packets one system call takes at the most.
const batch = 32

// Socket is a UDP socket that receives and sends in batches and knows to which of the host's addresses
// a packet was sent.
type Socket struct {
	udp     *net.UDPConn
	conn    *ipv4.PacketConn
	local   []netip.Addr
	allowed map[int]bool // interfaces whose broadcasts are answered

	rx, tx []ipv4.Message
	info   [batch]packetInfo
	rooms  [batch][]byte
	oobs   [batch][]byte
	queued int
}

// packetInfo is what IP_PKTINFO tells, ip(7).
type packetInfo struct {
	ifIndex int
	local   netip.Addr // the host's address that takes the packet: ipi_spec_dst
	to      netip.Addr // the destination in the header: ipi_addr
}

func newSocket(udp *net.UDPConn, local []netip.Addr, allowed map[int]bool) (*Socket, error) {
	s := &Socket{udp: udp, conn: ipv4.NewPacketConn(udp), local: local, allowed: allowed}
	if err := s.conn.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true); err != nil {
		return nil, err
	}
	enlarge(udp)
	s.rx, s.tx = make([]ipv4.Message, batch), make([]ipv4.Message, batch)
	for i := range batch {
		s.rx[i].Buffers = [][]byte{make([]byte, maxRequest)}
		s.rx[i].OOB = make([]byte, unix.CmsgSpace(unix.SizeofInet4Pktinfo))
		s.rooms[i] = make([]byte, 0, maxReply)
		s.oobs[i] = sourceOOB()
		s.tx[i].Buffers = make([][]byte, 1)
	}
	return s, nil
}

// enlarge asks for a large receive buffer: first past the system's limit, which needs CAP_NET_ADMIN,
// then within it.
func enlarge(udp *net.UDPConn) {
	raw, err := udp.SyscallConn()
	if err != nil {
		return
	}
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

// Close closes the socket.
func (s *Socket) Close() error { return s.udp.Close() }

// LocalAddr returns the address that the socket is bound to.
func (s *Socket) LocalAddr() net.Addr { return s.udp.LocalAddr() }

func (s *Socket) interrupt() { s.udp.SetReadDeadline(time.Unix(1, 0)) }

func (s *Socket) read() (int, error) {
	s.queued = 0
	n, err := s.conn.ReadBatch(s.rx, 0)
	for i := range max(n, 0) {
		s.info[i] = parsePacketInfo(s.rx[i].OOB[:s.rx[i].NN])
	}
	return n, err
}

// packet returns the i-th packet of the batch, or false if it is not for us.
func (s *Socket) packet(i int) (packet, bool) {
	m, info := &s.rx[i], s.info[i]
	from, ok := m.Addr.(*net.UDPAddr)
	if !ok || from.Port == 0 {
		return packet{}, false
	}
	p := packet{data: m.Buffers[0][:m.N], from: from.AddrPort(), broadcast: info.to != info.local}
	p.from = netip.AddrPortFrom(p.from.Addr().Unmap(), p.from.Port())
	if p.broadcast {
		return p, s.allowed[info.ifIndex]
	}
	return p, len(s.local) == 0 || slices.Contains(s.local, info.local)
}

func (s *Socket) room(i int) []byte { return s.rooms[i][:0] }

// queue sends the reply to the i-th packet with the next flush, from the address that was asked.
func (s *Socket) queue(i int, reply []byte) {
	t := &s.tx[s.queued]
	t.Buffers[0], t.Addr, t.OOB = reply, s.rx[i].Addr, s.oobs[s.queued]
	setSource(t.OOB, s.info[i].local)
	s.queued++
}

func (s *Socket) flush() error {
	for sent := 0; sent < s.queued; {
		n, err := s.conn.WriteBatch(s.tx[sent:s.queued], 0)
		if err != nil {
			// The first of them cannot be sent, to whatever address it claimed; the others can.
			sent++
			if sent >= s.queued {
				return err
			}
			continue
		}
		sent += n
	}
	return nil
}

// replier returns a function that replies to the i-th packet after the batch is gone.
func (s *Socket) replier(i int) func([]byte) error {
	to, oob := s.rx[i].Addr.(*net.UDPAddr).AddrPort(), sourceOOB()
	setSource(oob, s.info[i].local)
	return func(reply []byte) error {
		_, _, err := s.udp.WriteMsgUDPAddrPort(reply, oob, to)
		return err
	}
}

// sourceOOB returns a control message with an in_pktinfo that chooses the source address.
func sourceOOB() []byte {
	oob := make([]byte, unix.CmsgSpace(unix.SizeofInet4Pktinfo))
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
