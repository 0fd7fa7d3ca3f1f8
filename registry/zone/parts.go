package zone

import (
	"encoding/binary"
	"errors"
	"iter"
)

// partOctets is what one write may have: a journal takes 16 MiB.
const partOctets = 8 << 20

// parts cuts a batch into what the journal takes. All of it counts when the last part is there; what is left of
// a batch whose last part was not written counts for nothing.
func parts(batch []byte, size int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if len(batch) <= size {
			yield(batch)
			return
		}
		total := uint64((len(batch) + size - 1) / size)
		for i := range total {
			which := binary.AppendUvarint(binary.AppendUvarint(nil, i), total)
			piece := append([]byte{tagPart, byte(len(which))}, which...)
			if !yield(append(piece, batch[:min(size, len(batch))]...)) {
				return
			}
			batch = batch[min(size, len(batch)):]
		}
	}
}

var errPart = errors.New("a part of it is missing")

// join puts parts together again. It returns nothing until there is the last one.
func (l *loader) join(batch []byte) (whole []byte, err error) {
	if len(batch) == 0 || batch[0] != tagPart {
		l.parts, l.next = nil, 0
		return batch, nil
	}
	_, which, rest, err := cutEntry(batch)
	if err != nil {
		return nil, err
	}
	i, n := binary.Uvarint(which)
	total, m := binary.Uvarint(which[max(n, 0):])
	if n <= 0 || m <= 0 || i >= total || i != 0 && i != l.next {
		return nil, errPart
	}
	if i == 0 {
		l.parts = nil
	}
	if l.parts, l.next = append(l.parts, rest...), i+1; l.next < total {
		return nil, nil
	}
	whole, l.parts, l.next = l.parts, nil, 0
	return whole, nil
}
