package registry

import "iter"

// vector is a persistent array of fixed length in two levels: a change copies the top level and the
// chunks it touches, so its cost does not grow with what it leaves alone.
type vector[T any] struct {
	chunks []*[chunkLen]T
	n      int
}

// chunkLen balances the two copies: 100,000 entries are 391 chunks (3 KiB of pointers) of 2 KiB each.
const chunkLen = 256

func newVector[T any](n int) vector[T] {
	v := vector[T]{chunks: make([]*[chunkLen]T, (n+chunkLen-1)/chunkLen), n: n}
	for i := range v.chunks {
		v.chunks[i] = new([chunkLen]T)
	}
	return v
}

func (v vector[T]) at(i int) T { return v.chunks[i/chunkLen][i%chunkLen] }

// differing yields the indexes in chunks that the two vectors, of one length, do not share.
func (v vector[T]) differing(o vector[T]) iter.Seq[int] {
	return func(yield func(int) bool) {
		for c := range v.chunks {
			if v.chunks[c] == o.chunks[c] {
				continue
			}
			for i := c * chunkLen; i < min((c+1)*chunkLen, v.n); i++ {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// edit returns an editor over a copy; v itself never changes.
func (v vector[T]) edit() *editor[T] {
	return &editor[T]{v: vector[T]{chunks: append([]*[chunkLen]T(nil), v.chunks...), n: v.n}, own: map[int]bool{}}
}

// editor is a vector in the making. It copies a chunk when it is first written to.
type editor[T any] struct {
	v   vector[T]
	own map[int]bool
}

func (e *editor[T]) set(i int, value T) {
	c := i / chunkLen
	if !e.own[c] {
		copied := *e.v.chunks[c]
		e.v.chunks[c] = &copied
		e.own[c] = true
	}
	e.v.chunks[c][i%chunkLen] = value
}

// done returns the finished vector; the editor must not be used again.
func (e *editor[T]) done() vector[T] { return e.v }
