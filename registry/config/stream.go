package config

import (
	"net/netip"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

// Stream is the server of DNS Push Notifications (RFC 8765).
type Stream struct {
	Listen           netip.AddrPort
	Certificate, Key string        // paths of PEM files
	Name             string        // of the server, as clients find it with SRV; "": they are not told
	Keepalive        time.Duration // the longest time in which a client says nothing
	Limits           StreamLimits
}

// StreamLimits bound what clients may make of the server.
type StreamLimits struct {
	Sessions      int // connections at once
	PerSource     int // of them from one source: an IPv4 address, a /64 of IPv6
	PerSession    int // subscriptions of one session
	Subscriptions int // of all sessions
}

type rawStream struct {
	at                     at // not set without the key
	listen                 yamlat.Item[netip.AddrPort]
	certificate, key, name text
	keepalive              span
	limits                 rawStreamLimits
}

type rawStreamLimits struct{ sessions, perSource, perSession, subscriptions number }

const (
	// streamPort: RFC 7858, Section 3.1; a server of DNS Push is one of DNS over TLS.
	streamPort = 853
	// defaultKeepalive is that of RFC 8490, Section 6.2: a client notices within it that the server is gone, and is not
	// left with an old state.
	defaultKeepalive = 15 * time.Second
	leastKeepalive   = 10 * time.Second // RFC 8490, Section 6.5.2
	mostKeepalive    = time.Hour

	defaultSessions      = 4096
	defaultPerSource     = 256
	defaultPerSession    = 256
	defaultSubscriptions = 65536
	mostSessions         = 1 << 16
	mostPerSession       = 1 << 15 // each has an ID of 16 bits
	mostSubscriptions    = 1 << 22
)

var streamShape = yamlat.Shape[rawStream]{
	What: "stream",
	Fields: []yamlat.Field[rawStream]{
		{Key: "listen", Set: func(d *decoder, n *node, r *rawStream) { r.listen = d.AddrPort(n, streamPort, true) }},
		{Key: "certificate", Required: true, Set: func(d *decoder, n *node, r *rawStream) { r.certificate = path(d, n) }},
		{Key: "key", Required: true, Set: func(d *decoder, n *node, r *rawStream) { r.key = path(d, n) }},
		{Key: "name", Set: func(d *decoder, n *node, r *rawStream) { r.name = d.FQDN(n) }},
		{Key: "keepalive", Set: func(d *decoder, n *node, r *rawStream) {
			r.keepalive = d.Duration(n, leastKeepalive, mostKeepalive, time.Millisecond)
		}},
		{Key: "limits", Set: func(d *decoder, n *node, r *rawStream) { streamLimitsShape.Decode(d, n, &r.limits) }},
	},
}

var streamLimitsShape = yamlat.Shape[rawStreamLimits]{
	What: "limits",
	Fields: []yamlat.Field[rawStreamLimits]{
		{Key: "sessions", Set: func(d *decoder, n *node, l *rawStreamLimits) { l.sessions = d.Int(n, 1, mostSessions) }},
		{Key: "per_source", Set: func(d *decoder, n *node, l *rawStreamLimits) { l.perSource = d.Int(n, 1, mostSessions) }},
		{Key: "per_session", Set: func(d *decoder, n *node, l *rawStreamLimits) { l.perSession = d.Int(n, 1, mostPerSession) }},
		{Key: "subscriptions", Set: func(d *decoder, n *node, l *rawStreamLimits) { l.subscriptions = d.Int(n, 1, mostSubscriptions) }},
	},
}

// stream checks the server of DNS Push; nil when there is to be none. The zones, which stand in out already, are told
// where it is.
func (c *checker) stream(r *rawStream, out *Config) *Stream {
	if !r.at.IsSet() {
		return nil
	}
	s := &Stream{
		Listen:      r.listen.Or(netip.AddrPortFrom(netip.IPv6Unspecified(), streamPort)),
		Certificate: relativeTo(c.file, r.certificate.Value), Key: relativeTo(c.file, r.key.Value), Name: r.name.Value,
		Keepalive: r.keepalive.Or(defaultKeepalive),
		Limits: StreamLimits{
			Sessions: r.limits.sessions.Or(defaultSessions), PerSource: r.limits.perSource.Or(defaultPerSource), PerSession: r.limits.perSession.Or(defaultPerSession),
			Subscriptions: r.limits.subscriptions.Or(defaultSubscriptions),
		},
	}
	if s.Limits.PerSession > s.Limits.Subscriptions {
		c.d.Problemf(firstSet(r.limits.perSession.At, r.limits.subscriptions.At), "per_session %d is more than subscriptions %d, which all sessions have together: write at most that",
			s.Limits.PerSession, s.Limits.Subscriptions)
	}
	if s.Name != "" {
		for _, z := range out.World.Zones {
			z.Stream = &registry.Service{Host: s.Name, Port: s.Listen.Port()}
		}
	}
	return s
}
