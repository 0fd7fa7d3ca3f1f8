package watch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push/dso"
)

// Client watches names. Set the fields, then Run it.
type Client struct {
	Server    string         // HOST:PORT
	TLS       *tls.Config    // says whom to trust; ServerName as well, unless the host of Server is the name
	Questions []dso.Question // 30,000 at most
	Timeout   time.Duration  // for a connection, and for each answer; 0: 5 s
	Tell      func(Event)    // called in the order of what happens

	// Dial makes the connections in the place of TLS, for tests; nil: TLS to Server.
	Dial func(context.Context) (net.Conn, error)
}

// ErrRefused is what Run returns when the server takes none of the subscriptions.
var ErrRefused = errors.New("the server takes none of the subscriptions")

const (
	defaultTimeout = 5 * time.Second
	firstPause     = 500 * time.Millisecond
	lastPause      = 30 * time.Second
	// wantedInactivity and wantedKeepalive are asked for; the server decides.
	wantedInactivity = 15 * time.Second
	wantedKeepalive  = 15 * time.Second
)

// Run watches until ctx ends, which is no error. If there never was a connection, or the server takes nothing, it says
// why; after that it makes connections anew for as long as it takes.
func (c *Client) Run(ctx context.Context) error {
	pause := firstPause
	for tries := 0; ; tries++ {
		conn, err := c.connect(ctx)
		if err == nil {
			pause = firstPause
			c.tell(Event{Kind: Connected, Server: conn.RemoteAddr().String()})
			err = c.converse(ctx, conn)
		} else if tries == 0 && ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, ErrRefused) {
			return err
		}
		again := pause - rand.N(pause/4)
		var later errLater
		if errors.As(err, &later) {
			again = time.Duration(later)
		}
		c.tell(Event{Kind: Lost, Err: err, Again: again})
		pause = min(2*pause, lastPause)
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *Client) tell(e Event) {
	e.At = time.Now()
	c.Tell(e)
}

func (c *Client) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return defaultTimeout
}

func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	if c.Dial != nil {
		return c.Dial(ctx)
	}
	cfg := c.TLS.Clone()
	cfg.MinVersion = tls.VersionTLS12
	return (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", c.Server)
}

// errLater is the wish of a server to be left alone for a while.
type errLater time.Duration

func (e errLater) Error() string { return "the server asks to come back later" }

// session is one connection, as the goroutine sees it that reads.
type session struct {
	*Client
	conn     net.Conn
	writing  sync.Mutex
	interval time.Duration           // of keepalive
	asked    map[uint16]dso.Question // that are not answered yet
	active   []dso.Question
	known    records
	nextID   uint16
}

// converse keeps one connection until it ends, and closes it.
func (c *Client) converse(ctx context.Context, conn net.Conn) error {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	s := &session{Client: c, conn: conn, interval: wantedKeepalive, asked: map[uint16]dso.Question{}}
	first, err := s.begin()
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	in, failed := make(chan []byte), make(chan error, 2)
	done := make(chan struct{})
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer conn.Close()
	defer close(done)
	tasks.Go(func() { failed <- read(conn, in, done) })
	tasks.Go(func() {
		if err := s.write(first); err != nil {
			failed <- err
		}
	})
	return s.follow(in, failed)
}

// read hands over what comes in until the connection ends.
func read(conn net.Conn, in chan<- []byte, done <-chan struct{}) error {
	for {
		msg, err := dso.ReadFrame(conn, nil, dns.MaxMsgSize)
		if err != nil {
			return fmt.Errorf("the connection has ended: %w", err)
		}
		select {
		case in <- msg:
		case <-done:
			return nil
		}
	}
}

// begin makes the session and asks for all subscriptions: it returns what is to be sent for that. The answers are read
// meanwhile.
func (s *session) begin() ([]byte, error) {
	first := dso.AppendFrame(nil, s.keepalive().Append)
	for _, q := range s.Questions {
		tlv, err := dso.Subscribe(q)
		if err != nil {
			return nil, err
		}
		id := s.id()
		s.asked[id] = q
		first = dso.AppendFrame(first, (&dso.Message{ID: id, TLVs: []dso.TLV{tlv}}).Append)
	}
	return first, nil
}

// id is one that no subscription has: those have the numbers below the first that follow keeps alive with.
func (s *session) id() uint16 {
	if s.nextID++; s.nextID == 0 {
		s.nextID = uint16(len(s.Questions)) + 2
	}
	return s.nextID
}

