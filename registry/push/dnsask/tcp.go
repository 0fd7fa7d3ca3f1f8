package dnsask

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	perConn  = 4096            // questions over one TCP connection
	dialWait = 2 * time.Second // for a TCP connection
	lull     = 3 * time.Second // without a reply over TCP, then the server is given up
)

// overTCP asks what is left over TCP, over one connection after the other as long as each of them brings
// something: there are servers that close one after some replies. The error is why jobs are not done.
func (a *asker) overTCP(ctx context.Context, jobs []*job) error {
	var err error
	for len(jobs) > 0 {
		var left []*job
		if err = a.overConn(ctx, jobs[:min(len(jobs), perConn)]); ctx.Err() != nil {
			return fmt.Errorf("%w: %w", errNoReply, ctx.Err())
		}
		for _, j := range jobs {
			if !j.done {
				left = append(left, j)
			}
		}
		if len(left) == len(jobs) {
			return err
		}
		jobs = left
	}
	return nil
}

// overConn asks over a connection of its own.
func (a *asker) overConn(ctx context.Context, jobs []*job) error {
	conn, err := (&net.Dialer{Timeout: dialWait}).DialContext(ctx, "tcp", a.server.String())
	if err != nil {
		return err
	}
	underWay := map[uint16]*job{}
	var frames []byte
	for _, j := range jobs {
		if j.Err = a.pack(j, underWay); j.Err != nil {
			j.done = true
			continue
		}
		underWay[j.id] = j
		frames = append(binary.BigEndian.AppendUint16(frames, uint16(len(j.wire))), j.wire...) // RFC 1035, Section 4.2.2
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // which ends what is under way
	defer stop()
	written := make(chan struct{})
	go func() { // a server may reply before it reads on
		defer close(written)
		_, _ = conn.Write(frames) // reading notices
	}()
	err = a.readAll(conn, underWay)
	_ = conn.Close() // it has told all that it will
	<-written
	return err
}

func (a *asker) readAll(conn net.Conn, underWay map[uint16]*job) error {
	r := bufio.NewReader(conn)
	for len(underWay) > 0 {
		if err := conn.SetReadDeadline(time.Now().Add(lull)); err != nil {
			return err
		}
		var size [2]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return fmt.Errorf("%w: %w", errNoReply, err)
		}
		wire := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(r, wire); err != nil {
			return fmt.Errorf("%w: %w", errNoReply, err)
		}
		j, m := a.take(wire, underWay)
		if j == nil {
			return fmt.Errorf("%w, but sends something else", errNoReply)
		}
		delete(underWay, j.id)
		j.answered(m)
	}
	return nil
}
