//go:build !linux

package journal

import "go.etcd.io/bbolt"

// release does nothing: only Linux counts the pages of a memory map that could be dropped at once.
func release(*bbolt.Tx) {}
