package hook

import "syscall"

// ownGroup also has the system end the program when the thread ends that started it: one that outlived a nameward that was
// killed would do late what is over by then.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