func (s *session) keepalive() *dso.Message {
	return &dso.Message{ID: s.id(), TLVs: []dso.TLV{dso.Keepalive(wantedInactivity, wantedKeepalive)}}
}

func (s *session) send(m *dso.Message) error { return s.write(dso.AppendFrame(nil, m.Append)) }

func (s *session) write(frames []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.timeout())); err != nil {
		return err
	}
	_, err := s.conn.Write(frames)
	return err
}

// follow takes what the server says. It keeps the session alive, and gives up a server that says nothing to that.
func (s *session) follow(in <-chan []byte, failed <-chan error) error {
	silence := time.NewTimer(s.interval)
	defer silence.Stop()
	for asked := false; ; {
		select {
		case msg := <-in:
			if err := s.take(msg); err != nil {
				return err
			}
			asked = false
			silence.Reset(s.interval)
		case <-silence.C:
			if asked {
				return fmt.Errorf("no answer to a Keepalive within %s", s.timeout())
			}
			if err := s.send(s.keepalive()); err != nil {
				return err
			}
			asked = true
			silence.Reset(s.timeout())
		case err := <-failed:
			return err
		}
	}
}

// take takes one message.
func (s *session) take(msg []byte) error {
	if dso.OpcodeOf(msg) != dso.Opcode {
		return errors.New("the server sends what is no DSO message")
	}
	m, err := dso.Parse(msg)
	if err != nil {
		return err
	}
	switch {
	case m.Response:
		return s.answered(&m)
	case m.IsRequest():
		// RFC 8490, Section 5.4.5: what is not known is answered, so that the server can go on without it.
		return s.send(&dso.Message{ID: m.ID, Response: true, Rcode: dns.RcodeStatefulTypeNotImplemented})
	}
	switch t := m.Primary(); t {
	case dso.TypePush:
		return s.pushed(msg, m.TLVs[0])
	case dso.TypeKeepalive:
		return s.setTimers(m.TLVs[0].Data)
	case dso.TypeRetryDelay:
		d, err := dso.ParseRetryDelay(m.TLVs[0].Data)
		if err != nil {
			return err
		}
		return errLater(d)
	default:
		return fmt.Errorf("the server sends a %s TLV, which is not for clients", t)
	}
}

// answered takes a response, to a SUBSCRIBE or to a Keepalive.
func (s *session) answered(m *dso.Message) error {
	q, isSubscribe := s.asked[m.ID]
	delete(s.asked, m.ID)
	switch {
	case m.ID == 0:
		return errors.New("the server answers what nobody asked")
	case isSubscribe && m.Rcode == dns.RcodeSuccess:
		s.active = append(s.active, q)
	case isSubscribe:
		s.tell(Event{Kind: Refused, Question: q, Rcode: int(m.Rcode)})
	case m.Primary() == dso.TypeKeepalive:
		return s.setTimers(m.TLVs[0].Data)
	case m.Rcode != dns.RcodeSuccess:
		return fmt.Errorf("the server refuses DNS Stateful Operations: %s", dns.RcodeToString[int(m.Rcode)])
	}
	if len(s.asked) == 0 && len(s.active) == 0 {
		return ErrRefused
	}
	return nil
}

func (s *session) setTimers(data []byte) error {
	_, interval, err := dso.ParseKeepalive(data)
	if err == nil && interval < dso.LeastKeepalive {
		err = fmt.Errorf("the server sets a keepalive interval of %s", interval) // RFC 8490, Section 6.5.2
	}
	if err == nil {
		s.interval = interval
	}
	return err
}

// pushed applies a PUSH. Changes of what is not subscribed to are passed over: RFC 8765, Section 6.3.2.
func (s *session) pushed(msg []byte, tlv dso.TLV) error {
	changes, err := dso.ParsePush(msg, tlv)
	if err != nil {
		return err
	}
	for _, rr := range changes {
		if !s.wants(rr.Header()) {
			continue
		}
		if err := s.known.apply(rr, func(k Kind, rr dns.RR) { s.tell(Event{Kind: k, Record: rr}) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) wants(h *dns.RR_Header) bool {
	for _, q := range s.active {
		if strings.EqualFold(q.Name, h.Name) && (q.Type == dns.TypeANY || h.Rrtype == dns.TypeANY || q.Type == h.Rrtype) {
			return true
		}
	}
	return false
}
