package front

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// attach gives the group that the socket belongs to a program, in the place of the one before.
func attach(socket syscall.Conn, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assembling the program that steers packets: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: unsafe.SliceData(filter)}
	return control(socket, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &prog)
	})
}

// detach takes the program of the group away: the kernel chooses by hash again.
func detach(socket syscall.Conn) error {
	return control(socket, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0)
	})
}

func control(socket syscall.Conn, set func(fd int) error) error {
	c, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	return do(c, set)
}

func do(c syscall.RawConn, set func(fd int) error) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = set(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// enlarge asks for a large receive buffer: first past the system's limit, which needs CAP_NET_ADMIN, then within it.
func enlarge(c *net.UDPConn) {
	forced := control(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) })
	if forced != nil {
		_ = c.SetReadBuffer(receiveBuffer) // what the system gives, it gives
	}
}

// listen opens a TCP socket in the group of CoreDNS's. Go listens for MPTCP, as CoreDNS does, and such a
// socket takes no program (EOPNOTSUPP); a plain one does, for the whole group.
func listen(addr string) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return do(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	lc.SetMultipathTCP(false)
	return lc.Listen(context.Background(), "tcp", addr)
}
