package winsctl

import (
	"context"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/usage"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/store/journal"
)

// lab is a WINS database in memory behind a control server on a real socket.
type lab struct {
	t       *testing.T
	db      *wins.Database
	journal *journal.Memory
	reg     *registry.Registry
	usage   *usage.Tracker
	note    *usage.Recorder
	server  *Server
	client  Client

	mu      sync.Mutex
	answers map[*wins.Request]wins.Answer
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := open(t)
	l.client = Client{l.serve(l.server)}
	return l
}

// open makes a lab in which nothing runs.
func open(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, journal: &journal.Memory{}, usage: usage.New(0), answers: map[*wins.Request]wins.Answer{}}
	l.note = l.usage.Recorder()
	var err error
	if l.reg, err = registry.Open(testWorld(), &registry.Memory{}, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	set := wins.Settings{Timers: wins.DefaultTimers, Limits: wins.DefaultLimits}
	set.Limits.PerAddress = 100_000
	if l.db, err = wins.Open(l.journal, set, l, nil, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	l.server = &Server{
		DB: func() *wins.Database { return l.db }, Usage: func() *usage.Tracker { return l.usage },
		Snapshot: l.reg.Snapshot, DNSSuffix: func() string { return "corp.example." },
	}
	return l
}

// serve runs a control server with the handlers, and the database until the test ends.
func (l *lab) serve(s *Server) *control.Client {
	l.t.Helper()
	ctl := &control.Server{
		Registry: l.reg, Config: func() control.ConfigStatus { return control.ConfigStatus{} }, WINS: s.Status, Mount: s.Mount,
		Names: s.Explain,
	}
	path := filepath.Join(l.t.TempDir(), "c.sock")
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	for _, task := range []func(context.Context) error{
		l.reg.Run, l.db.Run, func(ctx context.Context) error { return ctl.Serve(ctx, path) },
	} {
		tasks.Go(func() { _ = task(ctx) })
	}
	l.t.Cleanup(func() {
		cancel()
		tasks.Wait()
	})
	client := control.NewClient(path)
	for range 5000 {
		if _, err := client.Status(ctx); err == nil {
			return client
		}
		time.Sleep(time.Millisecond)
	}
	l.t.Fatal("nobody answers on the socket")
	return nil
}

func testWorld() *registry.World {
	a := netip.MustParseAddr
	nodes := []*registry.Node{
		{Name: "ex1", Cluster: "mail", Public: []netip.Addr{a("192.0.2.11")}},
		{Name: "ex2", Cluster: "mail", Public: []netip.Addr{a("198.51.100.12")}},
	}
	return &registry.World{Nodes: nodes, Roles: []*registry.Role{
		{
			Name: "mailbox", Cluster: "mail", DNS: []string{"mail.corp.example."}, NetBIOS: []netbios.Name{netbios.MustParseName("MAIL<20>")},
			Nodes: nodes, Source: registry.Source{Kind: registry.SourceOperator, Initial: "ex1"}, TTL: 5 * time.Second,
		},
		{
			Name: "files", Cluster: "mail", NetBIOS: []netbios.Name{netbios.MustParseName("FILES<20>")},
			Nodes: nodes, Source: registry.Source{Kind: registry.SourceOperator, Initial: "ex1"}, TTL: 5 * time.Second,
		},
	}}
}

// Admit parks the names of roles, refuses WPAD and takes addresses of 10.9.0.0/16 out.
func (l *lab) Admit(r *wins.Request) wins.Verdict {
	v := wins.Verdict{Action: wins.Publish, ByRule: true, Decision: 0xabc}
	for _, a := range r.Addrs {
		if !netip.MustParsePrefix("10.9.0.0/16").Contains(a.Addr) {
			v.Addrs = append(v.Addrs, a)
		}
	}
	role, guarded := l.reg.Snapshot().NetBIOS(r.Name)
	switch {
	case r.Name.Base() == "WPAD":
		v.Action, v.Addrs, v.Reason, v.Rule = wins.Refuse, nil, "reserved", "builtin-reserved"
	case len(v.Addrs) == 0:
		v.Action, v.Reason, v.Rule = wins.Quarantine, "filtered-class", "builtin-filtered"
	case guarded:
		v.Action, v.Guarded, v.Role, v.Reason = wins.Park, true, role.Role.Name, wins.ReasonGuarded
	case len(v.Addrs) < len(r.Addrs):
		v.Reason, v.Rule = "filtered-class", "builtin-filtered"
	}
	return v
}

// Answer takes the last word.
func (l *lab) Answer(r *wins.Request, a wins.Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[r] = a
}

// Flush does nothing.
func (l *lab) Flush() {}

// register has each of the addresses registered for a name by its node.
func (l *lab) register(name string, addrs ...string) {
	l.t.Helper()
	for _, addr := range addrs {
		l.submit(&wins.Request{Name: netbios.MustParseName(name)}, netbios.HNode, addr)
	}
}

// submit registers an address with a request that has the name, and waits for the answer.
func (l *lab) submit(r *wins.Request, flags netbios.NodeFlags, addr string) {
	l.t.Helper()
	ip := netip.MustParseAddr(addr)
	r.Op, r.TTL, r.To, r.Source = wins.Register, 300_000, l, netip.AddrPortFrom(ip, netbios.Port)
	r.Addrs = []netbios.Address{{Flags: flags, Addr: ip}}
	l.db.Submit(r)
	for range 5000 {
		l.mu.Lock()
		_, ok := l.answers[r]
		l.mu.Unlock()
		if ok {
			return
		}
		time.Sleep(time.Millisecond)
	}
	l.t.Fatalf("no answer to %s", r.Name)
}

// list returns what a filter leaves, a line each.
func (l *lab) list(f Filter) string {
	l.t.Helper()
	var out []string
	err := l.client.Registrations(l.t.Context(), f, func(r Registration) error {
		out = append(out, line(&r))
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return strings.Join(out, "\n")
}

func line(r *Registration) string {
	words := []string{r.Name.String(), r.Kind, r.State}
	if r.Static {
		words = append(words, "static")
	}
	for _, a := range r.Addresses {
		words = append(words, a.Address.String())
	}
	if h := r.Held; h != nil {
		words = append(words, "from", h.Source.String(), h.Reason, h.Rule, h.Decision)
	}
	return strings.TrimRight(strings.Join(words, " "), " ")
}

// get fetches a path as somebody without the client would.
func (l *lab) get(path string) string {
	var out any
	if err := l.client.Call(l.t.Context(), http.MethodGet, path, nil, &out); err != nil {
		return err.Error()
	}
	return "ok"
}
