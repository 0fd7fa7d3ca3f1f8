//go:build !linux

package cache

import (
	"errors"
	"fmt"
	"runtime"
)

// hangUp needs a handle of the process and a look at its program.
func hangUp(int, string) error {
	return fmt.Errorf("telling dnsmasq needs Linux, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
