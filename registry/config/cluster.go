package config

import (
	"slices"
	"strings"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

// cluster is a cluster while its roles are checked.
type cluster struct {
	*checker
	name    string
	members map[string]*member
	all     []*member
	def     settings
	raw     *rawRole // the defaults

	fitted      map[bool]bool // the shared nodes were checked for roles with NetBIOS names, and without
	probeFitted bool          // the shared probe was checked for the shared nodes
}

// member is a node with what the checks of its roles need.
type member struct {
	*registry.Node
	at  at
	has map[string]bool // the classes that it has an address of, and public4
}

// public4 stands beside the classes in member.has: an IPv4 address of class public.
const public4 = "IPv4"

// settings are the parts of a role that roles without their own share.
type settings struct {
	members []*member
	nodes   []*registry.Node
	source  registry.Source
	spec    SourceSpec
	raw     *rawSource
	partial bool // some of the nodes that are written were not found
}

// lack is something that a node should have; it is reported once, whatever number of roles miss it.
type lack struct {
	node *registry.Node
	what string
}

func (c *checker) cluster(r *rawCluster, out *Config) {
	c.once(c.clusterAt, "cluster", r.name)
	cl := &cluster{checker: c, name: r.name.Value, members: make(map[string]*member, len(r.nodes)), raw: &r.defaults, fitted: make(map[bool]bool)}
	for i := range r.nodes {
		m := cl.node(&r.nodes[i])
		cl.all = append(cl.all, m)
		cl.members[m.Name] = m
		out.World.Nodes = append(out.World.Nodes, m.Node)
	}
	cl.def.choose(cl.all)
	if r.defaults.nodes.At.IsSet() {
		cl.def.choose(cl.pick(r.defaults.nodes))
		cl.def.partial = len(cl.def.nodes) < r.defaults.nodes.Written
	}
	cl.def.follow(cl, r.defaults.source)
	roles := make([]registry.Role, len(r.roles))
	out.World.Roles = slices.Grow(out.World.Roles, len(roles))
	for i := range r.roles {
		cl.role(&r.roles[i], &roles[i], out)
		out.World.Roles = append(out.World.Roles, &roles[i])
	}
}

func (cl *cluster) node(r *rawNode) *member {
	n := &registry.Node{Name: r.name.Value, Cluster: cl.name, Site: r.site.Value, Host: r.host.Value}
	m := &member{Node: n, at: r.name.At, has: make(map[string]bool)}
	cl.once(cl.nodeAt, "node", r.name)
	for _, class := range r.classes {
		if len(class.addrs.Items) < class.addrs.Written {
			cl.partial[n] = true
		}
		for _, a := range class.addrs.Items {
			cl.address(n, class.name.Value, a)
			m.has[class.name.Value] = true
			if class.name.Value == registry.PublicClass {
				n.Public = append(n.Public, a.Value)
				if a.Value.Is4() {
					m.has[public4] = true
				}
			} else {
				n.Other = append(n.Other, registry.ClassAddr{Class: class.name.Value, Addr: a.Value})
			}
		}
	}
	if r.host.OK {
		cl.ownDNS(r.host, owner{node: n})
		if cl.lacking(m, registry.PublicClass) {
			cl.d.Problemf(r.host.At, "node %s has the host name %s and no public address, write public: [ADDRESS]", n.Name, n.Host)
		}
	}
	return m
}

// lacking reports whether a node has no address of a class, once: the next time it is false.
func (cl *cluster) lacking(m *member, class string) bool {
	if m.has[class] || cl.partial[m.Node] || cl.lacks[lack{m.Node, class}] {
		return false
	}
	cl.lacks[lack{m.Node, class}] = true
	return true
}

// pick finds the nodes of a list of names; nil stands for a list without a good one.
func (cl *cluster) pick(l texts) []*member {
	var out []*member
	seen := make(map[string]at, len(l.Items))
	for _, t := range l.Items {
		m := cl.member(t)
		if m == nil {
			continue
		}
		if first, ok := seen[t.Value]; ok {
			cl.d.Problemf(t.At, "node %s stands twice in the list, first at %s: take one out", t.Value, first)
			continue
		}
		seen[t.Value] = t.At
		out = append(out, m)
	}
	return out
}

// member finds a node of the cluster or says what was probably meant.
func (cl *cluster) member(t text) *member {
	if m, ok := cl.members[t.Value]; ok {
		return m
	}
	const most = 16 // that a line of text has room for
	names := make([]string, min(len(cl.all), most))
	for i := range names {
		names[i] = cl.all[i].Name
	}
	if near := yamlat.Nearest(t.Value, names); near != "" {
		cl.d.Problemf(t.At, "unknown node %q in cluster %s, did you mean %q", t.Value, cl.name, near)
	} else if len(names) < len(cl.all) {
		cl.d.Problemf(t.At, "unknown node %q in cluster %s, write one of its nodes", t.Value, cl.name)
	} else {
		cl.d.Problemf(t.At, "unknown node %q in cluster %s, known are %s", t.Value, cl.name, strings.Join(names, ", "))
	}
	return nil
}

func (s *settings) choose(members []*member) {
	s.members = members
	s.nodes = make([]*registry.Node, len(members))
	for i, m := range members {
		s.nodes[i] = m.Node
	}
}

// follow sets the source. A role without any is moved by an operator.
func (s *settings) follow(cl *cluster, raw *rawSource) {
	s.raw, s.spec, s.source = raw, SourceSpec{}, registry.Source{Kind: registry.SourceOperator}
	if raw == nil || !raw.kind.OK {
		return
	}
	spec, detail := cl.spec(raw)
	s.spec = spec
	s.source = registry.Source{Kind: spec.Kind, Detail: detail, Initial: raw.initial.Value}
}

const (
	defaultTTL      = 5 * time.Second
	defaultChanging = 30 * time.Second
)

func (cl *cluster) role(r *rawRole, out *registry.Role, c *Config) {
	def, set := cl.raw, cl.def
	if r.nodes.At.IsSet() {
		set.choose(cl.pick(r.nodes))
		set.partial = len(set.nodes) < r.nodes.Written
	}
	if r.source != nil {
		set.follow(cl, r.source)
	}
	*out = registry.Role{
		Name: r.name.Value, Cluster: cl.name, Nodes: set.nodes, Source: set.source,
		Mode:         registry.Mode(written(r.mode, def.mode).Value),
		OnConflict:   registry.Choice(written(r.onConflict, def.onConflict).Value),
		OnSourceLost: registry.Choice(written(r.onSourceLost, def.onSourceLost).Value),
	}
	cl.once(cl.roleAt, "role", r.name)
	cl.names(r, out)
	cl.ttls(r, out)
	cl.fit(out, r, &set)
	if k := set.spec.Kind; k == SourceFile || k == SourceProbe {
		c.Sources[out.Name] = set.spec
	}
}

// written is the first of a role's value and its default that is in the file.
func written[T any](own, def yamlat.Item[T]) yamlat.Item[T] {
	if own.At.IsSet() {
		return own
	}
	return def
}

func (cl *cluster) names(r *rawRole, out *registry.Role) {
	if r.dns.Written+r.netbios.Written == 0 {
		cl.d.Problemf(r.at, "role %s has no name that clients could ask for, write dns or netbios", out.Name)
	}
	if len(r.dns.Items) > 0 {
		out.DNS = make([]string, len(r.dns.Items))
	}
	for i, n := range r.dns.Items {
		out.DNS[i] = n.Value
		cl.ownDNS(n, owner{role: out})
	}
	if len(r.netbios.Items) > 0 {
		out.NetBIOS = make([]netbios.Name, 0, len(plainSuffixes)*len(r.netbios.Items))
	}
	for _, n := range r.netbios.Items {
		for _, s := range n.Value.suffixes() {
			out.NetBIOS = append(out.NetBIOS, n.Value.WithSuffix(s))
		}
		cl.ownNetBIOS(n.Value, owner{at: n.At, role: out})
	}
}

func (cl *cluster) ttls(r *rawRole, out *registry.Role) {
	ttl := written(r.ttl, cl.raw.ttl)
	short := written(r.ttlChanging, cl.raw.ttlChanging)
	window := written(r.changing, cl.raw.changing)
	out.TTL = ttl.Or(defaultTTL)
	switch {
	case short.OK && (ttl.OK || !ttl.At.IsSet()) && short.Value >= out.TTL:
		place := short.At
		if !r.ttlChanging.At.IsSet() && r.ttl.At.IsSet() {
			place = r.ttl.At
		}
		cl.d.Problemf(place, "ttl_changing %s is not shorter than the ttl of %s, write a shorter one or leave it out",
			yamlat.Span(short.Value), yamlat.Span(out.TTL))
	case short.OK:
		out.TTLChanging, out.Changing = short.Value, window.Or(defaultChanging)
	case window.OK && !short.At.IsSet():
		cl.d.Problemf(window.At, "changing has no effect without ttl_changing, write both or neither")
	}
}

// fit checks that the role's nodes have what its names and its source need.
func (cl *cluster) fit(out *registry.Role, r *rawRole, set *settings) {
	cl.fitNodes(out, r, set)
	cl.fitProbe(out, r, set)
	if set.raw == nil || !set.raw.initial.OK {
		return
	}
	initial := set.raw.initial
	switch {
	case out.Mode == registry.All:
		cl.d.Problemf(initial.At, "initial is for roles of mode single, role %s is served by all: take it out", out.Name)
	case out.Node(initial.Value) != nil:
	case cl.members[initial.Value] != nil && !set.partial:
		cl.d.Problemf(initial.At, "initial node %s is not among the nodes of role %s, write one of them", initial.Value, out.Name)
	case cl.members[initial.Value] == nil:
		cl.member(initial)
	}
}

// fitNodes checks the addresses that clients are given. What many roles share is looked at once, or
// many roles in a cluster of many nodes would be quadratic.
func (cl *cluster) fitNodes(out *registry.Role, r *rawRole, set *settings) {
	nb, shared := len(out.NetBIOS) > 0, !r.nodes.At.IsSet()
	if shared && cl.fitted[nb] {
		return
	}
	cl.fitted[nb] = cl.fitted[nb] || shared
	for _, m := range set.members {
		if cl.lacking(m, registry.PublicClass) {
			cl.d.Problemf(m.at, "node %s serves role %s and has no public address, write public: [ADDRESS] or leave it out of the role's nodes",
				m.Name, out.Name)
		}
		if nb && m.has[registry.PublicClass] && cl.lacking(m, public4) {
			cl.d.Problemf(m.at, "node %s serves role %s, whose NetBIOS names need IPv4, and has no public IPv4 address: write one", m.Name, out.Name)
		}
	}
}

// fitProbe checks that every node can be asked.
func (cl *cluster) fitProbe(out *registry.Role, r *rawRole, set *settings) {
	shared := !r.nodes.At.IsSet() && r.source == nil
	if p := set.spec.Probe; p == nil || p.Class == registry.PublicClass || shared && cl.probeFitted {
		return
	}
	cl.probeFitted = cl.probeFitted || shared
	class := set.raw.probe.class
	for _, m := range set.members {
		if cl.lacking(m, class.Value) {
			cl.d.Problemf(class.At, "node %s of role %s has no address of class %s, write one or probe on another class", m.Name, out.Name, class.Value)
		}
	}
}
