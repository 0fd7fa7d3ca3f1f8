package wins

import (
	"cmp"
	"iter"
	"slices"
)

// versions is the records of one owner in the order of their version IDs, persistent like [Table]: an edit copies
// the blocks that it touches. It has no names, only what leads to them in the table.
type versions struct {
	blocks []*block // none is empty
	len    int
	edit   uint64 // that made the copy of blocks
}

// blockLen balances the copies that a small edit makes, of a block and of the list of blocks.
const blockLen = 256

type block struct {
	at   [blockLen]uint64 // version IDs
	hash [blockLen]uint32 // of the names
	n    int
	edit uint64
}

// numbered is the place of a record: the version, and the hash of its name. Two records of one owner have the
// same version only by a fault of that owner.
type numbered struct {
	version uint64
	hash    uint32
}

func (a numbered) compare(b numbered) int {
	return cmp.Or(cmp.Compare(a.version, b.version), cmp.Compare(a.hash, b.hash))
}

func numberOf(r *Record) numbered { return numbered{r.Version, uint32(hashName(r.Name))} }

func (b *block) get(i int) numbered { return numbered{b.at[i], b.hash[i]} }

// search is the place in the block of k, or that where it would be.
func (b *block) search(k numbered) (int, bool) {
	low, high := 0, b.n
	for low < high {
		mid := int(uint(low+high) >> 1)
		if b.get(mid).compare(k) < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < b.n && b.get(low) == k
}

// find is the block that has k or would have it: the last one that begins at or before it.
func (v *versions) find(k numbered) int {
	i, found := slices.BinarySearchFunc(v.blocks, k, func(b *block, k numbered) int { return b.get(0).compare(k) })
	if found {
		return i
	}
	return max(i-1, 0)
}

// packed is the versions of a sorted list.
func packed(sorted []numbered, edit uint64) *versions {
	v := &versions{len: len(sorted), edit: edit}
	for part := range slices.Chunk(sorted, blockLen) {
		b := &block{n: len(part), edit: edit}
		for i, k := range part {
			b.at[i], b.hash[i] = k.version, k.hash
		}
		v.blocks = append(v.blocks, b)
	}
	return v
}

// forEdit returns the versions ready to be changed; v may be nil, for none.
func (v *versions) forEdit(edit uint64) *versions {
	switch {
	case v == nil:
		return &versions{edit: edit}
	case v.edit == edit:
		return v
	}
	return &versions{blocks: slices.Clone(v.blocks), len: v.len, edit: edit}
}

func (v *versions) own(i int) *block {
	b := v.blocks[i]
	if b.edit != v.edit {
		c := *b
		c.edit = v.edit
		b = &c
		v.blocks[i] = b
	}
	return b
}

// add adds a place.
func (v *versions) add(k numbered) {
	if len(v.blocks) == 0 {
		v.blocks = []*block{{edit: v.edit}}
	}
	i := v.find(k)
	at, found := v.blocks[i].search(k)
	if found {
		return
	}
	v.len++
	if v.blocks[i].n == blockLen {
		i, at = v.split(i, at)
	}
	b := v.own(i)
	copy(b.at[at+1:b.n+1], b.at[at:b.n])
	copy(b.hash[at+1:b.n+1], b.hash[at:b.n])
	b.at[at], b.hash[at] = k.version, k.hash
	b.n++
}

// split makes room at a place of a full block and returns where it is. Nearly all versions come in their
// order, so that the last block is not halved but gets a neighbour.
func (v *versions) split(i, at int) (in, place int) {
	keep := blockLen / 2
	if at == blockLen {
		keep = blockLen
	}
	b, next := v.own(i), &block{edit: v.edit}
	next.n = copy(next.at[:], b.at[keep:])
	copy(next.hash[:], b.hash[keep:])
	b.n = keep
	v.blocks = slices.Insert(v.blocks, i+1, next)
	if at < keep {
		return i, at
	}
	return i + 1, at - keep
}

// remove takes a place out, if it is there. Neighbours with little in them become one.
func (v *versions) remove(k numbered) {
	if len(v.blocks) == 0 {
		return
	}
	i := v.find(k)
	at, found := v.blocks[i].search(k)
	if !found {
		return
	}
	v.len--
	b := v.own(i)
	copy(b.at[at:b.n-1], b.at[at+1:b.n])
	copy(b.hash[at:b.n-1], b.hash[at+1:b.n])
	b.n--
	switch {
	case b.n == 0:
		v.blocks = slices.Delete(v.blocks, i, i+1)
	case i > 0 && v.blocks[i-1].n+b.n <= blockLen/2:
		v.join(i - 1)
	case i+1 < len(v.blocks) && v.blocks[i+1].n+b.n <= blockLen/2:
		v.join(i)
	}
}

// join moves what the block after i has into block i.
func (v *versions) join(i int) {
	b, next := v.own(i), v.blocks[i+1]
	copy(b.at[b.n:], next.at[:next.n])
	copy(b.hash[b.n:], next.hash[:next.n])
	b.n += next.n
	v.blocks = slices.Delete(v.blocks, i+1, i+2)
}

// between yields the places with versions from low to high, in order.
func (v *versions) between(low, high uint64) iter.Seq[numbered] {
	return func(yield func(numbered) bool) {
		if v == nil || len(v.blocks) == 0 {
			return
		}
		first := v.find(numbered{version: low})
		at, _ := v.blocks[first].search(numbered{version: low})
		for _, b := range v.blocks[first:] {
			for ; at < b.n; at++ {
				if b.at[at] > high || !yield(b.get(at)) {
					return
				}
			}
			at = 0
		}
	}
}

// count is how many there are.
func (v *versions) count() int {
	if v == nil {
		return 0
	}
	return v.len
}

// last is the highest version, 0 for none.
func (v *versions) last() uint64 {
	if v == nil || len(v.blocks) == 0 {
		return 0
	}
	b := v.blocks[len(v.blocks)-1]
	return b.at[b.n-1]
}

// numbered returns the record of an owner at a place in its versions.
func (t *Table) numbered(owner IPv4, k numbered) (Record, bool) {
	l := t.leaf(uint64(k.hash)) // no table has more leaves than the half of a hash can tell apart
	for i := range l.slots {
		if s := &l.slots[i]; s.version == k.version && s.owner == owner && uint32(hash(&s.name, "")) == k.hash {
			return s.record(), true
		}
	}
	for _, r := range l.long {
		if r.Version == k.version && r.Owner == owner && uint32(hashName(r.Name)) == k.hash {
			return *r, true
		}
	}
	return Record{}, false
}

// versionsOf is the versions of each owner in a table.
func versionsOf(tables ...*Table) map[IPv4]*versions {
	lists := map[IPv4][]numbered{}
	for _, t := range tables {
		if lists[IPv4{}] == nil {
			lists[IPv4{}] = make([]numbered, 0, t.len) // nearly all are this server's, as a rule
		}
		for r := range t.All() {
			lists[r.Owner] = append(lists[r.Owner], numberOf(r))
		}
	}
	out := map[IPv4]*versions{}
	for owner, list := range lists {
		slices.SortFunc(list, numbered.compare)
		out[owner] = packed(list, 1)
	}
	return out
}
