package held

import (
	"container/list"
	"slices"
	"sync"
	"time"
)

// Limits bound a table.
type Limits struct {
	Total    int // entries that are not parked; the one that was quiet for longest goes
	OfSource int // of them, those of one source; what is new is left out
	// Parked bounds the entries of members, of which there are no more than the configuration has names and
	// addresses that go together: it is for a configuration that nobody expects.
	Parked int
}

// resave is how old the saved count of an entry may be: repetitions cost no writing.
const resave = time.Hour

// Kind says what a table has to know of its entries E, which have keys K and are from sources S.
type Kind[K, S comparable, E any] struct {
	Key    func(*E) K
	Source func(*E) S
	Fate   func(*E) Fate
	// Last is when it was asked for the last time.
	Last func(*E) time.Time
	// Count gives an entry its times and its count: of the first time if before is nil, else those of before and
	// once more.
	Count func(e, before *E, now time.Time)
	// Same reports whether nothing but times and counts differs.
	Same func(a, b *E) bool
}

// Table is the bounded table. Make it with New.
type Table[K, S comparable, E any] struct {
	kind   Kind[K, S, E]
	limits Limits

	mu       sync.Mutex
	entries  map[K]*list.Element // of *entry[E]
	quiet    *list.List          // not parked, the one that was quiet for longest first
	bySource map[S]int
	parked   int
	dropped  uint64
	dirty    map[K]uint64 // to be saved, by the number of the change; the entry may have gone since
	changes  uint64
}

type entry[E any] struct {
	held  E
	saved time.Time // zero when the disk never had one with its key
}

// New makes an empty table.
func New[K, S comparable, E any](kind Kind[K, S, E], limits Limits) *Table[K, S, E] {
	return &Table[K, S, E]{
		kind: kind, limits: limits, entries: map[K]*list.Element{}, quiet: list.New(), bySource: map[S]int{}, dirty: map[K]uint64{},
	}
}

// Note adds an entry, or counts it once more, and reports whether it is news.
func (t *Table[K, S, E]) Note(e E, now time.Time) (isNew bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, fate, saved := t.kind.Key(&e), t.kind.Fate(&e), time.Time{}
	if at, ok := t.entries[k]; ok {
		old := at.Value.(*entry[E])
		saved = old.saved
		t.kind.Count(&e, &old.held, now)
		if !t.kind.Same(&e, &old.held) || now.Sub(old.saved) >= resave {
			t.changed(k)
		}
		if before := t.kind.Fate(&old.held); (fate == Parked) == (before == Parked) {
			old.held = e
			if fate != Parked {
				t.quiet.MoveToBack(at)
			}
			return fate != before
		}
		t.remove(k)
	} else {
		t.kind.Count(&e, nil, now)
		if _, going := t.dirty[k]; going {
			saved = now // the disk has one still that was taken out
		}
	}
	if fate != Parked && t.bySource[t.kind.Source(&e)] >= t.limits.OfSource || fate == Parked && t.parked >= t.limits.Parked {
		t.dropped++
		return false
	}
	t.insert(e, saved)
	t.changed(k)
	t.trim()
	return true
}

// changed notes that an entry is to be saved.
func (t *Table[K, S, E]) changed(k K) {
	t.changes++
	t.dirty[k] = t.changes
}

// trim drops the entries that were quiet for longest beyond the limit.
func (t *Table[K, S, E]) trim() {
	for t.quiet.Len() > t.limits.Total {
		first := t.quiet.Front().Value.(*entry[E])
		k := t.kind.Key(&first.held)
		t.dropped++
		t.remove(k)
		// What the disk never had need not be taken from it: a flood costs no room while it fails.
		if first.saved.IsZero() {
			delete(t.dirty, k)
		} else {
			t.changed(k)
		}
	}
}

func (t *Table[K, S, E]) insert(e E, saved time.Time) {
	k, at := t.kind.Key(&e), &entry[E]{e, saved}
	if t.kind.Fate(&e) == Parked {
		t.entries[k] = &list.Element{Value: at}
		t.parked++
		return
	}
	t.entries[k] = t.quiet.PushBack(at)
	t.bySource[t.kind.Source(&e)]++
}

func (t *Table[K, S, E]) remove(k K) bool {
	at, ok := t.entries[k]
	if !ok {
		return false
	}
	delete(t.entries, k)
	e := &at.Value.(*entry[E]).held
	if t.kind.Fate(e) == Parked {
		t.parked--
		return true
	}
	t.quiet.Remove(at)
	s := t.kind.Source(e)
	if t.bySource[s]--; t.bySource[s] == 0 {
		delete(t.bySource, s)
	}
	return true
}

// Forget takes the entry with a key out if it is one that the caller means, and reports whether there was one.
func (t *Table[K, S, E]) Forget(k K, is func(*E) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.entries[k]
	if !ok || !is(&at.Value.(*entry[E]).held) {
		return false
	}
	t.changed(k)
	return t.remove(k)
}

// ForgetAll takes the entries out that the caller means, and returns how many there were.
func (t *Table[K, S, E]) ForgetAll(is func(*E) bool) (removed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, at := range t.entries {
		if is(&at.Value.(*entry[E]).held) {
			t.changed(k)
			t.remove(k)
			removed++
		}
	}
	return removed
}

// All copies the entries, in no order.
func (t *Table[K, S, E]) All() []E {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]E, 0, len(t.entries))
	for _, at := range t.entries {
		out = append(out, at.Value.(*entry[E]).held)
	}
	return out
}

// Counts are the numbers of entries.
type Counts struct {
	Parked, Others int
	Dropped        uint64 // for want of room, since the start
}

// Counts returns the numbers of entries.
func (t *Table[K, S, E]) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Counts{Parked: t.parked, Others: t.quiet.Len(), Dropped: t.dropped}
}

// ByFate returns the numbers of entries by their fate.
func (t *Table[K, S, E]) ByFate() map[Fate]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := map[Fate]int{}
	for _, at := range t.entries {
		n[t.kind.Fate(&at.Value.(*entry[E]).held)]++
	}
	return n
}

// Load puts an entry of a journal into the table, in the place of an older one. Loaded has to follow.
func (t *Table[K, S, E]) Load(e E) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(t.kind.Key(&e))
	t.insert(e, t.kind.Last(&e))
}

// LoadGone takes an entry out, as a journal says.
func (t *Table[K, S, E]) LoadGone(k K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(k)
}

// Loaded brings the entries of a journal, which come in no order, into that of their last words.
func (t *Table[K, S, E]) Loaded() {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*list.Element, 0, t.quiet.Len())
	for at := t.quiet.Front(); at != nil; at = at.Next() {
		all = append(all, at)
	}
	slices.SortStableFunc(all, func(a, b *list.Element) int {
		return t.kind.Last(&a.Value.(*entry[E]).held).Compare(t.kind.Last(&b.Value.(*entry[E]).held))
	})
	for _, at := range all {
		t.quiet.MoveToBack(at)
	}
	t.trim()
}
