package front

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin/pkg/transport"
	"github.com/miekg/dns"
	"github.com/rs/zerolog"
)

const (
	// maxPackets is how many UDP packets are served at once. A signed UPDATE waits for the disk.
	maxPackets = 1024
	// maxConns is how many TCP connections are open at once.
	maxConns = 4096
	// succession is how long the servers of a new instance may take to become known.
	succession = time.Second
)

// Front takes DNS UPDATE and TKEY messages, and all that comes over TCP, off the addresses of CoreDNS.
// Its methods may be called at once.
type Front struct {
	log      zerolog.Logger
	token    token
	provider atomic.Pointer[dns.TsigProvider]
	counts   counts
	packets  chan struct{} // one for each packet that is served
	conns    connections

	mu      sync.Mutex
	doors   map[string]*door
	owners  []any                   // instances that live, the latest last
	addrs   map[any]map[string]bool // of each owner
	changed chan struct{}           // closed when doors or servers change
	closed  bool
}

// New returns a front without addresses. Log may be the zero value.
func New(log zerolog.Logger) *Front {
	return &Front{
		log: log, token: newToken(), packets: make(chan struct{}, maxPackets),
		conns: connections{max: maxConns, all: map[*conn]bool{}},
		doors: map[string]*door{}, addrs: map[any]map[string]bool{}, changed: make(chan struct{}),
	}
}

// SetProvider sets what verifies and signs TSIG from now on. Where it returns dns.ErrSecret for a key,
// and where it is nil, the secrets of CoreDNS's tsig plugin count.
func (f *Front) SetProvider(p dns.TsigProvider) {
	if p == nil {
		f.provider.Store(nil)
		return
	}
	f.provider.Store(&p)
}

// Listen opens the addresses of an owner, an instance of CoreDNS, as CoreDNS writes them (host:port,
// the host may be empty). Those that are open stay as they are. It is called before CoreDNS listens.
// Nothing comes of it before [Front.Run] and [Front.SetServer]. On an error nothing more is open than
// before. Other systems than Linux are errors.ErrUnsupported.
func (f *Front) Listen(owner any, addrs []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errors.New("the front is closed")
	}
	opened := map[string]*door{}
	for _, addr := range addrs {
		if f.doors[addr] != nil || opened[addr] != nil {
			continue
		}
		d, err := f.open(addr)
		if err != nil {
			for _, d := range opened {
				err = errors.Join(err, d.close())
			}
			return err
		}
		opened[addr] = d
	}
	if f.addrs[owner] == nil {
		f.owners, f.addrs[owner] = append(f.owners, owner), map[string]bool{}
	}
	for _, addr := range addrs {
		f.addrs[owner][addr] = true
		if d := opened[addr]; d != nil {
			f.doors[addr] = d
		}
	}
	f.announce()
	return nil
}

// SetServer has requests to the address of s served by it. There may be several for an address
// (multisocket). It does nothing if the address is not open, or the owner is not known or gone.
func (f *Front) SetServer(owner any, s *dnsserver.Server) {
	f.mu.Lock()
	defer f.mu.Unlock()
	addr := strings.TrimPrefix(s.Addr, transport.DNS+"://")
	d := f.doors[addr]
	if d == nil || !f.addrs[owner][addr] || d.servers[owner][s] {
		return
	}
	if d.servers[owner] == nil {
		d.servers[owner] = map[*dnsserver.Server]bool{}
	}
	d.servers[owner][s] = true
	d.changed(f.owners)
	f.announce()
}

// Only forgets all owners but one: after a reload the one before, after a failed one the one that did
// not come to life. Addresses that only they had are given up. CoreDNS stops an instance right after the
// sockets of the next are open, so this waits, a second at most, until the servers of owner are known:
// requests are not to go through a chain that is being taken apart.
func (f *Front) Only(owner any) {
	timeout := time.NewTimer(succession)
	defer timeout.Stop()
	for {
		f.mu.Lock()
		changed, missing := f.changed, f.missing(owner)
		f.mu.Unlock()
		if !missing {
			break
		}
		select {
		case <-changed:
			continue
		case <-timeout.C:
			f.log.Warn().Msg("CoreDNS did not tell all its servers; DNS UPDATE is not seen as it came where it did not")
		}
		break
	}
	f.forgetOthers(owner)
}

// missing reports whether an address of owner has no server of it. It is called with mu held.
func (f *Front) missing(owner any) bool {
	for addr := range f.addrs[owner] {
		if d := f.doors[addr]; d != nil && len(d.servers[owner]) == 0 {
			return true
		}
	}
	return false
}

func (f *Front) forgetOthers(owner any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.owners = slices.DeleteFunc(f.owners, func(o any) bool { return o != owner })
	for o := range f.addrs {
		if o != owner {
			delete(f.addrs, o)
		}
	}
	for addr, d := range f.doors {
		if !f.addrs[owner][addr] {
			f.giveUp(d)
			continue
		}
		for o := range d.servers {
			if o != owner {
				delete(d.servers, o)
			}
		}
		d.changed(f.owners)
	}
}

// giveUp is called with mu held. Whoever runs the door closes it.
func (f *Front) giveUp(d *door) {
	delete(f.doors, d.addr)
	close(d.stop)
	if !d.runs {
		d.warnIf(d.close())
	}
}

// Run serves the addresses until ctx ends, then gives them back to CoreDNS and waits for what is being
// served, ten seconds at most.
func (f *Front) Run(ctx context.Context) error {
	var doors sync.WaitGroup
	defer doors.Wait()
	for ctx.Err() == nil {
		f.mu.Lock()
		changed := f.changed
		for _, d := range f.doors {
			if !d.runs {
				d.runs = true
				doors.Go(func() { d.run(ctx) })
			}
		}
		f.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	return nil
}

// Close gives up all addresses. What Run serves it ends by itself, so Run is waited for, if it runs.
func (f *Front) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, d := range f.doors {
		f.giveUp(d)
	}
}

// Steers reports whether the last probe showed that what is for us at an address comes to us.
func (f *Front) Steers(addr string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.doors[addr]
	return d != nil && d.lanes[overUDP].proved.Load() && d.lanes[overTCP].proved.Load()
}

// announce is called with mu held.
func (f *Front) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}
