package nameward

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/plugin/gsstsig"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/tsig"
)

// gate passes the updates of a zone on to its primary.
type gate struct {
	config.Gate
	key       tsig.Key           // of ours; zero: none
	initiator *gsstsig.Initiator // of ours; nil: none
	slots     chan struct{}

	agreeing sync.Mutex
	contexts map[netip.AddrPort]*gsstsig.Context

	mu   sync.Mutex
	idle map[netip.AddrPort][]net.Conn // nil: closed
}

// Times and bounds of a gate. A client over UDP asks again after some seconds, and a cluster resource waits
// for its registration: a primary that does not answer is given up before that.
const (
	gateDial    = 2 * time.Second
	gateAnswer  = 4 * time.Second
	maxIdle     = 8 // connections to one primary
	idleTimeout = 10 * time.Second
	renewBefore = time.Minute // the end of what was agreed on by GSS-TSIG
)

var errGateFull = errors.New("too many updates wait for the primary")

// newGate opens the gate of a configuration. It connects when it is first used.
func newGate(cfg config.Gate, limit int) (*gate, error) {
	g := &gate{Gate: cfg, slots: make(chan struct{}, limit), idle: map[netip.AddrPort][]net.Conn{}, contexts: map[netip.AddrPort]*gsstsig.Context{}}
	var err error
	switch id := cfg.Identity; {
	case cfg.Key != "":
		g.key, err = tsig.Read(cfg.Key)
	case id.Principal != "":
		login := gsstsig.Login{Principal: id.Principal, Keytab: id.Keytab}
		for _, kdc := range id.KDC {
			login.KDCs = append(login.KDCs, kdc.String())
		}
		g.initiator, err = gsstsig.NewInitiator(login)
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
}

// signature returns how messages to a primary are signed: by the key, or by what was agreed on with the
// primary, which is agreed on now if need be.
func (g *gate) signature(ctx context.Context, addr netip.AddrPort) (signature, error) {
	switch {
	case !g.key.IsZero():
		return signature{g.key.Sign, g.key.Provider()}, nil
	case g.initiator == nil:
		return signature{sign: func(*dns.Msg) {}}, nil
	}
	g.agreeing.Lock()
	defer g.agreeing.Unlock()
	c := g.contexts[addr]
	if c == nil || time.Until(c.Ends) < renewBefore {
		var err error
		ctx, cancel := context.WithTimeout(ctx, gateAnswer)
		defer cancel()
		if c, err = g.initiator.Negotiate(ctx, gsstsig.TCP(addr.String()), g.Identity.Service); err != nil {
			return signature{}, fmt.Errorf("GSS-TSIG: %w", err)
		}
		g.contexts[addr] = c
	}
	return signature{func(m *dns.Msg) { m.SetTsig(c.KeyName, c.Algorithm, tsig.Fudge, time.Now().Unix()) }, c}, nil
}

// forget drops what was agreed on with a primary, which knows nothing of it any more.
func (g *gate) forget(addr netip.AddrPort) {
	g.agreeing.Lock()
	defer g.agreeing.Unlock()
	delete(g.contexts, addr)
}

// exchange sends an update under our own signature, if we have one, and returns the primary's response.
func (g *gate) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	response, err := g.exchangeOnce(ctx, m)
	if g.initiator != nil && errors.Is(err, errKeyGone) {
		// It was started anew: what it does not know it did not carry out.
		response, err = g.exchangeOnce(ctx, m)
	}
	return response, err
}

var errKeyGone = errors.New("it does not know the key")

