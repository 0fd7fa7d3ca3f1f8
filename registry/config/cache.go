package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/nameward/nameward/registry/yamlat"
)

// Cache is a resolver whose cache forgets the names of a role that has moved.
type Cache struct {
	Kind    string         // one of the words below
	Control string         // path of the socket or of the file with the process number, or URL; "" if Addr is set
	Addr    netip.AddrPort // of the control channel, for those that have one over TCP
	Key     string         // path: TSIG key of bind, API key of powerdns, client's private key of unbound; "": none
	Cert    string         // path: client's certificate for unbound; "": none
	CA      string         // path: what the server's certificate is checked with; "": none for unbound, the system's for powerdns
	View    string         // of bind; "": all
	Server  netip.AddrPort // where the cache is asked whether it answers right; the zero value: it is not
}

// The kinds of caches.
const (
	CacheUnbound  = "unbound"
	CacheBIND     = "bind"
	CacheDnsmasq  = "dnsmasq"
	CachePowerDNS = "powerdns"
	CacheResolved = "resolved"
)

var cacheKinds = []string{CacheUnbound, CacheBIND, CacheDnsmasq, CachePowerDNS, CacheResolved}

type rawCache struct {
	at                           at
	kind                         number
	control, key, cert, ca, view text
	server                       yamlat.Item[netip.AddrPort]
}

var cacheShape = yamlat.Shape[rawCache]{
	What: "cache",
	Fields: []yamlat.Field[rawCache]{
		{Key: "kind", Required: true, Set: func(d *decoder, n *node, r *rawCache) { r.kind = d.Choice(n, cacheKinds...) }},
		{Key: "control", Set: func(d *decoder, n *node, r *rawCache) { r.control = path(d, n) }},
		{Key: "key", Set: func(d *decoder, n *node, r *rawCache) { r.key = path(d, n) }},
		{Key: "cert", Set: func(d *decoder, n *node, r *rawCache) { r.cert = path(d, n) }},
		{Key: "ca", Set: func(d *decoder, n *node, r *rawCache) { r.ca = path(d, n) }},
		{Key: "view", Set: func(d *decoder, n *node, r *rawCache) { r.view = viewName(d, n) }},
		{Key: "server", Set: func(d *decoder, n *node, r *rawCache) { r.server = d.AddrPort(n, dnsPort, false) }},
	},
}

// viewName reads the name of a view of BIND. It goes into a command, so that it is one word.
func viewName(d *decoder, n *node) text {
	t := d.String(n)
	if t.OK && strings.ContainsFunc(t.Value, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"{};", r) }) {
		d.Badf(t.At, "%q is not the name of a view, write it as it stands in named.conf", t.Value)
		t.OK = false
	}
	return t
}

func readCache(d *decoder, n *node) any {
	r := new(rawCache)
	r.at, _ = cacheShape.Decode(d, n, r)
	return r
}

const (
	unboundPort = 8953
	rndcPort    = 953
)

// Where the packages of Debian put them.
const (
	defaultUnbound  = "/run/unbound.ctl"
	defaultRndcKey  = "/etc/bind/rndc.key"
	defaultDnsmasq  = "/run/dnsmasq/dnsmasq.pid"
	defaultPowerDNS = "http://127.0.0.1:8082"
	defaultBus      = "/run/dbus/system_bus_socket"
)

// cacheKeys are those that bear on a kind, beside kind, control and server.
var cacheKeys = map[string][]string{CacheUnbound: {"key", "cert", "ca"}, CacheBIND: {"key", "view"}, CachePowerDNS: {"key", "ca"}}

func (c *checker) cache(raw any, t *Target) {
	r := raw.(*rawCache)
	out := &Cache{View: r.view.Value, Server: r.server.Value}
	t.Cache = out
	if !r.kind.OK {
		return
	}
	out.Kind = cacheKinds[r.kind.Value]
	for _, k := range []struct {
		key  string
		item text
		path *string
	}{{"key", r.key, &out.Key}, {"cert", r.cert, &out.Cert}, {"ca", r.ca, &out.CA}, {"view", r.view, nil}} {
		switch {
		case k.item.At.IsSet() && !slices.Contains(cacheKeys[out.Kind], k.key):
			c.d.Problemf(k.item.At, "a cache of kind %s has no %s: take it out", out.Kind, k.key)
		case k.item.OK && k.path != nil:
			*k.path = relativeTo(c.file, k.item.Value)
		}
	}
	switch out.Kind {
	case CacheUnbound:
		c.unboundCache(r, out)
	case CacheBIND:
		c.bindCache(r, out)
	case CacheDnsmasq:
		out.Control = relativeTo(c.file, r.control.Or(defaultDnsmasq))
	case CachePowerDNS:
		c.powerDNSCache(r, out)
	case CacheResolved:
		out.Control = relativeTo(c.file, r.control.Or(defaultBus))
	}
}

// unboundCache takes the path of a socket, or ADDRESS:PORT and the files that unbound-control-setup makes.
func (c *checker) unboundCache(r *rawCache, out *Cache) {
	var ok bool
	if out.Addr, ok = addrPort(r.control.Value, unboundPort); !ok {
		out.Control = relativeTo(c.file, r.control.Or(defaultUnbound))
	}
	written := 0
	for _, k := range []text{r.key, r.cert, r.ca} {
		if k.At.IsSet() {
			written++
		}
	}
	switch {
	case !ok && written > 0:
		c.d.Problemf(firstSet(r.key.At, r.cert.At, r.ca.At), "key, cert and ca are for control over TLS, this one is the socket %s: take them out", out.Control)
	case ok && written > 0 && written < 3:
		c.d.Problemf(firstSet(r.key.At, r.cert.At, r.ca.At), "control over TLS needs key, cert and ca: unbound_control.key, unbound_control.pem and unbound_server.pem")
	case ok && written == 0 && !out.Addr.Addr().IsLoopback():
		c.d.Problemf(r.control.At, "control at %s needs TLS, write key, cert and ca: unbound_control.key, unbound_control.pem and unbound_server.pem", out.Addr)
	}
}

func (c *checker) bindCache(r *rawCache, out *Cache) {
	out.Key = relativeTo(c.file, r.key.Or(defaultRndcKey))
	out.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), rndcPort)
	if !r.control.OK {
		return
	}
	var ok bool
	if out.Addr, ok = addrPort(r.control.Value, rndcPort); !ok {
		c.d.Problemf(r.control.At, "control of bind is where named listens for rndc, not %q: write ADDRESS or ADDRESS:PORT", r.control.Value)
	}
}

func (c *checker) powerDNSCache(r *rawCache, out *Cache) {
	out.Control = r.control.Or(defaultPowerDNS)
	if !r.key.At.IsSet() {
		c.d.Problemf(r.at, "a cache of kind powerdns needs key, write the path of a file with the API key")
	}
	u, wrong := httpsURL(out.Control)
	switch {
	case wrong != "":
		c.d.Problemf(r.control.At, "control: %s", wrong)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		c.d.Problemf(r.control.At, "control of powerdns is where its web server is, without a path: write %q", (&url.URL{Scheme: u.Scheme, Host: u.Host}).String())
	case r.ca.At.IsSet() && u.Scheme == "http":
		c.d.Problemf(r.ca.At, "ca is for https, the URL is http: take it out")
	}
	out.Control = strings.TrimRight(out.Control, "/")
}
