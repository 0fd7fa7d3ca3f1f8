package primary

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/plugin/gsstsig"
)

// agreements are the keys that were agreed on with primaries by GSS-TSIG. Whoever needs one that is being
// agreed on waits for that, and whoever comes soon after a failure has the failure too: neither a Kerberos
// server that is dead nor one that is alive sees more than a few tries.
type agreements struct {
	negotiate func(context.Context, netip.AddrPort) (agreedKey, error)

	mu sync.Mutex
	of map[netip.AddrPort]*agreement
}

// agreedKey is a key that a primary knows for some time.
type agreedKey struct {
	name, algorithm string
	ends            time.Time
	provider        dns.TsigProvider
}

// agreement is a key, or why there is none.
type agreement struct {
	done chan struct{} // closed when the rest stands
	key  agreedKey
	err  error
	ends time.Time // then it is tried anew
}

const (
	renewBefore  = time.Minute     // a key ends
	agreeAgain   = 2 * time.Second // after a failure
	agreeTimeout = 10 * time.Second
)

func newAgreements(cfg Config) (*agreements, error) {
	id := cfg.Identity
	login := gsstsig.Login{Principal: id.Principal, Keytab: id.Keytab, Password: id.Password}
	for _, kdc := range id.KDC {
		login.KDCs = append(login.KDCs, kdc.String())
	}
	initiator, err := gsstsig.NewInitiator(login)
	if err != nil {
		return nil, err
	}
	negotiate := func(ctx context.Context, addr netip.AddrPort) (agreedKey, error) {
		c, err := initiator.Negotiate(ctx, gsstsig.TCP(addr.String()), id.Services[slices.Index(cfg.Addrs, addr)])
		if err != nil {
			return agreedKey{}, err
		}
		return agreedKey{c.KeyName, c.Algorithm, c.Ends, c}, nil
	}
	return &agreements{negotiate: negotiate, of: map[netip.AddrPort]*agreement{}}, nil
}

// with gives the key for a primary.
func (a *agreements) with(ctx context.Context, addr netip.AddrPort) (agreedKey, error) {
	g := a.current(addr)
	select {
	case <-g.done:
		return g.key, g.err
	case <-ctx.Done():
		return agreedKey{}, errors.New("the primary or its Kerberos server takes too long")
	}
}

// current is the agreement in force with a primary, or the one that is being made.
func (a *agreements) current(addr netip.AddrPort) *agreement {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.of[addr]
	if g == nil || g.isOver() {
		g = &agreement{done: make(chan struct{})}
		a.of[addr] = g
		go g.make(addr, a.negotiate) // each of its steps is bounded; the next ones profit when this one's client is gone
	}
	return g
}

func (g *agreement) make(addr netip.AddrPort, negotiate func(context.Context, netip.AddrPort) (agreedKey, error)) {
	defer close(g.done)
	ctx, cancel := context.WithTimeout(context.Background(), agreeTimeout)
	defer cancel()
	if g.key, g.err = negotiate(ctx, addr); g.err != nil {
		g.ends = time.Now().Add(agreeAgain)
		return
	}
	g.ends = g.key.ends.Add(-renewBefore)
}

func (g *agreement) isOver() bool { return g.isMade() && !time.Now().Before(g.ends) }

// forget drops a key that the primary does not know any more, unless there is a newer one.
func (a *agreements) forget(addr netip.AddrPort, k agreedKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if g := a.of[addr]; g != nil && g.isMade() && g.key.name == k.name {
		delete(a.of, addr)
	}
}

func (g *agreement) isMade() bool {
	select {
	case <-g.done:
		return true
	default:
		return false
	}
}
