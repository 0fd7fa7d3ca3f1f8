package config

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

// checker makes a Config from a rawConfig and finds what only shows when values are held together.
// Each table remembers where a name or an address was first seen, so that no check is quadratic.
type checker struct {
	d     *decoder
	file  string
	world *registry.World // as far as it is made

	clusterAt map[string]at // by folded name, as the next two
	roleAt    map[string]at
	nodeAt    map[string]at
	lacks     map[lack]bool           // what was reported about nodes
	partial   map[*registry.Node]bool // an address is wrong: what seems missing may be what was meant there
	dns       map[string]owner
	nb        map[netbios.Name]*nbClaim // by name with suffix 00
	addrs     map[netip.Addr]classAt
	listens   map[netip.AddrPort]at // of netbios
	prefixes  []classPrefix         // sorted; disjoint unless a problem was reported
}

// owner is who has a DNS or NetBIOS name: a role, or the node whose host name it is.
type owner struct {
	at   at
	role *registry.Role
	node *registry.Node
}

func (o owner) String() string {
	if o.role != nil {
		return "role " + o.role.Name
	}
	return "node " + o.node.Name
}

func (o owner) is(p owner) bool { return o.role == p.role && o.node == p.node }

// nbClaim is the owner of a NetBIOS name with some suffixes; next has others.
type nbClaim struct {
	owner
	suffixes []byte
	next     *nbClaim
}

type classAt struct {
	class string
	at    at
	node  string
}

type classPrefix struct {
	netip.Prefix
	class string
	at    at
}

// newChecker makes a checker for about hint roles.
func newChecker(d *decoder, file string, hint int) *checker {
	return &checker{
		d: d, file: file,
		clusterAt: make(map[string]at), roleAt: make(map[string]at, hint), nodeAt: make(map[string]at), lacks: make(map[lack]bool), partial: make(map[*registry.Node]bool),
		dns: make(map[string]owner, hint), nb: make(map[netbios.Name]*nbClaim, hint), addrs: make(map[netip.Addr]classAt),
	}
}

// Defaults of the keys that are not written.
const (
	defaultSocket = "/run/nameward/control.sock"
	defaultBolt   = "/var/lib/nameward/nameward.db"
	zonesFile     = "zones.db"
	updatesFile   = "updates.db"
	pushFile      = "push.db"
	// maxSocket is the room for the path in a sockaddr_un of Linux, less its NUL (unix(7)).
	maxSocket = 107
)

func (c *checker) config(r *rawConfig) *Config {
	out := &Config{World: new(registry.World), Sources: make(map[string]SourceSpec)}
	out.World.Classes = c.classes(r.classes)
	out.World.NAT64 = distinct(c.d, r.nat64, "")
	for i := range r.clusters {
		c.cluster(&r.clusters[i], out)
	}
	c.zones(r.zones, out.World)
	out.NetBIOS = c.netbios(&r.netbios)
	out.Updates = c.updates(r, out)
	out.Store = c.stores(r)
	out.Push = c.push(&r.push, c.secondaries(r.zones), out)
	out.Control.Socket = relativeTo(c.file, r.socket.Or(defaultSocket))
	if n := len(out.Control.Socket); r.socket.OK && n > maxSocket {
		c.d.Problemf(r.socket.At, "the path of the control socket has %d octets, %d is the most for a socket: write a shorter one", n, maxSocket)
	}
	out.NetBIOS.WINS = c.wins(r, out)
	out.NetBIOS.Replication = c.replication(&r.netbios.wrepl, out)
	if r.policy.OK {
		out.Policy = relativeTo(c.file, r.policy.Value)
	}
	out.Answers = c.answers(&r.answers)
	out.Log = Log{Level: logLevels[r.logLevel.Or(1)], Format: logFormats[r.logForm.Or(0)]}
	return out
}

func (c *checker) classes(raw []rawClass) []registry.Class {
	var out []registry.Class
	for _, r := range raw {
		class := registry.Class{Name: r.name.Value}
		for _, p := range r.prefixes.Items {
			class.Prefixes = append(class.Prefixes, p.Value)
			c.prefixes = append(c.prefixes, classPrefix{p.Value, r.name.Value, p.At})
		}
		out = append(out, class)
	}
	c.disjoint()
	return out
}

