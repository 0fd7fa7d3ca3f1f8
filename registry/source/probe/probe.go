package probe

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
)

// Source is the claims of all roles that follow health checks. Make it with New, then keep Run running.
type Source struct {
	reg    *registry.Registry
	log    zerolog.Logger
	check  func(context.Context, Target) error // Check; tests have their own
	slots  chan struct{}                       // bounds the checks at one time
	signal chan struct{}                       // something is in changed, or Configure was called

	mu       sync.Mutex
	roles    map[string]*role
	checkers map[string]*checker
	changed  map[*role]bool // roles whose claim the registry has not got
}

// role is a role, its nodes in written order and their checkers.
type role struct {
	role     *registry.Role
	probe    *config.Probe
	checkers []*checker // nil for a node without an address of the class
}

// maxAtOnce bounds the checks that run at one time, and with it the sockets.
const maxAtOnce = 256

// New returns a Source without roles.
func New(reg *registry.Registry, log zerolog.Logger) *Source {
	return &Source{
		reg: reg, log: log, check: Check, slots: make(chan struct{}, maxAtOnce), signal: make(chan struct{}, 1),
		roles: map[string]*role{}, checkers: map[string]*checker{}, changed: map[*role]bool{},
	}
}

// Configure sets which role is probed how. A checker whose target stays the same keeps its verdict.
func (s *Source) Configure(w *registry.World, probes map[string]*config.Probe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.checkers
	s.roles, s.checkers, s.changed = make(map[string]*role, len(probes)), map[string]*checker{}, map[*role]bool{}
	for _, c := range before {
		c.users = nil
	}
	for _, r := range w.Roles {
		if p := probes[r.Name]; p != nil {
			s.add(r, p, before)
		}
	}
	for key, c := range before {
		if s.checkers[key] == nil && c.cancel != nil {
			c.cancel()
		}
	}
	s.wake()
}

func (s *Source) add(r *registry.Role, p *config.Probe, before map[string]*checker) {
	mine := &role{role: r, probe: p, checkers: make([]*checker, len(r.Nodes))}
	s.roles[r.Name] = mine
	s.changed[mine] = true
	for i, n := range r.Nodes {
		addr := addrOf(n, p.Class)
		if !addr.IsValid() {
			continue
		}
		t := Target{Addr: addr, Probe: p}
		key := t.key()
		c := s.checkers[key]
		if c == nil {
			if c = before[key]; c == nil {
				c = &checker{target: t}
			}
			s.checkers[key] = c
		}
		c.users = append(c.users, mine)
		mine.checkers[i] = c
	}
}

// addrOf returns the address at which a node is asked, not valid when it has none of the class.
func addrOf(n *registry.Node, class string) netip.Addr {
	if class == registry.PublicClass && len(n.Public) > 0 {
		return n.Public[0]
	}
	for _, o := range n.Other {
		if o.Class == class {
			return o.Addr
		}
	}
	return netip.Addr{}
}

func (s *Source) wake() {
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// Run checks and claims until ctx ends.
func (s *Source) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.signal:
		}
		s.startNew(ctx, &wg)
		claims, troubles := s.say()
		if err := s.submit(ctx, claims, troubles); err != nil && ctx.Err() == nil {
			return fmt.Errorf("claiming what the probes found: %w", err)
		}
	}
}

func (s *Source) startNew(ctx context.Context, wg *sync.WaitGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.checkers {
		if c.cancel == nil {
			var own context.Context
			own, c.cancel = context.WithCancel(ctx)
			wg.Go(func() { c.run(own, s) })
		}
	}
}

// once runs one check and counts it; it is false when ctx has ended.
func (s *Source) once(ctx context.Context, c *checker) bool {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	err := s.check(ctx, c.target)
	<-s.slots
	if ctx.Err() != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next, changed := c.verdict.after(err, c.target.Probe, time.Now())
	c.verdict = next
	if changed {
		s.log.Info().Stringer("addr", c.target.Addr).Stringer("probe", c.target.Probe).Bool("healthy", next.healthy).
			Str("error", next.lastErr).Msg("probe verdict")
		for _, r := range c.users {
			s.changed[r] = true
		}
		s.wake()
	}
	return true
}

// say makes the claims of the roles whose verdicts changed and are complete.
func (s *Source) say() (claims []registry.Claim, troubles []registry.Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.changed {
		healthy, sick, complete := r.judge()
		switch origin := Origin(r.probe); {
		case !complete:
			continue // it speaks when its last verdict comes
		case len(healthy) > 0:
			claims = append(claims, registry.Claim{Role: r.role.Name, Origin: origin, Nodes: healthy, Pick: r.role.Mode == registry.Single})
		default:
			troubles = append(troubles, registry.Trouble{
				Role: r.role.Name, Origin: origin, Gone: true, Why: "no healthy node: " + strings.Join(sick, ", "),
			})
		}
	}
	clear(s.changed)
	return claims, troubles
}

// Origin is how status names a probe.
func Origin(p *config.Probe) string { return "probe " + p.String() }

// judge sorts the nodes of a role. complete is false while one has no verdict.
func (r *role) judge() (healthy, sick []string, complete bool) {
	for i, n := range r.role.Nodes {
		c := r.checkers[i]
		switch {
		case c == nil:
			sick = append(sick, n.Name+" has no "+r.probe.Class+" address")
		case !c.verdict.known:
			return nil, nil, false
		case c.verdict.healthy:
			healthy = append(healthy, n.Name)
		default:
			sick = append(sick, fmt.Sprintf("%s %s %s (%s)", n.Name, netip.AddrPortFrom(c.target.Addr, r.probe.Port),
				c.verdict.lastErr, times(c.verdict.fails)))
		}
	}
	return healthy, sick, true
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func (s *Source) submit(ctx context.Context, claims []registry.Claim, troubles []registry.Trouble) error {
	if len(claims) > 0 {
		if _, err := s.reg.Claim(ctx, claims...); err != nil {
			return err
		}
	}
	if len(troubles) == 0 {
		return nil
	}
	return s.reg.Complain(ctx, troubles...)
}

// Status is the health of one node in one role.
type Status struct {
	Role    string     `json:"role"`
	Node    string     `json:"node"`
	Addr    netip.Addr `json:"addr"` // not valid: the node has none of the class
	Known   bool       `json:"known"`
	Healthy bool       `json:"healthy"`
	Error   string     `json:"error,omitempty"` // of the last check
	Since   time.Time  `json:"since,omitzero"`  // of Healthy
}

// Statuses returns the health of every probed node, by role name and then in written order.
func (s *Source) Statuses() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Status
	for _, name := range slices.Sorted(maps.Keys(s.roles)) {
		r := s.roles[name]
		for i, n := range r.role.Nodes {
			st := Status{Role: name, Node: n.Name}
			if c := r.checkers[i]; c != nil {
				v := c.verdict
				st.Addr, st.Known, st.Healthy, st.Error, st.Since = c.target.Addr, v.known, v.healthy, v.lastErr, v.since
			} else {
				st.Known, st.Error = true, "no "+r.probe.Class+" address"
			}
			out = append(out, st)
		}
	}
	return out
}
