package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/nameward/nameward/registry/store/boltfile"
)

// A run is octets under a number, in a bucket of its own.

var (
	octetsKey = []byte("octets")

	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errMissing  = boltfile.Damaged(errors.New("it is missing"))
	errChecksum = boltfile.Damaged(errors.New("the checksum is wrong"))
)

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// seal is the sequence number of a run's bucket: the length, and the CRC-32C of number and octets. With
// the number in it, a run that stands in the place of another one is found too.
func seal(n uint64, octets []byte) uint64 {
	crc := crc32.Update(crc32.Checksum(key(n), castagnoli), castagnoli, octets)
	return uint64(len(octets))<<32 | uint64(crc)
}

func sizeIn(seal uint64) uint32 { return uint32(seal >> 32) }

func putRun(b *bbolt.Bucket, n uint64, octets []byte) error {
	b.FillPercent = 1 // numbers come in order: no room is needed for what comes between
	run, err := b.CreateBucket(key(n))
	if err != nil {
		return err
	}
	if err := run.SetSequence(seal(n, octets)); err != nil {
		return err
	}
	return run.Put(octetsKey, octets)
}

// run returns octets that belong to the transaction.
func run(b *bbolt.Bucket, n uint64) ([]byte, error) {
	r := b.Bucket(key(n))
	if r == nil {
		return nil, errMissing
	}
	octets := r.Get(octetsKey)
	if octets == nil {
		return nil, errMissing
	}
	if seal(n, octets) != r.Sequence() {
		return nil, errChecksum
	}
	return octets, nil
}

// sizeOf does not touch the octets.
func sizeOf(b *bbolt.Bucket, n uint64) (uint32, error) {
	r := b.Bucket(key(n))
	if r == nil {
		return 0, errMissing
	}
	return sizeIn(r.Sequence()), nil
}

// dropRuns removes runs from the front of b, those numbered up to last, until they come to about a
// step. It says whether there are more.
func dropRuns(b *bbolt.Bucket, last uint64) (more bool, err error) {
	var drop [][]byte
	size := 0
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if len(k) != 8 || binary.BigEndian.Uint64(k) > last {
			break
		}
		if size >= dropOctets || len(drop) >= dropRunsMax {
			more = true
			break
		}
		drop = append(drop, append([]byte(nil), k...))
		if r := b.Bucket(k); r != nil {
			size += int(sizeIn(r.Sequence()))
		}
	}
	for _, k := range drop {
		if err := b.DeleteBucket(k); err != nil {
			return false, err
		}
	}
	return more, nil
}
