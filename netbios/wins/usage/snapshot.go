package usage

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/axiomhq/hyperloglog"

	"github.com/nameward/nameward/netbios"
)

// A snapshot is a magic and a version octet, then unsigned varints unless said otherwise:
//
//	keys (4 times 8 octets), since (signed), dropped,
//	sketches of all names and of all clients, the number of rows of the tracker, and of each class
//	totals:         of each kind
//	pairs:          table, where a key is a name, 4 octets of address, a kind
//	names, clients: table, where a key is a name or an address; behind each row the sums of both kinds, and
//	                a sketch, or 0 and the 8 octets of the hash that would be the only one in it
//	table:          evicted, rows: a number, then key, before, count, first and last
//	                floors: a number, then bucket and floor of each that is not 0
//	name:           16 octets, length and text of the scope
//	first, last:    milliseconds from since to first and from first to last, both signed
//	sketch:         its registers, one octet each, in the library's form behind a length
const (
	magic   = "NWUSE"
	version = 1
	// mostCount keeps sums of counts from running over.
	mostCount = 1 << 48
	// mostTime is in the year 2527.
	mostTime = 1 << 44
)

// Snapshot returns all that is known, for Restore. It has some 40 octets for a row and 300 for a
// sum: with DefaultRows 8 MB at most. The keys in it are what keeps others from choosing names that spoil the
// counts: keep the file to yourself.
func (t *Tracker) Snapshot() ([]byte, error) {
	s := t.copyState(time.Now())
	w := &writer{b: append([]byte(magic), version), since: s.since}
	for _, k := range s.keys {
		w.b = binary.LittleEndian.AppendUint64(w.b, k)
	}
	w.signed(s.since)
	w.number(s.dropped)
	w.sketch(s.names)
	w.sketch(s.clients)
	w.number(uint64(len(s.classes[0].pairs.rows)))
	for i := range s.classes {
		c := &s.classes[i]
		for _, n := range c.totals {
			w.number(n)
		}
		writeTable(w, &c.pairs, func(i int) {
			p := &c.pairs.rows[i].key
			w.name(p.name)
			w.b = append(append(w.b, p.client[:]...), byte(p.kind))
		}, nil)
		writeTable(w, &c.names.table, func(i int) { w.name(c.names.rows[i].key) }, c.names.sums)
		writeTable(w, &c.clients.table, func(i int) { w.b = append(w.b, c.clients.rows[i].key[:]...) }, c.clients.sums)
	}
	return w.b, w.err
}

type writer struct {
	b     []byte
	since int64
	err   error
}

func (w *writer) number(n uint64) { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) signed(n int64)  { w.b = binary.AppendVarint(w.b, n) }

func (w *writer) name(n netbios.Name) {
	octets, scope := n.Octets(), n.Scope()
	w.b = append(w.b, octets[:]...)
	w.number(uint64(len(scope)))
	w.b = append(w.b, scope...)
}

func (w *writer) sketch(s *hyperloglog.Sketch) {
	b, err := s.MarshalBinary()
	if err != nil {
		w.err = fmt.Errorf("writing a sketch: %w", err)
	}
	w.number(uint64(len(b)))
	w.b = append(w.b, b...)
}

// others writes a sum's sketch, or the hash that stands for one.
func (w *writer) others(s *sum) {
	if s.many {
		w.sketch(s.others)
		return
	}
	w.number(0)
	w.b = binary.LittleEndian.AppendUint64(w.b, s.only)
}

func writeTable[K comparable](w *writer, t *table[K], key func(int), sums []sum) {
	w.number(t.evicted)
	w.number(uint64(t.held))
	for i := range t.taken {
		r := &t.rows[i]
		key(i)
		w.number(r.before)
		w.number(t.count(i))
		w.signed(r.first - w.since)
		w.signed(r.last - r.first)
		if sums == nil {
			continue
		}
		for _, n := range sums[i].kinds {
			w.number(n)
		}
		w.others(&sums[i])
	}
	floors := 0
	for i := range t.buckets {
		if t.buckets[i].floor > 0 {
			floors++
		}
	}
	w.number(uint64(floors))
	for i := range t.buckets {
		if f := t.buckets[i].floor; f > 0 {
			w.number(uint64(i))
			w.number(f)
		}
	}
}
