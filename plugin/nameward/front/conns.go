package front

import (
	"container/list"
	"net"
	"sync"
	"time"
)

// conn is one connection of a client.
type conn struct {
	*net.TCPConn
	door *door
	idle *list.Element // its place among those that wait for a message, or nil
}

// end closes the connection and makes its place free.
func (c *conn) end() error {
	c.door.front.conns.remove(c)
	return c.Close()
}

// connections are all that are open, at most max of them.
type connections struct {
	max int

	mu   sync.Mutex
	all  map[*conn]bool
	idle list.List // the one that waits longest first
}

// add takes a connection. If there are too many, the one that is idle for longest goes (RFC 7766,
// Section 6.2.3), so that who holds many without asking anything does not shut others out. It is not ok
// when every one is busy.
func (cs *connections) add(c *conn) (evicted, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if len(cs.all) >= cs.max {
		oldest := cs.idle.Front()
		if oldest == nil {
			return false, false
		}
		cs.drop(oldest.Value.(*conn))
		_ = oldest.Value.(*conn).Close() // its reader notices
		evicted = true
	}
	cs.all[c] = true
	return evicted, true
}

func (cs *connections) remove(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.drop(c)
}

// drop is called with mu held, once or more.
func (cs *connections) drop(c *conn) {
	delete(cs.all, c)
	if c.idle != nil {
		cs.idle.Remove(c.idle)
		c.idle = nil
	}
}

// setIdle notes that a connection waits for its client, or does not any more.
func (cs *connections) setIdle(c *conn, idle bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch {
	case !cs.all[c]: // it was closed meanwhile
	case idle && c.idle == nil:
		c.idle = cs.idle.PushBack(c)
	case !idle && c.idle != nil:
		cs.idle.Remove(c.idle)
		c.idle = nil
	}
}

// of calls do with every connection of a door.
func (cs *connections) of(d *door, do func(*conn)) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.all {
		if c.door == d {
			do(c)
		}
	}
}

// unblock ends what waits for a client.
func (c *conn) unblock() { _ = c.SetReadDeadline(time.Unix(1, 0)) }
