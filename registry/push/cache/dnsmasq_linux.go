package cache

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// hangUp sends SIGHUP to a process that has a certain program. The handle makes sure that the number does not go to
// another process between the look and the signal.
func hangUp(pid int, program string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("%w: %d", errGone, pid)
	}
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Errorf("%w: %d", errGone, pid)
	}
	if have := strings.TrimSuffix(string(name), "\n"); have != program {
		return fmt.Errorf("process %d is %q and not %s, it gets no signal", pid, have, program)
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGHUP, nil, 0); err != nil {
		return fmt.Errorf("%w: sending a signal to %s needs its user, root or CAP_KILL", os.NewSyscallError("pidfd_send_signal", err), program)
	}
	return nil
}
