// Package front lets the plugin see DNS UPDATE and TKEY messages as they came, octet for octet, in
// front of a CoreDNS that hands its plugins only parsed messages. GSS-TSIG (RFC 3645) is verified over
// those octets, with a dns.TsigProvider that CoreDNS has no place for, and a message that is signed
// end to end is relayed as it is.
//
//	UDP, UPDATE or QTYPE TKEY -> our socket    -> TSIG -> (*dnsserver.Server).ServeDNS, From(ctx) has the octets
//	UDP, all else             -> CoreDNS's own sockets, at their speed
//	TCP                       -> our socket, as above
//
// A [Front] opens sockets on the addresses that CoreDNS listens on (plain DNS only), in the same
// SO_REUSEPORT groups, and gives each group a classic BPF program that picks the socket by what the
// packet is. Whatever comes to our sockets is served through the whole chain of CoreDNS, so a packet
// that lands with the other party is served too, only without its octets (with CoreDNS) or without need
// of them (with us).
//
// # Where our socket stands
//
// The program names a socket by its index in the group, which is the order of binding until a socket
// closes: then the last one takes its place. On the first start OnStartup runs before CoreDNS binds,
// so we are index 0 and stay it. Across a reload CoreDNS hands its sockets over and the group does not
// change, unless multisocket is changed. When nameward comes to an address with a reload, we are behind.
// So the index is assumed, then verified every few seconds with a probe, a response (never answered by
// anybody) with a secret that is sent to the address itself; if it does not come, the index is sought
// with a program that delivers probes by number. An index beyond the group makes the kernel choose by
// hash.
//
// Nothing is steered to us before a server is known; what the kernel gave us until then waits in the
// sockets. The [dnsserver.Server] of an address becomes known through Config.UDPDecorateWriterFunc, see
// [Watch].
//
// # Wiring
//
// The front outlives reloads: it belongs to what is handed over from one instance to the next.
//
//	// in setup, before the plugin's own AddPlugin:
//	front.Watch(cfg, func(s *dnsserver.Server) { h.guard.front.SetServer(owner, s) })
//	cfg.AllowOpcode(dns.OpcodeUpdate)
//	// in OnStartup, with the guard taken; the guard runs f.Run(ctx) as one of its tasks:
//	err := g.front.Listen(owner, listening(cfg))
//	// in OnRestartFailed of the old instance, and in OnShutdown of an instance that is not the owner:
//	g.front.Only(theOwnerThatStays)
//	// in the handler:
//	if req, ok := front.From(ctx); ok { ... req.Raw, req.Status ... }
//
// Listeners behind the proxyproto plugin are not for us: there the packets do not begin with DNS.
package front
