package stream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/push/dso"
)

// session is one connection. Two goroutines have a part in it: one reads and answers, the other pushes and keeps the
// timers.
type session struct {
	srv  *Server
	conn net.Conn
	log  zerolog.Logger
	wake chan struct{} // something is dirty, or a timer has moved nearer

	writing sync.Mutex // held while something goes out
	out     []byte     // what goes out; kept for the next time

	mu          sync.Mutex
	established bool // RFC 8490, Section 5.1: a DSO request was granted
	padding     bool // the client pads what it sends
	inactivity  time.Duration
	interval    time.Duration // of keepalive
	lastAny     time.Time     // when the last message came or went
	lastActive  time.Time     // the same without those of keepalive
	subs        map[uint16]*subscription
	topics      map[*topic][]*subscription
	dirty       map[*topic]bool
}

// subscription is what one SUBSCRIBE asked for.
type subscription struct {
	question dso.Question // the name in lower case
	topic    *topic
	told     *content // what the client knows
}

const (
	// mostIn bounds what a client may send in one message, in octets. No question is longer, however it is padded.
	mostIn = 16 << 10
	// mostBatch is about how many octets of PUSH messages are written at once.
	mostBatch = 64 << 10
	// writeTimeout is how long a client may take nothing of what is written.
	writeTimeout = 10 * time.Second
	// leaveTimeout is how long a client that was told to end the session may take. RFC 8490, Section 6.6.1, leaves it to
	// the server: nobody is to wait long for nameward to stop.
	leaveTimeout = 2 * time.Second
	// leastInactive: RFC 8490, Section 6.4.2.
	leastInactive = 5 * time.Second
	// padBlock: RFC 8467, Section 4.1.
	padBlock = 468
)

// errFatal is what a client must not do. The session is aborted without a word: RFC 8490, Section 5.3.
type errFatal string

func (e errFatal) Error() string { return string(e) }

// Why sessions end, beside errFatal and what the connection says.
var (
	errSilent   = errors.New("no message within twice the keepalive interval")
	errInactive = errors.New("the session was not used")
	errSlow     = errors.New("the client takes nothing")
	errLeft     = errors.New("the server ends the session")
)

func newSession(srv *Server, conn net.Conn) *session {
	now := time.Now()
	return &session{
		srv: srv, conn: conn, log: srv.log.With().Stringer("client", conn.RemoteAddr()).Logger(), wake: make(chan struct{}, 1),
		inactivity: dso.DefaultTimeout, interval: srv.settings().keepalive, lastAny: now, lastActive: now,
		subs: map[uint16]*subscription{}, topics: map[*topic][]*subscription{}, dirty: map[*topic]bool{},
	}
}

// run serves the connection until one side ends it, and says why. The connection is closed then.
func (s *session) run(ctx context.Context) error {
	defer s.forget()
	ended := make(chan error, 1)
	go func() { ended <- s.receive() }()
	err := s.send(ctx, ended)
	switch {
	case err == nil: // what has ended is receive
		err = <-ended
		s.abort()
		return err
	case errors.Is(err, errLeft):
		s.sayGoodbye()
		select {
		case <-ended:
			s.abort()
			return err
		case <-time.After(leaveTimeout):
		}
	}
	s.abort()
	<-ended
	return err
}

// receive reads and answers until the connection or the session is over.
func (s *session) receive() error {
	in := bufio.NewReaderSize(s.conn, 1<<10)
	var msg []byte
	for {
		var err error
		if msg, err = dso.ReadFrame(in, msg, mostIn); err != nil {
			return err
		}
		if err := s.handle(msg); err != nil {
			return err
		}
	}
}

// send pushes what changes, and ends the session when its time has come. It returns nil when something is in ended.
func (s *session) send(ctx context.Context, ended chan error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if err := s.flush(); err != nil {
			return err
		}
		deadline, why := s.deadline()
		left := time.Until(deadline)
		if left <= 0 {
			return why
		}
		timer.Reset(left)
		select {
		case <-s.wake:
		case <-timer.C:
		case err := <-ended:
			ended <- err
			return nil
		case <-ctx.Done():
			return errLeft
		}
	}
}

// deadline says until when something has to happen, and what it means if it does not.
func (s *session) deadline() (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	silent := s.lastAny.Add(2 * s.interval) // RFC 8490, Section 6.5.1
	switch inactive := s.lastActive.Add(max(leastInactive, 2*s.inactivity)); {
	case !s.established:
		return s.lastAny.Add(dso.DefaultTimeout), errInactive
	case len(s.subs) == 0 && inactive.Before(silent): // RFC 8490, Section 6.4.1
		return inactive, errInactive
	}
	return silent, errSilent
}

// touch notes that a message came or went.
func (s *session) touch(isKeepalive bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastAny = now
	if !isKeepalive {
		s.lastActive = now
	}
}

// changed notes that what stands at a name is another. It never blocks.
func (s *session) changed(t *topic) {
	s.mu.Lock()
	s.dirty[t] = true
	s.mu.Unlock()
	s.nudge()
}

