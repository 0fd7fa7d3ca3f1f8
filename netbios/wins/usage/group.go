package usage

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/axiomhq/hyperloglog"

	"github.com/nameward/nameward/netbios"
)

// side is one half of a pair, by which rows are put together.
type side[K comparable] struct {
	key    func(*Row) K
	margin func(*class) *margin[K]
	hash   func(*keys, K) uint64
	// other is the hash of the other half.
	other func(*keys, *Row) uint64
}

var (
	nameSide = side[netbios.Name]{
		key:    func(r *Row) netbios.Name { return r.Name },
		margin: func(c *class) *margin[netbios.Name] { return &c.names },
		hash:   (*keys).name,
		other:  func(k *keys, r *Row) uint64 { return k.client(r.Client.As4()) },
	}
	clientSide = side[client]{
		key:    func(r *Row) client { return r.Client.As4() },
		margin: func(c *class) *margin[client] { return &c.clients },
		hash:   (*keys).client,
		other:  func(k *keys, r *Row) uint64 { return k.name(r.Name) },
	}
)

func (c client) compare(o client) int { return bytes.Compare(c[:], o[:]) }

// group is the use of one name or one client while a report is made.
type group[K comparable] struct {
	key K
	Use
}

// groupBy puts the rows together, adds what had to make room, and how much may be missing.
func groupBy[K comparable](s *state, rows []Row, by side[K]) map[K]*group[K] {
	groups := map[K]*group[K]{}
	at := func(key K) *group[K] {
		g := groups[key]
		if g == nil {
			g = &group[K]{key: key}
			groups[key] = g
		}
		return g
	}
	for i := range rows {
		r := &rows[i]
		g := at(by.key(r))
		g.add(r.Kind, r.Found, r.Count)
		g.span(r.First, r.Last)
		g.Rows = append(g.Rows, *r)
	}
	for in := range s.classes {
		m := by.margin(&s.classes[in])
		for i := range m.taken {
			r := &m.rows[i]
			g := at(r.key)
			for kind, n := range m.sums[i].kinds {
				g.add(Kind(kind), in == found, n)
			}
			g.span(time.UnixMilli(r.first), time.UnixMilli(r.last))
		}
	}
	for key, g := range groups {
		hash := by.hash(&s.keys, key)
		for in := range s.classes {
			m := by.margin(&s.classes[in])
			if i := m.find(hash, &key); i >= 0 {
				g.Error += m.rows[i].before
			} else {
				g.Error += m.floor(hash)
			}
		}
	}
	return groups
}

// span widens the time of use.
func (u *Use) span(first, last time.Time) {
	if u.First.IsZero() || first.Before(u.First) {
		u.First = first
	}
	if last.After(u.Last) {
		u.Last = last
	}
}

// show sorts the groups and returns the first limit of them; cut is how many there are more.
func show[K comparable](groups map[K]*group[K], o Order, limit int, cut *int, compare func(a, b K) int) []*group[K] {
	list := make([]*group[K], 0, len(groups))
	for _, g := range groups {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *group[K]) int {
		return cmp.Or(o.compare(a.Total(), b.Total(), a.Last, b.Last), compare(a.key, b.key))
	})
	list, *cut = head(list, limit)
	return list
}

// compare says which comes first: the larger count, then the later time, or the other way round.
func (o Order) compare(aCount, bCount uint64, aLast, bLast time.Time) int {
	count, last := cmp.Compare(bCount, aCount), bLast.Compare(aLast)
	if o == ByLast {
		return cmp.Or(last, count)
	}
	return cmp.Or(count, last)
}

// head returns the first limit of a list, of 0 all, and how many are left.
func head[E any](list []E, limit int) ([]E, int) {
	if limit <= 0 || limit >= len(list) {
		return list, 0
	}
	return list[:limit:limit], len(list) - limit
}

// finish does what is only worth doing for what is shown.
func (g *group[K]) finish(s *state, by side[K], v View) Use {
	g.Others = g.others(s, by)
	slices.SortFunc(g.Rows, func(a, b Row) int {
		return cmp.Or(
			v.Order.compare(a.Count, b.Count, a.Last, b.Last),
			a.Client.Compare(b.Client), a.Name.Compare(b.Name), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Error, b.Error))
	})
	g.Rows, g.MoreRows = head(g.Rows, v.Rows)
	return g.Use
}

// others counts a name's clients or a client's names: exactly, unless so many had to make room
// that there is a sketch of them.
func (g *group[K]) others(s *state, by side[K]) Estimate {
	set := make(map[uint64]struct{}, len(g.Rows))
	for i := range g.Rows {
		set[by.other(&s.keys, &g.Rows[i])] = struct{}{}
	}
	var sketch *hyperloglog.Sketch
	hash := by.hash(&s.keys, g.key)
	for in := range s.classes {
		m := by.margin(&s.classes[in])
		i := m.find(hash, &g.key)
		switch {
		case i < 0:
		case !m.sums[i].many:
			set[m.sums[i].only] = struct{}{}
		case sketch == nil:
			sketch = m.sums[i].others.Clone()
		default:
			// Never fails: the precisions are equal.
			_ = sketch.Merge(m.sums[i].others)
		}
	}
	if sketch == nil {
		return Estimate{N: uint64(len(set))}
	}
	for hash := range set {
		sketch.InsertHash(hash)
	}
	return Estimate{N: max(sketch.Estimate(), uint64(len(set))), Error: standardError(onePrecision)}
}

// all is the number of all names or of all clients: that of the groups if nothing had to make room.
func all(sketch *hyperloglog.Sketch, groups int, evicted bool) Estimate {
	if !evicted {
		return Estimate{N: uint64(groups)}
	}
	return Estimate{N: max(sketch.Estimate(), uint64(groups)), Error: standardError(allPrecision)}
}

// standardError is that of HyperLogLog: 1.04 by the root of the number of registers.
func standardError(precision uint8) float64 {
	return 1.04 / math.Sqrt(math.Exp2(float64(precision)))
}
