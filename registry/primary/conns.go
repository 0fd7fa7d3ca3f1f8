package primary

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// pool keeps the connections to primaries that nobody uses for a while, and knows which primaries were down.
type pool struct {
	mu     sync.Mutex
	closed bool
	idle   map[netip.AddrPort][]*idleConn
	down   map[netip.AddrPort]time.Time // when it was last tried in vain
}

// idleConn is watched, so that one that the primary closes is never used: what is sent over such a one may
// have been carried out or not, and nobody can tell.
type idleConn struct {
	net.Conn
	alive chan bool // what the watch found, once the connection was taken
}

const (
	maxIdle     = 8 // connections to one primary
	idleTimeout = 8 * time.Second
	// downFor is how long a primary that could not be connected to is tried last.
	downFor = 10 * time.Second
)

func newPool() *pool {
	return &pool{idle: map[netip.AddrPort][]*idleConn{}, down: map[netip.AddrPort]time.Time{}}
}

// inOrder lists the primaries as they are written, those that were down behind the others.
func (p *pool) inOrder(primaries []netip.AddrPort) []netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.down) == 0 {
		return primaries
	}
	wasDown := func(addr netip.AddrPort) int {
		if at, ok := p.down[addr]; ok && time.Since(at) < downFor {
			return 1
		}
		return 0
	}
	return slices.SortedStableFunc(slices.Values(primaries), func(a, b netip.AddrPort) int { return wasDown(a) - wasDown(b) })
}

// note keeps whether a primary could be connected to.
func (p *pool) note(addr netip.AddrPort, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		delete(p.down, addr)
		return
	}
	p.down[addr] = time.Now()
}

// put takes back a connection over which nothing is awaited.
func (p *pool) put(addr netip.AddrPort, c net.Conn) {
	i := &idleConn{c, make(chan bool, 1)}
	if err := c.SetDeadline(time.Now().Add(idleTimeout)); err != nil || !p.add(addr, i) {
		_ = c.Close() // nothing is lost
		return
	}
	go p.watch(addr, i) // ends with the deadline, with the connection or when it is taken
}

func (p *pool) add(addr netip.AddrPort, i *idleConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle[addr]) >= maxIdle {
		return false
	}
	p.idle[addr] = append(p.idle[addr], i)
	return true
}

// watch closes a connection that the primary closes, over which something comes unasked, or that nobody used.
func (p *pool) watch(addr netip.AddrPort, i *idleConn) {
	_, err := i.Read(make([]byte, 1))
	if p.remove(addr, i) {
		_ = i.Close() // nobody waits for it
		return
	}
	i.alive <- errors.Is(err, os.ErrDeadlineExceeded)
}

func (p *pool) remove(addr netip.AddrPort, i *idleConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.idle[addr], i)
	if at < 0 {
		return false
	}
	p.idle[addr] = slices.Delete(p.idle[addr], at, at+1)
	return true
}

// take gives a connection that is alive, nil if there is none.
func (p *pool) take(addr netip.AddrPort) net.Conn {
	for {
		i := p.last(addr)
		if i == nil {
			return nil
		}
		if err := i.SetReadDeadline(time.Unix(1, 0)); err == nil && <-i.alive { // which ends the watch
			return i.Conn
		}
		_ = i.Close() // it is of no use
	}
}

func (p *pool) last(addr netip.AddrPort) *idleConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle[addr])
	if n == 0 {
		return nil
	}
	i := p.idle[addr][n-1]
	p.idle[addr] = p.idle[addr][:n-1]
	return i
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, conns := range p.idle {
		for _, i := range conns {
			_ = i.Close() // nobody waits for it
		}
	}
	clear(p.idle)
}
