package gsstsig

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// ErrReplay is a message that was signed well, and that came before.
var ErrReplay = fmt.Errorf("the message was received before: %w", dns.ErrSig)

var _ dns.TsigProvider = (*Acceptor)(nil)

// Verify verifies a message of a client. Each message verifies once: the same one again is ErrReplay. A
// key name that is not of a context is dns.ErrSecret, so that the caller may ask others.
func (a *Acceptor) Verify(msg []byte, t *dns.TSIG) error {
	c := a.context(t.Hdr.Name)
	switch {
	case c == nil || c.deleted.Load():
		return dns.ErrSecret
	case !isGSS(t.Algorithm):
		return dns.ErrKeyAlg
	}
	mic, err := hex.DecodeString(t.MAC)
	if err != nil {
		return dns.ErrSig
	}
	id, err := c.peer.keys.verify(msg, mic, false)
	if err != nil {
		return dns.ErrSig
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !c.seen.take(id) {
		a.repeated++
		return ErrReplay
	}
	a.table.touch(c)
	return nil
}

// Generate signs a message to a client. A key name that is not of a context is dns.ErrSecret.
func (a *Acceptor) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	c := a.context(t.Hdr.Name)
	if c == nil {
		return nil, dns.ErrSecret
	}
	a.mu.Lock()
	a.table.touch(c)
	seq := c.peer.ourSeq
	c.peer.ourSeq++
	a.mu.Unlock()
	return c.peer.keys.sign(msg, seq, true)
}

// context gives the context of a key, nil if there is none.
func (a *Acceptor) context(name string) *agreed {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.table.live(dns.CanonicalName(name), time.Now())
}

// Principal says whose a key is, such as "EX1$@CORP.EXAMPLE", while its context lives.
func (a *Acceptor) Principal(name string) (string, bool) {
	if c := a.context(name); c != nil && !c.deleted.Load() {
		return c.peer.client, true
	}
	return "", false
}
