package wins

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"slices"

	"github.com/nameward/nameward/netbios"
)

// Table is a persistent hash table of records: an edit copies what it touches and leaves the table that it
// began with as it was, so that readers need no lock. Its cost for each record does not grow with their
// number; it grows by linear hashing, one leaf at a time, so that no edit has to pay for all.
//
// A record with one address and no scope, as nearly all are, is a slot without pointers: a million of
// them give the garbage collector some ten thousand things to look at.
type Table struct {
	chunks []*chunk
	leaves int // at least 1
	len    int
}

// leafLen is how many records a leaf has on average. An edit copies one leaf: 12 of them are 600 octets.
const leafLen = 12

// chunkLen balances the copies that a small edit makes, of a chunk and of the list of chunks.
const chunkLen = 64

type chunk struct {
	leaves [chunkLen]*leaf
	edit   uint64 // that made this copy
}

type leaf struct {
	slots []slot
	long  []*Record
	edit  uint64
}

// slot is a Record without scope and with one address.
type slot struct {
	name    [netbios.BaseLen + 1]byte
	version uint64
	ends    Stamp // of the state
	last    Stamp // of the address
	addr    IPv4
	owner   IPv4 // of the record
	by      IPv4 // owner of the address
	kind    Kind
	state   State
	static  bool
	node    uint8 // the node's type, as in the upper octet of the flags
}

var seed = maphash.MakeSeed()

func hash(octets *[netbios.BaseLen + 1]byte, scope string) uint64 {
	h := maphash.Bytes(seed, octets[:])
	if scope != "" {
		h ^= maphash.String(seed, scope)
	}
	return h
}

func hashName(n netbios.Name) uint64 {
	octets := n.Octets()
	return hash(&octets, n.Scope())
}

var emptyTable = &Table{chunks: []*chunk{{leaves: [chunkLen]*leaf{{}}}}, leaves: 1}

// Len is the number of records, whatever their state.
func (t *Table) Len() int { return t.len }

func (t *Table) leaf(h uint64) *leaf {
	i := place(h, t.leaves)
	return t.chunks[i/chunkLen].leaves[i%chunkLen]
}

// place is the leaf of a hash among n leaves: Litwin, Linear Hashing, 1980.
func place(h uint64, n int) int {
	low := floorPower(n)
	i := int(h & uint64(2*low-1))
	if i >= n {
		i &= low - 1
	}
	return i
}

// Find returns the record of a name, compared octet by octet.
func (t *Table) Find(n netbios.Name) (r Record, ok bool) {
	octets, scope := n.Octets(), n.Scope()
	l := t.leaf(hash(&octets, scope))
	if scope == "" {
		for i := range l.slots {
			if s := &l.slots[i]; s.name == octets {
				return s.record(), true
			}
		}
	}
	for _, r := range l.long {
		if r.Name == n {
			return *r, true
		}
	}
	return Record{}, false
}

// All yields every record, in no order.
func (t *Table) All() iter.Seq[*Record] {
	return func(yield func(*Record) bool) {
		for i := range t.leaves {
			l := t.chunks[i/chunkLen].leaves[i%chunkLen]
			for j := range l.slots {
				r := l.slots[j].record()
				if !yield(&r) {
					return
				}
			}
			for _, r := range l.long {
				c := *r
				if !yield(&c) {
					return
				}
			}
		}
	}
}

// due yields the names in the i-th leaf whose records time may have changed.
func (t *Table) due(i int, now Stamp) iter.Seq[netbios.Name] {
	return func(yield func(netbios.Name) bool) {
		l := t.chunks[i/chunkLen].leaves[i%chunkLen]
		for j := range l.slots {
			if s := &l.slots[j]; !s.static && s.ends <= now && !yield(netbios.NameFromOctets(s.name)) {
				return
			}
		}
		for _, r := range l.long {
			if !r.Static && !yield(r.Name) {
				return
			}
		}
	}
}

func (s *slot) record() Record {
	return Record{
		Name: netbios.NameFromOctets(s.name), Kind: s.kind, State: s.state, Static: s.static, Node: netbios.NodeFlags(s.node) << 8,
		Owner: s.owner, Version: s.version, Ends: s.ends, first: Member{Addr: s.addr, Owner: s.by, Ends: s.last},
	}
}

func slotOf(r *Record) slot {
	return slot{
		name: r.Name.Octets(), version: r.Version, ends: r.Ends, last: r.first.Ends, addr: r.first.Addr, owner: r.Owner,
		by: r.first.Owner, kind: r.Kind, state: r.State, static: r.Static, node: uint8(r.Node >> 8),
	}
}

func (r *Record) fitsSlot() bool { return len(r.more) == 0 && r.Name.Scope() == "" }

// editor is a Table in the making.
type editor struct {
	t     Table
	edit  uint64
	own   bool // the list of chunks is a copy already
	spare int  // for how many slots a leaf gets room when it needs some; 0: for one more
}

