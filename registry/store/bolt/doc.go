// Package bolt keeps the registry's durable state in one bbolt file: the embedded default.
//
// The data path is
//
//	registry.Delta -> one bbolt transaction -> two syncs -> Commit returns
//
// A transaction is in the file whole or not at all, also after kill -9 or a power cut. Every kind of
// state has a bucket (records, overrides, drains, lowered); keys are the names that people use and
// values are JSON, so that "bbolt get FILE records ROLE" shows what is kept.
//
// A file that is damaged, foreign or of an unknown format is refused with its path and never written
// to. One process at a time has the file; a [Store] itself may be used from several goroutines.
package bolt
