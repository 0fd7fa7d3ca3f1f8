package nameward

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/journal"
	"github.com/nameward/nameward/registry/zone"
)

// newWorld is the world of the plugin's tests. ex2's management address lies in the owned reverse zone.
//
//	mailbox   mail.corp.example. mail.other.example. (overlaid)    ex1
//	www       www.corp.example.                                    mode all, web1 to web3
//	deep      a.b.corp.example.                                    ex2; b.corp.example. is an empty non-terminal
//	sub       sub.corp.example. (an apex) x.sub.corp.example.      ex1
//	gone      gone.corp.example. gone.other.example.               its source is lost: withdraw
//	          below.corp.example.                                  the same, and deep has a name below it
//	unknown   new.corp.example. new.other.example.                 nobody ever claimed it
func newWorld() *registry.World {
	ex1 := newNode("ex1", "ex1.corp.example.", "10.9.0.11", "192.0.2.11", "2001:db8::11")
	ex2 := newNode("ex2", "", "192.0.2.12", "198.51.100.12")
	web1, web2, web3 := newNode("web1", "", "10.9.0.21", "203.0.113.1"), newNode("web2", "", "10.9.0.22", "203.0.113.2", "2001:db8::22"), newNode("web3", "", "10.9.0.23", "203.0.113.3")
	pair, webs := []*registry.Node{ex1, ex2}, []*registry.Node{web1, web2, web3}
	role := func(name string, nodes []*registry.Node, names ...string) *registry.Role {
		return &registry.Role{Name: name, Nodes: nodes, DNS: names, Source: registry.Source{Kind: "file"}, TTL: 5 * time.Second}
	}
	w := &registry.World{
		Nodes: append(pair, webs...),
		Roles: []*registry.Role{
			role("mailbox", pair, "mail.corp.example.", "mail.other.example."), role("www", webs, "www.corp.example."),
			role("deep", pair, "a.b.corp.example.", "a.below.corp.example."), role("sub", pair, "sub.corp.example.", "x.sub.corp.example."),
			role("gone", pair, "gone.corp.example.", "gone.other.example.", "below.corp.example."), role("unknown", pair, "new.corp.example.", "new.other.example."),
		},
		Zones: []*registry.Zone{
			newZone("corp.example.", registry.NameServer{Name: "ns1.corp.example.", Addrs: addrs("192.0.2.53", "2001:db8::53")}, registry.NameServer{Name: "ns2.provider.example."}),
			newZone("sub.corp.example.", registry.NameServer{Name: "ns1.sub.corp.example.", Addrs: addrs("192.0.2.54")}),
			newZone("2.0.192.in-addr.arpa.", registry.NameServer{Name: "ns1.corp.example."}),
		},
		Classes: []registry.Class{{Name: "management", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}},
	}
	w.Roles[1].Mode = registry.All
	w.Roles[4].OnSourceLost = registry.Withdraw
	return w
}

func addrs(texts ...string) (out []netip.Addr) {
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

func newNode(name, host, management string, public ...string) *registry.Node {
	return &registry.Node{
		Name: name, Host: host, Public: addrs(public...),
		Other: []registry.ClassAddr{{Class: "management", Addr: netip.MustParseAddr(management)}},
	}
}

func newZone(name string, ns ...registry.NameServer) *registry.Zone {
	return &registry.Zone{
		Name: name, NS: ns, Mbox: "hostmaster." + name, TTL: time.Hour, Negative: 5 * time.Second,
		Refresh: time.Minute, Retry: 10 * time.Second, Expire: 7 * 24 * time.Hour,
	}
}

// Zones of newWorld.
const (
	corp    = "corp.example."
	sub     = "sub.corp.example."
	reverse = "2.0.192.in-addr.arpa."
)

// served is a registry with its zones: what a handler answers from.
type served struct {
	*registry.Registry
	zones *zone.DB
}

func (s *served) Zones() *zone.DB { return s.zones }

func (s *served) updating() *updateService { return nil }

// now is the state of now, with the zones at it.
func (s *served) now(t testing.TB) now {
	t.Helper()
	inStep(t, s)
	return now{s.Snapshot(), s.zones}
}

// inStep waits until the zones are at the registry's state.
func inStep(t testing.TB, s interface{ Zones() *zone.DB }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Zones().Sync(ctx); err != nil {
		t.Fatal(err)
	}
}

// serialOf is the serial of a zone with all that the registry did.
func serialOf(t testing.TB, s interface{ Zones() *zone.DB }, name string) uint32 {
	t.Helper()
	inStep(t, s)
	return s.Zones().View(name).Serial
}

// run keeps a registry of the world and its zones running until the test ends.
func run(t testing.TB, w *registry.World) *served {
	t.Helper()
	r, err := registry.Open(w, &registry.Memory{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	zones, err := zone.Open(&journal.Memory{}, zone.DefaultLimits, r.Snapshot, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	go func() { done <- zones.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
	})
	return &served{r, zones}
}

// claimed is a registry, alone or with its zones.
type claimed interface {
	Claim(context.Context, ...registry.Claim) ([]registry.Outcome, error)
}

func claim(t testing.TB, r claimed, role string, nodes ...string) {
	t.Helper()
	outcomes, err := r.Claim(t.Context(), registry.Claim{Role: role, Nodes: nodes})
	if err != nil || outcomes[0] > registry.Renewed {
		t.Fatalf("claim of %s: %v, %v", role, outcomes, err)
	}
}

// newRegistry runs the world in the state that newWorld describes.
func newRegistry(t testing.TB) *served {
	t.Helper()
	return runWorld(t, newWorld())
}

// runWorld is newRegistry for a world that has more than newWorld.
func runWorld(t testing.TB, w *registry.World) *served {
	t.Helper()
	r := run(t, w)
	for _, role := range []string{"mailbox", "sub", "gone"} {
		claim(t, r, role, "ex1")
	}
	claim(t, r, "deep", "ex2")
	claim(t, r, "www", "web1", "web2", "web3")
	if err := r.Complain(t.Context(), registry.Trouble{Role: "gone", Why: "the file is gone", Gone: true}); err != nil {
		t.Fatal(err)
	}
	return r
}

func question(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg)
	return m.SetQuestion(name, qtype)
}
