package front

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
)

// timeouts are those of a server of CoreDNS for its own connections.
type timeouts struct{ first, idle, write time.Duration }

func timeoutsOf(s *dnsserver.Server) timeouts {
	t := timeouts{first: 3 * time.Second, idle: 10 * time.Second, write: 5 * time.Second} // the defaults of CoreDNS
	if s == nil {
		return t
	}
	for _, v := range []struct {
		to   *time.Duration
		from time.Duration
	}{{&t.first, s.ReadTimeout}, {&t.idle, s.IdleTimeout}, {&t.write, s.WriteTimeout}} {
		if v.from > 0 {
			*v.to = v.from
		}
	}
	return t
}

// queriesPerConn is what the DNS library lets pass on a connection when CoreDNS does not say.
const queriesPerConn = 128

// serveTCP accepts connections until the socket is closed or its deadline is past.
func (d *door) serveTCP() {
	for {
		c, err := d.tcp.AcceptTCP()
		switch {
		case err == nil:
			d.connection(c)
		case errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded):
			return
		default: // out of descriptors, most likely: connections that end give some back
			time.Sleep(retryPause)
		}
	}
}

func (d *door) connection(tcp *net.TCPConn) {
	c := &conn{TCPConn: tcp, door: d}
	if evicted, ok := d.front.conns.add(c); !ok || evicted {
		d.front.counts[overTCP][Shed].Add(1)
		if !ok {
			_ = tcp.Close() // nobody is there to tell
			return
		}
	}
	d.inflight.Go(func() {
		if !c.serve() {
			_ = c.end()
		}
	})
}

// serve answers the messages of a connection one after the other. It reports whether a handler goes on
// with the connection.
func (c *conn) serve() (hijacked bool) {
	r := bufio.NewReaderSize(c, 512)
	wait := timeoutsOf(c.door.server.Load()).first
	for n := 0; ; n++ {
		s := c.door.server.Load()
		raw, err := c.read(r, wait, timeoutsOf(s).first)
		if err != nil {
			return false
		}
		if i, ok := c.door.front.token.of(raw); ok {
			c.door.lanes[overTCP].probed(i)
			return false
		}
		w := &response{door: c.door, server: c.door.server.Load(), conn: c}
		outcome := w.serve(raw)
		c.door.front.counts[overTCP][outcome].Add(1)
		switch {
		case w.hijack:
			return !w.closed
		case w.closed || outcome == Ignored || outcome == Unserved || !mayGoOn(w.server, n+1):
			return false
		}
		wait = timeoutsOf(w.server).idle
	}
}

// mayGoOn reports whether a connection that had n messages may have more.
func mayGoOn(s *dnsserver.Server, n int) bool {
	limit := s.MaxTCPQueries
	if limit == 0 {
		limit = queriesPerConn
	}
	return limit < 0 || n < limit
}

// prompt is what is allocated on the word of a client; the rest follows as it comes.
const prompt = 4 << 10

// read waits for a message, and then whole for it to be complete: octet by octet does not do.
func (c *conn) read(r *bufio.Reader, wait, whole time.Duration) ([]byte, error) {
	c.door.front.conns.setIdle(c, true)
	defer c.door.front.conns.setIdle(c, false)
	if err := c.until(wait); err != nil {
		return nil, err
	}
	var size [2]byte // RFC 1035, Section 4.2.2
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	if err := c.until(whole); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint16(size[:]))
	b := bytes.NewBuffer(make([]byte, 0, min(n, prompt)+bytes.MinRead))
	_, err := io.CopyN(b, r, n)
	return b.Bytes(), err
}

// until sets the deadline, unless the door is closing, which has set it for good.
func (c *conn) until(d time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	if c.door.closing.Load() {
		return net.ErrClosed
	}
	return nil
}
