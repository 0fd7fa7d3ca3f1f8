package push

import (
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/nameward/nameward/registry"
)

// Item is one role's state on its way to one target.
type Item struct {
	Snap *registry.Snapshot
	Role *registry.RoleState // of Snap
	// Told are the addresses that the target was told last for the role, as far as the ledger knows; nil when it
	// was never told any.
	Told []netip.Addr

	mu    sync.Mutex
	stage Stage
	found []netip.Addr
	why   error
	told  func(*Item, Stage) // of the worker; may be nil
}

// NewItem makes an item that nobody follows, for drivers' tests.
func NewItem(snap *registry.Snapshot, role *registry.RoleState, told []netip.Addr) *Item {
	return &Item{Snap: snap, Role: role, Told: told}
}

// Addrs are the addresses that the target is to answer with, IPv4 first; none for a role that is withdrawn.
func (it *Item) Addrs() []netip.Addr { return it.Role.Addrs() }

// Members are all addresses that the role's nodes may be published with, whoever holds it.
func (it *Item) Members() []netip.Addr {
	var out []netip.Addr
	for _, n := range it.Role.Role.Nodes {
		for _, a := range n.Public {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// Sent says that the target is being told.
func (it *Item) Sent() { it.reach(Sent, nil, nil) }

// Acked says that the target has confirmed what it was told.
func (it *Item) Acked() { it.reach(Acked, nil, nil) }

// Right says that the target answers as it should.
func (it *Item) Right() { it.reach(Verified, nil, nil) }

// Stale says that the target still answers with what was right before.
func (it *Item) Stale(found []netip.Addr) { it.reach(Stale, found, nil) }

// Foreign says that the target answers what nobody told it from here.
func (it *Item) Foreign(found []netip.Addr) { it.reach(Foreign, found, nil) }

// Fail says why the item did not get further.
func (it *Item) Fail(why error) { it.reach(Failed, nil, why) }

// Judge calls Right, Stale or Foreign for what a target answers: the whole set of addresses found, in any order.
func (it *Item) Judge(found []netip.Addr) { it.Answers(it.Verdict(found, it.Addrs()), found) }

// Verdict compares what a target answers with what is wanted: Verified, Stale or Foreign.
func (it *Item) Verdict(found, want []netip.Addr) Stage {
	switch {
	case sameSet(found, want):
		return Verified
	case !slices.ContainsFunc(found, func(a netip.Addr) bool { return !slices.Contains(it.Members(), a) && !slices.Contains(it.Told, a) }):
		return Stale
	}
	return Foreign
}

// Answers says what a target answers, with the verdict about it.
func (it *Item) Answers(verdict Stage, found []netip.Addr) {
	if verdict == Verified {
		found = nil
	}
	it.reach(verdict, found, nil)
}

func sameSet(a, b []netip.Addr) bool {
	in := func(list, of []netip.Addr) bool {
		return !slices.ContainsFunc(list, func(x netip.Addr) bool { return !slices.Contains(of, x) })
	}
	return in(a, b) && in(b, a)
}

// begin forgets what came of the last call of the driver.
func (it *Item) begin() {
	it.mu.Lock()
	defer it.mu.Unlock()
	it.stage, it.found, it.why = Queued, nil, nil
}

// Stage tells how far the item is, and why not further.
func (it *Item) Stage() (stage Stage, found []netip.Addr, why error) {
	it.mu.Lock()
	defer it.mu.Unlock()
	return it.stage, it.found, it.why
}

func (it *Item) reach(s Stage, found []netip.Addr, why error) {
	it.mu.Lock()
	it.stage, it.found, it.why = s, found, why
	told := it.told
	it.mu.Unlock()
	if told != nil {
		told(it, s)
	}
}

// ErrNewer is why an item is not carried out: the target was told by another guard, under a newer epoch. A driver
// that finds that wraps it; the delivery is not tried again before the role changes here.
var ErrNewer = errors.New("the target has a newer epoch than this guard")
