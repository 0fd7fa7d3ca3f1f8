package nameward

import (
	"net"
	"path/filepath"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/transport"
	"github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/plugin/nameward/front"
	"github.com/nameward/nameward/registry"
)

func init() {
	plugin.Register("nameward", setup)
	// TKEY queries have class ANY, RFC 2930, Section 4, which CoreDNS keeps from its plugins like class CH.
	dnsserver.EnableChaos["nameward"] = struct{}{}
}

// DefaultFile is the configuration file when the directive names none.
const DefaultFile = "nameward.yaml"

func setup(c *caddy.Controller) error {
	path, err := parse(c)
	if err != nil {
		return plugin.Error("nameward", err)
	}
	var cfg *Loaded
	if !guards.known(path) {
		// Bad files are reported before anything is started. A guard that runs keeps its last good
		// configuration whatever the file says now.
		if cfg, err = loadOnce(c, path); err != nil {
			return plugin.Error("nameward", err)
		}
	}
	// The context is one for all server blocks of an instance, and another one after a reload.
	h, owner := &Handler{zones: guards.zonesOf(path, cfg)}, c.Context()
	block := dnsserver.GetConfig(c)
	block.AllowOpcode(dns.OpcodeUpdate)
	front.Watch(block, func(s *dnsserver.Server) { h.State.updating().front.SetServer(owner, s) })
	c.OnStartup(func() error {
		g, err := guards.take(path, owner, cfg)
		if err != nil {
			return plugin.Error("nameward", err)
		}
		h.State, h.Rules = g, g
		g.answersDNS(owner, listening(block))
		g.updates.reserve(block.TsigSecret)
		if err := g.updates.settings().reaches(block.Handler("tsig")); err != nil {
			return plugin.Error("nameward", err)
		}
		if err := g.updates.listen(owner, listening(block)); err != nil {
			return plugin.Error("nameward", err)
		}
		return nil
	})
	c.OnRestartFailed(func() error {
		guards.takeBack(path, owner)
		return nil
	})
	c.OnShutdown(func() error { return guards.release(path, owner) })
	block.AddPlugin(func(next plugin.Handler) plugin.Handler {
		h.Next = next
		return h
	})
	return nil
}

// listening lists the addresses of a server block, without those of DNS over other transports.
func listening(cfg *dnsserver.Config) []string {
	if cfg.Transport != transport.DNS {
		return nil
	}
	var addrs []string
	for _, host := range cfg.ListenHosts {
		addrs = append(addrs, net.JoinHostPort(host, cfg.Port))
	}
	return addrs
}

// parse reads `nameward [FILE]`. A relative path is taken from the directory that the root plugin sets.
func parse(c *caddy.Controller) (string, error) {
	path := DefaultFile
	for n := 0; c.Next(); n++ {
		if n > 0 {
			return "", plugin.ErrOnce
		}
		args := c.RemainingArgs()
		if len(args) > 1 {
			return "", c.Errf("takes one file, nameward [FILE]; %q is too much", args[1])
		}
		if len(args) == 1 {
			path = args[0]
		}
		if c.NextBlock() {
			return "", c.Errf("takes no block: what stands in it belongs into %s", path)
		}
	}
	if root := dnsserver.GetConfig(c).Root; !filepath.IsAbs(path) && root != "" {
		path = filepath.Join(root, path)
	}
	return filepath.Abs(path)
}

// loaded is the key of a configuration in the instance's storage.
type loaded string

// loadOnce loads a file once for all server blocks that name it.
func loadOnce(c *caddy.Controller, path string) (*Loaded, error) {
	if cfg, ok := c.Get(loaded(path)).(*Loaded); ok {
		return cfg, nil
	}
	cfg, err := Load(path)
	if err != nil {
		return nil, err
	}
	ApplyLog(cfg.Log)
	c.Set(loaded(path), cfg)
	return cfg, nil
}

// CacheBypassZones implements cache.ZoneBypasser. The plugin stands before the cache, so that nothing
// of it gets there; this is for those who build CoreDNS with another order. Overlaid names are not
// listed, because the cache would compare each query with each of them.
func (h *Handler) CacheBypassZones() []string {
	if h.State == nil {
		return h.zones // the cache of such an order asks before OnStartup
	}
	return zoneNames(h.State.Snapshot().World)
}

func zoneNames(w *registry.World) []string {
	var zones []string
	for _, z := range w.Zones {
		zones = append(zones, z.Name)
	}
	return zones
}

// Ready implements ready.Readiness.
func (h *Handler) Ready() bool {
	g, ok := h.State.(*Guard)
	return ok && g.Ready()
}

var _ transfer.Transferer = (*Handler)(nil)
