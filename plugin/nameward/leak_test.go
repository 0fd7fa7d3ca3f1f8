package nameward

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// TestNoManagementAddress asks for everything there is, in every type, and for the reverse names of
// all addresses: none of the addresses that must never be published is in any section, nor in a
// transfer, whoever holds the roles.
func TestNoManagementAddress(t *testing.T) {
	r := newRegistry(t)
	checkLeaks(t, r, allTypes)
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := run(t, randomWorld(rnd))
		for range 4 {
			randomClaims(t, rnd, r)
			checkLeaks(t, r, usualTypes)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

var usualTypes = []uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeSOA, dns.TypeNS, dns.TypeANY, dns.TypeMX, dns.TypeSRV, dns.TypeTXT,
	dns.TypeHTTPS, dns.TypeSVCB, dns.TypeCNAME, dns.TypeDS, dns.TypeAXFR, dns.TypeIXFR, dns.TypeNULL, 65280,
}

var allTypes = func() (out []uint16) {
	for i := range 1 << 16 {
		if i <= 300 || i%257 == 0 {
			out = append(out, uint16(i))
		}
	}
	return append(out, usualTypes...)
}()

func checkLeaks(t *testing.T, r *served, qtypes []uint16) {
	t.Helper()
	n := r.now(t)
	snap := n.snap
	for _, name := range namesToAsk(snap.World) {
		for _, qtype := range qtypes {
			m, _ := n.answer(question(name, qtype))
			if m == nil {
				continue
			}
			checkRecords(t, snap, name, m.Answer)
			checkRecords(t, snap, name, m.Ns)
			checkRecords(t, snap, name, m.Extra)
			if e, ok := snap.Lookup(name); ok && e.Kind == registry.KindRole && qtype == dns.TypeA {
				checkServed(t, snap.RoleOf(e), m)
			}
		}
	}
	for _, z := range snap.World.Zones {
		checkRecords(t, snap, z.Name, transferred(t, &Handler{State: r}, z.Name, 0))
	}
}

func checkRecords(t *testing.T, snap *registry.Snapshot, name string, rrs []dns.RR) {
	t.Helper()
	for _, rr := range rrs {
		var addr netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A)
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA)
		case *dns.PTR:
			if _, known := snap.Lookup(rr.Ptr); !known {
				t.Errorf("%s: PTR to %s, which is no name of ours", name, rr.Ptr)
			}
			continue
		case *dns.SOA, *dns.NS, *dns.HINFO:
			continue
		default:
			t.Errorf("%s: a record of a type that we do not answer: %v", name, rr)
			continue
		}
		if class, filtered := snap.Filtered(addr); filtered || !addr.IsValid() {
			t.Errorf("%s: %v is class %s", name, rr, class)
		}
	}
}

// checkServed: the answer has the addresses of the nodes that are served, and no others.
func checkServed(t *testing.T, s *registry.RoleState, m *dns.Msg) {
	t.Helper()
	public := map[netip.Addr]bool{}
	for _, n := range s.Served {
		for _, a := range n.Public {
			public[a] = true
		}
	}
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			if addr, _ := netip.AddrFromSlice(a.A); !public[addr] {
				t.Errorf("role %s: %v is not of a node served", s.Role.Name, rr)
			}
		}
	}
}

func namesToAsk(w *registry.World) []string {
	seen := map[string]bool{}
	var out []string
	add := func(name string) {
		for ; !seen[name] && name != ""; name = up(name) {
			seen[name] = true
			out = append(out, name)
		}
	}
	addr := func(a netip.Addr) {
		name, err := dns.ReverseAddr(a.String())
		if err != nil {
			panic(err)
		}
		add(name)
	}
	for _, z := range w.Zones {
		add("nothing." + z.Name)
		for _, ns := range z.NS {
			add(ns.Name)
		}
	}
	for _, role := range w.Roles {
		for _, name := range role.DNS {
			add("below." + name)
		}
	}
	for _, n := range w.Nodes {
		if n.Host != "" {
			add(n.Host)
		}
		for _, a := range n.Public {
			addr(a)
		}
		for _, o := range n.Other {
			addr(o.Addr)
		}
	}
	return out
}

func up(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return ""
	}
	return name[i:]
}

// randomWorld has management addresses next to public ones, in the same reverse zones.
func randomWorld(rnd *rand.Rand) *registry.World {
	w := &registry.World{
		Zones: []*registry.Zone{
			newZone("corp.example.", registry.NameServer{Name: "ns.corp.example.", Addrs: addrs("203.0.113.53")}),
			newZone("x.corp.example.", registry.NameServer{Name: "ns.x.corp.example.", Addrs: addrs("203.0.113.54")}),
			newZone("2.0.192.in-addr.arpa.", registry.NameServer{Name: "ns.corp.example."}),
			newZone("8.b.d.0.1.0.0.2.ip6.arpa.", registry.NameServer{Name: "ns.corp.example."}),
		},
		Classes: []registry.Class{{Name: "management", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}},
	}
	last := 0
	next := func() netip.Addr {
		last++
		if rnd.IntN(3) == 0 {
			return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", last))
		}
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(last)})
	}
	for i := range 2 + rnd.IntN(6) {
		n := &registry.Node{Name: fmt.Sprint("n", i), Public: []netip.Addr{next()}}
		for range rnd.IntN(3) {
			n.Public = append(n.Public, next())
			n.Other = append(n.Other, registry.ClassAddr{Class: "heartbeat", Addr: next()})
		}
		if rnd.IntN(2) == 0 {
			n.Host = n.Name + ".corp.example."
		}
		w.Nodes = append(w.Nodes, n)
	}
	places := []string{"corp.example.", "x.corp.example.", "deep.corp.example.", "other.example."}
	for i := range 1 + rnd.IntN(8) {
		r := &registry.Role{
			Name: fmt.Sprint("r", i), Mode: registry.Mode(rnd.IntN(2)), TTL: 5 * time.Second, Source: registry.Source{Kind: "file"},
			OnConflict: registry.Choice(rnd.IntN(3)), OnSourceLost: registry.Choice(rnd.IntN(2)),
			DNS: []string{fmt.Sprintf("r%d.%s", i, places[rnd.IntN(len(places))])},
		}
		for _, n := range rnd.Perm(len(w.Nodes))[:1+rnd.IntN(len(w.Nodes))] {
			r.Nodes = append(r.Nodes, w.Nodes[n])
		}
		w.Roles = append(w.Roles, r)
	}
	return w
}

func randomClaims(t *testing.T, rnd *rand.Rand, r *served) {
	t.Helper()
	for s := range r.Snapshot().Roles() {
		node := s.Role.Nodes[rnd.IntN(len(s.Role.Nodes))].Name
		var err error
		switch rnd.IntN(3) {
		case 0:
			_, err = r.Claim(t.Context(), registry.Claim{Role: s.Role.Name, Origin: "a", Nodes: []string{node}})
		case 1:
			_, err = r.Claim(t.Context(), registry.Claim{Role: s.Role.Name, Origin: "b", Nodes: []string{node}, Epoch: s.Epoch})
		case 2:
			err = r.Complain(t.Context(), registry.Trouble{Role: s.Role.Name, Origin: "a", Why: "gone", Gone: true})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
