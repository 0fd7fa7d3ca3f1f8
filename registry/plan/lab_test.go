package plan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/pushctl"
	"github.com/nameward/nameward/registry/store/journal"
)

// lab is a guard with its control API, without a socket, and operators who plan.
type lab struct {
	t      *testing.T
	reg    *registry.Registry
	store  *registry.Memory
	pusher *push.Pusher
	api    http.Handler
	peers  []*peer
	checks []control.Check
	dir    string
	ends   []func()

	mu    sync.Mutex
	calls []string // of the control API that may change something, in order
	// disturb, when set, is called around every call: n counts them, after says on which side. It may panic.
	disturb func(n int, after bool)
	n       int
}

// peer is a target: it takes TTLs and addresses, and answers with the addresses.
type peer struct {
	name string
	mu   sync.Mutex
	down bool
	has  map[string][]netip.Addr
	ttls map[string]uint32
}

func (p *peer) Content(_ *registry.Snapshot, role *registry.RoleState) string {
	return fmt.Sprint(role.Role.DNS, role.TTL, role.Addrs())
}

func (p *peer) Push(_ context.Context, items []*push.Item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, it := range items {
		it.Sent()
		if p.down {
			it.Fail(errors.New("connection refused"))
			continue
		}
		p.has[it.Role.Role.Name], p.ttls[it.Role.Role.Name] = it.Addrs(), it.Role.TTL
		it.Acked()
	}
}

func (p *peer) Verify(_ context.Context, items []*push.Item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, it := range items {
		it.Judge(p.has[it.Role.Role.Name])
	}
}

func (p *peer) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func testWorld() *registry.World {
	node := func(name, site string, addrs ...string) *registry.Node {
		n := &registry.Node{Name: name, Cluster: "mail", Site: site}
		for _, a := range addrs {
			n.Public = append(n.Public, netip.MustParseAddr(a))
		}
		return n
	}
	nodes := []*registry.Node{node("ex1", "hq", "192.0.2.11"), node("ex2", "dr", "198.51.100.12"), node("ex3", "dr", "198.51.100.13", "2001:db8::13")}
	role := func(name string, source registry.Source) *registry.Role {
		return &registry.Role{
			Name: name, Cluster: "mail", DNS: []string{name + ".corp.example."}, Nodes: nodes, Source: source, TTL: 5 * time.Minute,
		}
	}
	operator := registry.Source{Kind: registry.SourceOperator, Initial: "ex1"}
	w := &registry.World{
		Nodes: nodes,
		Roles: []*registry.Role{
			role("mailbox", operator), role("public", operator), role("files", registry.Source{Kind: "file", Detail: "x"}),
			role("fresh", registry.Source{Kind: registry.SourceOperator}),
		},
	}
	w.Roles[0].NetBIOS = []netbios.Name{netbios.MustParseName("MAIL<20>")}
	return w
}

// inLab runs a test in fake time, on a guard with targets of these names.
func inLab(t *testing.T, do func(l *lab), targets ...string) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, store: &registry.Memory{}, dir: dir}
		for _, name := range targets {
			l.peers = append(l.peers, &peer{name: name, has: map[string][]netip.Addr{}, ttls: map[string]uint32{}})
		}
		l.begin()
		defer func() { l.end() }()
		do(l)
	})
}

// begin starts the guard on what is in the store.
func (l *lab) begin() {
	var err error
	if l.reg, err = registry.Open(testWorld(), l.store, zerolog.Nop()); err != nil {
		l.t.Fatal(err)
	}
	ledger, err := push.OpenLedger(&journal.Memory{}, zerolog.Nop())
	if err != nil {
		l.t.Fatal(err)
	}
	l.pusher = &push.Pusher{Ledger: ledger, Snapshot: l.reg.Snapshot, Log: zerolog.Nop()}
	l.aim(l.peers...)
	server := &control.Server{
		Registry: l.reg, Config: func() control.ConfigStatus { return control.ConfigStatus{} },
		Checks: func() []control.Check { return l.checks },
		Zones:  func() []control.Zone { return []control.Zone{{Zone: "corp.example.", Serial: 1, Negative: 600}} },
		Mount:  (&pushctl.Server{Pusher: l.pusher}).Mount,
	}
	l.api = server.Handler()
	for _, task := range []func(context.Context) error{l.reg.Run, ledger.Run, l.pusher.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { _ = task(ctx); close(done) }()
		l.ends = append(l.ends, func() { cancel(); <-done })
	}
	synctest.Wait()
}

func (l *lab) end() {
	for _, end := range slices.Backward(l.ends) {
		end()
	}
	l.ends = nil
}

