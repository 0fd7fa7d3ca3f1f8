package config

import (
	"net/netip"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/yamlat"
)

// WINSTarget is a WINS server that is not ours, where the roles' NetBIOS names are registered.
type WINSTarget struct {
	Server   netip.AddrPort
	NodeType netbios.NodeFlags // PNode, MNode or HNode
	TTL      time.Duration     // that is asked for, whole seconds; the server may grant another
	All      bool              // all addresses of a role, not the first one alone
}

type rawWINSTarget struct {
	server    yamlat.Item[netip.AddrPort]
	nodeType  number
	ttl       span
	addresses number
}

var (
	nodeTypes    = []string{"p", "m", "h"}
	nodeFlags    = []netbios.NodeFlags{netbios.PNode, netbios.MNode, netbios.HNode}
	winsAddrs    = []string{"first", "all"}
	defaultNodes = 2 // in nodeTypes
)

// defaultWINSTTL is what Windows grants, whatever it is asked for.
const (
	defaultWINSTTL = 6 * day
	leastWINSTTL   = time.Minute
)

var winsTargetShape = yamlat.Shape[rawWINSTarget]{
	What: "wins",
	Fields: []yamlat.Field[rawWINSTarget]{
		{Key: "server", Required: true, Set: func(d *decoder, n *node, r *rawWINSTarget) { r.server = addrPort4(d, n, false) }},
		{Key: "node_type", Set: func(d *decoder, n *node, r *rawWINSTarget) { r.nodeType = d.Choice(n, nodeTypes...) }},
		{Key: "ttl", Set: func(d *decoder, n *node, r *rawWINSTarget) {
			r.ttl = d.Duration(n, leastWINSTTL, mostTimer, time.Second)
		}},
		{Key: "addresses", Set: func(d *decoder, n *node, r *rawWINSTarget) { r.addresses = d.Choice(n, winsAddrs...) }},
	},
}

func readWINSTarget(d *decoder, n *node) any {
	r := new(rawWINSTarget)
	winsTargetShape.Decode(d, n, r)
	return r
}

func (c *checker) winsTarget(raw any, t *Target) {
	r := raw.(*rawWINSTarget)
	t.WINS = &WINSTarget{
		Server: r.server.Value, NodeType: nodeFlags[r.nodeType.Or(defaultNodes)], TTL: r.ttl.Or(defaultWINSTTL), All: winsAddrs[r.addresses.Or(0)] == "all",
	}
	c.notOurs(r.server)
	// A name is refreshed when it is checked, in the first half of its time.
	if r.ttl.OK && t.Check > t.WINS.TTL/2 {
		c.d.Problemf(r.ttl.At, "the target is checked every %s, which is too late to refresh what ends after %s: write a ttl of twice the check or more", t.Check, t.WINS.TTL)
	}
}

// notOurs checks that a WINS server is not nameward's own.
func (c *checker) notOurs(server yamlat.Item[netip.AddrPort]) {
	listen, ours := c.listens[server.Value]
	if addr := server.Value.Addr(); !ours && addr.IsLoopback() {
		listen, ours = c.listens[netip.AddrPortFrom(netip.IPv4Unspecified(), server.Value.Port())]
	}
	if server.OK && ours {
		c.d.Problemf(server.At, "WINS server %s is nameward itself, which listens there (%s): write another server", server.Value, listen)
	}
}
