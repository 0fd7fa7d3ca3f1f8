package config

import (
	"net/netip"

	"github.com/nameward/nameward/registry/yamlat"
)

// Secondary is a server that is told of every new serial of the zones whose notify lists it, and asked whether it
// has it.
type Secondary struct {
	Name  string // unique among targets; as a rule the address
	Addr  netip.AddrPort
	Key   string    // path of the TSIG key that both have; "": nothing is signed
	KeyAt yamlat.At // where the path stands
}

type rawSecondary struct {
	at   at
	addr yamlat.Item[netip.AddrPort]
	name text
	key  text
}

var secondaryShape = yamlat.Shape[rawSecondary]{
	What: "a secondary",
	Fields: []yamlat.Field[rawSecondary]{
		{Key: "address", Required: true, Set: func(d *decoder, n *node, s *rawSecondary) { s.addr = d.AddrPort(n, dnsPort, false) }},
		{Key: "key", Set: func(d *decoder, n *node, s *rawSecondary) { s.key = path(d, n) }},
		{Key: "name", Set: func(d *decoder, n *node, s *rawSecondary) { s.name = name(d, n) }},
	},
}

// secondary reads an address, or a mapping with one.
func secondary(d *decoder, n *node) (s rawSecondary) {
	if yamlat.IsMapping(n) {
		s.at, _ = secondaryShape.Decode(d, n, &s)
	} else {
		s.addr = d.AddrPort(n, dnsPort, false)
		s.at = s.addr.At
	}
	return s
}

// secondaries checks those of all zones and returns each once, in written order. A server has one name and one key,
// whatever the zone.
func (c *checker) secondaries(zones []rawZone) []Secondary {
	var out []Secondary
	byAddr, names := map[netip.AddrPort]rawSecondary{}, map[string]at{}
	for i := range zones {
		for _, r := range zones[i].notify {
			if !r.addr.OK {
				continue
			}
			if first, ok := byAddr[r.addr.Value]; ok {
				c.sameSecondary(first, r)
				continue
			}
			byAddr[r.addr.Value] = r
			s := Secondary{Name: r.name.Or(r.addr.Value.String()), Addr: r.addr.Value, KeyAt: r.key.At}
			if r.key.OK {
				s.Key = relativeTo(c.file, r.key.Value)
			}
			if r.name.OK && !c.once(names, "secondary", r.name) {
				continue
			}
			out = append(out, s)
		}
	}
	return out
}

func (c *checker) sameSecondary(first, r rawSecondary) {
	if first.name.Value != r.name.Value || first.key.Value != r.key.Value {
		c.d.Problemf(r.at, "secondary %s is written at %s with another name or key, write the same in every zone", r.addr.Value, first.at)
	}
}

// addrsOfSecondaries are the addresses in the notify of one zone, each of which may stand in it once.
func (c *checker) addrsOfSecondaries(list []rawSecondary) []netip.AddrPort {
	addrs := yamlat.List[netip.AddrPort]{}
	for _, r := range list {
		if r.addr.OK {
			addrs.Items = append(addrs.Items, r.addr)
		}
	}
	return distinct(c.d, addrs, "secondary ")
}
