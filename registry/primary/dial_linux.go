package primary

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// control has a connection end when what was sent over it is not even acknowledged by the other host: such a primary is
// gone, and another one is tried, while one that is slow has its time.
func control(_, _ string, c syscall.RawConn) error {
	var err error
	outer := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(ackTimeout.Milliseconds()))
	})
	return errors.Join(outer, err)
}
