package usage

// ways is the number of rows in a bucket: 16 tags of 4 octets fill one cache line.
const ways = 16

// table counts keys in a fixed number of rows, by the Space-Saving algorithm (Metwally, Agrawal and
// El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams", 2005) in each
// bucket by itself: when a bucket is full the row with the smallest count makes room. What a key can
// have had before it got its row is then known: no more than the largest count that ever left the
// bucket, its floor. So for each key that has a row
//
//	upper - before <= true count <= upper
//
// and for one that has none, true count <= floor of its bucket. A row never moves, and nothing is
// allocated after makeTable.
type table[K comparable] struct {
	buckets []bucket
	rows    []row[K] // ways of them for each bucket
	held    int
	evicted uint64
}

type bucket struct {
	tags  [ways]uint32 // 0: free
	upper [ways]uint64
	floor uint64
	_     [56]byte // whole cache lines
}

// row is what is known of a key since it has its row; the counts are in the bucket.
type row[K comparable] struct {
	key         K
	before      uint64 // at most so many may have been counted before
	first, last int64  // Unix time in milliseconds
}

// makeTable returns a table of n rows, a power of two of at least ways.
func makeTable[K comparable](n int) table[K] {
	return table[K]{buckets: make([]bucket, n/ways), rows: make([]row[K], n)}
}

func (t *table[K]) bucket(hash uint64) int { return int(hash & uint64(len(t.buckets)-1)) }

// tag is of other bits than the number of the bucket, and never 0.
func tag(hash uint64) uint32 { return uint32(hash>>32) | 1 }

// find returns the row of key, or -1.
func (t *table[K]) find(hash uint64, key *K) int {
	b := t.bucket(hash)
	want := tag(hash)
	for w, x := range &t.buckets[b].tags {
		if i := b*ways + w; x == want && t.rows[i].key == *key {
			return i
		}
	}
	return -1
}

// room returns the row that a new key of this hash gets: a free one or the smallest.
func (t *table[K]) room(hash uint64) (i int, taken bool) {
	n := t.bucket(hash)
	b := &t.buckets[n]
	least := 0
	for w := range b.upper {
		if b.upper[w] < b.upper[least] {
			least = w
		}
	}
	return n*ways + least, b.tags[least] != 0
}

// admit gives row i, as room has chosen it, to a new key.
func (t *table[K]) admit(i int, hash uint64, r row[K], count uint64) {
	b, w := &t.buckets[i/ways], i%ways
	if b.tags[w] != 0 {
		b.floor = max(b.floor, b.upper[w])
		t.evicted++
	} else {
		t.held++
	}
	// A row that comes from a snapshot has a bound of its own.
	r.before = max(r.before, b.floor)
	b.tags[w], b.upper[w] = tag(hash), r.before+count
	t.rows[i] = r
}

// add counts more for row i.
func (t *table[K]) add(i int, count uint64, first, last int64) {
	t.buckets[i/ways].upper[i%ways] += count
	r := &t.rows[i]
	r.first, r.last = min(r.first, first), max(r.last, last)
}

// count is what was counted since the key has row i.
func (t *table[K]) count(i int) uint64 {
	return t.buckets[i/ways].upper[i%ways] - t.rows[i].before
}

// floor is the largest count that a key without a row can have had.
func (t *table[K]) floor(hash uint64) uint64 { return t.buckets[t.bucket(hash)].floor }

// highest is the largest floor of all.
func (t *table[K]) highest() (floor uint64) {
	for i := range t.buckets {
		floor = max(floor, t.buckets[i].floor)
	}
	return floor
}

// taken calls yield with each row in use.
func (t *table[K]) taken(yield func(i int) bool) {
	for i := range t.rows {
		if t.buckets[i/ways].tags[i%ways] != 0 && !yield(i) {
			return
		}
	}
}
