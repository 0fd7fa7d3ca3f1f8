package wrepl

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios/wins"
)

// Partner is a server that records are exchanged with.
type Partner struct {
	Name string // for people; "" for none
	Addr netip.AddrPort
	// Push says that it is told of news.
	Push bool
	// Persistent says that it is told on a connection that stays open, if it is at least Windows 2000.
	Persistent bool
	// Propagate asks it to tell its own partners of our news.
	Propagate bool
	// Pull is how often it is asked for news, beside the start and whenever it tells of some; 0: never.
	Pull time.Duration
}

// Settings are what a Replicator works by.
type Settings struct {
	Address  wins.IPv4 // by which partners know this server and the owner of its records
	Partners []Partner // their addresses are IPv4 and differ
}

// Replicator exchanges records with partners. Make one with New, keep Run running, and Serve for each listener.
type Replicator struct {
	log   zerolog.Logger
	noise zerolog.Logger // for what strangers can cause
	store Store
	set   Settings
	dial  func(context.Context, netip.AddrPort) (net.Conn, error)

	partners []*partner
	byAddr   map[netip.Addr]*partner
	turned   atomic.Uint64

	mu       sync.Mutex
	fetching map[wins.IPv4]chan struct{} // owners whose records are being asked for; closed when that is over
	first    sync.WaitGroup              // the first answer of each partner that is asked at the start
	served   sync.WaitGroup              // connections that are accepted
}

// New makes a Replicator; it does nothing yet. With a nil dial it connects over TCP, from its own address.
func New(set Settings, store Store, dial func(context.Context, netip.AddrPort) (net.Conn, error), log zerolog.Logger) *Replicator {
	r := &Replicator{
		log: log, noise: log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Minute}), store: store, set: set, dial: dial,
		byAddr: map[netip.Addr]*partner{}, fetching: map[wins.IPv4]chan struct{}{},
	}
	if dial == nil {
		r.dial = r.dialTCP
	}
	for _, cfg := range set.Partners {
		p := newPartner(r, cfg)
		r.partners = append(r.partners, p)
		r.byAddr[cfg.Addr.Addr()] = p
	}
	return r
}

// dialTCP connects from the own address, by which the partner knows this server.
func (r *Replicator) dialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: r.set.Address[:]}, Timeout: startTime, KeepAliveConfig: keepAlive}
	return d.DialContext(ctx, "tcp4", to.String())
}

// keepAlive finds out that a partner is gone without a word, within two minutes.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4}

// Run asks and tells the partners until ctx ends.
func (r *Replicator) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	for _, p := range r.partners {
		r.first.Add(1)
		tasks.Go(func() { p.pulls(ctx) })
		if p.Push {
			tasks.Go(func() { p.pushes(ctx) })
		}
	}
	<-ctx.Done()
	return nil
}

// Turned counts the connections of strangers, which were closed at once.
func (r *Replicator) Turned() uint64 { return r.turned.Load() }

// version is that of this server.
func (r *Replicator) version() uint64 {
	for _, v := range r.store.Versions() {
		if v.Owner == (wins.IPv4{}) {
			return v.Max
		}
	}
	return 0
}

// table is what this server has, and the version of its own in it. begun is the server where the news began.
func (r *Replicator) table(c Command, begun wins.IPv4) (t *Table, own uint64) {
	t = &Table{Command: c, Rest: begun[:]}
	for _, v := range r.store.Versions() {
		o := Owner{Addr: v.Owner, Max: v.Max, Type: 1}
		if v.Owner == (wins.IPv4{}) {
			o.Addr, own = r.set.Address, v.Max
		}
		t.Owners = append(t.Owners, o)
	}
	return t, own
}

// elsewhere reports whether the records of an owner are better had from another partner than from p, and has that one
// asked: the owner itself if it answers, whatever others say of it, else who has most of them. p is to be asked again
// if left is set.
func (r *Replicator) elsewhere(p *partner, o Owner) (is, left bool) {
	own := r.byAddr[o.Addr.Addr()]
	if own == p {
		return false, false
	}
	if own != nil && own.answers() {
		switch {
		case o.Max <= own.knows(o.Addr):
			return true, false
		case own.wasAsked(leftTime): // two that know more of each other than they do themselves are not to keep us busy
			return true, true
		}
		own.poke(nil)
		return true, false
	}
	q := r.knowsMore(p, o.Addr, o.Max)
	if q == nil {
		return false, false
	}
	q.poke(nil)
	return true, true
}

// knowsMore finds a partner that has a higher version of an owner than one that p has; nil when there is none.
func (r *Replicator) knowsMore(p *partner, owner wins.IPv4, version uint64) *partner {
	var best *partner
	for _, q := range r.partners {
		if known := q.knows(owner); q != p && q.Pull > 0 && known > version {
			best, version = q, known
		}
	}
	return best
}

// claim waits until nobody asks for the records of an owner, and then has them to itself until done is called.
func (r *Replicator) claim(ctx context.Context, owner wins.IPv4) (done func(), err error) {
	for {
		r.mu.Lock()
		busy, ok := r.fetching[owner]
		if !ok {
			mine := make(chan struct{})
			r.fetching[owner] = mine
			r.mu.Unlock()
			return func() {
				r.mu.Lock()
				defer r.mu.Unlock()
				delete(r.fetching, owner)
				close(mine)
			}, nil
		}
		r.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// propagate tells all partners but the one that the news came from.
func (r *Replicator) propagate(from *partner, news *Table) {
	if news.begun() == r.set.Address {
		return // they came round
	}
	for _, q := range r.partners {
		if q != from && q.Push {
			q.tellNews(news)
		}
	}
}
