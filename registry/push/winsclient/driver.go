package winsclient

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
)

// Suffixes of names that are no unique names of a service.
const (
	internetGroup = 0x1c
	masterBrowser = 0x1d
)

// Driver tells one WINS server. It implements push.Verifier and push.Patient.
type Driver struct {
	server netip.AddrPort
	flags  netbios.NodeFlags // node type
	ttl    uint32            // seconds that are asked for
	all    bool              // several addresses of a unique name
	repair bool
	check  time.Duration
	log    zerolog.Logger
	grants grants
	window window
	short  sync.Once // a grant too short for check was told

	// The host's network; tests have another.
	listen func(ctx context.Context, from netip.Addr) (net.PacketConn, error)
	local  func() []netip.Addr
}

// New makes the driver of a target of kind wins.
func New(t *config.Target, log zerolog.Logger) *Driver {
	return &Driver{
		server: t.WINS.Server, flags: t.WINS.NodeType, ttl: uint32(t.WINS.TTL / time.Second), all: t.WINS.All,
		repair: t.Repair, check: t.Check, log: log.With().Str("target", t.Name).Logger(),
		grants: grants{due: map[netbios.Name]time.Time{}}, window: window{limit: firstOutstanding}, listen: listen, local: local,
	}
}

// Content implements push.Driver: the names of the role that a WINS server can have, and where they are.
func (d *Driver) Content(_ *registry.Snapshot, role *registry.RoleState) string {
	var words []string
	for _, name := range names(role) {
		words = append(words, name.String())
	}
	if words == nil {
		return ""
	}
	addrs := d.addrs(role)
	if len(addrs) == 0 {
		return strings.Join(append(words, "nowhere"), " ")
	}
	for _, a := range addrs {
		words = append(words, a.String())
	}
	return strings.Join(words, " ")
}

// names are those of a role that a server keeps.
func names(role *registry.RoleState) []netbios.Name {
	return slices.DeleteFunc(slices.Clone(role.Role.NetBIOS), func(n netbios.Name) bool { return n.Suffix() == masterBrowser })
}

// addrs are the addresses of a role's unique names.
func (d *Driver) addrs(role *registry.RoleState) []netip.Addr {
	v4 := role.V4()
	if !d.all && len(v4) > 1 {
		v4 = v4[:1]
	}
	return v4
}

// job is what a server is to have for one name of an item.
type job struct {
	item  *push.Item
	name  netbios.Name
	want  []netip.Addr
	flags netbios.NodeFlags
	found []netip.Addr // at the server, when it was asked last
	err   error
}

func (d *Driver) jobs(it *push.Item) []*job {
	var jobs []*job
	for _, name := range names(it.Role) {
		j := &job{item: it, name: name, want: d.addrs(it.Role), flags: d.flags}
		if name.Suffix() == internetGroup {
			j.want, j.flags = it.Role.V4(), d.flags|netbios.Group
		}
		jobs = append(jobs, j)
	}
	return jobs
}

// wrong are the addresses found that should not be there.
func (j *job) wrong() []netip.Addr { return without(j.found, j.want) }

// missing are those that should be there.
func (j *job) missing() []netip.Addr { return without(j.want, j.found) }

// foreign are the wrong ones that nobody told the server from here and that no node of the role has, in whatever class.
func (j *job) foreign() []netip.Addr {
	known := slices.Concat(j.item.Members(), j.item.Told)
	for _, n := range j.item.Role.Role.Nodes {
		for _, other := range n.Other {
			known = append(known, other.Addr)
		}
	}
	return without(j.wrong(), known)
}

func without(list, those []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range list {
		if !slices.Contains(those, a) {
			out = append(out, a)
		}
	}
	return out
}

// listen opens a socket at a port that a stranger cannot foresee, at an address of this host or, when none is given,
// at all of them.
func listen(ctx context.Context, from netip.Addr) (net.PacketConn, error) {
	if !from.IsValid() {
		from = netip.IPv4Unspecified()
	}
	var lc net.ListenConfig
	return lc.ListenPacket(ctx, "udp4", netip.AddrPortFrom(from, 0).String())
}

// local are the addresses of this host's interfaces. That a socket can be bound says less: the system may be told to
// let it be bound to anything.
func local() []netip.Addr {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out
}
