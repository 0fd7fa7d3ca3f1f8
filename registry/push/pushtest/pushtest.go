package pushtest

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push"
)

// Registry is a registry at work whose roles an operator moves.
type Registry struct {
	*registry.Registry
	t testing.TB
}

// Pair is a world of nodes ex1 and ex2 with 192.0.2.11, 192.0.2.12, their IPv6 siblings 2001:db8::11 and ::12, and
// 192.0.2.10 and 2001:db8::10 for both if shared; and of so many roles, role0 and so on, with the names
// role0.corp.example. and ROLE0<20>, that ex1 holds.
func Pair(t testing.TB, roles int, shared bool) *Registry {
	t.Helper()
	w := &registry.World{}
	for i := range 2 {
		n := &registry.Node{Name: fmt.Sprintf("ex%d", i+1), Cluster: "mail"}
		for _, a := range []string{fmt.Sprintf("192.0.2.1%d", i+1), fmt.Sprintf("2001:db8::1%d", i+1)} {
			n.Public = append(n.Public, netip.MustParseAddr(a))
		}
		if shared {
			n.Public = append(n.Public, netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10"))
		}
		w.Nodes = append(w.Nodes, n)
	}
	for i := range roles {
		w.Roles = append(w.Roles, &registry.Role{
			Name: fmt.Sprintf("role%d", i), Cluster: "mail", DNS: []string{fmt.Sprintf("role%d.corp.example.", i)},
			NetBIOS: []netbios.Name{netbios.MustParseName(fmt.Sprintf("ROLE%d<20>", i))}, Nodes: w.Nodes,
			Source: registry.Source{Kind: registry.SourceOperator, Initial: "ex1"}, TTL: 5 * time.Second,
		})
	}
	reg, err := registry.Open(w, &registry.Memory{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = reg.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return &Registry{reg, t}
}

// Switch hands every role to a node.
func (r *Registry) Switch(node string) {
	r.t.Helper()
	if _, err := r.Registry.Switch(context.Background(), registry.SwitchRequest{All: true, To: node}); err != nil {
		r.t.Fatal(err)
	}
}

// Items are the roles as they stand, each with the addresses that were told last.
func (r *Registry) Items(told ...string) []*push.Item {
	var addrs []netip.Addr
	for _, a := range told {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	snap := r.Snapshot()
	var items []*push.Item
	for role := range snap.Roles() {
		items = append(items, push.NewItem(snap, role, addrs))
	}
	return items
}

// Stages tells in order what became of the items, as the word of the stage and why.
func Stages(items []*push.Item) []string {
	var out []string
	for _, it := range items {
		stage, _, why := it.Stage()
		text := stage.String()
		if why != nil {
			text += ": " + why.Error()
		}
		out = append(out, text)
	}
	return out
}
