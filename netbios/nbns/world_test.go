package nbns

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
)

// The world of the server's tests. Its management addresses lie in 10.9.0.0/16.
//
//	mailbox   MAIL<00> MAIL<20>    ex1, which has two public IPv4 addresses and an IPv6 one
//	scoped    MAIL<20>.HQ          ex2
//	web       WEB<20>              mode all, 30 members
//	held      HELD<20>             ex1 and ex2 claim it: hold
//	both      BOTH<20>             ex1 and ex2 claim it: answer-all
//	neither   NEITHER<20>          ex1 and ex2 claim it: withdraw
//	gone      GONE<20>             its source is lost: withdraw
//	unknown   UNKNOWN<20>          nobody ever claimed it
//	six       SIX<20>              held by a node without an IPv4 address
//	shared    SHARED<20>           twin1 and twin2, which share an address, claim it: answer-all
func newWorld() *registry.World {
	ex1 := newNode("ex1", "10.9.0.11", "2001:db8::11", "192.0.2.11", "192.0.2.111")
	ex2 := newNode("ex2", "10.9.0.12", "198.51.100.12")
	six := newNode("six", "10.9.0.13", "2001:db8::13")
	twin1, twin2 := newNode("twin1", "10.9.0.14", "192.0.2.14"), newNode("twin2", "10.9.0.15", "192.0.2.14")
	w := &registry.World{
		Nodes:   []*registry.Node{ex1, ex2, six, twin1, twin2},
		Classes: []registry.Class{{Name: "management", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}},
	}
	var members []*registry.Node
	for i := range 30 {
		members = append(members, newNode(fmt.Sprintf("web%d", i), fmt.Sprintf("10.9.1.%d", i), fmt.Sprintf("203.0.113.%d", 100+i)))
	}
	w.Nodes = append(w.Nodes, members...)
	pair := []*registry.Node{ex1, ex2}
	add := func(name string, nodes []*registry.Node, mode registry.Mode, conflict, lost registry.Choice, names ...string) {
		r := &registry.Role{
			Name: name, Mode: mode, Nodes: nodes, Source: registry.Source{Kind: "file"},
			TTL: 5 * time.Second, OnConflict: conflict, OnSourceLost: lost,
		}
		for _, n := range names {
			r.NetBIOS = append(r.NetBIOS, netbios.MustParseName(n))
		}
		w.Roles = append(w.Roles, r)
	}
	const hold, withdraw, all = registry.Hold, registry.Withdraw, registry.AnswerAll
	add("mailbox", pair, registry.Single, hold, hold, "MAIL<00>", "MAIL<20>")
	add("scoped", pair, registry.Single, hold, hold, "MAIL<20>.HQ")
	add("web", members, registry.All, hold, hold, "WEB<20>")
	add("held", pair, registry.Single, hold, hold, "HELD<20>")
	add("both", pair, registry.Single, all, hold, "BOTH<20>")
	add("neither", pair, registry.Single, withdraw, hold, "NEITHER<20>")
	add("gone", pair, registry.Single, hold, withdraw, "GONE<20>")
	add("unknown", pair, registry.Single, hold, hold, "UNKNOWN<20>")
	add("six", []*registry.Node{six}, registry.Single, hold, hold, "SIX<20>")
	add("shared", []*registry.Node{twin1, twin2}, registry.Single, all, hold, "SHARED<20>")
	return w
}

func newNode(name, management string, public ...string) *registry.Node {
	n := &registry.Node{Name: name, Other: []registry.ClassAddr{{Class: "management", Addr: netip.MustParseAddr(management)}}}
	for _, a := range public {
		n.Public = append(n.Public, netip.MustParseAddr(a))
	}
	return n
}

// runRegistry keeps a registry of the world running until the test ends.
func runRegistry(t testing.TB, w *registry.World) *registry.Registry {
	t.Helper()
	r, err := registry.Open(w, &registry.Memory{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// newRegistry runs the world in the state that newWorld describes.
func newRegistry(t testing.TB) *registry.Registry {
	t.Helper()
	w := newWorld()
	r := runRegistry(t, w)
	var all []string
	for _, n := range w.Roles[2].Nodes {
		all = append(all, n.Name)
	}
	claims := []registry.Claim{
		{Role: "mailbox", Nodes: []string{"ex1"}}, {Role: "scoped", Nodes: []string{"ex2"}}, {Role: "web", Nodes: all},
		{Role: "gone", Nodes: []string{"ex1"}}, {Role: "six", Nodes: []string{"six"}},
	}
	for _, role := range []string{"held", "both", "neither"} {
		claims = append(claims, registry.Claim{Role: role, Origin: "a", Nodes: []string{"ex1"}, Epoch: 7},
			registry.Claim{Role: role, Origin: "b", Nodes: []string{"ex2"}, Epoch: 7})
	}
	claims = append(claims, registry.Claim{Role: "shared", Origin: "a", Nodes: []string{"twin1"}, Epoch: 7},
		registry.Claim{Role: "shared", Origin: "b", Nodes: []string{"twin2"}, Epoch: 7})
	if _, err := r.Claim(t.Context(), claims...); err != nil {
		t.Fatal(err)
	}
	if err := r.Complain(t.Context(), registry.Trouble{Role: "gone", Why: "the file is gone", Gone: true}); err != nil {
		t.Fatal(err)
	}
	return r
}

var (
	listed   = netip.MustParseAddrPort("192.0.2.77:1137")
	stranger = netip.MustParseAddrPort("203.0.113.7:137")
)

// newServer answers from the registry; node status is full for 192.0.2.0/24.
func newServer(r *registry.Registry) *Server {
	s := &Server{Snapshot: r.Snapshot, Log: zerolog.Nop()}
	s.Configure(Settings{
		Name: netbios.MustParseName("GUARD"), StatusFull: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	return s
}

func encode(t testing.TB, m netbios.Message) []byte {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
