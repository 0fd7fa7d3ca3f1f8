package config

import (
	"bytes"
	"net/netip"
	"os"
	"strings"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/yamlat"
)

type rawNetBIOS struct {
	name    text
	listen  []rawListen
	forward yamlat.List[netip.AddrPort]
	full    prefixes
	others  number
	wins    rawWINS
	wrepl   rawReplication

	listenBad bool // listen is written, and is no list
}

type rawListen struct {
	address   yamlat.Item[netip.AddrPort]
	iface     text
	broadcast texts
}

// nbnsPort is the port of the name service, RFC 1002, Section 6.
const nbnsPort = 137

var netbiosShape = yamlat.Shape[rawNetBIOS]{
	What: "netbios",
	Fields: []yamlat.Field[rawNetBIOS]{
		{Key: "name", Set: func(d *decoder, n *node, r *rawNetBIOS) {
			name := netbiosName(d, n)
			if name.OK && !name.Value.plain {
				d.Badf(name.At, "the own name has a suffix or a scope, write it without: %s", name.Value.Base())
				return
			}
			r.name = text{At: name.At, OK: name.OK, Value: name.Value.Base()}
		}},
		{Key: "listen", Set: func(d *decoder, n *node, r *rawNetBIOS) {
			_, ok := d.Each(n, func(n *node) {
				var l rawListen
				place, ok := listenShape.Decode(d, n, &l)
				switch a, i := l.address.At, l.iface.At; {
				case ok && !a.IsSet() && !i.IsSet():
					d.Problemf(place, "a listener needs an address or an interface, write one such as address: \"0.0.0.0:137\"")
				case a.IsSet() && i.IsSet():
					d.Problemf(i, "interface beside address at %s, a listener has one of them: take one out", a)
				}
				r.listen = append(r.listen, l)
			})
			r.listenBad = !ok
		}},
		{Key: "forward", Set: func(d *decoder, n *node, r *rawNetBIOS) {
			r.forward = yamlat.ListOf(d, n, func(d *decoder, n *node) yamlat.Item[netip.AddrPort] { return addrPort4(d, n, false) })
		}},
		{Key: "wins", Set: func(d *decoder, n *node, r *rawNetBIOS) { r.wins.at, _ = winsShape.Decode(d, n, &r.wins) }},
		{Key: "wrepl", Set: func(d *decoder, n *node, r *rawNetBIOS) { r.wrepl.at, _ = wreplShape.Decode(d, n, &r.wrepl) }},
		{Key: "node_status", Set: func(d *decoder, n *node, r *rawNetBIOS) { statusShape.Decode(d, n, r) }},
	},
}

var listenShape = yamlat.Shape[rawListen]{
	What: "a listener",
	Fields: []yamlat.Field[rawListen]{
		{Key: "address", Set: func(d *decoder, n *node, l *rawListen) { l.address = addrPort4(d, n, true) }},
		{Key: "interface", Set: func(d *decoder, n *node, l *rawListen) { l.iface = iface(d, n) }},
		{Key: "broadcast", Set: func(d *decoder, n *node, l *rawListen) { l.broadcast = yamlat.ListOf(d, n, iface) }},
	},
}

var others = []string{"short", "off"}

var statusShape = yamlat.Shape[rawNetBIOS]{
	What: "node_status",
	Fields: []yamlat.Field[rawNetBIOS]{
		{Key: "full", Set: func(d *decoder, n *node, r *rawNetBIOS) {
			r.full = yamlat.ListOf(d, n, func(d *decoder, n *node) yamlat.Item[netip.Prefix] {
				p := d.Prefix(n)
				if p.OK && !p.Value.Addr().Is4() {
					d.Badf(p.At, "%s is IPv6, NetBIOS has IPv4 only: write an IPv4 prefix", p.Value)
					p.OK = false
				}
				return p
			})
		}},
		{Key: "others", Set: func(d *decoder, n *node, r *rawNetBIOS) { r.others = d.Choice(n, others...) }},
	},
}

func addrPort4(d *decoder, n *node, anyHost bool) yamlat.Item[netip.AddrPort] {
	a := d.AddrPort(n, nbnsPort, anyHost)
	if a.OK && !a.Value.Addr().Is4() {
		d.Badf(a.At, "%s is IPv6, NetBIOS has IPv4 only: write an IPv4 address", a.Value)
		a.OK = false
	}
	return a
}

// iface reads the name of a network interface. Windows has long ones with spaces, so only what is
// never in one is refused.
func iface(d *decoder, n *node) text {
	t := d.String(n)
	if t.OK && strings.ContainsFunc(t.Value, func(r rune) bool { return r < ' ' || r == '/' }) {
		d.Badf(t.At, "%q is not the name of an interface, write one such as eth0", t.Value)
		t.OK = false
	}
	return t
}

func (c *checker) netbios(r *rawNetBIOS) NetBIOS {
	out := NetBIOS{Name: r.name.Value, NodeStatus: NodeStatus{Others: others[r.others.Value]}}
	if !r.name.OK {
		out.Name = hostLabel(os.Hostname())
	}
	c.ownName(r.name)
	seen := make(map[any]at)
	once := func(what string, key any, place at) {
		if first, ok := seen[key]; ok {
			c.d.Problemf(place, "%s %v stands twice, first at %s: take one out", what, key, first)
			return
		}
		seen[key] = place
	}
	c.listens = make(map[netip.AddrPort]at, len(r.listen))
	for _, l := range r.listen {
		if l.address.OK {
			c.listens[l.address.Value] = l.address.At
			once("listen address", l.address.Value, l.address.At)
		} else if l.iface.OK {
			once("listen interface", l.iface.Value, l.iface.At)
		}
		out.Listen = append(out.Listen, Listen{l.address.Value, l.iface.Value, distinct(c.d, l.broadcast, "broadcast interface ")})
	}
	clear(seen)
	for _, f := range r.forward.Items {
		once("WINS server", f.Value, f.At)
		c.notOurs(f)
		out.Forward = append(out.Forward, f.Value)
	}
	clear(seen)
	for _, p := range r.full.Items {
		once("prefix", p.Value, p.At)
		out.NodeStatus.Full = append(out.NodeStatus.Full, p.Value)
	}
	return out
}

// ownName checks that node status would not show nameward under the name of a role.
func (c *checker) ownName(name text) {
	if !name.OK {
		return
	}
	own, err := netbios.NewName(name.Value, 0, "")
	for claim := c.nb[own]; err == nil && claim != nil; claim = claim.next {
		if bytes.Contains(claim.suffixes, []byte{0}) {
			c.d.Problemf(name.At, "nameward's own NetBIOS name %s belongs to %s at %s, write another", name.Value, claim.owner, claim.at)
		}
	}
}

// hostLabel is the default of netbios.name: the host name's first label.
func hostLabel(host string, err error) string {
	label, _, _ := strings.Cut(strings.ToUpper(host), ".")
	label = label[:min(len(label), netbios.BaseLen)]
	odd := strings.ContainsFunc(label, func(r rune) bool { return !isAlnum(r) && r != '-' && r != '_' })
	if err != nil || label == "" || odd {
		return "NAMEWARD"
	}
	return label
}
