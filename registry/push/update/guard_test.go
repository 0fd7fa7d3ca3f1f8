package update

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/tsig"
)

// guard is a registry with a driver. Its world: role0, role1, ... with the names mail0.corp.example. and so on, on the
// nodes ex1 (192.0.2.11, 2001:db8::11) and ex2 (192.0.2.12), of which ex1 has a host name.
type guard struct {
	t   *testing.T
	reg *registry.Registry
	*Driver
	told map[string][]netip.Addr
}

func testWorld(roles int) *registry.World {
	ex1 := &registry.Node{Name: "ex1", Host: "ex1.corp.example.", Public: []netip.Addr{netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("2001:db8::11")}}
	ex2 := &registry.Node{Name: "ex2", Public: []netip.Addr{netip.MustParseAddr("192.0.2.12")}}
	w := &registry.World{Nodes: []*registry.Node{ex1, ex2}}
	for i := range roles {
		w.Roles = append(w.Roles, &registry.Role{
			Name: fmt.Sprintf("role%d", i), Nodes: w.Nodes, DNS: []string{fmt.Sprintf("mail%d.corp.example.", i), fmt.Sprintf("mail%d.other.example.", i)},
			Source: registry.Source{Kind: "file"}, TTL: 5 * time.Second,
		})
	}
	return w
}

type option func(*config.Update, *bool)

func repairing(_ *config.Update, repair *bool) { *repair = true }
func unmarked(c *config.Update, _ *bool)       { c.Marker = config.MarkerNone }
func pointing(c *config.Update, _ *bool)       { c.Reverse = []string{"2.0.192.in-addr.arpa."} }
func asking(c *config.Update, _ *bool)         { c.Verify = config.VerifyAll }

func newGuard(t *testing.T, roles int, servers []*server, options ...option) *guard {
	t.Helper()
	reg, err := registry.Open(testWorld(roles), &registry.Memory{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- reg.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	cfg, repair := config.Update{Zone: "corp.example."}, false
	for _, s := range servers {
		cfg.Primary = append(cfg.Primary, s.addr)
		if !s.key.IsZero() {
			cfg.Key = keyFile(t, s.key)
		}
	}
	for _, o := range options {
		o(&cfg, &repair)
	}
	d, err := New(cfg, repair, reg.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return &guard{t, reg, d, map[string][]netip.Addr{}}
}

func keyFile(t *testing.T, k tsig.Key) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(k.Name+":"+k.Secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// claim moves roles.
func (g *guard) claim(epoch uint64, node string, roles ...int) {
	g.t.Helper()
	for _, i := range roles {
		out, err := g.reg.Claim(context.Background(), registry.Claim{Role: fmt.Sprintf("role%d", i), Origin: "test", Epoch: epoch, Nodes: []string{node}})
		if err != nil {
			g.t.Fatal(err)
		}
		if out[0] != registry.Accepted {
			g.t.Fatalf("epoch %d of %s: %v", epoch, node, out[0])
		}
	}
}

func (g *guard) items(roles ...int) []*push.Item {
	g.t.Helper()
	snap := g.reg.Snapshot()
	var all []*push.Item
	for _, i := range roles {
		name := fmt.Sprintf("role%d", i)
		role, ok := snap.Role(name)
		if !ok {
			g.t.Fatal("no such role")
		}
		all = append(all, push.NewItem(snap, role, g.told[name]))
	}
	return all
}

// stage tells how far an item is.
func stage(it *push.Item) string {
	s, found, why := it.Stage()
	switch {
	case why != nil:
		return s.String() + ": " + why.Error()
	case len(found) > 0:
		return fmt.Sprint(s, " ", found)
	}
	return s.String()
}

// push pushes one role and tells what came of it.
func (g *guard) push(role int) string {
	g.t.Helper()
	items := g.items(role)
	ctx, cancel := context.WithTimeout(g.t.Context(), 5*time.Second)
	defer cancel()
	g.Push(ctx, items)
	if s, _, _ := items[0].Stage(); s == push.Acked {
		g.told[items[0].Role.Role.Name] = items[0].Addrs()
	}
	return stage(items[0])
}

// verify asks about one role and tells what is found.
func (g *guard) verify(role int) string {
	g.t.Helper()
	items := g.items(role)
	ctx, cancel := context.WithTimeout(g.t.Context(), 5*time.Second)
	defer cancel()
	g.Verify(ctx, items)
	return stage(items[0])
}

// forget is a restart.
func (g *guard) forget() {
	clear(g.known)
	clear(g.took)
}
