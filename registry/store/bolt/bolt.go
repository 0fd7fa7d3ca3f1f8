package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Store is a registry.Store in one file. Make it with Open.
type Store struct {
	db   *bbolt.DB
	path string
}

// lockTimeout is how long Open waits for another process to let go of the file: long enough for a
// restart, in which the old process closes while the new one opens.
const lockTimeout = time.Second

// Open opens the file at path, or makes it (mode 0600) with the directories above it (mode 0700).
func Open(path string) (*Store, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening state %s: %w", path, err)
	}
	if err := inspect(path); err != nil {
		return nil, fmt.Errorf("opening state %s: %w", path, explain(err))
	}
	db, err := openFile(path, false)
	if err != nil {
		return nil, fmt.Errorf("opening state %s: %w", path, explain(err))
	}
	s := &Store{db: db, path: path}
	if err := errors.Join(s.guard(s.prepare), syncDir(dir)); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("opening state %s: %w", path, err)
	}
	return s, nil
}

func openFile(path string, readOnly bool) (db *bbolt.DB, err error) {
	defer recoverDamage(&err)()
	return bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:        lockTimeout,
		ReadOnly:       readOnly,
		NoFreelistSync: true, // less to write in each commit; the list is found again at the start
		FreelistType:   bbolt.FreelistMapType,
		NoStatistics:   true,

		InitialMmapSize: initialMap(),
	})
}

// inspect reads an existing file from end to end before it is opened for writing. bbolt searches the
// free pages in a goroutine of its own, and a damaged page would end the process there.
func inspect(path string) error {
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		return nil
	}
	db, err := openFile(path, true)
	if err != nil {
		return err
	}
	s := &Store{db: db, path: path}
	return errors.Join(s.guard(func() error { return db.View(walk) }), db.Close())
}

// Close lets go of the file.
func (s *Store) Close() error { return s.db.Close() }

const howToGoOn = "move it away to start with an empty state, or put a copy back"

func explain(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return errors.New("it is in use by another nameward; stop that one, or write another path for the store")
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("it is damaged or not a nameward state file (%w); %s", err, howToGoOn)
	}
	return err
}

// guard runs a transaction on a file that may be damaged.
func (s *Store) guard(do func() error) (err error) {
	defer recoverDamage(&err)()
	return do()
}

// recoverDamage turns what bbolt does on a damaged file into an error: it panics, or reads beyond the
// end of a file that was cut short, which is a memory fault. The returned function must be deferred.
func recoverDamage(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			*err = fmt.Errorf("it is damaged (%v); %s", r, howToGoOn)
		}
	}
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