// disjoint sorts the prefixes and reports each that lies in another. Sorted by first address and then
// by length, a prefix that contains another stands before it with nothing but its own content between.
func (c *checker) disjoint() {
	slices.SortFunc(c.prefixes, func(a, b classPrefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()),
			cmp.Compare(a.at.Line, b.at.Line), cmp.Compare(a.at.Col, b.at.Col))
	})
	var outer classPrefix
	for _, p := range c.prefixes {
		switch {
		case !outer.IsValid() || !outer.Contains(p.Addr()):
			outer = p
		case outer.class == p.class:
			c.d.Problemf(p.at, "%s lies in %s of the same class at %s, leave it out", p.Prefix, outer.Prefix, outer.at)
		default:
			c.d.Problemf(p.at, "%s of class %s lies in %s of class %s at %s, an address has one class: make them disjoint",
				p.Prefix, p.class, outer.Prefix, outer.class, outer.at)
		}
	}
}

// classOf finds the declared prefix that holds addr.
func (c *checker) classOf(addr netip.Addr) (classPrefix, bool) {
	i, _ := slices.BinarySearchFunc(c.prefixes, addr, func(p classPrefix, a netip.Addr) int {
		if p.Addr().Compare(a) <= 0 {
			return -1
		}
		return 1
	})
	if i == 0 || !c.prefixes[i-1].Contains(addr) {
		return classPrefix{}, false
	}
	return c.prefixes[i-1], true
}

// address checks that an address of a node has one class wherever it stands.
func (c *checker) address(n *registry.Node, class string, a yamlat.Item[netip.Addr]) {
	if p, ok := c.classOf(a.Value); ok && p.class != class {
		c.d.Problemf(a.At, "%s is written as %s and lies in %s of class %s at %s, an address has one class: move it or the prefix",
			a.Value, class, p.Prefix, p.class, p.at)
		return
	}
	first, ok := c.addrs[a.Value]
	switch {
	case !ok:
		c.addrs[a.Value] = classAt{class, a.At, n.Name}
	case first.class != class:
		c.d.Problemf(a.At, "%s is written as %s here and as %s of node %s at %s, an address has one class: take one out",
			a.Value, class, first.class, first.node, first.at)
	case first.node == n.Name:
		c.d.Problemf(a.At, "%s stands twice in node %s, first at %s: take one out", a.Value, n.Name, first.at)
	}
}

// ownDNS notes who has a DNS name, or reports that it is taken.
func (c *checker) ownDNS(name text, o owner) {
	o.at = name.At
	first, ok := c.dns[name.Value]
	switch {
	case !ok:
		c.dns[name.Value] = o
	case first.is(o):
		c.d.Problemf(name.At, "DNS name %s stands twice in %s, first at %s: take one out", name.Value, o, first.at)
	default:
		c.d.Problemf(name.At, "DNS name %s belongs to %s already at %s, a name has one owner: write another", name.Value, first, first.at)
	}
}

// ownNetBIOS is ownDNS for a NetBIOS name with all of its suffixes. One problem is enough for them.
func (c *checker) ownNetBIOS(name nbName, o owner) {
	key := name.WithSuffix(0)
	claims := c.nb[key]
	for claim := claims; claim != nil; claim = claim.next {
		for _, s := range name.suffixes() {
			if !bytes.Contains(claim.suffixes, []byte{s}) {
				continue
			}
			if claim.is(o) {
				c.d.Problemf(o.at, "NetBIOS name %s stands twice in %s, first at %s: take one out or write another suffix",
					name.WithSuffix(s), o, claim.at)
			} else {
				c.d.Problemf(o.at, "NetBIOS name %s belongs to %s already at %s, a name has one owner: write another name or suffix",
					name.WithSuffix(s), claim.owner, claim.at)
			}
			return
		}
	}
	c.nb[key] = &nbClaim{o, name.suffixes(), claims}
}

// distinct returns the values of a list, each of which may stand in it once. what goes before a value
// in the problem.
func distinct[T comparable](d *decoder, l yamlat.List[T], what string) []T {
	var out []T
	seen := make(map[T]at, len(l.Items))
	for _, item := range l.Items {
		if first, ok := seen[item.Value]; ok {
			d.Problemf(item.At, "%s%v stands twice in the list, first at %s: take one out", what, item.Value, first)
			continue
		}
		seen[item.Value] = item.At
		out = append(out, item.Value)
	}
	return out
}

// once notes a name that must be unique and reports its second place.
func (c *checker) once(seen map[string]at, what string, name text) bool {
	if !name.OK {
		return false
	}
	key := strings.ToLower(name.Value)
	if first, ok := seen[key]; ok {
		c.d.Problemf(name.At, "%s %s is there already at %s, each name stands once in the file: write another", what, name.Value, first)
		return false
	}
	seen[key] = name.At
	return true
}