func (s *session) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// flush pushes what the client has not been told, and returns when there is no more of it.
func (s *session) flush() error {
	for {
		changes, padded := s.news()
		if len(changes) == 0 {
			return nil
		}
		for len(changes) > 0 {
			n := 0
			err := s.write(false, func(dst []byte) []byte {
				for n < len(changes) && len(dst) < mostBatch {
					dst = dso.AppendFrame(dst, func(dst []byte) []byte {
						start := len(dst)
						dst, k := dso.AppendPush(dst, changes[n:])
						n += k
						s.srv.counts.pushes.Add(1)
						return pad(dst, len(dst)-start, padded)
					})
				}
				return dst
			})
			if err != nil {
				return err
			}
			changes = changes[n:]
		}
	}
}

// pad appends padding to a message of so many octets, if it is to be padded and there is room.
func pad(dst []byte, octets int, is bool) []byte {
	if !is {
		return dst
	}
	if t := dso.PadTo(padBlock, octets); octets+4+len(t.Data) <= dso.MaxPush {
		return t.Append(dst)
	}
	return dst
}

// news takes what changed since the client was told, each change once, however many subscriptions it is in.
func (s *session) news() (changes [][]byte, padded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.dirty {
		now := t.now.Load()
		first := len(changes)
		for _, sub := range s.topics[t] {
			for _, c := range now.since(sub.told, sub.question.Type) {
				if !slices.ContainsFunc(changes[first:], func(o []byte) bool { return string(o) == string(c.wire) }) {
					changes = append(changes, c.wire)
				}
			}
			sub.told = now
		}
	}
	clear(s.dirty)
	return changes, s.padding
}

// write sends what appendTo appends. A client that takes nothing for long is given up.
func (s *session) write(isKeepalive bool, appendTo func([]byte) []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.out = appendTo(s.out[:0])
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := s.conn.Write(s.out); err != nil {
		if isTimeout(err) {
			return errSlow
		}
		return err
	}
	if cap(s.out) > 4<<10 {
		s.out = nil // most have nothing to say most of the time
	}
	s.touch(isKeepalive)
	return nil
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// sayGoodbye asks the client to end the session and to come back a little later, not all at once: RFC 8490, Section
// 6.6.1.
func (s *session) sayGoodbye() {
	s.mu.Lock()
	established := s.established
	s.mu.Unlock()
	if established {
		// If it cannot be told, it sees the connection end.
		_ = s.sendDSO(&dso.Message{TLVs: []dso.TLV{dso.RetryDelay(backAfter + rand.N(backWithin))}}, false)
	}
}

// Clients come back when this has passed, each at a time of its own.
const (
	backAfter  = 500 * time.Millisecond
	backWithin = 2 * time.Second
)

// sendDSO sends a message, padded if the client pads.
func (s *session) sendDSO(m *dso.Message, isKeepalive bool) error {
	s.mu.Lock()
	padded := s.padding
	s.mu.Unlock()
	return s.write(isKeepalive, func(dst []byte) []byte {
		return dso.AppendFrame(dst, func(dst []byte) []byte {
			start := len(dst)
			dst = m.Append(dst)
			return pad(dst, len(dst)-start, padded)
		})
	})
}

// abort ends the connection at once, also what is still on its way: RFC 8490, Section 5.3.
func (s *session) abort() {
	if c, ok := s.conn.(*tls.Conn); ok {
		if tcp, ok := c.NetConn().(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // it is closed anyway
		}
		_ = c.NetConn().Close() // TLS would say goodbye to somebody who may not listen
		return
	}
	_ = s.conn.Close()
}

// forget takes the session out of the hub.
func (s *session) forget() {
	s.mu.Lock()
	topics, n := s.topics, len(s.subs)
	s.topics, s.subs = nil, nil
	s.mu.Unlock()
	for t := range topics {
		s.srv.hub.leave(s, t)
	}
	s.srv.subscribed(-n)
}

// subscribe makes a subscription of a request that was granted. The first PUSH for it follows.
func (s *session) subscribe(id uint16, q dso.Question) {
	t := s.srv.hub.join(s, q.Name)
	sub := &subscription{question: q, topic: t, told: nothing}
	s.mu.Lock()
	s.subs[id] = sub
	s.topics[t] = append(s.topics[t], sub)
	s.dirty[t] = true
	s.mu.Unlock()
	s.nudge()
}

// unsubscribe ends a subscription. It is no harm if there is none: RFC 8765, Section 6.4.1.
func (s *session) unsubscribe(id uint16) {
	s.mu.Lock()
	sub := s.subs[id]
	if sub == nil {
		s.mu.Unlock()
		return
	}
	delete(s.subs, id)
	s.topics[sub.topic] = slices.DeleteFunc(s.topics[sub.topic], func(o *subscription) bool { return o == sub })
	isLast := len(s.topics[sub.topic]) == 0
	if isLast {
		delete(s.topics, sub.topic)
		delete(s.dirty, sub.topic)
	}
	s.mu.Unlock()
	if isLast {
		s.srv.hub.leave(s, sub.topic)
	}
	s.srv.subscribed(-1)
	s.nudge() // the session may be one without any now, which has another timer
}

// has reports whether the session has the same subscription already.
func (s *session) has(q dso.Question) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		if sub.question == q {
			return true
		}
	}
	return false
}

// lower gives the question the form in which names are compared.
func lower(q dso.Question) dso.Question {
	q.Name = dns.CanonicalName(q.Name)
	return q
}
