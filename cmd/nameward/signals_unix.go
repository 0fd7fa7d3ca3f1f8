//go:build !windows

package main

import (
	"os"
	"syscall"
)

var handled = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1}

func isReload(s os.Signal) bool  { return s == syscall.SIGHUP }
func isRestart(s os.Signal) bool { return s == syscall.SIGUSR1 }
