package update

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/dnsask"
)

// verdict is what was found of an item at one primary.
type verdict struct {
	stage push.Stage
	found []netip.Addr
	why   error
}

// severity orders verdicts: the worst is told.
var severity = []push.Stage{push.Verified, push.Failed, push.Stale, push.Foreign}

func worse(a, b verdict) verdict {
	if slices.Index(severity, a.stage) >= slices.Index(severity, b.stage) {
		return a
	}
	return b
}

// Verify asks the primary that took the last update of each item, or all of them, for the names and the PTR records.
func (d *Driver) Verify(ctx context.Context, items []*push.Item) {
	verdicts := make([]verdict, len(items))
	for i := range verdicts {
		verdicts[i].stage = push.Verified
	}
	for _, found := range d.ask(ctx, items) {
		for i, v := range found {
			verdicts[i] = worse(verdicts[i], v)
		}
	}
	for i, it := range items {
		d.tell(it, verdicts[i])
	}
}

// tell says what was found. What others wrote is not known any more.
func (d *Driver) tell(it *push.Item, v verdict) {
	if v.stage != push.Verified {
		for _, e := range append(d.forward(it.Snap, it.Role, nil), d.pointers(d.current(), it)...) {
			delete(d.known, e.name)
		}
	}
	switch v.stage {
	case push.Verified:
		it.Right()
	case push.Stale:
		it.Stale(v.found)
	case push.Foreign:
		it.Foreign(v.found)
	default:
		it.Fail(v.why)
	}
}

// ask asks all primaries that have to be asked at once.
func (d *Driver) ask(ctx context.Context, items []*push.Item) (all []map[int]verdict) {
	at := d.whom(ctx, items)
	var mu sync.Mutex
	var asked sync.WaitGroup
	for addr, which := range at {
		asked.Go(func() {
			found := d.askOne(ctx, addr, items, which)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, found)
		})
	}
	asked.Wait()
	return all
}

// whom says which items each primary is asked about.
func (d *Driver) whom(ctx context.Context, items []*push.Item) map[netip.AddrPort][]int {
	at := map[netip.AddrPort][]int{}
	var first netip.AddrPort
	for i, it := range items {
		if d.cfg.Verify == config.VerifyAll {
			for _, addr := range d.servers.Addrs() {
				at[addr] = append(at[addr], i)
			}
			continue
		}
		addr, ok := d.took[it.Role.Role.Name]
		if !ok { // before the last start
			if !first.IsValid() {
				first = d.reachable(ctx)
			}
			addr = first
		}
		at[addr] = append(at[addr], i)
	}
	return at
}

func (d *Driver) reachable(ctx context.Context) netip.AddrPort {
	if addr, err := d.servers.Reach(ctx); err == nil {
		return addr
	}
	return d.servers.Addrs()[0] // it says itself that it is not there
}

func (d *Driver) askOne(ctx context.Context, addr netip.AddrPort, items []*push.Item, which []int) map[int]verdict {
	// Each has the item say what it thinks of the names, without the worker hearing of it.
	asked := make([]*push.Item, len(which))
	for n, i := range which {
		asked[n] = push.NewItem(items[i].Snap, items[i].Role, items[i].Told)
	}
	pointers := d.askPointers(ctx, addr, asked)
	dnsask.Ask(ctx, addr, asked, dnsask.Options{Zone: d.cfg.Zone, Key: d.servers.Key()})
	out := map[int]verdict{}
	for n, i := range which {
		stage, found, why := asked[n].Stage()
		out[i] = worse(pointers[n], verdict{stage, found, why})
	}
	return out
}

// askPointers asks for the PTR records that the items are about.
func (d *Driver) askPointers(ctx context.Context, addr netip.AddrPort, items []*push.Item) []verdict {
	index := map[string]int{}
	var questions []dns.Question
	var entries []*entry
	wanted := make([][]int, len(items))
	snap := d.current()
	for i, it := range items {
		for _, e := range d.pointers(snap, it) {
			at, ok := index[e.name]
			if !ok {
				at = len(questions)
				index[e.name] = at
				questions = append(questions, dns.Question{Name: e.name, Qtype: dns.TypePTR, Qclass: dns.ClassINET})
				entries = append(entries, e)
			}
			wanted[i] = append(wanted[i], at)
		}
	}
	replies := dnsask.Query(ctx, addr, questions, dnsask.Options{Key: d.servers.Key()})
	out := make([]verdict, len(items))
	for i := range items {
		out[i].stage = push.Verified
		for _, at := range wanted[i] {
			out[i] = worse(out[i], pointerVerdict(entries[at], replies[at]))
		}
	}
	return out
}

func pointerVerdict(e *entry, r dnsask.Reply) verdict {
	set, err := r.Records()
	if err != nil {
		return verdict{stage: push.Failed, why: err}
	}
	addr, _ := registry.ReverseAddr(e.name)
	foreign := slices.ContainsFunc(set, func(rr dns.RR) bool { return !e.ours(rr) })
	switch {
	case same(set, e.want):
		return verdict{stage: push.Verified}
	case foreign && len(e.want) == 0:
		return verdict{stage: push.Verified} // nothing of ours
	case foreign:
		return verdict{stage: push.Foreign, found: []netip.Addr{addr}}
	}
	return verdict{stage: push.Stale, found: []netip.Addr{addr}}
}
