package nameward

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/winsctl"
	"github.com/nameward/nameward/netbios/wrepl"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
	pushwrepl "github.com/nameward/nameward/registry/push/wrepl"
)

// replication exchanges the records of the WINS database with partners, and keeps records of the roles' names for
// them. The zero value has no database and does nothing.
type replication struct {
	db       *wins.Database // nil: there is no WINS server
	snapshot func() *registry.Snapshot
	log      zerolog.Logger
	ctx      context.Context // of the tasks
	tasks    *sync.WaitGroup

	mu      sync.Mutex
	cfg     config.Replication
	cur     *wrepl.Replicator // nil: there are no partners
	stop    func()            // ends cur
	changed chan struct{}     // closed when one of the next two moves
	active  bool              // there are partners, which the records of roles are for
	change  uint64            // of the registry, up to which the database has the roles
	version uint64            // of the database then
}

// apply puts other partners in force. On an error everything is as before.
func (r *replication) apply(cfg config.Replication) error {
	if r.db == nil || reflect.DeepEqual(r.cfg, cfg) {
		return nil
	}
	before := r.cfg
	r.end()
	err := r.begin(cfg)
	if err != nil {
		err = errors.Join(err, r.begin(before))
	}
	return err
}

// end stops what is under way.
func (r *replication) end() {
	r.mu.Lock()
	stop := r.stop
	r.cur, r.stop = nil, nil
	r.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// begin listens for partners and talks to them.
func (r *replication) begin(cfg config.Replication) error {
	var cur *wrepl.Replicator
	var stop func()
	if len(cfg.Partners) > 0 {
		ln, err := net.Listen("tcp4", cfg.Listen.String())
		if err != nil {
			return fmt.Errorf("listening for WINS partners: %w; TCP ports below 1024 need root or CAP_NET_BIND_SERVICE", err)
		}
		cur = wrepl.New(replicationSettings(cfg), winsStore{r.db, r.snapshot}, nil, r.log)
		stop = r.start(cur, ln)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfg, r.cur, r.stop, r.active = cfg, cur, stop, cur != nil
	r.move()
	return nil
}

func replicationSettings(cfg config.Replication) wrepl.Settings {
	set := wrepl.Settings{Address: wins.IPv4Of(cfg.Address)}
	for _, p := range cfg.Partners {
		set.Partners = append(set.Partners, wrepl.Partner{
			Name: p.Name, Addr: p.Address, Push: p.Push, Persistent: p.Persistent, Propagate: p.Propagate, Pull: p.Pull,
		})
	}
	return set
}

// start runs a replicator's tasks until the function returned is called.
func (r *replication) start(cur *wrepl.Replicator, ln net.Listener) (stop func()) {
	ctx, cancel := context.WithCancel(r.ctx)
	var running sync.WaitGroup
	running.Add(2)
	r.tasks.Go(func() {
		defer running.Done()
		if err := cur.Serve(ctx, ln); err != nil {
			r.log.Error().Err(err).Msg("WINS partners cannot connect any more")
		}
	})
	r.tasks.Go(func() {
		defer running.Done()
		_ = cur.Run(ctx) // it ends with ctx only
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// move wakes those who wait. It is called with mu held.
func (r *replication) move() {
	if r.changed != nil {
		close(r.changed)
	}
	r.changed = make(chan struct{})
}

// status is that of the partners.
func (r *replication) status() (winsctl.Partners, bool) {
	r.mu.Lock()
	cur, cfg := r.cur, r.cfg
	r.mu.Unlock()
	if cur == nil {
		return winsctl.Partners{}, false
	}
	out := winsctl.Partners{Address: cfg.Address, Version: r.db.Snapshot().Version, Turned: cur.Turned()}
	for _, s := range cur.Status() {
		out.Partners = append(out.Partners, winsctl.Partner{
			Name: s.Name, Address: s.Addr.Addr(), Push: s.Push, Pull: s.Pull > 0, Version: s.Version, Owners: s.Owners, Connections: s.Accepted,
			Pulled: s.LastPull, PullError: s.PullError, Pushed: s.LastPush, PushError: s.PushError, News: s.LastNews, Records: winsctl.Applied(s.Applied),
		})
	}
	return out, true
}

// rolesRetry is how long the records of roles wait for a disk that takes nothing.
const rolesRetry = time.Second

// keepRoles writes the state of the roles' names into the database, for partners.
func (r *replication) keepRoles(ctx context.Context) error {
	var told *registry.Snapshot // what the database has
	for {
		r.mu.Lock()
		active, changed := r.active, r.changed
		r.mu.Unlock()
		snap := r.snapshot()
		var retry <-chan time.Time
		if active && told != snap {
			if err := r.setRoles(ctx, told, snap); err != nil {
				r.log.Warn().Err(err).Msg("the records of roles for WINS partners cannot be saved; the tries go on")
				retry = time.After(rolesRetry)
			} else {
				told = snap
				continue // it may have taken a while
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-retry:
		case <-snap.Superseded():
		}
	}
}

func (r *replication) setRoles(ctx context.Context, told, snap *registry.Snapshot) error {
	// Names that the configuration has no more are ended.
	names, all := roleNames(snap.ChangedSince(told)), told == nil || told.World != snap.World
	if len(names) > 0 || all {
		if err := r.db.SetRoles(ctx, names, all); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.change, r.version = snap.Change, r.db.Snapshot().Version
	r.move()
	return nil
}

// roleNames are the names of roles with what is answered.
func roleNames(roles iter.Seq[*registry.RoleState]) (names []wins.RoleName) {
	for s := range roles {
		var addrs []wins.IPv4
		for _, a := range s.NB() {
			addrs = append(addrs, wins.IPv4Of(a))
		}
		for _, n := range s.Role.NetBIOS {
			names = append(names, wins.RoleName{Name: n, Addrs: addrs, Unknown: s.Unknown()})
		}
	}
	return names
}

// has waits until the database has what a change of the registry says, and returns its version then.
func (r *replication) has(ctx context.Context, change uint64) (uint64, error) {
	for {
		r.mu.Lock()
		version, done, changed := r.version, r.active && r.change >= change, r.changed
		r.mu.Unlock()
		if done {
			return version, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, fmt.Errorf("writing the role's names into the WINS database: %w", ctx.Err())
		}
	}
}

var errNoReplication = errors.New("there is no replication with partners any more")

func (r *replication) tell(ctx context.Context, to netip.Addr, version uint64, sent func()) error {
	r.mu.Lock()
	cur := r.cur
	r.mu.Unlock()
	if cur == nil {
		return errNoReplication
	}
	return cur.Tell(ctx, to, version, sent)
}

// targets are the partners that are told of changes.
func (r *replication) targets(cfg config.Replication) []push.Target {
	var out []push.Target
	for _, p := range cfg.Partners {
		if !p.Push || r.db == nil {
			continue
		}
		addr := p.Address.Addr()
		out = append(out, push.Target{Name: p.Name, Kind: "wrepl", Check: p.Check, Driver: &pushwrepl.Driver{
			Version: r.has,
			Tell: func(ctx context.Context, version uint64, sent func()) error {
				return r.tell(ctx, addr, version, sent)
			},
			Server: netip.AddrPortFrom(addr, netbios.Port),
			Client: &nbns.Client{UnicastTries: 2, UnicastTimeout: 500 * time.Millisecond},
		}})
	}
	return out
}

// winsStore is the database as replication sees it. Addresses that must not be published are not replicated.
type winsStore struct {
	db       *wins.Database
	snapshot func() *registry.Snapshot
}

func (s winsStore) Versions() []wins.OwnerVersion { return s.db.Snapshot().Versions() }

func (s winsStore) Next(owner wins.IPv4, renew bool) uint64 {
	return s.db.Snapshot().Next(owner, renew, wins.StampOf(time.Now()))
}

func (s winsStore) Records(owner wins.IPv4, low, high uint64) iter.Seq[*wins.Record] {
	snap := s.snapshot()
	return s.db.Snapshot().Records(owner, low, high, wins.StampOf(time.Now()), func(a wins.IPv4) bool {
		_, filtered := snap.Filtered(a.Addr())
		return filtered
	})
}

func (s winsStore) Apply(ctx context.Context, r wins.Replicas) (wins.Applied, error) {
	return s.db.Apply(ctx, r)
}

func (s winsStore) Raise(ctx context.Context, version uint64) error { return s.db.Raise(ctx, version) }

func (s winsStore) Changed() <-chan struct{} { return s.db.Snapshot().Moved() }

// demandRelease tells nodes to give up a name that they have lost to another WINS server's record, RFC 1002, Section
// 4.2.9. A node that does not hear it finds out at its next refresh.
func demandRelease(_ context.Context, name netbios.Name, addrs []wins.IPv4) {
	for _, a := range addrs {
		demand := netbios.NewRelease(uint16(rand.Uint32()), name, netbios.Address{Flags: netbios.HNode, Addr: a.Addr()})
		packet, err := demand.Append(nil)
		if err != nil {
			return
		}
		conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.Addr(), netbios.Port)))
		if err != nil {
			continue
		}
		_, _ = conn.Write(packet)
		conn.Close()
	}
}
