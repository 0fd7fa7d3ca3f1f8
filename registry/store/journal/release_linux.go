package journal

import (
	"os"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// release takes the pages of the file out of the process's memory map: they count as its resident
// memory, up to the whole file, from when they were first read until the kernel needs the room. They
// stay in the page cache and come back when they are read again. The open transaction keeps the map
// where it is.
func release(tx *bbolt.Tx) {
	size := uintptr(tx.Size()) &^ uintptr(os.Getpagesize()-1)
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, tx.DB().Info().Data, size, unix.MADV_DONTNEED) // advice only
}
