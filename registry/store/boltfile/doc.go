// Package boltfile opens the bbolt files in which nameward keeps what must last, and guards their
// readers and writers against damage.
//
// A [Layout] says what is in a file: its format, which stands in the bucket meta, and the buckets that
// must be there. A file that is damaged, foreign, in use or of an unknown format is refused and never
// written to; bbolt itself panics or faults on such a file, at times in a goroutine of its own, which
// would end the process.
//
//	path -> read from end to end -> open for writing -> lay out if empty -> *bbolt.DB
package boltfile
