package usage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/axiomhq/hyperloglog"

	"github.com/nameward/nameward/netbios"
)

// Restore puts what Snapshot returned in the place of what is known. The snapshot may be of a tracker
// with another number of rows: of one with more, some rows make room. After an error the tracker is
// empty and works.
func (t *Tracker) Restore(snapshot []byte) error {
	s, err := readState(snapshot, t.rows)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drainAll(time.Now())
	if err != nil {
		t.state = t.empty()
		return fmt.Errorf("restoring the usage of names: %w", err)
	}
	t.state = s
	return nil
}

var (
	errShort  = errors.New("it ends too early")
	errNumber = errors.New("a number is out of range")
)

// reader reads until something is wrong; from then on it returns zeros.
type reader struct {
	b     []byte
	since int64
	err   error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) octets(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)) {
		r.fail(errShort)
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// number reads one that is at most most.
func (r *reader) number(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	return uint64(r.varint(n, v <= most, int64(v)))
}

// time reads the time that is a signed number of milliseconds after another.
func (r *reader) time(after int64) int64 {
	d, n := binary.Varint(r.b)
	ms := after + d
	return r.varint(n, -mostTime <= d && d <= mostTime && 0 <= ms && ms <= mostTime, ms)
}

func (r *reader) varint(n int, good bool, v int64) int64 {
	switch {
	case r.err != nil:
	case n == 0:
		r.fail(errShort)
	case n < 0 || !good:
		r.fail(errNumber)
	default:
		r.b = r.b[n:]
		return v
	}
	return 0
}

func (r *reader) name() (n netbios.Name) {
	octets := r.octets(netbios.BaseLen + 1)
	scope := string(r.octets(r.number(4 * netbios.MaxScope)))
	if r.err != nil {
		return n
	}
	if scope == "" {
		return netbios.NameFromOctets([netbios.BaseLen + 1]byte(octets))
	}
	n, err := netbios.NewName(string(octets[:netbios.BaseLen]), octets[netbios.BaseLen], scope)
	if err != nil {
		r.fail(err)
	}
	return n
}

func (r *reader) client() (c client) {
	copy(c[:], r.octets(uint64(len(c))))
	return c
}

func (r *reader) pair() pair {
	p := pair{name: r.name(), client: r.client()}
	p.kind = Kind(r.number(kinds - 1))
	return p
}

// sketch reads one of this precision; the library would take any, sparse ones too.
func (r *reader) sketch(precision uint8) *hyperloglog.Sketch {
	want := 8 + uint64(1)<<precision
	return r.sketchOf(r.octets(r.number(want)), precision)
}

// others reads what the writer's others has written.
func (r *reader) others(s *sum) {
	n := r.number(8 + 1<<onePrecision)
	if n == 0 {
		if b := r.octets(8); b != nil {
			s.only = binary.LittleEndian.Uint64(b)
		}
		return
	}
	s.many, s.others = true, r.sketchOf(r.octets(n), onePrecision)
}

func (r *reader) sketchOf(b []byte, precision uint8) *hyperloglog.Sketch {
	if r.err != nil {
		return nil
	}
	if uint64(len(b)) != 8+uint64(1)<<precision || b[1] != precision || b[3] != 0 {
		r.fail(errors.New("a sketch has another size"))
		return nil
	}
	s := new(hyperloglog.Sketch)
	if err := s.UnmarshalBinary(b); err != nil {
		r.fail(err)
	}
	return s
}

func readState(b []byte, rows int) (*state, error) {
	r := &reader{b: b}
	if head := r.octets(uint64(len(magic))); string(head) != magic {
		return nil, errors.New("it is not a snapshot of this kind")
	}
	if v := r.octets(1); len(v) == 1 && v[0] != version {
		return nil, fmt.Errorf("its version is %d, want %d", v[0], version)
	}
	var k keys
	for i := range k {
		if b := r.octets(8); b != nil {
			k[i] = binary.LittleEndian.Uint64(b)
		}
	}
	r.since = r.time(0)
	s := newState(rows, k, r.since)
	s.dropped = r.number(mostCount)
	s.names, s.clients = r.sketch(allPrecision), r.sketch(allPrecision)
	of := r.number(maxRows)
	if r.err == nil && (of < minRows || bits.OnesCount64(of) != 1) {
		r.fail(errNumber)
	}
	for i := range s.classes {
		s.readClass(r, &s.classes[i], int(of))
	}
	switch {
	case r.err != nil:
		return nil, r.err
	case len(r.b) > 0:
		return nil, fmt.Errorf("%d octets are left over", len(r.b))
	}
	return s, nil
}

// readClass reads a class of a tracker with this many rows. The sums come behind the pairs, but pairs
// that have no room need the sums: they wait.
func (s *state) readClass(r *reader, c *class, rows int) {
	type waiting struct {
		hash  uint64
		row   row[pair]
		count uint64
	}
	var late []waiting
	for kind := range c.totals {
		c.totals[kind] = r.number(mostCount)
	}
	readTable(r, &c.pairs, rows, r.pair, func(p pair) uint64 {
		return s.keys.pair(s.keys.name(p.name), s.keys.client(p.client), p.kind)
	}, func(hash uint64, row row[pair], count uint64) {
		if i, taken := c.pairs.room(hash); !taken {
			c.pairs.admit(i, hash, row, count)
			return
		}
		late = append(late, waiting{hash, row, count})
	})
	readMargin(r, &c.names, rows/marginShare, r.name, s.keys.name)
	readMargin(r, &c.clients, rows/marginShare, r.client, s.keys.client)
	if r.err != nil {
		return
	}
	for _, l := range late {
		s.admit(c, l.hash, l.row, l.count)
	}
}

func readMargin[K comparable](r *reader, m *margin[K], rows int, key func() K, hash func(K) uint64) {
	readTable(r, &m.table, rows, key, hash, func(hash uint64, row row[K], count uint64) {
		in := sum{}
		for kind := range in.kinds {
			in.kinds[kind] = r.number(mostCount)
			count -= in.kinds[kind]
		}
		r.others(&in)
		if count != 0 {
			r.fail(errors.New("a sum is not that of its kinds"))
		}
		if r.err != nil {
			return
		}
		i, _ := m.room(hash)
		m.admit(i, hash, row, in.kinds[Query]+in.kinds[Registration])
		m.sums[i] = in
	})
}

// readTable reads the table of a tracker with this many rows into one that may be of another size.
func readTable[K comparable](r *reader, t *table[K], rows int, key func() K, hash func(K) uint64, put func(hash uint64, row row[K], count uint64)) {
	evicted := r.number(mostCount)
	for range r.number(uint64(rows)) {
		in := row[K]{key: key(), before: r.number(mostCount)}
		count := r.number(mostCount)
		in.first = r.time(r.since)
		in.last = r.time(in.first)
		h := hash(in.key)
		if r.err == nil && (count == 0 || in.last < in.first || t.find(h, &in.key) >= 0) {
			r.fail(errors.New("a row is empty, ends before it begins, or is there twice"))
		}
		if r.err != nil {
			return
		}
		put(h, in, count)
	}
	r.floors(rows/ways, len(t.buckets), func(bucket int, floor uint64) {
		t.buckets[bucket].floor = max(t.buckets[bucket].floor, floor)
	})
	t.evicted += evicted
}

// floors reads the floors of so many buckets and calls raise for buckets of ours: where there are as
// many for the same one, otherwise for all with the highest.
func (r *reader) floors(from, ours int, raise func(bucket int, floor uint64)) {
	var highest uint64
	for range r.number(uint64(from)) {
		bucket, floor := r.number(uint64(from-1)), r.number(mostCount)
		if r.err != nil {
			return
		}
		if from == ours {
			raise(int(bucket), floor)
		}
		highest = max(highest, floor)
	}
	if from == ours {
		return
	}
	for i := range ours {
		raise(i, highest)
	}
}
