package config

import (
	"strings"

	"github.com/nameward/nameward/registry/yamlat"
)

// ARP announces addresses that several nodes share to the neighbours of this host.
type ARP struct {
	Interface string // of this host
	Node      string // which this host is
}

type rawARP struct {
	iface, node text
}

// maxInterface is the room for an interface's name in an ifreq of Linux, less its NUL.
const maxInterface = 15

var arpShape = yamlat.Shape[rawARP]{
	What: "arp",
	Fields: []yamlat.Field[rawARP]{
		{Key: "interface", Required: true, Set: func(d *decoder, n *node, r *rawARP) {
			if r.iface = d.String(n); r.iface.OK && (len(r.iface.Value) > maxInterface || strings.ContainsAny(r.iface.Value, "/ \t")) {
				d.Badf(r.iface.At, "%q is not the name of an interface, write one such as eth0", r.iface.Value)
			}
		}},
		{Key: "node", Required: true, Set: func(d *decoder, n *node, r *rawARP) { r.node = d.String(n) }},
	},
}

func readARP(d *decoder, n *node) any {
	r := new(rawARP)
	arpShape.Decode(d, n, r)
	return r
}

func (c *checker) arp(raw any, t *Target) {
	r := raw.(*rawARP)
	t.ARP = &ARP{Interface: r.iface.Value, Node: r.node.Value}
	if _, ok := c.nodeAt[strings.ToLower(r.node.Value)]; r.node.OK && !ok {
		c.d.Problemf(r.node.At, "unknown node %q, write which of those in clusters this host is", r.node.Value)
	}
}
