package front

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/transport"
	"github.com/miekg/dns"
)

// Watch has known called with every server that answers plain DNS for the block of cfg, when it begins
// to read its UDP socket: once or more for each. It is called in setup before the plugin adds its own
// handler.
//
// The one place where CoreDNS tells a plugin its servers is Config.UDPDecorateWriterFunc, which shed
// uses too. What stands there is kept and called. A plugin that is set up later may put its own in the
// place of ours, so we step in once more when the chain is built, which is after all setups. One case
// is left: shed in another, later block of the same listener, or set up after us in a block of several
// zones. Then no server becomes known and nothing is steered: see [Front.Steers].
func Watch(cfg *dnsserver.Config, known func(*dnsserver.Server)) {
	if cfg.Transport != transport.DNS {
		return
	}
	watch(cfg, known)
	cfg.AddPlugin(func(next plugin.Handler) plugin.Handler {
		watch(cfg, known)
		return next
	})
}

func watch(cfg *dnsserver.Config, known func(*dnsserver.Server)) {
	inner := cfg.UDPDecorateWriterFunc
	cfg.UDPDecorateWriterFunc = func(s *dnsserver.Server) dns.DecorateWriter {
		known(s)
		if inner == nil {
			return nil
		}
		return inner(s)
	}
}
