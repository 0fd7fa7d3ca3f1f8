package dnsask

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

const (
	window    = 128                    // questions under way over UDP; what a server's socket holds by default
	firstWait = 300 * time.Millisecond // for a reply; twice that for the next
	udpTries  = 2                      // then TCP
)

// flight is what is under way over one UDP socket.
type flight struct {
	*asker
	ctx      context.Context
	conn     net.Conn
	buf      [65535]byte
	queue    []*job // not sent yet
	underWay map[uint16]*job
	heard    bool // the server has replied to something
	rest     []*job
}

// overUDP asks over UDP and returns what has to be asked over TCP: what was truncated or had no reply. A server
// that says nothing at all is not waited for with every question.
func (a *asker) overUDP(ctx context.Context, jobs []*job) (rest []*job) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", a.server.String())
	if err != nil {
		return jobs
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }) // which ends the read
	defer stop()
	f := &flight{asker: a, ctx: ctx, conn: conn, queue: jobs, underWay: map[uint16]*job{}}
	for f.send() && f.receive() {
	}
	for _, j := range f.underWay {
		f.rest = append(f.rest, j)
	}
	return append(f.rest, f.queue...)
}

// send sends what is due and what has room. It reports whether anything is under way.
func (f *flight) send() bool {
	now := time.Now()
	for id, j := range f.underWay {
		switch {
		case j.due.After(now):
		case j.tries < udpTries:
			f.transmit(j, now)
		case !f.heard:
			return false
		default:
			delete(f.underWay, id)
			f.rest = append(f.rest, j)
		}
	}
	for len(f.queue) > 0 && len(f.underWay) < window {
		j := f.queue[0]
		f.queue = f.queue[1:]
		if j.Err = f.pack(j, f.underWay); j.Err != nil {
			j.done = true
			continue
		}
		f.underWay[j.id] = j
		f.transmit(j, now)
	}
	return len(f.underWay) > 0
}

// transmit sends a question, each time with the same ID: a reply to the first one counts too. What cannot be sent is
// as good as lost.
func (f *flight) transmit(j *job, now time.Time) {
	j.due = now.Add(firstWait << j.tries)
	j.tries++
	_, _ = f.conn.Write(j.wire)
}

// receive waits for one packet or for the next time that something is due. It reports whether to go on: not when there
// is nobody.
func (f *flight) receive() bool {
	var first time.Time
	for _, j := range f.underWay {
		if first.IsZero() || j.due.Before(first) {
			first = j.due
		}
	}
	if f.conn.SetReadDeadline(first) != nil || f.ctx.Err() != nil { // in this order, or the end of ctx goes unnoticed
		return false
	}
	n, err := f.conn.Read(f.buf[:])
	if err != nil {
		return errors.Is(err, os.ErrDeadlineExceeded)
	}
	j, m := f.take(f.buf[:n], f.underWay)
	if j == nil {
		return true
	}
	f.heard = true
	delete(f.underWay, j.id)
	if m.Truncated {
		f.rest = append(f.rest, j)
		return true
	}
	j.answered(m)
	return true
}
