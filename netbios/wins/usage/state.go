package usage

import (
	"net/netip"

	"github.com/axiomhq/hyperloglog"

	"github.com/nameward/nameward/netbios"
)

// client is an IPv4 address without what a netip.Addr has for the other family.
type client [4]byte

func (c client) addr() netip.Addr { return netip.AddrFrom4(c) }

// pair is the key of the smallest thing counted. Whether it was found is told by the class.
type pair struct {
	name   netbios.Name
	client client
	kind   Kind
}

// state is all that a tracker knows; its size is fixed by the number of rows.
type state struct {
	keys    keys
	since   int64
	dropped uint64
	names   *hyperloglog.Sketch
	clients *hyperloglog.Sketch
	classes [classes]class
}

// There are two classes, each with rows of its own, so that whoever asks for random names takes no room
// from the names that are there.
const (
	notFound = iota
	found
	classes
)

// class counts pairs. One that has to make room goes on in the sums of its name and of its client, so
// that these are right however many pairs there are.
type class struct {
	totals  [kinds]uint64
	pairs   table[pair]
	names   margin[netbios.Name]
	clients margin[client]
}

// marginShare is how many rows of pairs there are for one of a name's or a client's sum.
const marginShare = 8

func newState(rows int, k keys, since int64) *state {
	s := &state{keys: k, since: since, names: newSketch(allPrecision), clients: newSketch(allPrecision)}
	for i := range s.classes {
		s.classes[i] = class{
			pairs:   makeTable[pair](rows),
			names:   makeMargin[netbios.Name](rows / marginShare),
			clients: makeMargin[client](rows / marginShare),
		}
	}
	return s
}

// note counts one request.
func (s *state) note(p pair, wasFound bool, now int64) {
	c := &s.classes[notFound]
	if wasFound {
		c = &s.classes[found]
	}
	c.totals[p.kind]++
	byName, byClient := s.keys.name(p.name), s.keys.client(p.client)
	hash := s.keys.pair(byName, byClient, p.kind)
	if i := c.pairs.find(hash, &p); i >= 0 {
		c.pairs.add(i, 1, now, now)
		return
	}
	s.names.InsertHash(byName)
	s.clients.InsertHash(byClient)
	s.admit(c, hash, row[pair]{key: p, first: now, last: now}, 1)
}

// admit gives a pair a row, and sums up the one that makes room for it.
func (s *state) admit(c *class, hash uint64, r row[pair], count uint64) {
	i, taken := c.pairs.room(hash)
	if taken {
		out, n := &c.pairs.rows[i], c.pairs.count(i)
		p := &out.key
		byName, byClient := s.keys.name(p.name), s.keys.client(p.client)
		c.names.take(byName, row[netbios.Name]{key: p.name, first: out.first, last: out.last}, p.kind, n, byClient)
		c.clients.take(byClient, row[client]{key: p.client, first: out.first, last: out.last}, p.kind, n, byName)
	}
	c.pairs.admit(i, hash, r, count)
}

// clone copies everything, so that a report is made while counting goes on.
func (s *state) clone() *state {
	c := *s
	c.names, c.clients = s.names.Clone(), s.clients.Clone()
	for i := range c.classes {
		from := &s.classes[i]
		c.classes[i] = class{from.totals, from.pairs.clone(), from.names.clone(), from.clients.clone()}
	}
	return &c
}
