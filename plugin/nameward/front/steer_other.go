//go:build !linux

package front

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"syscall"

	"golang.org/x/net/bpf"
)

var errSystem = fmt.Errorf("seeing DNS UPDATE and TKEY as they came needs Linux, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)

func attach(syscall.Conn, []bpf.Instruction) error { return errSystem }

func detach(syscall.Conn) error { return errSystem }

func enlarge(*net.UDPConn) {}

func listen(string) (net.Listener, error) { return nil, errSystem }
