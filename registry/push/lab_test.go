package push

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/journal"
)

// lab is a registry with roles mail and web, each on node n1 or n2, and a pusher with targets.
type lab struct {
	t       *testing.T
	reg     *registry.Registry
	store   *registry.Memory
	journal *journal.Memory
	ledger  *Ledger
	pusher  *Pusher
	stop    func()
	stopReg func()
}

func node(name string, n byte) *registry.Node {
	return &registry.Node{Name: name, Public: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, n})}}
}

func world(roles ...string) *registry.World {
	w := &registry.World{Nodes: []*registry.Node{node("n1", 1), node("n2", 2)}}
	for _, name := range roles {
		w.Roles = append(w.Roles, &registry.Role{
			Name: name, DNS: []string{name + ".corp.example."}, Nodes: w.Nodes, TTL: 5 * time.Second,
			Source: registry.Source{Kind: registry.SourceOperator, Initial: "n1"},
		})
	}
	return w
}

// newLab is to be called in a synctest bubble.
func newLab(t *testing.T, w *registry.World) *lab {
	t.Helper()
	l := &lab{t: t, store: &registry.Memory{}, journal: &journal.Memory{}}
	reg, err := registry.Open(w, l.store, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	l.reg = reg
	l.stopReg = l.background(reg.Run)
	return l
}

// background runs a task until the function that it returns is called.
func (l *lab) background(task func(context.Context) error) func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := task(ctx); err != nil {
			l.t.Error(err)
		}
	}()
	return sync.OnceFunc(func() { cancel(); <-done })
}

// start opens the ledger and pushes to the targets.
func (l *lab) start(targets ...Target) {
	l.t.Helper()
	var err error
	if l.ledger, err = OpenLedger(l.journal, zerolog.Nop()); err != nil {
		l.t.Fatal(err)
	}
	l.pusher = &Pusher{Ledger: l.ledger, Snapshot: l.reg.Snapshot, Log: zerolog.Nop()}
	l.pusher.Configure(targets)
	stopLedger, stopPusher := l.background(l.ledger.Run), l.background(l.pusher.Run)
	l.stop = func() { stopPusher(); stopLedger() }
	synctest.Wait()
}

// kill ends the pushing as kill -9 would: what the ledger has not saved is lost.
func (l *lab) kill() {
	l.t.Helper()
	saved := l.journal.Copy()
	l.stop()
	l.journal = saved
}

func (l *lab) end() {
	l.stop()
	l.stopReg()
}

func (l *lab) move(role, to string) uint64 {
	l.t.Helper()
	m, err := l.reg.Switch(context.Background(), registry.SwitchRequest{Roles: []string{role}, To: to})
	if err != nil {
		l.t.Fatal(err)
	}
	return m.Change
}

// wait is the progress of roles since a change, a line for each target.
func (l *lab) wait(change uint64, limit time.Duration, quorum int, roles ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	list, done := l.pusher.Wait(ctx, change, roles, quorum)
	var b strings.Builder
	for _, p := range list {
		fmt.Fprintf(&b, "%s %d/%d %s %s", p.Target, p.Done, p.Roles, p.Stage, p.Took)
		if p.Why != "" {
			fmt.Fprintf(&b, " (%s)", p.Why)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%v", done)
	return b.String()
}

func (l *lab) row(target, role string) Delivery {
	l.t.Helper()
	d, ok := l.ledger.Row(target, role)
	if !ok {
		l.t.Fatalf("the ledger has nothing of %s at %s", role, target)
	}
	return d
}

var errDown = errors.New("connection refused")

// peer is a target of tests: it has one address for each role, and takes its time.
type peer struct {
	mu       sync.Mutex
	has      map[string][]netip.Addr // what it answers
	pushes   []string                // in order: role, address and epoch
	asked    int
	down     bool
	slow     time.Duration // of a push
	settles  time.Duration // from the acknowledgement until it answers right
	newer    bool
	taken    []netip.Addr // stands there and is not to be written over; nil: nothing
	isClosed bool
	hidden   bool // no role is for it
	most     int  // items in one push
}

func (p *peer) Content(_ *registry.Snapshot, role *registry.RoleState) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if role.Role.Name == "private" || p.hidden {
		return ""
	}
	return fmt.Sprint(role.Role.DNS, role.TTL, role.Addrs())
}

func (p *peer) Push(ctx context.Context, items []*Item) {
	p.mu.Lock()
	down, slow, newer, taken := p.down, p.slow, p.newer, p.taken
	p.most = max(p.most, len(items))
	p.mu.Unlock()
	for _, it := range items {
		it.Sent()
	}
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return
	}
	for _, it := range items {
		switch {
		case down:
			it.Fail(errDown)
		case taken != nil:
			it.Foreign(taken)
		case newer:
			it.Fail(fmt.Errorf("epoch 9 is there: %w", ErrNewer))
		default:
			p.take(it)
			it.Acked()
		}
	}
}

func (p *peer) take(it *Item) {
	role, addrs := it.Role.Role.Name, it.Addrs()
	p.mu.Lock()
	p.pushes = append(p.pushes, fmt.Sprint(role, " ", addrs, " @", it.Role.Epoch))
	settles := p.settles
	p.mu.Unlock()
	if settles == 0 {
		p.set(role, addrs...)
		return
	}
	time.AfterFunc(settles, func() { p.set(role, addrs...) })
}

func (p *peer) set(role string, addrs ...netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.has == nil {
		p.has = map[string][]netip.Addr{}
	}
	p.has[role] = addrs
}

func (p *peer) Verify(_ context.Context, items []*Item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	for _, it := range items {
		if p.down {
			it.Fail(errDown)
			continue
		}
		it.Judge(p.has[it.Role.Role.Name])
	}
}

func (p *peer) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isClosed = true
	return nil
}

func (p *peer) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *peer) hide(hidden bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hidden = hidden
}

func (p *peer) pushed() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.pushes)
}

// mute is a target that cannot be asked.
type mute struct{ peer *peer }

func (m mute) Content(s *registry.Snapshot, r *registry.RoleState) string {
	return m.peer.Content(s, r)
}
func (m mute) Push(ctx context.Context, items []*Item) { m.peer.Push(ctx, items) }

func (l *lab) quiet() zerolog.Logger { return zerolog.Nop() }

func (l *lab) claim(role, holder string, epoch uint64) {
	l.t.Helper()
	o, err := l.reg.Claim(context.Background(), registry.Claim{Role: role, Origin: "file x", Nodes: []string{holder}, Epoch: epoch})
	if err != nil || o[0] != registry.Accepted {
		l.t.Fatal(o, err)
	}
}
