package config

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

// Update is a zone of another server that roles' addresses are written into (RFC 2136).
type Update struct {
	Zone     string           // lower case and fully qualified
	Primary  []netip.AddrPort // in the order in which they are tried
	Key      string           // path of the TSIG key; "": none
	Identity Identity         // for GSS-TSIG; the zero value: none
	Reverse  []string         // the zones that PTR records are written into; empty: none are
	Marker   string           // MarkerTXT or MarkerNone
	Verify   string           // VerifyWritten or VerifyAll
}

// How a late writer of an older epoch is kept from winning.
const (
	MarkerTXT  = "txt"  // a TXT record at _nameward below each name has the epoch
	MarkerNone = "none" // nothing but the records themselves are compared
)

// Which primaries are asked afterwards.
const (
	VerifyWritten = "written" // the one that took the update
	VerifyAll     = "all"     // all of them, which replicate
)

type rawUpdate struct {
	zone     text
	primary  yamlat.List[netip.AddrPort]
	key      text
	identity rawIdentity
	reverse  texts
	marker   number
	verify   number
}

var (
	markerChoices = []string{MarkerTXT, MarkerNone}
	verifyChoices = []string{VerifyWritten, VerifyAll}
)

var updateShape = yamlat.Shape[rawUpdate]{
	What: "update",
	Fields: []yamlat.Field[rawUpdate]{
		{Key: "zone", Required: true, Set: func(d *decoder, n *node, r *rawUpdate) { r.zone = d.FQDN(n) }},
		{Key: "primary", Required: true, Set: func(d *decoder, n *node, r *rawUpdate) {
			r.primary = yamlat.ListOf(d, n, func(d *decoder, n *node) yamlat.Item[netip.AddrPort] { return d.AddrPort(n, dnsPort, false) })
			if r.primary.Written == 0 {
				d.Badf(r.primary.At, "updates need a primary that takes them, write its address: [192.0.2.53]")
			}
		}},
		{Key: "key", Set: func(d *decoder, n *node, r *rawUpdate) { r.key = path(d, n) }},
		{Key: "identity", Set: func(d *decoder, n *node, r *rawUpdate) { r.identity.at, _ = identityShape.Decode(d, n, &r.identity) }},
		{Key: "reverse", Set: func(d *decoder, n *node, r *rawUpdate) { r.reverse = yamlat.ListOf(d, n, reverseZone) }},
		{Key: "marker", Set: func(d *decoder, n *node, r *rawUpdate) { r.marker = d.Choice(n, markerChoices...) }},
		{Key: "verify", Set: func(d *decoder, n *node, r *rawUpdate) { r.verify = d.Choice(n, verifyChoices...) }},
	},
}

func readUpdate(d *decoder, n *node) any {
	r := new(rawUpdate)
	updateShape.Decode(d, n, r)
	return r
}

// reverseZone reads the name of a zone of PTR records.
func reverseZone(d *decoder, n *node) text {
	t := d.FQDN(n)
	if t.OK && !strings.HasSuffix("."+t.Value, ".in-addr.arpa.") && !strings.HasSuffix("."+t.Value, ".ip6.arpa.") {
		d.Badf(t.At, "%s is no zone of PTR records, write one such as 2.0.192.in-addr.arpa.", t.Value)
		t.OK = false
	}
	return t
}

// updateTarget checks a target that is updated. The world stands in out already.
func (c *checker) updateTarget(raw any, t *Target) {
	r := raw.(*rawUpdate)
	t.Update = &Update{
		Zone: r.zone.Value, Primary: distinct(c.d, r.primary, "primary "), Reverse: distinct(c.d, r.reverse, "zone "),
		Marker: markerChoices[r.marker.Value], Verify: verifyChoices[r.verify.Value],
	}
	t.Update.Key, t.Update.Identity = c.signer(r.key, &r.identity, r.primary.Written)
	for _, zone := range append([]text{r.zone}, r.reverse.Items...) {
		if zone.OK && slices.ContainsFunc(c.world.Zones, func(z *registry.Zone) bool { return z.Name == zone.Value }) {
			c.d.Problemf(zone.At, "zone %s is owned here and has the roles' addresses: its secondaries are told by notify, updates are for another server's zone", zone.Value)
		}
	}
	if r.zone.OK && !hasNameIn(c.world.Roles, t.Roles, r.zone.Value) {
		c.d.Problemf(r.zone.At, "no role of this target has a DNS name in zone %s, write the zone that has one", r.zone.Value)
	}
}

// hasNameIn reports whether one of the roles named, or of all if none is, has a DNS name in the zone.
func hasNameIn(roles []*registry.Role, named []string, zone string) bool {
	return slices.ContainsFunc(roles, func(r *registry.Role) bool {
		return (len(named) == 0 || slices.Contains(named, r.Name)) &&
			slices.ContainsFunc(r.DNS, func(name string) bool { return strings.HasSuffix("."+name, "."+zone) })
	})
}
