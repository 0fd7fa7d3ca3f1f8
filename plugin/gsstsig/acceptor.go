package gsstsig

import (
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Names of the algorithm: RFC 3645, Section 2, and that of Windows 2000.
const (
	Algorithm   = "gss-tsig."
	AlgorithmMS = "gss.microsoft.com."
)

// Defaults of [Config].
const (
	DefaultMaxContexts  = 4096      // some 4 MB
	DefaultMaxPerClient = 64        // a resolver or a DHCP server that speaks for many keeps a few
	DefaultMaxLifetime  = time.Hour // as BIND has it; clients negotiate anew, in milliseconds
)

// Config says what an Acceptor accepts.
type Config struct {
	Keytab       string                 // file with the keys of the services
	Principals   []string               // services that tickets may be for: "DNS/ns1.corp.example", with or without "@REALM"; none for every DNS/... of the keytab
	MaxContexts  int                    // contexts at a time; the longest idle goes; 0 for DefaultMaxContexts
	MaxPerClient int                    // of one client address, the same way; 0 for DefaultMaxPerClient
	MaxLifetime  time.Duration          // of a context, whatever ticket and client say; 0 for DefaultMaxLifetime
	Reserved     func(name string) bool // key names, in lower case, that clients may not take, such as those of HMAC keys; nil for none
}

// Acceptor is the server's side: it agrees on keys with clients and is the provider for them.
type Acceptor struct {
	config   Config
	services atomic.Pointer[services]

	mu       sync.Mutex
	table    *table
	replays  *replays
	outcomes map[Outcome]uint64
	repeated uint64
}

// New reads the keytab and makes an Acceptor.
func New(c Config) (*Acceptor, error) {
	if c.MaxContexts == 0 {
		c.MaxContexts = DefaultMaxContexts
	}
	if c.MaxPerClient == 0 {
		c.MaxPerClient = DefaultMaxPerClient
	}
	if c.MaxLifetime == 0 {
		c.MaxLifetime = DefaultMaxLifetime
	}
	if c.MaxContexts < 0 || c.MaxPerClient < 0 || c.MaxLifetime < 0 {
		return nil, fmt.Errorf("limits of GSS-TSIG contexts: %d, %d per client, %s: they must be above 0", c.MaxContexts, c.MaxPerClient, c.MaxLifetime)
	}
	a := &Acceptor{config: c, table: newTable(c.MaxContexts, c.MaxPerClient), replays: newReplays(), outcomes: map[Outcome]uint64{}}
	return a, a.Reload()
}

// Reload reads the keytab again. What was agreed on stays; after an error the keys stay too.
func (a *Acceptor) Reload() error {
	s, err := loadServices(a.config.Keytab, a.config.Principals)
	if err != nil {
		return err
	}
	a.services.Store(s)
	return nil
}

// Result says how a TKEY query ended.
type Result struct {
	Outcome   Outcome
	KeyName   string    // in lower case; "" if it did not get that far
	Principal string    // the client's, once it is proved; also in a refusal that came after
	Service   string    // the principal that the ticket was for
	Ends      time.Time // when the context ends
	Err       error     // why it was refused
}

// Answer answers a TKEY query of a client. The caller says by which key it verified the query's TSIG, ""
// for none, which only a deletion needs. A reply whose last record is a TSIG is to be signed with the
// Acceptor as provider, as a dns.Server that has it does by itself. There is no reply (nil) to what is no
// query.
func (a *Acceptor) Answer(req *dns.Msg, from netip.Addr, signer string) (*dns.Msg, Result) {
	reply, res := a.answer(req, from.Unmap(), dns.CanonicalName(signer))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outcomes[res.Outcome]++
	return reply, res
}

// Status is what there is to be told for metrics.
type Status struct {
	Contexts int                // alive
	Evicted  uint64             // contexts that had to go for newer ones
	Repeated uint64             // signed messages that came a second time
	Outcomes map[Outcome]uint64 // TKEY queries by how they ended
}

// Status counts.
func (a *Acceptor) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.table.sweep(time.Now())
	return Status{a.table.all.Len(), a.table.evicted, a.repeated, maps.Clone(a.outcomes)}
}
