package registry

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
)

// sizes are the numbers of roles at which a switch has to cost the same.
var sizes = []int{10, 1_000, 100_000}

// benchWorld has n roles on 16 nodes at two sites, all in one owned zone.
func benchWorld(n int) *World {
	w := &World{Zones: []*Zone{testZone("corp.example.")}}
	for i := range 16 {
		w.Nodes = append(w.Nodes, &Node{
			Name: fmt.Sprintf("ex%d", i), Site: []string{"hq", "dr"}[i%2], Host: fmt.Sprintf("ex%d.corp.example.", i),
			Public: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})},
		})
	}
	for i := range n {
		nb, err := netbios.NewName(fmt.Sprintf("R%06d", i), 0x20, "")
		if err != nil {
			panic(err)
		}
		w.Roles = append(w.Roles, &Role{
			Name: fmt.Sprintf("role-%06d", i), DNS: []string{fmt.Sprintf("role-%06d.corp.example.", i)}, NetBIOS: []netbios.Name{nb},
			Nodes: w.Nodes, Source: Source{Kind: SourceOperator, Initial: w.Nodes[i%16].Name}, TTL: 5 * time.Second,
		})
	}
	return w
}

func benchRegistry(b *testing.B, n int) *Registry {
	b.Helper()
	r, err := Open(benchWorld(n), &Memory{}, zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = r.Run(ctx); close(done) }()
	b.Cleanup(func() { cancel(); <-done })
	return r
}

// BenchmarkSwitch is one role that moves: asked, fenced, saved (in memory), published, acknowledged.
func BenchmarkSwitch(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := benchRegistry(b, n)
			req := SwitchRequest{Roles: []string{fmt.Sprintf("role-%06d", n/2)}}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				req.To = []string{"ex1", "ex2"}[i%2]
				if _, err := r.Switch(context.Background(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSwitchSite is a datacenter switchover of all roles under one change.
func BenchmarkSwitchSite(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := benchRegistry(b, n)
			for i := 0; b.Loop(); i++ {
				if _, err := r.Switch(context.Background(), SwitchRequest{All: true, Site: []string{"hq", "dr"}[i%2]}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkClaim is a claim of a source with an epoch, and the renewal of one.
func BenchmarkClaim(b *testing.B) {
	r := benchRegistry(b, 100_000)
	epoch := uint64(1)
	b.Run("accepted", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			epoch++
			_, _ = r.Claim(context.Background(), Claim{Role: "role-000007", Epoch: epoch, Nodes: []string{"ex1"}})
		}
	})
	b.Run("renewed", func(b *testing.B) {
		for b.Loop() {
			_, _ = r.Claim(context.Background(), Claim{Role: "role-000007", Epoch: epoch, Nodes: []string{"ex1"}})
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	r := benchRegistry(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		s := r.Snapshot()
		e, _ := s.Lookup("role-050000.corp.example.")
		if len(s.RoleOf(e).A()) == 0 {
			b.Fatal("no address")
		}
	}
}

// BenchmarkOpen100000 is a start, and what the roles then take in memory: the world itself, the index
// and the states.
func BenchmarkOpen100000(b *testing.B) {
	const n = 100_000
	var bytes uint64
	for b.Loop() {
		before := heapInUse()
		w := benchWorld(n)
		world := heapInUse()
		r, err := Open(w, &Memory{}, zerolog.Nop())
		if err != nil {
			b.Fatal(err)
		}
		bytes = heapInUse() - before
		b.ReportMetric(float64(world-before)/n, "B/role-world")
		b.ReportMetric(float64(bytes)/n, "B/role-all")
		runtime.KeepAlive(r)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkReload is what Configure costs with 100,000 roles.
func BenchmarkReload(b *testing.B) {
	r := benchRegistry(b, 100_000)
	w := benchWorld(100_000)
	for b.Loop() {
		if err := r.Configure(context.Background(), w); err != nil {
			b.Fatal(err)
		}
	}
}
