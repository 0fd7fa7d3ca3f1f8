//go:build !linux

package nbpcap

import "errors"

// socket does not exist here.
type socket struct{}

var errLinux = errors.New("needs Linux; elsewhere write a capture file and read that")

func openSocket(string, bool) (*socket, error) { return nil, errLinux }

func (*socket) next() (frame, error)           { return frame{}, errLinux }
func (*socket) unblock()                       {}
func (*socket) stats() (uint64, uint64, error) { return 0, 0, errLinux }
func (*socket) close() error                   { return nil }
