package gsstsig

import (
	"encoding/hex"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Context is a key that an Initiator agreed on with a server. It is the provider for that key: sign with
// m.SetTsig(c.KeyName, c.Algorithm, 300, time.Now().Unix()).
type Context struct {
	KeyName   string
	Algorithm string
	Ends      time.Time // when server or ticket end it
	Signed    bool      // the reply that ended the negotiation was signed, and verified

	keys   keys
	mu     sync.Mutex
	seq    uint64
	legacy bool
}

var _ dns.TsigProvider = (*Context)(nil)

// Generate signs a message to the server.
func (c *Context) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	if !c.is(t) {
		return nil, dns.ErrSecret
	}
	c.mu.Lock()
	seq := c.seq
	c.seq++
	c.mu.Unlock()
	return c.keys.sign(msg, seq, false)
}

// Verify verifies a reply of the server, which is bound to its request by the request's MAC. Samba before
// 4.19.8 leaves the length of that MAC out of what it signs (RFC 8945, Section 4.3.1; Samba's bug 13019):
// such a reply verifies as well, and Legacy tells.
func (c *Context) Verify(msg []byte, t *dns.TSIG) error {
	if !c.is(t) {
		return dns.ErrSecret
	}
	mic, err := hex.DecodeString(t.MAC)
	if err != nil {
		return dns.ErrSig
	}
	_, err = c.keys.verify(msg, mic, true)
	legacy := err != nil && len(msg) > 2
	if legacy {
		_, err = c.keys.verify(msg[2:], mic, true)
	}
	if err != nil {
		return dns.ErrSig
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.legacy = legacy
	return nil
}

func (c *Context) is(t *dns.TSIG) bool {
	return dns.CanonicalName(t.Hdr.Name) == c.KeyName && isGSS(t.Algorithm)
}

// Legacy reports whether the last reply verified only the way Samba before 4.19.8 signs.
func (c *Context) Legacy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.legacy
}

// Delete is the query that gives the key up (RFC 2930, Section 4.2). It is to be signed with the context.
func (c *Context) Delete() *dns.Msg {
	m := tkeyQuery(c.KeyName, nil)
	m.Extra[0].(*dns.TKEY).Mode = modeDelete
	return m.SetTsig(c.KeyName, c.Algorithm, fudge, time.Now().Unix())
}
