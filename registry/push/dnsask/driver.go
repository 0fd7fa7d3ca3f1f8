package dnsask

import (
	"context"
	"net/netip"

	"github.com/nameward/nameward/registry/push"
)

// Verifying is a driver that cannot ask its target, and whose work shows at a name server with authority.
type Verifying struct {
	push.Patient
	Server netip.AddrPort
}

// With gives a driver a server to be verified at; with the zero server it stays as it is.
func With(d push.Patient, server netip.AddrPort) push.Driver {
	if !server.IsValid() {
		return d
	}
	return Verifying{d, server}
}

// Verify implements push.Verifier.
func (v Verifying) Verify(ctx context.Context, items []*push.Item) {
	Ask(ctx, v.Server, items, Options{})
}
