//go:build !linux

package nbns

import "syscall"

func forceReceiveBuffer(syscall.RawConn) bool { return false }
