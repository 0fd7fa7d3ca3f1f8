package nbns

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsg is a batch of packets for recvmmsg(2) or sendmmsg(2).
//
// The calls never block and are hidden from the scheduler (RawSyscall6): a batch takes the kernel longer
// than the 20 us after which the runtime would hand the processor over to another thread, and that,
// with its wake-ups, costs a fifth of the server's time. The price is that a garbage collection may
// have to wait for a batch.
type mmsg struct {
	call  uintptr            // unix.SYS_RECVMMSG or unix.SYS_SENDMMSG
	try   func(uintptr) bool // tryOnce; kept, since a new one for each call would be garbage
	heads [batch]mmsghdr
	iovs  [batch]unix.Iovec
	addrs [batch]unix.RawSockaddrInet4

	first, end int // of the heads, for the next call
	n          int // how many it has done
	errno      syscall.Errno
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32 // octets received or sent
}

// set points the i-th head to its parts; data must not be empty.
func (m *mmsg) set(i int, data []byte, addr *unix.RawSockaddrInet4, oob []byte) {
	h, v := &m.heads[i].hdr, &m.iovs[i]
	v.Base = unsafe.SliceData(data)
	v.SetLen(len(data))
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(addr)), unix.SizeofSockaddrInet4
	h.Iov = v
	h.SetIovlen(1)
	h.Control = unsafe.SliceData(oob)
	h.SetControllen(len(oob))
}

// expect sets the length of the control message that receiving has changed.
func (m *mmsg) expect(i, oob int) {
	m.heads[i].hdr.SetControllen(oob)
}

func (m *mmsg) data(i int) []byte { return unsafe.Slice(m.iovs[i].Base, m.heads[i].len) }

func (m *mmsg) oob(i int) []byte {
	h := &m.heads[i].hdr
	return unsafe.Slice(h.Control, int(h.Controllen))
}

// from returns the address of the i-th packet's sender.
func (m *mmsg) from(i int) (netip.AddrPort, bool) {
	a := &m.addrs[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&a.Port))[:])
	return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), port), a.Family == unix.AF_INET
}

// receive waits for packets and takes those that are there.
func (m *mmsg) receive(raw syscall.RawConn) (int, error) {
	m.first, m.end, m.n = 0, batch, 0
	if err := raw.Read(m.try); err != nil {
		return 0, err
	}
	if m.errno != 0 {
		return 0, os.NewSyscallError("recvmmsg", m.errno)
	}
	return m.n, nil
}

// tryOnce makes the call and reports whether it is done; if not, the runtime waits for the socket.
func (m *mmsg) tryOnce(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(
			m.call, fd, uintptr(unsafe.Pointer(&m.heads[m.first])), uintptr(m.end-m.first), unix.MSG_DONTWAIT, 0, 0)
		if m.errno = errno; errno == 0 {
			m.n = int(n)
		}
		if errno != unix.EINTR {
			return errno != unix.EAGAIN
		}
	}
}
