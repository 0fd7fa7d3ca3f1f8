package nbns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/nameward/nameward/netbios"
)

const (
	// maxWackWait limits the wait that a WACK can ask for. A challenge of 25 old addresses, the most
	// that a name has, takes 5 + 4 x 25 seconds; this is a little more.
	maxWackWait = 2 * time.Minute
	// maxReplies limits the answers to one broadcast.
	maxReplies = 256
	// maxReceived is more than the largest node status, 255 names.
	maxReceived = 8 << 10
)

// exchange is one request and the wait for its answer. It serves for every request of RFC 1002.
type exchange struct {
	request   netbios.Message // with one question
	to        netip.AddrPort
	tries     int
	timeout   time.Duration // after each try
	first     time.Duration // after the first one, and then twice as long up to timeout; 0: timeout
	broadcast bool          // take answers from anybody, and several of them
}

// reply is a response that answers the request of an exchange.
type reply struct {
	msg    netbios.Message
	from   netip.AddrPort
	rtt    time.Duration
	wacked bool // a WACK came before it
}

// exchange sends the request until it is answered or the tries are used up. It returns one reply for
// a unicast request, at least one for a broadcast one.
func (c *Client) exchange(ctx context.Context, x exchange) ([]reply, error) {
	packet, err := x.request.Append(nil)
	if err != nil {
		return nil, err
	}
	conn, done, err := c.conn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	defer endReads(ctx, conn)()
	// Received addresses are compared with this one, and come as plain IPv4.
	x.to = netip.AddrPortFrom(x.to.Addr().Unmap(), x.to.Port())
	r := run{exchange: x, conn: conn, ignored: &c.ignored, buf: make([]byte, maxReceived), begin: time.Now(), onWack: c.Wacked}
	return r.run(ctx, packet)
}

// conn returns the connection to use and the function to call when done with it.
func (c *Client) conn(ctx context.Context) (net.PacketConn, func(), error) {
	if c.Conn != nil {
		return c.shared(ctx)
	}
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(ctx, "udp4", ":0")
	if err != nil {
		return nil, nil, err
	}
	return conn, func() { conn.Close() }, nil
}

// shared waits for the turn on the caller's connection, no longer than ctx.
func (c *Client) shared(ctx context.Context) (net.PacketConn, func(), error) {
	c.once.Do(func() { c.turn = make(chan struct{}, 1) })
	select {
	case c.turn <- struct{}{}:
		return c.Conn, func() { <-c.turn }, nil
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
}

// endReads makes the end of ctx end a read in progress. The returned function undoes it; it waits, so
// that no deadline is set on the connection after the exchange.
func endReads(ctx context.Context, conn net.PacketConn) func() {
	finished := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(finished)
		conn.SetReadDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-finished
		}
		conn.SetReadDeadline(time.Time{})
	}
}

// receive hands packets to take until that is done or the deadline, which take may move, has passed. That
// time has passed is no error.
func receive(
	ctx context.Context, conn net.PacketConn, buf []byte, deadline *time.Time,
	take func(b []byte, from netip.AddrPort) (done bool, err error),
) error {
	for {
		if err := conn.SetReadDeadline(*deadline); err != nil {
			return err
		}
		// Only now: if ctx ended before, its deadline has just been overwritten.
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, from, err := conn.ReadFrom(buf)
		switch {
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		}
		if done, err := take(buf[:n], addrPort(from)); done || err != nil {
			return err
		}
	}
}

// run is an exchange in progress.
type run struct {
	exchange
	conn     net.PacketConn
	ignored  *ignoredCounters
	buf      []byte
	begin    time.Time // of the first packet
	deadline time.Time // of the wait for an answer
	replies  []reply
	wacked   bool
	onWack   func() // may be nil
}

func (r *run) run(ctx context.Context, packet []byte) ([]reply, error) {
	// The id stays the same in all tries, so that a late answer to the first one still counts.
	wait := min(orDefault(r.first, r.timeout), r.timeout)
	for range r.tries {
		if _, err := r.conn.WriteTo(packet, net.UDPAddrFromAddrPort(r.to)); err != nil {
			return nil, err
		}
		r.deadline = time.Now().Add(wait)
		wait = min(2*wait, r.timeout)
		if err := receive(ctx, r.conn, r.buf, &r.deadline, r.take); err != nil {
			return nil, err
		}
		if len(r.replies) > 0 {
			return r.replies, nil
		}
		if r.wacked {
			return nil, fmt.Errorf("no answer after a WACK: %w", os.ErrDeadlineExceeded)
		}
	}
	return nil, fmt.Errorf("no answer in %d tries: %w", r.tries, os.ErrDeadlineExceeded)
}

// take looks at one packet. It is done with the reply to a unicast request.
func (r *run) take(b []byte, from netip.AddrPort) (done bool, err error) {
	m, v := r.judge(b, from, r.ignored)
	switch v {
	case verdictAnswer:
		return r.add(m, from), nil
	case verdictWack:
		if r.wacked {
			return true, ErrSecondWack
		}
		r.wacked = true
		if r.onWack != nil {
			r.onWack()
		}
		r.deadline = time.Now().Add(wackWait(m))
	}
	return false, nil
}

// add keeps a reply and reports whether it was the last one to wait for. Some nodes answer a broadcast
// twice.
func (r *run) add(m netbios.Message, from netip.AddrPort) bool {
	for _, old := range r.replies {
		if old.from == from {
			return false
		}
	}
	r.replies = append(r.replies, reply{msg: m, from: from, rtt: time.Since(r.begin), wacked: r.wacked})
	return !r.broadcast || len(r.replies) == maxReplies
}

// wackWait returns the time that a WACK asks for, RFC 1002, Section 4.2.16.
func wackWait(m netbios.Message) time.Duration {
	return min(time.Duration(m.Answers[0].TTL)*time.Second, maxWackWait)
}

// addrPort returns the address of a packet; the zero value if it is of another network.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	if u, ok := a.(*net.UDPAddr); ok {
		ap = u.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
