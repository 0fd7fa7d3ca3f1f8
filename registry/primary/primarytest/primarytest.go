// Package primarytest has a primary for tests, which says what a test has it say.
package primarytest

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/tsig"
)

// Keyring is a TSIG provider of several keys.
type Keyring struct {
	mu   sync.Mutex
	keys map[string]tsig.Key
}

// NewKeyring holds the keys given.
func NewKeyring(keys ...tsig.Key) *Keyring {
	r := &Keyring{keys: map[string]tsig.Key{}}
	for _, k := range keys {
		r.keys[k.Name] = k
	}
	return r
}

// Put adds a key.
func (r *Keyring) Put(k tsig.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[k.Name] = k
}

// Clear forgets all keys.
func (r *Keyring) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.keys)
}

func (r *Keyring) of(t *dns.TSIG) (dns.TsigProvider, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.keys[dns.CanonicalName(t.Hdr.Name)]
	if !ok {
		return nil, dns.ErrSecret
	}
	return k.Provider(), nil
}

// Generate implements dns.TsigProvider.
func (r *Keyring) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	p, err := r.of(t)
	if err != nil {
		return nil, err
	}
	return p.Generate(msg, t)
}

// Verify implements dns.TsigProvider.
func (r *Keyring) Verify(msg []byte, t *dns.TSIG) error {
	p, err := r.of(t)
	if err != nil {
		return err
	}
	return p.Verify(msg, t)
}

// Key is a key whose secret is told by its name.
func Key(t testing.TB, name string) tsig.Key {
	t.Helper()
	k, err := tsig.New("", name, "c2VjcmV0IG9mIGEgdGVzdA==")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Primary is a primary that takes updates over TCP and remembers them.
type Primary struct {
	Addr netip.AddrPort
	Keys *Keyring // that verify and sign
	// Act says what becomes of the n-th message, from 0, and what is said to it: answered, if nil.
	Act func(n int, raw []byte, m *dns.Msg) Reaction

	mu  sync.Mutex
	got []*dns.Msg
}

// Reaction is what a Primary does: it sends Raw, unless that is nil, and then closes the connection or not.
type Reaction struct {
	Raw    []byte
	Closes bool
}

// New starts one on loopback until the test ends. It knows the keys given.
func New(t testing.TB, keys ...tsig.Key) *Primary {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Primary{Addr: netip.MustParseAddrPort(ln.Addr().String()), Keys: NewKeyring(keys...)}
	p.Act = p.Answered
	ctx, cancel := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { p.serve(ctx, c) })
		}
	})
	t.Cleanup(func() {
		cancel()
		ln.Close()
		conns.Wait()
	})
	return p
}

func (p *Primary) serve(ctx context.Context, c net.Conn) {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		raw := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, raw); err != nil {
			return
		}
		m := new(dns.Msg)
		if m.Unpack(raw) != nil {
			return
		}
		p.mu.Lock()
		n := len(p.got)
		p.got = append(p.got, m)
		p.mu.Unlock()
		r := p.Act(n, raw, m)
		if r.Raw != nil {
			_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(r.Raw))), r.Raw...))
		}
		if r.Closes {
			return
		}
	}
}

// Received lists the updates that came, each by its changes.
func (p *Primary) Received() (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.got {
		var changes []string
		for _, rr := range m.Ns {
			changes = append(changes, strings.Join(strings.Fields(rr.String()), " "))
		}
		out = append(out, strings.Join(changes, "; "))
	}
	return out
}

// Last is the newest message, nil before the first.
func (p *Primary) Last() *dns.Msg {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.got) == 0 {
		return nil
	}
	return p.got[len(p.got)-1]
}

// Answered is what a primary that is well says.
func (p *Primary) Answered(_ int, raw []byte, m *dns.Msg) Reaction {
	return p.Says(dns.RcodeSuccess, p.Keys)(0, raw, m)
}

// Says answers with an rcode, signed by another provider than the one that verifies if need be.
func (p *Primary) Says(rcode int, signer dns.TsigProvider) func(int, []byte, *dns.Msg) Reaction {
	return func(_ int, raw []byte, m *dns.Msg) Reaction {
		response := new(dns.Msg).SetRcode(m, rcode)
		t := m.IsTsig()
		if t == nil || signer == nil {
			return Reaction{Raw: Packed(response)}
		}
		err := dns.TsigVerifyWithProvider(raw, p.Keys, "", false)
		response.SetTsig(t.Hdr.Name, t.Algorithm, 300, time.Now().Unix())
		if err != nil {
			response.Rcode, response.IsTsig().Error = dns.RcodeNotAuth, errorOf(err)
		}
		out, _, err := dns.TsigGenerateWithProvider(response, signer, t.MAC, false)
		if err != nil {
			panic(err)
		}
		return Reaction{Raw: out}
	}
}

// Packed gives a message's octets.
func Packed(m *dns.Msg) []byte {
	raw, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return raw
}

// errorOf is what TSIG calls an error of verifying, RFC 8945, Section 5.2.
func errorOf(err error) uint16 {
	switch {
	case errors.Is(err, dns.ErrSecret), errors.Is(err, dns.ErrKeyAlg):
		return dns.RcodeBadKey
	case errors.Is(err, dns.ErrTime):
		return dns.RcodeBadTime
	}
	return dns.RcodeBadSig
}
