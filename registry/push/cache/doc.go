// Package cache has resolvers forget the names of a role that has moved: its DNS names, and the reverse names of the
// addresses that it has left and taken.
//
//	Push: names of all items, each once -> flush at the resolver -> acked
//	Verify: the resolver is asked -> what is stale is flushed again
//
// A cache that is flushed before the authority it asks has the change caches the old answer anew. That is why a stale
// answer found by Verify is flushed at once, and not only asked about again: the next question finds the authority's word.
//
// How each is told:
//
//	unbound   "flush NAME" of unbound-control, over its socket or TLS; a connection for each name, which
//	          with TLS takes some 15 ms
//	bind      "flushname NAME [VIEW]" of rndc, all names over one connection
//	dnsmasq   SIGHUP: the whole cache. The process is held by a handle while it is looked at, so that no other gets the signal; Linux
//	powerdns  PUT .../cache/flush of the recursor's HTTP API
//	resolved  FlushCaches of org.freedesktop.resolve1 on the system bus: the whole cache
//
// Keys are read from their files for each delivery. Whatever is told is bounded in time by the worker's context, and
// what comes back in size.
package cache
