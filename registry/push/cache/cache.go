package cache

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/dnsask"
)

// Driver tells one resolver. It implements push.Driver.
type Driver struct {
	flusher
}

// flusher has a resolver forget names, which are fully qualified and each there once. It returns an error or nil for
// each name.
type flusher interface {
	flush(ctx context.Context, names []string) []error
}

// New makes the driver of a target, which is a push.Verifier if the resolver is to be asked.
func New(c *config.Cache) push.Driver {
	d := &Driver{}
	switch c.Kind {
	case config.CacheUnbound:
		d.flusher = &unbound{c.Control, c.Addr, c.Key, c.Cert, c.CA}
	case config.CacheBIND:
		d.flusher = &bind{c.Addr, c.Key, c.View}
	case config.CacheDnsmasq:
		d.flusher = &dnsmasq{c.Control}
	case config.CachePowerDNS:
		d.flusher = &powerDNS{url: c.Control, key: c.Key, ca: c.CA}
	case config.CacheResolved:
		d.flusher = &resolved{c.Control}
	}
	if c.Server.IsValid() {
		return &Verifying{d, c.Server}
	}
	return d
}

// Content implements push.Driver. The TTL is left out: what is cached keeps the one it came with.
func (*Driver) Content(_ *registry.Snapshot, role *registry.RoleState) string {
	if len(role.Role.DNS) == 0 {
		return ""
	}
	var addrs []string
	for _, a := range role.Addrs() {
		addrs = append(addrs, a.String())
	}
	return strings.Join(role.Role.DNS, " ") + " at " + strings.Join(addrs, " ")
}

// patience is for thousands of names over a connection each.
const patience = 30 * time.Second

// Patience implements push.Patient.
func (*Driver) Patience() time.Duration { return patience }

// Push has the names of all items forgotten.
func (d *Driver) Push(ctx context.Context, items []*push.Item) {
	for _, it := range items {
		it.Sent()
	}
	d.forget(ctx, items, (*push.Item).Acked)
}

// forget flushes the names of the items and calls done for those of which nothing is left.
func (d *Driver) forget(ctx context.Context, items []*push.Item, done func(*push.Item)) {
	var names []string
	of := make(map[string]int)
	for _, it := range items {
		for _, n := range namesOf(it) {
			if _, ok := of[n]; !ok {
				of[n] = len(names)
				names = append(names, n)
			}
		}
	}
	errs := d.flush(ctx, names)
	for _, it := range items {
		if i := slices.IndexFunc(namesOf(it), func(n string) bool { return errs[of[n]] != nil }); i >= 0 {
			it.Fail(errs[of[namesOf(it)[i]]])
		} else {
			done(it)
		}
	}
}

// namesOf are the names under which a resolver may remember the role's past: its own, and those of the addresses that
// it has left and taken. Where it was before is not known for a first delivery, and may be with any of its nodes.
func namesOf(it *push.Item) []string {
	names := slices.Clone(it.Role.Role.DNS)
	addrs := slices.Concat(it.Addrs(), it.Told)
	if it.Told == nil {
		addrs = it.Members()
	}
	for _, a := range addrs {
		if n, err := dns.ReverseAddr(a.String()); err == nil && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// Verifying is a Driver whose resolver is asked afterwards. It implements push.Verifier.
type Verifying struct {
	*Driver
	server netip.AddrPort
}

// Verify asks the resolver, and flushes again what it has stale.
func (v *Verifying) Verify(ctx context.Context, items []*push.Item) {
	dnsask.Ask(ctx, v.server, items, dnsask.Options{Recurse: true})
	var stale []*push.Item
	for _, it := range items {
		if stage, _, _ := it.Stage(); stage == push.Stale {
			stale = append(stale, it)
		}
	}
	if len(stale) > 0 {
		v.forget(ctx, stale, func(*push.Item) {}) // they stay stale until they are asked again
	}
}

// atOnce is how many connections a resolver gets at the same time. Unbound takes ten and drops the others.
const atOnce = 4

// each calls f for every name, some at once, and collects what it returns. What ctx leaves no time for fails.
func each(ctx context.Context, names []string, f func(name string) error) []error {
	errs := make([]error, len(names))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(atOnce, len(names)) {
		wg.Go(func() {
			for i := range next {
				if errs[i] = context.Cause(ctx); errs[i] == nil {
					errs[i] = f(names[i])
				}
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	wg.Wait()
	return errs
}

// all says the same of every name.
func all(names []string, err error) []error { return slices.Repeat([]error{err}, len(names)) }
