package config

import (
	"net/netip"
	"strings"
	"time"

	"github.com/nameward/nameward/registry/yamlat"
)

// Replication is how the WINS database exchanges records with other WINS servers; off without partners.
type Replication struct {
	Address  netip.Addr     // by which partners know this server and its records
	Listen   netip.AddrPort // where partners connect to
	Partners []Partner
}

// Partner is a WINS server that records are exchanged with. Each with Push is a target of changes under its name.
type Partner struct {
	Name       string
	Address    netip.AddrPort
	Push       bool          // it is told of changes at once
	Persistent bool          // on a connection that stays open
	Propagate  bool          // it is asked to tell its own partners
	Pull       time.Duration // how often it is asked, beside the start and whenever it tells of something; 0: never
	Check      time.Duration // how often it is asked whether it still answers right; 0: never
}

type rawReplication struct {
	at       at // not set without the key
	address  yamlat.Item[netip.Addr]
	listen   yamlat.Item[netip.AddrPort]
	partners []rawPartner
}

type rawPartner struct {
	name                        text
	address                     yamlat.Item[netip.AddrPort]
	push, persistent, propagate yamlat.Item[bool]
	pull, check                 span
}

const (
	// wreplPort is the port of WINS replication, MS-WINSRA, Section 1.9.
	wreplPort = 42
	// defaultPull is the interval of Windows.
	defaultPull = 30 * time.Minute
	leastPull   = 10 * time.Second
	never       = "off"
)

var wreplShape = yamlat.Shape[rawReplication]{
	What: "wrepl",
	Fields: []yamlat.Field[rawReplication]{
		{Key: "address", Required: true, Set: func(d *decoder, n *node, r *rawReplication) {
			r.address = d.Addr(n)
			if a := r.address.Value; r.address.OK && (!a.Is4() || a.IsUnspecified() || a.IsMulticast()) {
				d.Badf(r.address.At, "%s is not the IPv4 address of a host: write the one by which partners know this server", a)
				r.address.OK = false
			}
		}},
		{Key: "listen", Set: func(d *decoder, n *node, r *rawReplication) { r.listen = partnerAddr(d, n, true) }},
		{Key: "partners", Required: true, Set: func(d *decoder, n *node, r *rawReplication) {
			d.Each(n, func(n *node) {
				var p rawPartner
				if _, ok := partnerShape.Decode(d, n, &p); ok {
					r.partners = append(r.partners, p)
				}
			})
		}},
	},
}

var partnerShape = yamlat.Shape[rawPartner]{
	What: "a partner",
	Fields: []yamlat.Field[rawPartner]{
		{Key: "address", Required: true, Set: func(d *decoder, n *node, p *rawPartner) { p.address = partnerAddr(d, n, false) }},
		{Key: "name", Set: func(d *decoder, n *node, p *rawPartner) { p.name = name(d, n) }},
		{Key: "push", Set: func(d *decoder, n *node, p *rawPartner) { p.push = d.Bool(n) }},
		{Key: "persistent", Set: func(d *decoder, n *node, p *rawPartner) { p.persistent = d.Bool(n) }},
		{Key: "propagate", Set: func(d *decoder, n *node, p *rawPartner) { p.propagate = d.Bool(n) }},
		{Key: "pull", Set: func(d *decoder, n *node, p *rawPartner) { p.pull = spanOrNever(d, n, leastPull, mostTimer) }},
		{Key: "check", Set: func(d *decoder, n *node, p *rawPartner) { p.check = spanOrNever(d, n, leastCheck, mostCheck) }},
	},
}

func partnerAddr(d *decoder, n *node, anyHost bool) yamlat.Item[netip.AddrPort] {
	a := d.AddrPort(n, wreplPort, anyHost)
	if a.OK && !a.Value.Addr().Is4() {
		d.Badf(a.At, "%s is IPv6, WINS has IPv4 only: write an IPv4 address", a.Value)
		a.OK = false
	}
	return a
}

// spanOrNever reads a time span, or off for none.
func spanOrNever(d *decoder, n *node, least, most time.Duration) span {
	if n.Value != never {
		return d.Duration(n, least, most, time.Millisecond)
	}
	word := d.String(n)
	return span{At: word.At, OK: word.OK}
}

// replication checks the partners. The rest of NetBIOS and the targets of push stand in out already.
func (c *checker) replication(r *rawReplication, out *Config) Replication {
	if !r.at.IsSet() {
		return Replication{}
	}
	if mode := out.NetBIOS.WINS.Mode; mode != ModeOwn && mode != ModeBoth {
		c.d.Problemf(r.at, "replication needs a WINS database, write beside wrepl: wins: {mode: %s}", ModeOwn)
	}
	w := Replication{Address: r.address.Value, Listen: r.listen.Or(netip.AddrPortFrom(r.address.Value, wreplPort))}
	names, addrs := map[string]at{}, map[netip.Addr]at{}
	for i := range r.partners {
		p := c.partner(&r.partners[i])
		place := r.partners[i].address.At
		if !r.partners[i].address.OK {
			continue
		}
		if first, ok := addrs[p.Address.Addr()]; ok {
			c.d.Problemf(place, "partner %s is listed twice, first at %s: take one out", p.Address.Addr(), first)
		} else if p.Address.Addr() == w.Address {
			c.d.Problemf(place, "partner %s is this server itself: write the address of another one", p.Address.Addr())
		}
		addrs[p.Address.Addr()] = place
		c.partnerName(&r.partners[i], p.Name, names, out)
		w.Partners = append(w.Partners, p)
	}
	return w
}

func (c *checker) partner(r *rawPartner) Partner {
	p := Partner{
		Name: r.name.Or(r.address.Value.Addr().String()), Address: r.address.Value, Push: r.push.Or(true), Persistent: r.persistent.Or(true),
		Propagate: r.propagate.Value, Pull: r.pull.Or(defaultPull), Check: r.check.Or(DefaultCheck),
	}
	if !p.Push && p.Pull == 0 && r.pull.OK {
		c.d.Problemf(r.address.At, "partner %s is neither told nor asked: write push: true or a time for pull, or take it out", p.Name)
	}
	return p
}

// partnerName checks that nobody else is told of changes under the name.
func (c *checker) partnerName(r *rawPartner, name string, seen map[string]at, out *Config) {
	place := firstSet(r.name.At, r.address.At)
	key := strings.ToLower(name)
	if first, ok := seen[key]; ok {
		c.d.Problemf(place, "partner %s is there already at %s: give one another name", name, first)
	}
	seen[key] = place
	for _, t := range out.Push.Targets {
		if strings.EqualFold(t.Name, name) {
			c.d.Problemf(place, "partner %s has the name of a target in push.targets: give one another name", name)
		}
	}
}
