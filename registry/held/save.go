package held

import "time"

// Change is an entry to be saved, or one that has gone.
type Change[K comparable, E any] struct {
	Key   K
	Entry *E // a copy; nil when it has gone

	number uint64
}

// Unsaved returns what was not saved yet, no more than most of it.
func (t *Table[K, S, E]) Unsaved(most int) []Change[K, E] {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.dirty) == 0 {
		return nil
	}
	out := make([]Change[K, E], 0, min(len(t.dirty), most))
	for k, number := range t.dirty {
		if len(out) == most {
			break
		}
		c := Change[K, E]{Key: k, number: number}
		if at, ok := t.entries[k]; ok {
			e := at.Value.(*entry[E]).held
			c.Entry = &e
		}
		out = append(out, c)
	}
	return out
}

// IsSaved reports whether there is nothing that was not saved yet.
func (t *Table[K, S, E]) IsSaved() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.dirty) == 0
}

// Saved says that these are on stable storage. What has changed since they were asked for is still unsaved.
func (t *Table[K, S, E]) Saved(changes []Change[K, E], now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range changes {
		if t.dirty[c.Key] == c.number {
			delete(t.dirty, c.Key)
		}
		if at, ok := t.entries[c.Key]; ok {
			at.Value.(*entry[E]).saved = now
		} else if c.Entry != nil {
			t.changed(c.Key) // it was dropped meanwhile, and the disk has it now
		}
	}
}
