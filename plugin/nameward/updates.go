package nameward

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/plugin/gsstsig"
	"github.com/nameward/nameward/plugin/nameward/front"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/store/journal"
	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/zone"
)

// updateService is what takes dynamic updates, with what belongs to it: who may sign, the gates, what was not
// published, and the sockets on which messages are seen as they came.
type updateService struct {
	updater
	journal *journal.Journal
	front   *front.Front
	cur     atomic.Pointer[updateSettings]
	// opened says that updates arrive at sockets of our own, or as they can without them. It stays so.
	opened atomic.Bool

	mu       sync.Mutex
	reserved map[string]bool // names of keys that are not to be had by negotiation
}

// updateSettings are those of one configuration.
type updateSettings struct {
	config.Updates
	gates    map[string]*gate
	acceptor *gsstsig.Acceptor // nil: no GSS-TSIG
	taken    bool              // updates of some zone are taken
}

// openUpdates opens the service without gates; configure brings those.
func openUpdates(path string, g *Guard, log zerolog.Logger) (*updateService, error) {
	j, err := journal.Open(path)
	if err != nil {
		return nil, err
	}
	book, err := updates.Open(j, updates.DefaultLimits, log)
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	s := &updateService{journal: j, front: front.New(log), reserved: map[string]bool{}}
	s.cur.Store(&updateSettings{})
	s.updater = updater{
		snapshot: g.Snapshot, policy: g.Policy, zones: g.zones.db, book: book, log: log,
		sampled: log.Sample(&zerolog.BurstSampler{Burst: 20, Period: reportEvery}), settings: s.cur.Load, isShared: s.isReserved,
		readmit: newReadmission(g, book, log),
	}
	g.OnPolicy(s.readmit.again)
	return s, nil
}

// prepare makes the settings of a configuration, or says what is wrong with the files that it names.
func (s *updateService) prepare(cfg *config.Config) (*updateSettings, error) {
	next := &updateSettings{Updates: cfg.Updates, gates: map[string]*gate{}, taken: len(cfg.Updates.Gates) > 0}
	for _, z := range cfg.World.Zones {
		next.taken = next.taken || z.Updates
	}
	var problems []error
	for _, g := range cfg.Updates.Gates {
		made, err := newGate(g, cfg.Updates.Limits.Gated)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		next.gates[g.Zone] = made
	}
	if k := cfg.Updates.Kerberos; k.Keytab != "" {
		var err error
		if next.acceptor, err = s.acceptorFor(k); err != nil {
			problems = append(problems, fmt.Errorf("updates.kerberos: %w", err))
		}
	}
	return next, errors.Join(problems...)
}

// acceptorFor keeps the acceptor, and with it what was agreed on with clients, as long as it is the same.
func (s *updateService) acceptorFor(k config.Acceptor) (*gsstsig.Acceptor, error) {
	if old := s.cur.Load(); old.acceptor != nil && sameAcceptor(old.Kerberos, k) {
		return old.acceptor, old.acceptor.Reload()
	}
	return gsstsig.New(gsstsig.Config{Keytab: k.Keytab, Principals: k.Principals, Reserved: s.isReserved})
}

func sameAcceptor(a, b config.Acceptor) bool {
	return a.Keytab == b.Keytab && slices.Equal(a.Principals, b.Principals)
}

// put puts settings in force.
func (s *updateService) put(next *updateSettings) {
	s.zones.Configure(zone.Limits{Records: next.Limits.Records, Queue: next.Limits.Queue})
	old := s.cur.Swap(next)
	if next.acceptor != nil {
		s.front.SetProvider(next.acceptor)
	} else {
		s.front.SetProvider(nil)
	}
	for _, g := range old.gates {
		g.Close()
	}
	s.readmit.again()
}

// needsFront reports whether messages have to be seen as they came.
func (s *updateSettings) needsFront() bool {
	if s.acceptor != nil {
		return true
	}
	for _, g := range s.gates {
		if g.Signed == config.GatePass {
			return true
		}
	}
	return false
}

// reserve keeps the names of keys that servers know from clients who choose a name for theirs.
func (s *updateService) reserve(secrets map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range secrets {
		s.reserved[dns.CanonicalName(name)] = true
	}
}

func (s *updateService) isReserved(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reserved[name]
}

// listen opens the sockets on which updates arrive as they came. Where the system has no such sockets it is an
// error only if the configuration cannot do without.
func (s *updateService) listen(owner any, addrs []string) error {
	cur := s.cur.Load()
	if !cur.taken && !s.opened.Load() || len(addrs) == 0 {
		return nil
	}
	err := s.front.Listen(owner, addrs)
	if errors.Is(err, errors.ErrUnsupported) && !cur.needsFront() {
		return nil
	}
	if err == nil {
		s.opened.Store(true)
	}
	return err
}

// allows reports whether settings can come into force while the server runs: sockets are opened when it starts.
func (s *updateService) allows(next *updateSettings) bool {
	old := s.cur.Load()
	return s.opened.Load() || !(next.taken && !old.taken || next.needsFront() && !old.needsFront())
}

func (s *updateService) run(ctx context.Context) error {
	var readmission sync.WaitGroup
	defer readmission.Wait()
	readmission.Go(func() { s.readmit.run(ctx) })
	return s.front.Run(ctx)
}

func (s *updateService) close() error {
	for _, g := range s.cur.Load().gates {
		g.Close()
	}
	s.front.Close()
	return s.journal.Close()
}

// explains reports whether an address is told why its update was not taken.
func (s *updateSettings) explains(source netip.Addr) bool {
	return slices.ContainsFunc(s.Explain, func(p netip.Prefix) bool { return p.Contains(source) })
}

// registered is the number of records that updates put into owned zones.
func (s *updateService) registered() (n int) {
	for _, z := range s.zones.State().World.Zones {
		if v := s.zones.View(z.Name); v != nil {
			n += v.Records()
		}
	}
	return n
}

// status tells how updates are taken, nil when they are not.
func (s *updateService) status() *control.UpdatesStatus {
	cur := s.cur.Load()
	if !cur.taken {
		return nil
	}
	st := &control.UpdatesStatus{
		Records: s.registered(), Held: map[string]int{}, Dropped: s.book.Dropped(), Queue: s.zones.Waiting(), Gates: len(cur.gates),
	}
	for fate, n := range s.book.Counts() {
		st.Held[fate.String()] = n
	}
	if cur.acceptor != nil {
		st.Keys = cur.acceptor.Status().Contexts
	}
	if err := errors.Join(s.zones.Err(), s.book.Err()); err != nil {
		st.Error = err.Error()
	}
	return st
}
