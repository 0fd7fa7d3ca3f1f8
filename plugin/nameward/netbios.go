package nameward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"sync"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/registry/config"
)

// netbiosService keeps the name service's sockets in step with the configuration. A socket that both
// configurations have is not touched.
type netbiosService struct {
	server *nbns.Server
	tasks  *sync.WaitGroup
	wins   *winsService  // nil: none
	set    nbns.Settings // in force
	open   []openSocket
}

type openSocket struct {
	cfg  nbns.ListenConfig
	sock *nbns.Socket
	stop context.CancelFunc
	done chan struct{}
}

// apply opens, closes and configures. On an error sockets and settings are as before.
func (n *netbiosService) apply(ctx context.Context, cfg config.NetBIOS) error {
	want, err := listeners(cfg.Listen)
	if err != nil {
		return err
	}
	name, err := netbios.NewName(cfg.Name, 0, "")
	if err != nil {
		return fmt.Errorf("netbios name %q: %w", cfg.Name, err)
	}
	set := nbns.Settings{
		Name: name.Fold(), StatusFull: cfg.NodeStatus.Full, StatusOff: cfg.NodeStatus.Others == "off", Forward: cfg.Forward,
		WINS: n.wins.use(cfg.WINS),
	}
	n.server.Configure(set)
	before := n.configs()
	n.closeAllBut(append(apart(before, want), want...))
	if err := n.openAll(ctx, want); err != nil {
		n.server.Configure(n.set)
		n.closeAllBut(before)
		return errors.Join(err, n.openAll(ctx, before))
	}
	n.closeAllBut(want)
	n.set = set
	return nil
}

// apart lists the sockets that do not stand in the way of any that is wanted. They stay open until all
// of those are, so that a configuration that fails costs no packet.
func apart(open, want []nbns.ListenConfig) []nbns.ListenConfig {
	return slices.DeleteFunc(slices.Clone(open), func(o nbns.ListenConfig) bool {
		return slices.ContainsFunc(want, func(w nbns.ListenConfig) bool { return overlap(o.Addr, w.Addr) })
	})
}

func overlap(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && (a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

func (n *netbiosService) configs() []nbns.ListenConfig {
	out := make([]nbns.ListenConfig, len(n.open))
	for i, o := range n.open {
		out[i] = o.cfg
	}
	return out
}

func contains(list []nbns.ListenConfig, cfg nbns.ListenConfig) bool {
	for _, c := range list {
		if reflect.DeepEqual(c, cfg) {
			return true
		}
	}
	return false
}

func (n *netbiosService) closeAllBut(want []nbns.ListenConfig) {
	var kept []openSocket
	for _, o := range n.open {
		if contains(want, o.cfg) {
			kept = append(kept, o)
			continue
		}
		o.stop()
		<-o.done
	}
	n.open = kept
}

func (n *netbiosService) openAll(ctx context.Context, want []nbns.ListenConfig) error {
	for _, cfg := range want {
		if contains(n.configs(), cfg) {
			continue
		}
		sock, err := nbns.Listen(ctx, cfg)
		if err != nil {
			return fmt.Errorf("%w; UDP ports below 1024 need root or CAP_NET_BIND_SERVICE, and no other NetBIOS server may hold the port", err)
		}
		if size := sock.SmallBuffer(); size > 0 && n.wins != nil {
			n.server.Log.Warn().Stringer("listen", cfg.Addr).Int("octets", size).
				Msg("the receive buffer is small, a burst of registrations would lose packets: raise the sysctl net.core.rmem_max to 8388608, or give CAP_NET_ADMIN")
		}
		n.serve(cfg, sock)
	}
	return nil
}

func (n *netbiosService) serve(cfg nbns.ListenConfig, sock *nbns.Socket) {
	ctx, stop := context.WithCancel(context.Background())
	o := openSocket{cfg: cfg, sock: sock, stop: stop, done: make(chan struct{})}
	n.open = append(n.open, o)
	n.tasks.Go(func() {
		defer close(o.done)
		defer sock.Close()
		if err := n.server.Serve(ctx, sock); err != nil {
			n.server.Log.Error().Err(err).Stringer("listen", cfg.Addr).Msg("the NetBIOS name service has stopped")
		}
	})
}

// portUse is all that is configured for one port.
type portUse struct {
	port      uint16
	addrs     []netip.Addr
	broadcast []string
	wildcard  bool
}

// listeners turns the configuration into sockets. Broadcasts reach only a socket on 0.0.0.0, and two
// such sockets on one port would both get every broadcast, so that a port that hears broadcasts has one
// socket for all its addresses.
func listeners(list []config.Listen) ([]nbns.ListenConfig, error) {
	uses, err := byPort(list)
	if err != nil {
		return nil, err
	}
	var out []nbns.ListenConfig
	for _, u := range uses {
		if u.wildcard {
			out = append(out, nbns.ListenConfig{Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), u.port), Broadcast: u.broadcast})
			continue
		}
		if len(u.broadcast) > 0 {
			out = append(out, nbns.ListenConfig{
				Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), u.port), Local: u.addrs, Broadcast: u.broadcast,
			})
			continue
		}
		for _, a := range u.addrs {
			out = append(out, nbns.ListenConfig{Addr: netip.AddrPortFrom(a, u.port)})
		}
	}
	return out, nil
}

func byPort(list []config.Listen) ([]*portUse, error) {
	var uses []*portUse
	for _, l := range list {
		addrs, err := addrsOf(l)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(uses, func(u *portUse) bool { return u.port == portOf(l) })
		if i < 0 {
			i, uses = len(uses), append(uses, &portUse{port: portOf(l)})
		}
		u := uses[i]
		u.addrs, u.broadcast = append(u.addrs, addrs...), append(u.broadcast, l.Broadcast...)
		u.wildcard = u.wildcard || addrs[0].IsUnspecified()
	}
	return uses, nil
}

func portOf(l config.Listen) uint16 {
	if l.Interface != "" {
		return netbios.Port
	}
	return l.Address.Port()
}

func addrsOf(l config.Listen) ([]netip.Addr, error) {
	if l.Interface == "" {
		return []netip.Addr{l.Address.Addr()}, nil
	}
	ifc, err := net.InterfaceByName(l.Interface)
	if err != nil {
		return nil, fmt.Errorf("listening for NetBIOS on interface %q: %w", l.Interface, err)
	}
	found, err := ifc.Addrs()
	if err != nil {
		return nil, fmt.Errorf("listening for NetBIOS on interface %q: %w", l.Interface, err)
	}
	var out []netip.Addr
	for _, a := range found {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			out = append(out, p.Addr())
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("listening for NetBIOS on interface %q: it has no IPv4 address", l.Interface)
	}
	return out, nil
}
