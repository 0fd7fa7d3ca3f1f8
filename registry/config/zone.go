package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

// Defaults of the SOA. A secondary asks often and gives up late: it should be near the truth, and
// stale beats blank.
const (
	defaultZoneTTL  = time.Hour
	defaultNegative = 5 * time.Second
	defaultRefresh  = time.Minute
	defaultRetry    = 10 * time.Second
	defaultExpire   = week
)

func (c *checker) zones(raw []rawZone, w *registry.World) {
	seen := make(map[string]at, len(raw))
	glue := make(map[string]glueAt)
	for i := range raw {
		r := &raw[i]
		if !r.name.OK {
			continue
		}
		if first, ok := seen[r.name.Value]; ok {
			c.d.Problemf(r.name.At, "zone %s is listed twice, first at %s: take one out", r.name.Value, first)
			continue
		}
		seen[r.name.Value] = r.name.At
		w.Zones = append(w.Zones, c.zone(r, glue))
	}
}

// glueAt is where the addresses of a name server are written.
type glueAt struct {
	at    at
	addrs []netip.Addr
}

func (c *checker) zone(r *rawZone, glue map[string]glueAt) *registry.Zone {
	z := &registry.Zone{
		Name: r.name.Value, Mbox: r.mbox.Or("hostmaster." + r.name.Value),
		TTL: r.ttl.Or(defaultZoneTTL), Negative: r.neg.Or(defaultNegative),
		Refresh: r.refresh.Or(defaultRefresh), Retry: r.retry.Or(defaultRetry), Expire: r.expire.Or(defaultExpire),
		Notify: c.addrsOfSecondaries(r.notify), Updates: r.updates.Value == 1,
	}
	const maxText = 254 // 255 octets on the wire, RFC 1035, Section 2.3.4
	if !r.mbox.At.IsSet() && len(z.Mbox) > maxText {
		c.d.Problemf(r.name.At, "hostmaster.%s is too long for a DNS name, write a shorter mbox", z.Name)
	}
	// A secondary that could not be refreshed tries again before the next refresh, and the zone
	// outlives both (RFC 1912, Section 2.2).
	if z.Retry > z.Refresh {
		c.d.Problemf(firstSet(r.retry.At, r.refresh.At), "retry %s is longer than refresh %s, write at most that",
			yamlat.Span(z.Retry), yamlat.Span(z.Refresh))
	}
	if z.Expire <= z.Refresh+z.Retry {
		c.d.Problemf(firstSet(r.expire.At, r.refresh.At, r.retry.At), "expire %s is not longer than refresh and retry together, write more than %s",
			yamlat.Span(z.Expire), yamlat.Span(z.Refresh+z.Retry))
	}
	seen := make(map[string]at, len(r.ns))
	for _, ns := range r.ns {
		if !ns.name.OK {
			continue
		}
		if first, ok := seen[ns.name.Value]; ok {
			c.d.Problemf(ns.name.At, "name server %s stands twice in zone %s, first at %s: take one out", ns.name.Value, z.Name, first)
			continue
		}
		seen[ns.name.Value] = ns.name.At
		z.NS = append(z.NS, c.nameServer(ns, z.Name, glue))
	}
	return z
}

func firstSet(places ...at) at {
	for _, p := range places {
		if p.IsSet() {
			return p
		}
	}
	return at{}
}

func (c *checker) nameServer(r rawNS, zone string, glue map[string]glueAt) registry.NameServer {
	ns := registry.NameServer{Name: r.name.Value}
	seen := make(map[netip.Addr]at, len(r.addrs.Items))
	for _, a := range r.addrs.Items {
		if first, ok := seen[a.Value]; ok {
			c.d.Problemf(a.At, "%s stands twice in the list, first at %s: take one out", a.Value, first)
			continue
		}
		seen[a.Value] = a.At
		ns.Addrs = append(ns.Addrs, a.Value)
		c.published(a, ns.Name)
	}
	inside := ns.Name == zone || strings.HasSuffix(ns.Name, "."+zone)
	switch {
	case inside && r.addrs.Written == 0:
		c.d.Problemf(r.name.At, "name server %s lies in zone %s and has no glue, write its addresses: [192.0.2.53]", ns.Name, zone)
	case !inside && r.addrs.Written > 0 && len(r.addrs.Items) == r.addrs.Written:
		c.d.Problemf(r.name.At, "name server %s lies outside of zone %s, whose glue is not for it: write []", ns.Name, zone)
	case inside && len(r.addrs.Items) == r.addrs.Written:
		c.sameAddrs(r.name, ns, glue)
	}
	return ns
}

// published checks that glue is not an address that must never be published.
func (c *checker) published(a yamlat.Item[netip.Addr], ns string) {
	if p, ok := c.classOf(a.Value); ok && p.class != registry.PublicClass {
		c.d.Problemf(a.At, "glue %s of %s lies in %s of class %s at %s, which is never published: write a public address",
			a.Value, ns, p.Prefix, p.class, p.at)
	} else if n, ok := c.addrs[a.Value]; ok && n.class != registry.PublicClass {
		c.d.Problemf(a.At, "glue %s of %s is the %s address of node %s at %s, which is never published: write a public address",
			a.Value, ns, n.class, n.node, n.at)
	}
}

// sameAddrs checks that a name server's glue is what its name is answered with.
func (c *checker) sameAddrs(name text, ns registry.NameServer, glue map[string]glueAt) {
	if first, ok := glue[ns.Name]; ok && !sameSet(first.addrs, ns.Addrs) {
		c.d.Problemf(name.At, "name server %s has %s here and %s at %s, write the same addresses", ns.Name, list(ns.Addrs), list(first.addrs), first.at)
	}
	glue[ns.Name] = glueAt{name.At, ns.Addrs}
	o, ok := c.dns[ns.Name]
	if !ok {
		return
	}
	var have []netip.Addr
	partial := c.partial[o.node]
	if o.role != nil {
		for _, n := range o.role.Nodes {
			have = append(have, n.Public...)
			partial = partial || c.partial[n]
		}
	} else {
		have = o.node.Public
	}
	if !partial && !sameSet(have, ns.Addrs) {
		c.d.Problemf(name.At, "name server %s has the glue %s, and %s at %s answers that name with %s: write the same addresses or another name",
			ns.Name, list(ns.Addrs), o, o.at, list(have))
	}
}

func sameSet(a, b []netip.Addr) bool {
	return slices.Equal(sortedSet(a), sortedSet(b))
}

func sortedSet(a []netip.Addr) []netip.Addr {
	a = slices.Clone(a)
	slices.SortFunc(a, netip.Addr.Compare)
	return slices.Compact(a)
}

func list(a []netip.Addr) string { return strings.Trim(fmt.Sprint(sortedSet(a)), "[]") }
