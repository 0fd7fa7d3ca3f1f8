// Package journal keeps a large table durable at a cost that does not grow with the table: a log of
// changes and a base that stands for the log before it, both in one bbolt file. It knows octets only;
// what they mean is the caller's.
//
//	batch  -> Append     -> one key at the end of the log, two syncs -> Append returns
//	chunks -> Checkpoint -> a new base in steps -> switched over at once -> old base and log dropped in steps
//	file   -> Load       -> chunks of the base in force -> batches of the log after it
//
// A batch is in the file whole or not at all, and so is a base, also after kill -9 or a power cut.
// Batches are numbered from 1, without gaps, over the life of the file.
//
// # The file
//
// The bucket meta says which base is in force and up to which batch it stands for the log. The bucket
// log has a bucket of its own for every batch, and bases one for every base with one for every chunk in
// it. A bucket for each run of octets and not a key: bbolt keeps up to four values on a leaf however
// large they are, and writes them all again with the next one. For batches of 16 KiB that would be
// 5.8 octets written for each one appended; it is 2.2. A bucket's sequence number holds the length and the
// CRC-32C of what is in it, beside its position, away from the octets that it is for.
//
// A file that is damaged, foreign or of an unknown format is refused with its path and never written to.
// One process at a time has the file; a [Journal] may be used from several goroutines.
package journal