func (l *lab) aim(peers ...*peer) {
	var targets []push.Target
	for _, p := range peers {
		targets = append(targets, push.Target{Name: p.name, Kind: "peer", Driver: p})
	}
	l.pusher.Configure(targets)
}

// call is a request of the control API, as its client makes it.
func (l *lab) call(ctx context.Context, method, path string, in, out any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.n++
	n, disturb := l.n, l.disturb
	if method == http.MethodPost && !strings.Contains(string(body), `"dry_run":true`) {
		l.calls = append(l.calls, strings.TrimPrefix(path, "/v1/"))
	}
	l.mu.Unlock()
	if disturb != nil {
		disturb(n, false)
	}
	w := httptest.NewRecorder()
	l.api.ServeHTTP(w, httptest.NewRequestWithContext(ctx, method, path, bytes.NewReader(body)))
	if disturb != nil {
		disturb(n, true)
	}
	if w.Code != http.StatusOK {
		var refused struct{ Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &refused); err != nil {
			return err
		}
		return &control.RefusedError{Text: refused.Error, Stopping: w.Code == http.StatusServiceUnavailable}
	}
	return json.Unmarshal(w.Body.Bytes(), out)
}

func (l *lab) Status(ctx context.Context) (st control.Status, err error) {
	return st, l.call(ctx, http.MethodGet, "/v1/status", nil, &st)
}

func (l *lab) Switch(ctx context.Context, r registry.SwitchRequest) (m registry.Moves, err error) {
	return m, l.call(ctx, http.MethodPost, "/v1/switch", r, &m)
}

func (l *lab) LowerTTL(ctx context.Context, r registry.LowerRequest) (t registry.TTLs, err error) {
	return t, l.call(ctx, http.MethodPost, "/v1/ttl/lower", r, &t)
}

func (l *lab) RaiseTTL(ctx context.Context, r registry.RaiseRequest) (t registry.TTLs, err error) {
	return t, l.call(ctx, http.MethodPost, "/v1/ttl/raise", r, &t)
}

func (l *lab) Targets(ctx context.Context) (st pushctl.Status, err error) {
	return st, l.call(ctx, http.MethodGet, "/v1/push", nil, &st)
}

func (l *lab) Wait(ctx context.Context, r pushctl.WaitRequest, limit time.Duration) (reply pushctl.WaitReply, err error) {
	for until := time.Now().Add(limit); ; {
		r.Timeout = min(time.Until(until), 30*time.Second)
		if err = l.call(ctx, http.MethodPost, "/v1/push/wait", r, &reply); err != nil || reply.Done || !time.Now().Before(until) {
			return reply, err
		}
	}
}

// make plans roles for a node, writes the plan and reads it again.
func (l *lab) make(to string, roles ...string) *Plan {
	l.t.Helper()
	p, err := Make(context.Background(), l, Request{registry.SwitchRequest{Roles: roles, To: to, By: "kim"}, time.Second})
	if err != nil {
		l.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		l.t.Fatal(err)
	}
	again, err := Read("plan.yaml", b.Bytes())
	if err != nil {
		l.t.Fatalf("%v in\n%s", err, b.Bytes())
	}
	return again
}

// open is a run of a plan as a new process has it.
func (l *lab) open(p *Plan) *Run {
	l.t.Helper()
	j, err := OpenJournal(filepath.Join(l.dir, p.ID+".run"), p)
	if err != nil {
		l.t.Fatal(err)
	}
	return &Run{Plan: p, Guard: l, Journal: j, By: "kim", Timeout: time.Minute}
}

func (l *lab) move(to string, roles ...string) {
	l.t.Helper()
	if _, err := l.reg.Switch(context.Background(), registry.SwitchRequest{Roles: roles, To: to}); err != nil {
		l.t.Fatal(err)
	}
}

// expect checks roles in one line each: "mailbox ex2 @2 300", holder, epoch and TTL.
func (l *lab) expect(want ...string) {
	l.t.Helper()
	var got []string
	for _, w := range want {
		name, _, _ := strings.Cut(w, " ")
		s, _ := l.reg.Snapshot().Role(name)
		got = append(got, fmt.Sprintf("%s %s @%d %d", name, strings.Join(s.Holder, ","), s.Epoch, s.TTL))
	}
	if !slices.Equal(got, want) {
		l.t.Errorf("roles are %q, want %q", got, want)
	}
}

// refused checks that an error is a refusal with these words.
func refused(t *testing.T, err error, words ...string) {
	t.Helper()
	var r *Refused
	if !errors.As(err, &r) {
		t.Errorf("error %v, want a refusal with %q", err, words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("refused with\n%v\nwant %q in it", err, w)
		}
	}
}
