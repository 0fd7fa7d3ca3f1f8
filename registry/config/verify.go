package config

import (
	"net/netip"

	"github.com/nameward/nameward/registry/yamlat"
)

// Verify is how a target that says nothing of DNS itself is verified: what it does shows at a name server.
type Verify struct {
	DNS netip.AddrPort // an authoritative server that is asked for the names; the zero value: the target is not verified
}

type rawVerify struct {
	server yamlat.Item[netip.AddrPort]
}

var verifyShape = yamlat.Shape[rawVerify]{
	What: "verify",
	Fields: []yamlat.Field[rawVerify]{
		{Key: "dns", Required: true, Set: func(d *decoder, n *node, r *rawVerify) { r.server = d.AddrPort(n, dnsPort, false) }},
	},
}

func readVerify(d *decoder, n *node) Verify {
	var r rawVerify
	verifyShape.Decode(d, n, &r)
	return Verify{r.server.Value}
}
