package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
)

// guard is a running nameward.
type guard struct {
	*process
	world
	dir       string
	began     time.Time // of its start, before exec
	dns, nbns netip.AddrPort
	client    *control.Client
	askDNS    *asker
	askNBNS   *asker
	holder    []int // of each role, as it was switched by us
	pinned    bool  // to the servers' core
}

// startLimit is how long a server may take until it answers.
const startLimit = 30 * time.Second

// startGuard runs nameward with the built-in Corefile, metrics included, and waits for a right answer.
func (b *bench) startGuard(ctx context.Context, parent string, w world) (*guard, error) {
	dir, err := os.MkdirTemp(parent, "g")
	if err != nil {
		return nil, err
	}
	g, err := newGuard(dir, w)
	if err != nil {
		return nil, err
	}
	return g, g.start(ctx, b.binary)
}

// newGuard writes the files of a guard.
func newGuard(dir string, w world) (*guard, error) {
	g := &guard{world: w, dir: dir, holder: make([]int, w.roles)}
	var err error
	if g.dns, err = freePort(); err == nil {
		g.nbns, err = freePort()
	}
	if err != nil {
		return nil, err
	}
	text := w.yaml(places{store: g.path("state.db"), socket: g.path("s"), netbios: g.nbns.String(), wins: g.path("wins.db")})
	return g, os.WriteFile(g.path("nameward.yaml"), []byte(text), 0o600)
}

func (g *guard) path(name string) string { return filepath.Join(g.dir, name) }

// start runs the guard; first is when it first answered right. It may be called again after stop.
func (g *guard) start(ctx context.Context, binary string) error {
	metrics, err := freePort()
	if err != nil {
		return err
	}
	core := anyCore
	if g.pinned {
		core = serverCore()
	}
	g.began = time.Now()
	g.process, err = launch(ctx, core, g.path("log"), binary, "serve", "--config", g.path("nameward.yaml"),
		"--listen", g.dns.String(), "--metrics", metrics.String(), "--ready", "none", "--forward", "none")
	if err != nil {
		return err
	}
	if err := g.connect(); err != nil {
		g.stop()
		return err
	}
	return nil
}

func (g *guard) connect() (err error) {
	if g.askDNS, err = newDNSAsker(g.dns); err != nil {
		return err
	}
	if g.askNBNS, err = newNBNSAsker(g.nbns); err != nil {
		return err
	}
	g.client = control.NewClient(g.path("s"))
	return nil
}

func (g *guard) stop() {
	for _, a := range []*asker{g.askDNS, g.askNBNS} {
		if a != nil {
			a.close()
		}
	}
	g.process.stop()
}

// answers waits for the first right answer over DNS to some name and tells how long after the start
// it came.
func (g *guard) answers() (time.Duration, error) {
	name := rand.IntN(g.names())
	at, _, err := g.askDNS.until(name, address(g.holder[g.roleOf(name)]), startLimit)
	if dead := g.ended(); dead != nil {
		return 0, dead
	}
	return at.Sub(g.began), err
}

func address(node int) netip.Addr { return netip.MustParseAddr(addresses[node]) }

// move switches the role of a name to its other node, and returns that node's address and the time
// that the call took.
func (g *guard) move(ctx context.Context, name int) (want netip.Addr, took time.Duration, err error) {
	role := g.roleOf(name)
	to := 1 - g.holder[role]
	began := time.Now()
	moves, err := g.client.Switch(ctx, registry.SwitchRequest{Roles: []string{roleName(role)}, To: nodes[to], By: "bench"})
	took = time.Since(began)
	if err != nil {
		return netip.Addr{}, took, err
	}
	if len(moves.Moves) != 1 || !moves.Moves[0].Moved() {
		return netip.Addr{}, took, fmt.Errorf("role %d did not move: %+v", role, moves)
	}
	g.holder[role] = to
	return address(to), took, nil
}

// freePort finds a port of the loopback that is free for UDP and TCP.
func freePort() (netip.AddrPort, error) {
	var last error
	for range 20 {
		udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return netip.AddrPort{}, err
		}
		addr := udp.LocalAddr().(*net.UDPAddr).AddrPort()
		tcp, err := net.Listen("tcp4", addr.String())
		udp.Close()
		if err == nil {
			tcp.Close()
			return addr, nil
		}
		last = err
	}
	return netip.AddrPort{}, fmt.Errorf("finding a free port: %w", last)
}
