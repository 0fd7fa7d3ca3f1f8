package update

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/primary"
	"github.com/nameward/nameward/registry/push"
)

// Driver writes into a zone and its reverse zones.
type Driver struct {
	cfg     config.Update
	repair  bool
	current func() *registry.Snapshot
	servers *primary.Servers
	known   map[string]*standing      // by owner name: what was written there last, or read
	took    map[string]netip.AddrPort // by role: the primary that took the last update
}

var (
	_ push.Verifier = (*Driver)(nil)
	_ push.Patient  = (*Driver)(nil)
	_ push.Closer   = (*Driver)(nil)
)

// New reads the key, the keytab or the password. It connects when it is first used. Repair has it write over what
// somebody else wrote. PTR records are those of the current snapshot: that of an item may be older than the last move
// of another role that shares its addresses.
func New(cfg config.Update, repair bool, current func() *registry.Snapshot) (*Driver, error) {
	s, err := primary.Open(primary.Config{Addrs: cfg.Primary, Key: cfg.Key, Identity: cfg.Identity, AtOnce: 1})
	if err != nil {
		return nil, err
	}
	return &Driver{
		cfg: cfg, repair: repair, current: current, servers: s, known: map[string]*standing{}, took: map[string]netip.AddrPort{},
	}, nil
}

// Close lets go of the connections.
func (d *Driver) Close() error {
	d.servers.Close()
	return nil
}

// Patience is for a thousand roles at a primary that is slow.
func (d *Driver) Patience() time.Duration { return 20 * time.Second }

// marks reports whether markers are written.
func (d *Driver) marks() bool { return d.cfg.Marker != config.MarkerNone }

// Content has the role's names in the zone with their TTL and addresses, the PTR records that name it, and the epoch.
func (d *Driver) Content(snap *registry.Snapshot, role *registry.RoleState) string {
	var parts []string
	for _, e := range d.forward(snap, role, nil) {
		text := fmt.Sprintf("%s %d", e.name, role.TTL)
		for _, a := range role.Addrs() {
			text += " " + a.String()
		}
		parts = append(parts, text)
	}
	if parts == nil {
		return ""
	}
	for _, e := range d.reverse(snap, role) {
		if len(e.want) > 0 && e.want[0].(*dns.PTR).Ptr == role.Role.DNS[0] {
			parts = append(parts, fmt.Sprintf("%s %d %s", e.name, e.want[0].Header().Ttl, role.Role.DNS[0]))
		}
	}
	if d.marks() {
		parts = append(parts, fmt.Sprintf("epoch %d", role.Epoch))
	}
	return strings.Join(parts, "; ")
}

// Push writes what the items say: their names, and then, for those that took it, the PTR records.
func (d *Driver) Push(ctx context.Context, items []*push.Item) {
	at, err := d.servers.Reach(ctx)
	orders := d.orders(items)
	if err != nil {
		for _, o := range orders {
			o.Fail(err)
		}
		return
	}
	var names, pointers []*entry
	for _, o := range orders {
		o.Sent()
		names = append(names, o.forward...)
	}
	d.deliver(ctx, at, names)
	seen := map[string]bool{}
	for _, o := range orders {
		if o.over {
			continue
		}
		for _, e := range o.reverse {
			if !seen[e.name] {
				seen[e.name] = true
				pointers = append(pointers, e)
			}
		}
	}
	d.deliver(ctx, at, pointers)
}

// orders makes the entries of items. A PTR record that several of them want stands once.
func (d *Driver) orders(items []*push.Item) []*order {
	all := make([]*order, len(items))
	pointers := map[string]*entry{}
	snap := d.current()
	for i, it := range items {
		o := &order{Item: it, forward: d.forward(it.Snap, it.Role, it.Told)}
		all[i] = o
		for _, e := range o.forward {
			e.orders = []*order{o}
		}
		for _, e := range d.pointers(snap, it) {
			if pointers[e.name] == nil {
				pointers[e.name] = e
			}
			e = pointers[e.name]
			e.orders = append(e.orders, o)
			o.reverse = append(o.reverse, e)
		}
		o.left = len(o.forward) + len(o.reverse)
	}
	return all
}

// pointers makes the entries of the PTR records of an item's role, as they are to be now.
func (d *Driver) pointers(snap *registry.Snapshot, it *push.Item) []*entry {
	role, ok := snap.Role(it.Role.Role.Name)
	if !ok { // it was taken out meanwhile
		return nil
	}
	return d.reverse(snap, role)
}