// reserve makes room for n records in an empty table, so that loading them splits and grows nothing. trim
// has to be called in the end.
func (e *editor) reserve(n int) {
	if e.t.len > 0 || n <= leafLen {
		return
	}
	e.t = Table{leaves: n/leafLen + 1}
	for i := range e.t.leaves {
		if i%chunkLen == 0 {
			e.t.chunks = append(e.t.chunks, &chunk{edit: e.edit})
		}
		e.t.chunks[i/chunkLen].leaves[i%chunkLen] = &leaf{edit: e.edit}
	}
	e.own, e.spare = true, leafLen+leafLen/3
}

// trim gives back what leaves have too much.
func (e *editor) trim() {
	if e.spare == 0 {
		return
	}
	e.spare = 0
	for i := range e.t.leaves {
		l := e.leaf(i)
		l.slots = slices.Clone(slices.Clip(l.slots))
	}
}

// edit returns an editor over a copy; number must be another one for each edit of a table's descendants.
func (t *Table) edit(number uint64) *editor { return &editor{t: *t, edit: number} }

// done returns the finished table; the editor must not be used again.
func (e *editor) done() *Table {
	t := e.t
	return &t
}

// chunk returns the chunk of a leaf, ready to be written to.
func (e *editor) chunk(i int) *chunk {
	if !e.own {
		e.t.chunks, e.own = slices.Clone(e.t.chunks), true
	}
	c := e.t.chunks[i/chunkLen]
	if c.edit != e.edit {
		copied := *c
		copied.edit = e.edit
		c = &copied
		e.t.chunks[i/chunkLen] = c
	}
	return c
}

// leaf returns a leaf, ready to be written to.
func (e *editor) leaf(i int) *leaf {
	c := e.chunk(i)
	l := c.leaves[i%chunkLen]
	if l.edit != e.edit {
		l = &leaf{slots: grown(l.slots, 0), long: slices.Clone(l.long), edit: e.edit}
		c.leaves[i%chunkLen] = l
	}
	return l
}

// grown copies a leaf's slots with room for one more at least.
func grown(s []slot, spare int) []slot {
	out := make([]slot, len(s), max(len(s)+1, spare))
	copy(out, s)
	return out
}

// put adds or replaces a record.
func (e *editor) put(r *Record) {
	l := e.leaf(place(hashName(r.Name), e.t.leaves))
	e.t.len -= l.remove(r.Name)
	l.add(r, e.spare)
	e.t.len++
	for e.t.len > e.t.leaves*leafLen {
		e.split()
	}
}

// remove takes a name out, if it is there.
func (e *editor) remove(n netbios.Name) {
	i := place(hashName(n), e.t.leaves)
	if !e.t.chunks[i/chunkLen].leaves[i%chunkLen].has(n) {
		return
	}
	e.t.len -= e.leaf(i).remove(n)
}

// split adds a leaf and gives it its part of the leaf that it comes from.
func (e *editor) split() {
	n := e.t.leaves
	if n%chunkLen == 0 {
		if !e.own {
			e.t.chunks, e.own = slices.Clone(e.t.chunks), true
		}
		e.t.chunks = append(e.t.chunks, &chunk{edit: e.edit})
	}
	from := n - floorPower(n)
	old := e.t.chunks[from/chunkLen].leaves[from%chunkLen]
	stay, move := &leaf{edit: e.edit}, &leaf{edit: e.edit}
	for i := range old.slots {
		s := &old.slots[i]
		side := stay
		if place(hash(&s.name, ""), n+1) == n {
			side = move
		}
		side.slots = append(side.slots, *s)
	}
	for _, r := range old.long {
		side := stay
		if place(hashName(r.Name), n+1) == n {
			side = move
		}
		side.long = append(side.long, r)
	}
	// Copies, because append left room that nobody will use.
	stay.slots, move.slots = slices.Clone(stay.slots), slices.Clone(move.slots)
	e.chunk(from).leaves[from%chunkLen] = stay
	e.chunk(n).leaves[n%chunkLen] = move
	e.t.leaves++
}

// floorPower is the largest power of two that is at most n, for n of at least 1.
func floorPower(n int) int { return 1 << (bits.Len(uint(n)) - 1) }

func (l *leaf) has(n netbios.Name) bool {
	octets := n.Octets()
	return n.Scope() == "" && slices.ContainsFunc(l.slots, func(s slot) bool { return s.name == octets }) ||
		slices.ContainsFunc(l.long, func(r *Record) bool { return r.Name == n })
}

func (l *leaf) add(r *Record, spare int) {
	if r.fitsSlot() {
		if len(l.slots) == cap(l.slots) {
			// By one and not by doubling: most leaves live long, and what they have too much stays.
			l.slots = grown(l.slots, spare)
		}
		l.slots = append(l.slots, slotOf(r))
		return
	}
	c := *r
	l.long = append(l.long, &c)
}

// remove returns how many records it took out, 0 or 1.
func (l *leaf) remove(n netbios.Name) int {
	octets := n.Octets()
	for i := range l.slots {
		if l.slots[i].name == octets && n.Scope() == "" {
			last := len(l.slots) - 1
			l.slots[i] = l.slots[last]
			l.slots = l.slots[:last]
			return 1
		}
	}
	for i, r := range l.long {
		if r.Name == n {
			l.long = slices.Delete(l.long, i, i+1)
			return 1
		}
	}
	return 0
}
