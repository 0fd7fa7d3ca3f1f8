package nameward

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

// gate passes the updates of a zone on to its primary.
type gate struct {
	config.Gate
	key    tsig.Key // of ours; zero: none
	agreed *agreements
	slots  chan struct{}
	conns  *pool
}

// Times of a gate. A client over UDP asks again after some seconds, and a cluster resource waits for its
// registration: primaries that do not answer are given up before that.
const (
	gateDial   = 1500 * time.Millisecond
	gateAnswer = 4 * time.Second // from one end to the other, with all tries
)

var (
	errGateFull = errors.New("too many updates wait for the primary")
	errKeyGone  = errors.New("it does not know the key")
)

// newGate opens the gate of a configuration. It connects when it is first used.
func newGate(cfg config.Gate, limit int) (*gate, error) {
	g := &gate{Gate: cfg, slots: make(chan struct{}, limit), conns: newPool()}
	var err error
	switch {
	case cfg.Key != "":
		g.key, err = tsig.Read(cfg.Key)
	case cfg.Identity.Principal != "":
		g.agreed, err = newAgreements(cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("updates.gates: the key of zone %s: %w", cfg.Zone, err)
	}
	return g, nil
}

// signature is how a message to a primary is signed.
type signature struct {
	sign     func(*dns.Msg)
	provider dns.TsigProvider // nil: not at all
	forget   func()           // the primary does not know the key any more
}

// signature returns how messages to a primary are signed: by the key, or by what was agreed on with the
// primary, which is agreed on now if need be.
func (g *gate) signature(ctx context.Context, addr netip.AddrPort) (signature, error) {
	switch {
	case !g.key.IsZero():
		return signature{g.key.Sign, g.key.Provider(), func() {}}, nil
	case g.agreed == nil:
		return signature{func(*dns.Msg) {}, nil, func() {}}, nil
	}
	k, err := g.agreed.with(ctx, addr)
	if err != nil {
		return signature{}, fmt.Errorf("GSS-TSIG: %w", err)
	}
	sign := func(m *dns.Msg) { m.SetTsig(k.name, k.algorithm, tsig.Fudge, time.Now().Unix()) }
	return signature{sign, k.provider, func() { g.agreed.forget(addr, k) }}, nil
}

// exchange sends an update under our own signature, if we have one, and returns the primary's response.
func (g *gate) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, gateAnswer)
	defer cancel()
	response, err := g.exchangeOnce(ctx, m)
	if g.agreed != nil && errors.Is(err, errKeyGone) {
		// It was started anew: what it does not know it did not carry out.
		response, err = g.exchangeOnce(ctx, m)
	}
	return response, err
}

func (g *gate) exchangeOnce(ctx context.Context, m *dns.Msg) (response *dns.Msg, err error) {
	err = g.each(ctx, func(c net.Conn, addr netip.AddrPort) (sent bool, err error) {
		s, err := g.signature(ctx, addr)
		if err != nil {
			return false, err
		}
		signed := m.Copy()
		s.sign(signed)
		conn := &dns.Conn{Conn: c, TsigProvider: s.provider}
		if err := conn.WriteMsg(signed); err != nil {
			return false, err
		}
		response, err = conn.ReadMsg()
		return true, s.judge(m, response, err)
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// judge says why a response is not one that counts; err is that of reading it.
func (s *signature) judge(m, response *dns.Msg, err error) error {
	switch {
	case response == nil:
		return err
	case response.Id != m.Id || !response.Response || response.Opcode != m.Opcode:
		return errors.New("it answers something else")
	case keyIsGone(response):
		s.forget()
		return errKeyGone
	case err != nil:
		return fmt.Errorf("its response, %s, is not to be trusted: %w", dns.RcodeToString[response.Rcode], err)
	case s.provider != nil && response.IsTsig() == nil:
		return fmt.Errorf("its response, %s, is not signed", dns.RcodeToString[response.Rcode])
	}
	return nil
}

// keyIsGone reports the response of a server that does not know the key: RFC 8945, Section 5.2.1.
func keyIsGone(response *dns.Msg) bool {
	t := response.IsTsig()
	return response.Rcode == dns.RcodeNotAuth && t != nil && t.Error == dns.RcodeBadKey
}

// relay sends a message as it is and returns the primary's response as it is.
func (g *gate) relay(ctx context.Context, raw []byte) (response []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, gateAnswer)
	defer cancel()
	err = g.each(ctx, func(c net.Conn, _ netip.AddrPort) (sent bool, err error) {
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
func (g *gate) each(ctx context.Context, talk func(net.Conn, netip.AddrPort) (sent bool, err error)) error {
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	default:
		return errGateFull
	}
	why := errors.New("no primary can be reached")
	for _, addr := range g.conns.inOrder(g.Primary) {
		sent, err := g.try(ctx, addr, talk)
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
func (g *gate) try(ctx context.Context, addr netip.AddrPort, talk func(net.Conn, netip.AddrPort) (sent bool, err error)) (sent bool, err error) {
	for c := g.conns.take(addr); c != nil; c = g.conns.take(addr) {
		if sent, err := g.talk(ctx, c, addr, talk); err == nil || sent || !isBroken(err) {
			return sent, err
		}
	}
	c, err := (&net.Dialer{Timeout: gateDial}).DialContext(ctx, "tcp", addr.String())
	g.conns.note(addr, err)
	if err != nil {
		return false, err
	}
	return g.talk(ctx, c, addr, talk)
}

func (g *gate) talk(ctx context.Context, c net.Conn, addr netip.AddrPort, talk func(net.Conn, netip.AddrPort) (sent bool, err error)) (sent bool, err error) {
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
	g.conns.put(addr, c)
	return sent, err
}

// isBroken reports an error of the connection, which a new one need not have.
func isBroken(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

// close ends the connections that nobody uses; the others end with what is under way.
func (g *gate) close() { g.conns.close() }
