package usage

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"

	"github.com/nameward/nameward/netbios"
)

// keys make the hashes of one tracker its own, so that nobody can choose names that meet in one bucket
// or that make a sketch wrong. They are part of a snapshot: the sketches in it mean nothing without.
type keys [4]uint64

func newKeys() (k keys) {
	var b [8 * len(k)]byte
	rand.Read(b[:])
	for i := range k {
		k[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return k
}

// fold multiplies to 128 bits and lays one half over the other, so that each bit of the result depends
// on all of both factors.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func (k *keys) name(n netbios.Name) uint64 {
	o := n.Octets()
	h := fold(binary.LittleEndian.Uint64(o[:8])^k[0], binary.LittleEndian.Uint64(o[8:])^k[1])
	scope := n.Scope()
	for i := range len(scope) {
		h = fold(h^uint64(scope[i]), k[3])
	}
	return fold(h^k[2], k[3])
}

func (k *keys) client(c client) uint64 {
	return fold(fold(uint64(binary.LittleEndian.Uint32(c[:]))^k[1], k[2])^k[0], k[3])
}

// pair mixes the hashes of a name and of a client with the kind.
func (k *keys) pair(name, client uint64, kind Kind) uint64 {
	return fold(name^k[1]+uint64(kind), client^k[2])
}
