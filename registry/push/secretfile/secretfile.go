// Package secretfile reads secrets that a service and this guard share from files that nobody else may read.
package secretfile

import (
	"fmt"
	"io"
	"os"
	"runtime"
)

// maxSecret bounds a file in octets.
const maxSecret = 4096

// Read returns the content of a file that its owner alone may read. Windows has other means to see to that.
func Read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no file", path)
	case info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows":
		return "", fmt.Errorf("%s has mode %04o and is open to others: chmod 600 %s", path, info.Mode().Perm(), path)
	case info.Size() > maxSecret:
		return "", fmt.Errorf("%s: %d octets are too many for a secret", path, info.Size())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecret))
	return string(text), err
}