func (g *gate) exchangeOnce(ctx context.Context, m *dns.Msg) (response *dns.Msg, err error) {
	err = g.each(ctx, func(c net.Conn, addr netip.AddrPort) error {
		s, err := g.signature(ctx, addr)
		if err != nil {
			return err
		}
		signed := m.Copy()
		s.sign(signed)
		conn := &dns.Conn{Conn: c, TsigProvider: s.provider}
		if err := conn.WriteMsg(signed); err != nil {
			return err
		}
		response, err = conn.ReadMsg()
		switch {
		case response == nil:
			return err
		case response.Id != m.Id || !response.Response:
			return errors.New("it answers something else")
		case keyIsGone(response):
			g.forget(addr)
			return errKeyGone
		case err != nil:
			return fmt.Errorf("its response, %s, is not to be trusted: %w", dns.RcodeToString[response.Rcode], err)
		case s.provider != nil && response.IsTsig() == nil:
			return fmt.Errorf("its response, %s, is not signed", dns.RcodeToString[response.Rcode])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// keyIsGone reports the response of a server that does not know the key: RFC 8945, Section 5.2.1.
func keyIsGone(response *dns.Msg) bool {
	t := response.IsTsig()
	return response.Rcode == dns.RcodeNotAuth && t != nil && t.Error == dns.RcodeBadKey
}

// relay sends a message as it is and returns the primary's response as it is.
func (g *gate) relay(ctx context.Context, raw []byte) (response []byte, err error) {
	err = g.each(ctx, func(c net.Conn, _ netip.AddrPort) error {
		framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...) // RFC 1035, Section 4.2.2
		if _, err := c.Write(framed); err != nil {
			return err
		}
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return err
		}
		response = make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, response); err != nil {
			return err
		}
		if len(response) < 12 || response[0] != raw[0] || response[1] != raw[1] || response[2]&0x80 == 0 {
			return errors.New("it answers something else")
		}
		return nil
	})
	return response, err
}

// each tries the primaries in order until one can be connected to: what was sent to one is not sent to
// another, which might carry it out a second time.
func (g *gate) each(ctx context.Context, talk func(net.Conn, netip.AddrPort) error) error {
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	default:
		return errGateFull
	}
	var tried []error
	for _, addr := range g.Primary {
		c, reused, err := g.connect(ctx, addr)
		if err == nil {
			if err = g.talk(c, addr, talk); err != nil && reused && isClosed(err) {
				// It closed the connection while nobody used it: what was sent got nowhere.
				if c, err = g.dial(ctx, addr); err == nil {
					err = g.talk(c, addr, talk)
				}
			}
			if err != nil {
				return fmt.Errorf("the primary %s: %w", addr, err)
			}
			return nil
		}
		tried = append(tried, err)
	}
	return fmt.Errorf("no primary can be reached: %w", errors.Join(tried...))
}

func (g *gate) talk(c net.Conn, addr netip.AddrPort, talk func(net.Conn, netip.AddrPort) error) error {
	err := c.SetDeadline(time.Now().Add(gateAnswer))
	if err == nil {
		err = talk(c, addr)
	}
	if err != nil {
		_ = c.Close() // what else comes over it nobody waits for
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.idle[addr]) >= maxIdle || g.idle == nil {
		return c.Close()
	}
	g.idle[addr] = append(g.idle[addr], c)
	time.AfterFunc(idleTimeout, func() { g.drop(addr, c) })
	return nil
}

func (g *gate) connect(ctx context.Context, addr netip.AddrPort) (c net.Conn, reused bool, err error) {
	g.mu.Lock()
	if n := len(g.idle[addr]); n > 0 {
		c = g.idle[addr][n-1]
		g.idle[addr] = g.idle[addr][:n-1]
	}
	g.mu.Unlock()
	if c != nil {
		return c, true, nil
	}
	c, err = g.dial(ctx, addr)
	return c, false, err
}

func (g *gate) dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	return (&net.Dialer{Timeout: gateDial}).DialContext(ctx, "tcp", addr.String())
}

// drop closes a connection that nobody has used for a while.
func (g *gate) drop(addr netip.AddrPort, c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.idle[addr], c); i >= 0 {
		g.idle[addr] = slices.Delete(g.idle[addr], i, i+1)
		_ = c.Close()
	}
}

// close ends the connections that nobody uses; the others end with what is under way.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, conns := range g.idle {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	g.idle = nil
}

// isClosed reports whether the other side had closed the connection before it read anything.
func isClosed(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.As(err, &op) && !op.Timeout()
}
