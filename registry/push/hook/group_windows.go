package hook

import (
	"os"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return nil }

// end ends the process. It returns when the process is gone; done tells.
func end(p *os.Process, done <-chan error) {
	_ = p.Kill() // an error says that it is gone already
	<-done
}
