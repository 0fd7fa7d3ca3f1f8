// Package replace puts a new file in the place of an old one, whole or not at all: who reads it, or kills
// the process at any moment, finds the one or the other.
package replace

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// File writes a file (mode 0600) under another name beside path, and puts it there when it is complete and
// on stable storage. On an error the old file stays as it was, and nothing is left beside it.
func File(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
