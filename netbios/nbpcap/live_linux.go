package nbpcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// socket is a packet socket, packet(7). pcapgo has one too, whose reads cannot be ended from outside and
// cut off frames that are longer than the MTU. The frames come without the link's header (SOCK_DGRAM),
// so that one filter is right for every kind of interface, with and without a VLAN tag.
type socket struct {
	file     *os.File
	conn     syscall.RawConn
	loopback bool
	buf      []byte
	control  []byte
}

// receiveRoom is asked of the kernel for frames that are not read yet, in octets.
const receiveRoom = 8 << 20

func openSocket(name string, dns bool) (*socket, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	// Protocol 0: nothing comes before the filter is there.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("it needs root or CAP_NET_RAW: %w", err)
	}
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// A file, for it comes with the runtime's poller and its deadlines.
	s := &socket{
		file:     os.NewFile(uintptr(fd), "packet socket"),
		loopback: iface.Flags&net.FlagLoopback != 0,
		buf:      make([]byte, maxFrame),
		control:  make([]byte, 128),
	}
	if err := s.setUp(fd, iface.Index, dns); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	return s, nil
}

func (s *socket) setUp(fd, index int, dns bool) (err error) {
	if s.conn, err = s.file.SyscallConn(); err != nil {
		return err
	}
	if err := attachFilter(fd, dns); err != nil {
		return err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveRoom) != nil {
		// That needs CAP_NET_ADMIN; this one gives what net.core.rmem_max allows.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveRoom); err != nil {
			return os.NewSyscallError("setsockopt SO_RCVBUF", err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_TIMESTAMPNS", err)
	}
	// In network byte order.
	const protocol = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
	return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: index}))
}

func attachFilter(fd int, dns bool) error {
	raw, err := bpf.Assemble(filter(dns))
	if err != nil {
		return err
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	return os.NewSyscallError("setsockopt SO_ATTACH_FILTER", err)
}

// next returns the next frame. A loopback interface shows each one twice, on its way out and in; the
// first is passed over.
func (s *socket) next() (frame, error) {
	for {
		n, nc, from, err := s.receive()
		if err != nil {
			return frame{}, err
		}
		if a, ok := from.(*unix.SockaddrLinklayer); ok && s.loopback && a.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		return frame{time: receivedAt(s.control[:nc]), link: linkRaw, data: s.buf[:n]}, nil
	}
}

func (s *socket) receive() (n, nc int, from unix.Sockaddr, err error) {
	wait := s.conn.Read(func(fd uintptr) bool {
		n, nc, _, from, err = unix.Recvmsg(int(fd), s.buf, s.control, 0)
		return err != unix.EAGAIN && err != unix.EINTR
	})
	if wait != nil {
		return 0, 0, nil, wait
	}
	return n, nc, from, os.NewSyscallError("recvmsg", err)
}

// receivedAt returns the time at which the kernel received a frame.
func receivedAt(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now()
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SO_TIMESTAMPNS {
			continue
		}
		var t unix.Timespec
		if _, err := binary.Decode(m.Data, binary.NativeEndian, &t); err == nil {
			return time.Unix(t.Unix())
		}
	}
	return time.Now()
}

// unblock ends the present and every later read.
func (s *socket) unblock() { _ = s.file.SetReadDeadline(time.Unix(1, 0)) }

// stats returns what the kernel counted since it was asked last.
func (s *socket) stats() (received, dropped uint64, err error) {
	var stats *unix.TpacketStats
	if e := s.conn.Control(func(fd uintptr) {
		stats, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	}); e != nil {
		return 0, 0, e
	}
	if err != nil {
		return 0, 0, os.NewSyscallError("getsockopt PACKET_STATISTICS", err)
	}
	return uint64(stats.Packets), uint64(stats.Drops), nil
}

func (s *socket) close() error { return s.file.Close() }
