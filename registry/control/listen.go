package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// listen opens a Unix socket that only its owner can open. It is made under another name, given its
// mode and then moved into place, so that it never stands open to others.
func listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("the control socket's directory: %w", err)
	}
	if err := abandoned(path); err != nil {
		return nil, err
	}
	hidden := fmt.Sprintf("%s.%d", path, os.Getpid())
	os.Remove(hidden)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("the control socket: %w", err)
	}
	ln.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(hidden, 0o600), os.Rename(hidden, path)); err != nil {
		ln.Close()
		os.Remove(hidden)
		return nil, fmt.Errorf("the control socket: %w", err)
	}
	return ln, nil
}

// abandoned makes sure that nobody answers at path: a socket that a killed process left behind may be
// replaced, a living one and any other file may not.
func abandoned(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the control socket: %w", err)
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("the control socket %s: there is a file that is no socket; remove it or choose another path", path)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return fmt.Errorf("the control socket %s: another nameward is running there; stop it or choose another path", path)
	}
	return nil
}
