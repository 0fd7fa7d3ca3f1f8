package usage

import (
	"slices"

	"github.com/axiomhq/hyperloglog"
)

const (
	// allPrecision is that of the sketches of all names and of all clients: 16 KiB, 0.8 % of error.
	allPrecision = 14
	// onePrecision is that of a row's sketch: 256 octets, 6.5 % of error.
	onePrecision = 8
)

// newSketch returns one of fixed size. The precisions are ours, and good.
func newSketch(precision uint8) *hyperloglog.Sketch {
	s, err := hyperloglog.NewSketch(precision, false)
	if err != nil {
		panic(err)
	}
	return s
}

// margin sums up the pairs that had to make room, by name or by client.
type margin[K comparable] struct {
	table[K]
	sums []sum // one for each row
}

// sum is of one name or one client.
type sum struct {
	kinds [kinds]uint64
	// only is the hash of the pairs' other half, a name's client or a client's name, while there is one
	// only, as of a name made up by an attacker. When there are more many is set, and others is their
	// sketch; it is kept when the row is used again.
	only   uint64
	many   bool
	others *hyperloglog.Sketch
}

func makeMargin[K comparable](n int) margin[K] {
	return margin[K]{table: makeTable[K](n), sums: make([]sum, n)}
}

// take adds a pair that makes room: its half in this margin, and the hash of its other half.
func (m *margin[K]) take(hash uint64, half row[K], kind Kind, count, other uint64) {
	i := m.find(hash, &half.key)
	if i >= 0 {
		m.add(i, count, half.first, half.last)
	} else {
		i, _ = m.room(hash)
		m.admit(i, hash, half, count)
		m.sums[i].begin(other)
	}
	m.sums[i].kinds[kind] += count
	m.sums[i].insert(other)
}

// begin empties a sum for a new key.
func (s *sum) begin(other uint64) {
	s.kinds, s.only, s.many = [kinds]uint64{}, other, false
}

// insert counts the other half if it is a new one.
func (s *sum) insert(other uint64) {
	switch {
	case s.many:
		s.others.InsertHash(other)
		return
	case other == s.only:
		return
	case s.others == nil:
		s.others = newSketch(onePrecision)
	default:
		s.others.Reset()
	}
	s.many = true
	s.others.InsertHash(s.only)
	s.others.InsertHash(other)
}

func (t *table[K]) clone() table[K] {
	c := *t
	c.buckets, c.rows = slices.Clone(t.buckets), slices.Clone(t.rows)
	return c
}

func (m *margin[K]) clone() margin[K] {
	c := margin[K]{m.table.clone(), slices.Clone(m.sums)}
	for i := range c.taken {
		c.sums[i].others = nil
		if c.sums[i].many {
			c.sums[i].others = m.sums[i].others.Clone()
		}
	}
	return c
}
