package wrepl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Bounds of one association. The longest message is a reply with a million records of the usual length; room for it is
// made as its octets come in.
const (
	maxStart   = 64       // octets of a message before the association stands
	maxQuery   = 64 << 10 // of one that asks or tells news: a table of 2,700 owners
	maxReply   = 64 << 20 // of records that were asked for
	startTime  = 10 * time.Second
	askTime    = 10 * time.Second // until the first octet of an answer
	bodyTime   = 30 * time.Second // for a message that has begun, and as much again for each so many octets:
	bodyOctets = 1 << 20
	// idleTime is how long a partner may be silent on a connection that stays open: one for notifications has nothing else
	// to carry. That the partner is there is seen by keep-alives.
	idleTime = 24 * time.Hour
)

// association is one connection with a partner, MS-WINSRA, Section 1.3. One goroutine reads; any may write.
type association struct {
	conn         net.Conn
	in           *bufio.Reader
	mine, theirs uint32 // handles
	minor        uint16 // version of the partner

	mu  sync.Mutex
	out []byte
}

var (
	errHandle   = errors.New("the message has the handle of another association")
	errStart    = errors.New("the association does not begin with a start message of version 2")
	errStopped  = errors.New("the partner ended the association")
	errRefused  = errors.New("the partner refuses the association, is this server listed there?")
	errUnasked  = errors.New("the message has no place here")
	errNoAnswer = errors.New("the answer is not to what was asked")
)

func newAssociation(conn net.Conn) *association {
	// The handle names the association on its own connection only; that it cannot be guessed is a second lock.
	return &association{conn: conn, in: bufio.NewReader(conn), mine: rand.Uint32N(1<<32-1) + 1}
}

// invite opens an association on a connection that was dialed.
func invite(conn net.Conn) (*association, error) {
	a := newAssociation(conn)
	if err := a.write(&Start{Handle: a.mine, Major: Major, Minor: Minor}); err != nil {
		return nil, err
	}
	m, err := a.readAny(maxStart, startTime)
	if err != nil {
		return nil, err
	}
	s, ok := m.Body.(*Start)
	switch _, stopped := m.Body.(*Stop); {
	case stopped:
		return nil, errRefused // it may not have noted the handle
	case !ok || !s.Reply || s.Major != Major:
		return nil, errStart
	case m.Handle != a.mine:
		return nil, errHandle
	}
	a.theirs, a.minor = s.Handle, s.Minor
	return a, nil
}

// welcome opens the association on a connection that was accepted.
func (a *association) welcome() error {
	m, err := a.readAny(maxStart, startTime)
	if err != nil {
		return err
	}
	s, ok := m.Body.(*Start)
	if !ok || s.Reply || s.Major != Major {
		return errStart
	}
	a.theirs, a.minor = s.Handle, s.Minor
	return a.write(&Start{Reply: true, Handle: a.mine, Major: Major, Minor: Minor})
}

// read returns the next message, which has to be of this association.
func (a *association) read(limit int, idle time.Duration) (Message, error) {
	m, err := a.readAny(limit, idle)
	if err == nil && m.Handle != a.mine {
		err = errHandle
	}
	return m, err
}

func (a *association) readAny(limit int, idle time.Duration) (Message, error) {
	var length [4]byte
	if err := a.conn.SetReadDeadline(time.Now().Add(idle)); err != nil {
		return Message{}, err
	}
	if _, err := io.ReadFull(a.in, length[:]); err != nil {
		return Message{}, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > uint32(limit) {
		return Message{}, fmt.Errorf("%w: %d octets, at most %d are taken here", ErrLength, n, limit)
	}
	whole := timeFor(int(n))
	if limit == maxStart {
		whole = startTime
	}
	if err := a.conn.SetReadDeadline(time.Now().Add(whole)); err != nil {
		return Message{}, err
	}
	var body bytes.Buffer
	if _, err := io.CopyN(&body, a.in, int64(n)); err != nil {
		return Message{}, fmt.Errorf("reading a message of %d octets: %w", n, err)
	}
	return Parse(body.Bytes())
}

// timeFor is the time that a message may take on its way.
func timeFor(octets int) time.Duration { return bodyTime * time.Duration(1+octets/bodyOctets) }

func (a *association) write(b Body) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.out = Message{Handle: a.theirs, Body: b}.Append(a.out[:0])
	if err := a.conn.SetWriteDeadline(time.Now().Add(timeFor(len(a.out)))); err != nil {
		return err
	}
	_, err := a.conn.Write(a.out)
	if cap(a.out) > maxQuery {
		a.out = nil // as long as the connection is open
	}
	return err
}

// ask sends a question and returns the answer.
func (a *association) ask(question Body, limit int) (Body, error) {
	if err := a.write(question); err != nil {
		return nil, err
	}
	m, err := a.read(limit, askTime)
	if err != nil {
		return nil, err
	}
	if s, ok := m.Body.(*Stop); ok {
		return nil, fmt.Errorf("%w with reason %d", errStopped, s.Reason)
	}
	return m.Body, nil
}

// table asks for the partner's table.
func (a *association) table() (*Table, error) {
	b, err := a.ask(TableQuery{}, maxQuery)
	if err != nil {
		return nil, err
	}
	if t, ok := b.(*Table); ok && t.Command == TableReply {
		return t, nil
	}
	return nil, fmt.Errorf("%w: %s to %s", errNoAnswer, b, TableQuery{})
}

// records asks for records.
func (a *association) records(o Owner) ([]Record, error) {
	q := &RecordQuery{Owner: o}
	b, err := a.ask(q, maxReply)
	if err != nil {
		return nil, err
	}
	if r, ok := b.(*RecordReply); ok {
		return r.Records, nil
	}
	return nil, fmt.Errorf("%w: %s to %s", errNoAnswer, b, q)
}

// stop ends the association and the connection; that the partner does not hear it is no matter.
func (a *association) stop(reason uint32) {
	_ = a.write(&Stop{Reason: reason})
	a.conn.Close()
}

// closeWith closes a connection when ctx ends or the function returned is called.
func closeWith(ctx context.Context, conn net.Conn) (closeNow func()) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return func() {
		stop()
		conn.Close()
	}
}
