package wins

import "github.com/nameward/nameward/netbios"

// Counts are numbers of records by the state that time has made of them; static ones are active.
type Counts struct {
	Active, Released, Tombstone int
	Static                      int // of the active ones
}

// Count counts the records; a million take some ten milliseconds.
func (s *Snapshot) Count(now Stamp) Counts {
	var c Counts
	for i := range s.leaves {
		l := s.chunks[i/chunkLen].leaves[i%chunkLen]
		for j := range l.slots {
			if slot := &l.slots[j]; slot.ends > now && slot.state == Active {
				c.Active++ // nearly all are, and need no copy
				continue
			}
			r := l.slots[j].record()
			c.add(&r, now, s.timers)
		}
		for _, r := range l.long {
			c.add(r, now, s.timers)
		}
	}
	return c
}

func (c *Counts) add(r *Record, now Stamp, t *Timers) {
	if r.Static {
		c.Static++
	}
	switch state, _ := r.stateAt(now, t); state {
	case Active:
		c.Active++
	case Released:
		c.Released++
	case Tombstone, gone: // what is gone is taken out by the next sweep
		c.Tombstone++
	}
}

// Settings returns what is in force.
func (d *Database) Settings() Settings { return *d.settings.Load() }

// KindOf is what a claim of these addresses makes of a name.
func KindOf(n netbios.Name, claimed []netbios.Address) Kind {
	op := Register
	if len(claimed) > 1 {
		op = RegisterMultihomed
	}
	if len(claimed) == 0 {
		return Unique
	}
	return kindOf(n, claimed[0].Flags, op)
}
