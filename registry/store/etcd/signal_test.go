//go:build unix

package etcd

import "syscall"

const (
	stop = syscall.SIGSTOP
	cont = syscall.SIGCONT
)
