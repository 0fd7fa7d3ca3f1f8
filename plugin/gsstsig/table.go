package gsstsig

import (
	"container/list"
	"net/netip"
	"sync/atomic"
	"time"
)

// agreed is a security context of an Acceptor.
type agreed struct {
	name    string // of the key
	peer    *peer
	client  netip.Addr
	ends    time.Time
	deleted atomic.Bool // only the reply to the deletion may still be signed
	seen    memory
	ofAll   *list.Element
	ofHost  *list.Element
}

// memory tells messages that were seen from new ones. Use it under a lock.
type memory interface {
	take(id uint64) bool // reports whether it is new, and remembers it
}

// table holds the contexts, the longest idle first in both orders. Use it under a lock.
type table struct {
	max, maxPerClient int
	byName            map[string]*agreed
	all               *list.List
	byClient          map[netip.Addr]*list.List
	swept             time.Time
	evicted           uint64
}

// sweepEvery is how often contexts that have ended are looked for. Until then they only take up room.
const sweepEvery = time.Minute

func newTable(limit, perClient int) *table {
	return &table{max: limit, maxPerClient: perClient, byName: map[string]*agreed{}, all: list.New(), byClient: map[netip.Addr]*list.List{}}
}

// live gives the context of a name, nil if there is none or it has ended.
func (t *table) live(name string, now time.Time) *agreed {
	c := t.byName[name]
	if c != nil && !now.Before(c.ends) {
		t.remove(c)
		return nil
	}
	return c
}

// add puts a context in the table. Its name must be free.
func (t *table) add(c *agreed, now time.Time) {
	if now.Sub(t.swept) >= sweepEvery {
		t.sweep(now)
	}
	own := t.byClient[c.client]
	if own != nil && own.Len() >= t.maxPerClient {
		t.evict(own)
	}
	if t.all.Len() >= t.max {
		t.evict(t.all)
	}
	if own = t.byClient[c.client]; own == nil { // maybe its last one was evicted
		own = list.New()
		t.byClient[c.client] = own
	}
	t.byName[c.name] = c
	c.ofAll, c.ofHost = t.all.PushBack(c), own.PushBack(c)
}

func (t *table) evict(l *list.List) {
	t.remove(l.Front().Value.(*agreed))
	t.evicted++
}

// touch notes that the context is in use, if it is still there.
func (t *table) touch(c *agreed) {
	if t.byName[c.name] != c {
		return
	}
	t.all.MoveToBack(c.ofAll)
	t.byClient[c.client].MoveToBack(c.ofHost)
}

func (t *table) remove(c *agreed) {
	delete(t.byName, c.name)
	t.all.Remove(c.ofAll)
	own := t.byClient[c.client]
	if own.Remove(c.ofHost); own.Len() == 0 {
		delete(t.byClient, c.client)
	}
}

func (t *table) sweep(now time.Time) {
	t.swept = now
	for _, c := range t.byName {
		if !now.Before(c.ends) {
			t.remove(c)
		}
	}
}
