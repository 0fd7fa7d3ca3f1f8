package primary

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/tsig"
)

// Config says who the primaries of a zone are and how they are talked to.
type Config struct {
	Addrs    []netip.AddrPort // in the order in which they are tried
	Key      string           // path of the TSIG key; "": none
	Identity config.Identity  // for GSS-TSIG; its services are those of Addrs. The zero value: none
	AtOnce   int              // messages that may be under way; one more is refused
}

// Servers are the primaries of a zone.
type Servers struct {
	addrs  []netip.AddrPort
	key    tsig.Key // zero: none
	agreed *agreements
	slots  chan struct{}
	conns  *pool
}

// Times of an exchange. A client of a gate over UDP asks again after some seconds, and a cluster resource waits for its
// registration: primaries that do not answer are given up before that.
const (
	dialTimeout   = 1500 * time.Millisecond
	answerTimeout = 4 * time.Second // from one end to the other, with all tries
)

var (
	// ErrFull is why a message was not sent: as many as may be are under way.
	ErrFull = errors.New("too many updates wait for the primary")

	errKeyGone = errors.New("it does not know the key")
)

// Open reads the key, or the keytab or password. It connects when it is first used.
func Open(cfg Config) (*Servers, error) {
	s := &Servers{addrs: cfg.Addrs, slots: make(chan struct{}, cfg.AtOnce), conns: newPool()}
	var err error
	switch {
	case cfg.Key != "":
		s.key, err = tsig.Read(cfg.Key)
	case cfg.Identity.Principal != "":
		s.agreed, err = newAgreements(cfg)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Exchange sends an update under our signature, if we have one, and returns the response of the primary that took it,
// and which one that is. After an error nobody knows whether the update was carried out.
func (s *Servers) Exchange(ctx context.Context, m *dns.Msg) (response *dns.Msg, by netip.AddrPort, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	response, by, err = s.exchangeOnce(ctx, m)
	if s.agreed != nil && errors.Is(err, errKeyGone) {
		// It was started anew: what it does not know it did not carry out.
		response, by, err = s.exchangeOnce(ctx, m)
	}
	return response, by, err
}

func (s *Servers) exchangeOnce(ctx context.Context, m *dns.Msg) (response *dns.Msg, by netip.AddrPort, err error) {
	err = s.each(ctx, func(c net.Conn, addr netip.AddrPort) (sent bool, err error) {
		how, err := s.signature(ctx, addr)
		if err != nil {
			return false, err
		}
		signed := m.Copy()
		how.sign(signed)
		conn := &dns.Conn{Conn: c, TsigProvider: how.provider}
		if err := conn.WriteMsg(signed); err != nil {
			return false, err
		}
		by = addr
		response, err = conn.ReadMsg()
		return true, how.judge(m, response, err)
	})
	if err != nil {
		return nil, by, err
	}
	return response, by, nil
}

// Key is the TSIG key that signs; the zero one when there is none.
func (s *Servers) Key() tsig.Key { return s.key }

// Addrs are the primaries, in the order in which they are tried when all are well. The caller must not write to it.
func (s *Servers) Addrs() []netip.AddrPort { return s.addrs }

// Reach gives the first primary that can be reached.
func (s *Servers) Reach(ctx context.Context) (found netip.AddrPort, err error) {
	err = s.each(ctx, func(_ net.Conn, addr netip.AddrPort) (sent bool, err error) {
		found = addr
		return false, nil
	})
	return found, err
}

// Relay sends a message as it is and returns the primary's response as it is.
func (s *Servers) Relay(ctx context.Context, raw []byte) (response []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	err = s.each(ctx, func(c net.Conn, _ netip.AddrPort) (sent bool, err error) {
		framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...) // RFC 1035, Section 4.2.2
		if _, err := c.Write(framed); err != nil {
			return false, err
		}
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return true, err
		}
		response = make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, response); err != nil {
			return true, err
		}
		// The ID, the QR bit and the opcode.
		if len(response) < 12 || response[0] != raw[0] || response[1] != raw[1] || response[2]&0x80 == 0 || (response[2]^raw[2])&0x78 != 0 {
			return true, errors.New("it answers something else")
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// each tries the primaries in order until something was sent to one. That is not sent to another, nor once
// more over another connection: it may have been carried out.
func (s *Servers) each(ctx context.Context, talk func(net.Conn, netip.AddrPort) (sent bool, err error)) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return ErrFull
	}
	why := errors.New("no primary can be reached")
	for _, addr := range s.conns.inOrder(s.addrs) {
		sent, err := s.try(ctx, addr, talk)
		switch {
		case err == nil:
			return nil
		case sent:
			return fmt.Errorf("the primary %s: %w", addr, err)
		}
		why = fmt.Errorf("%w; %s: %w", why, addr, err)
		if ctx.Err() != nil {
			break
		}
	}
	return why
}

// try talks to one primary, over a connection that is open already or a new one.
func (s *Servers) try(ctx context.Context, addr netip.AddrPort, talk func(net.Conn, netip.AddrPort) (sent bool, err error)) (sent bool, err error) {
	for c := s.conns.take(addr); c != nil; c = s.conns.take(addr) {
		if sent, err := s.talk(ctx, c, addr, talk); err == nil || sent || !isBroken(err) {
			return sent, err
		}
	}
	c, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", addr.String())
	s.conns.note(addr, err)
	if err != nil {
		return false, err
	}
	return s.talk(ctx, c, addr, talk)
}

func (s *Servers) talk(ctx context.Context, c net.Conn, addr netip.AddrPort, talk func(net.Conn, netip.AddrPort) (sent bool, err error)) (sent bool, err error) {
	if until, ok := ctx.Deadline(); ok {
		err = c.SetDeadline(until)
	}
	if err == nil {
		sent, err = talk(c, addr)
	}
	if err != nil && !errors.Is(err, errKeyGone) {
		_ = c.Close() // what else comes over it nobody waits for
		return sent, err
	}
	s.conns.put(addr, c)
	return sent, err
}

// isBroken reports an error of the connection, which a new one need not have.
func isBroken(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

// Close ends the connections that nobody uses; the others end with what is under way.
func (s *Servers) Close() { s.conns.close() }
