package boltfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// HowToGoOn ends the error of a file that cannot be read.
const HowToGoOn = "move it away to start with an empty state, or put a copy back"

// lockTimeout is how long Open waits for another process to let go of the file: long enough for a
// restart, in which the old process closes while the new one opens.
const lockTimeout = time.Second

// Open opens the file at path, or makes it (mode 0600) with the directories above it (mode 0700). Its
// errors do not name the path.
func (l Layout) Open(path string) (*bbolt.DB, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := l.inspect(path); err != nil {
		return nil, l.explain(err)
	}
	db, err := open(path, false)
	if err != nil {
		return nil, l.explain(err)
	}
	if err := errors.Join(Guard(func() error { return l.prepare(db) }), syncDir(dir)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func open(path string, readOnly bool) (db *bbolt.DB, err error) {
	var file *os.File
	err = Guard(func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:        lockTimeout,
			ReadOnly:       readOnly,
			NoFreelistSync: true, // less to write in each commit; the list is found again at the start
			FreelistType:   bbolt.FreelistMapType,
			NoStatistics:   true,

			InitialMmapSize: initialMap(),

			OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
		})
		return err
	})
	if err != nil && file != nil {
		_ = file.Close() // bbolt does not if it panics, and the file would stay locked
	}
	return db, err
}

// inspect reads an existing file from end to end before it is opened for writing. bbolt searches the
// free pages in a goroutine of its own, and a damaged page would end the process there.
func (l Layout) inspect(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		return nil
	}
	db, err := open(path, true)
	if err != nil {
		return err
	}
	return errors.Join(Guard(func() error {
		return db.View(func(tx *bbolt.Tx) error { return l.walk(tx, info.Size()) })
	}), db.Close())
}

func (l Layout) explain(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return errors.New("it is in use by another nameward; stop that one, or write another path")
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("it is damaged or not %s (%w); %s", l.Kind, err, HowToGoOn)
	}
	return err
}

// syncDir makes the entry of a new file durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // has no such call
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// initialMap is how many octets of address space the file gets at once. Every doubling of the map copies
// what a transaction has in hand, which is a fifth of the time of a first start with 100,000 roles. On
// Windows the file would be made as large as the map.
func initialMap() int {
	if runtime.GOOS == "windows" {
		return 0
	}
	return 64 << 20
}
