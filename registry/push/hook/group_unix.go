//go:build unix

package hook

import (
	"os"
	"syscall"
	"time"
)

// end ends the group that the process leads. It returns when the process is gone; done tells.
func end(p *os.Process, done <-chan error) {
	_ = syscall.Kill(-p.Pid, syscall.SIGTERM) // an error says that it is gone already
	select {
	case <-done:
		// A group's number is not given out anew while anybody is in it.
		_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
	case <-time.After(grace):
		_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
		<-done
	}
}
