package nbns

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

// fakeConn is a net.PacketConn in memory, for synctest bubbles: what is written goes to the script of
// the test, which can send packets back at any later time.
type fakeConn struct {
	t      *testing.T
	start  time.Time
	script func(c *fakeConn, try int, request netbios.Message)

	mu   sync.Mutex
	sent []time.Duration // since start, one for each packet written
	to   []netip.AddrPort

	packets  chan datagram
	changed  chan struct{} // closed and replaced when the deadline changes
	deadline time.Time
}

type datagram struct {
	b    []byte
	from netip.AddrPort
}

func newFakeConn(t *testing.T, script func(c *fakeConn, try int, request netbios.Message)) *fakeConn {
	return &fakeConn{
		t:       t,
		start:   time.Now(),
		script:  script,
		packets: make(chan datagram, 64),
		changed: make(chan struct{}),
	}
}

// send lets a message arrive after a while.
func (c *fakeConn) send(after time.Duration, from netip.AddrPort, m netbios.Message) {
	b, err := m.Append(nil)
	if err != nil {
		c.t.Error(err)
	}
	c.sendBytes(after, from, b)
}

func (c *fakeConn) sendBytes(after time.Duration, from netip.AddrPort, b []byte) {
	time.AfterFunc(after, func() { c.packets <- datagram{b, from} })
}

func (c *fakeConn) WriteTo(b []byte, to net.Addr) (int, error) {
	m, err := netbios.ParseRequest(b)
	if err != nil {
		c.t.Errorf("client sends a malformed request: %v", err)
	}
	c.mu.Lock()
	c.sent = append(c.sent, time.Since(c.start))
	c.to = append(c.to, addrPort(to))
	try := len(c.sent)
	c.mu.Unlock()
	if c.script != nil {
		c.script(c, try, m)
	}
	return len(b), nil
}

func (c *fakeConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		expired, changed := c.wait()
		select {
		case <-expired:
			return 0, nil, os.ErrDeadlineExceeded
		default:
		}
		select {
		case d := <-c.packets:
			return copy(b, d.b), net.UDPAddrFromAddrPort(d.from), nil
		case <-expired:
		case <-changed:
		}
	}
}

// wait returns a channel that is ready when the deadline has passed, and one for a new deadline.
func (c *fakeConn) wait() (expired <-chan time.Time, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline.IsZero() {
		return nil, c.changed
	}
	if d := time.Until(c.deadline); d > 0 {
		return time.After(d), c.changed
	}
	past := make(chan time.Time)
	close(past)
	return past, c.changed
}

func (c *fakeConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

func (c *fakeConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *fakeConn) SetWriteDeadline(time.Time) error { return nil }
func (c *fakeConn) LocalAddr() net.Addr              { return &net.UDPAddr{} }
func (c *fakeConn) Close() error                     { return nil }
