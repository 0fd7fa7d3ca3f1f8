package front

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin/pkg/reuseport"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// door is one address with its two sockets.
type door struct {
	front *Front
	addr  string // as CoreDNS writes it
	udp   *net.UDPConn
	tcp   *net.TCPListener
	lanes [len(Networks)]*lane

	server   atomic.Pointer[dnsserver.Server] // whose chain serves; nil: none is known
	others   atomic.Uint32                    // sockets of CoreDNS in a group
	wake     chan struct{}                    // that server or others changed
	stop     chan struct{}                    // closed when the address is given up
	closing  atomic.Bool                      // no more is read from connections
	inflight sync.WaitGroup                   // packets and connections

	// Guarded by the front's mutex.
	servers map[any]map[*dnsserver.Server]bool // by owner
	runs    bool
}

func (f *Front) open(addr string) (*door, error) {
	d := &door{
		front: f, addr: addr, servers: map[any]map[*dnsserver.Server]bool{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	indexes := [...]uint32{overUDP: indexFor("udp", addr), overTCP: indexFor("tcp", addr)}
	packets, err := reuseport.ListenPacket("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for DNS UPDATE beside CoreDNS: %w", err)
	}
	d.udp = packets.(*net.UDPConn)
	enlarge(d.udp)
	listener, err := listen(addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening for DNS UPDATE beside CoreDNS: %w", err), d.udp.Close())
	}
	d.tcp = listener.(*net.TCPListener)
	d.lanes[overUDP] = d.lane(overUDP, d.udp, indexes[overUDP])
	d.lanes[overTCP] = d.lane(overTCP, d.tcp, indexes[overTCP])
	if err := errors.Join(d.lanes[overUDP].steer(false, 1), d.lanes[overTCP].steer(false, 1), wantDestinations(d.udp)); err != nil {
		return nil, fmt.Errorf("listening for DNS UPDATE on %s beside CoreDNS: %w", addr, errors.Join(err, d.close()))
	}
	return d, nil
}

// receiveBuffer in octets holds a burst of thousands of updates, as when leases are given out after a power cut, or
// while one write to the disk takes long. The kernel's default holds about 160.
const receiveBuffer = 8 << 20

// indexFor assumes where a socket will stand that is opened now: first, or behind the one of CoreDNS.
// An error of another kind is met once more when the socket is opened.
func indexFor(network, addr string) uint32 {
	var c interface{ Close() error }
	var err error
	if network == "udp" {
		c, err = net.ListenPacket(network, addr)
	} else {
		c, err = net.Listen(network, addr)
	}
	if err != nil {
		return 1
	}
	_ = c.Close() // nothing was sent
	return 0
}

func (d *door) lane(over network, s syscall.Conn, index uint32) *lane {
	l := &lane{door: d, over: over, socket: s, take: takeTCP, index: index, probes: make(chan uint8, 16)}
	if over == overUDP {
		l.take = takeUDP
	}
	return l
}

// wantDestinations has the address that was asked come with each packet, so that the reply leaves from
// it. A socket for both families takes both options, others one.
func wantDestinations(c *net.UDPConn) error {
	err6 := ipv6.NewPacketConn(c).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	err4 := ipv4.NewPacketConn(c).SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
	if err4 != nil && err6 != nil {
		return errors.Join(err4, err6)
	}
	return nil
}

// self is where the door is reached from this machine.
func (d *door) self(over network) string {
	local := d.udp.LocalAddr()
	if over == overTCP {
		local = d.tcp.Addr()
	}
	at, err := netip.ParseAddrPort(local.String())
	switch {
	case err != nil || !at.Addr().IsUnspecified():
		return local.String()
	case at.Addr().Is4():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String()
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), at.Port()).String()
}

// changed is called with the front's mutex held, after servers changed.
func (d *door) changed(owners []any) {
	var latest *dnsserver.Server
	most := 0
	for _, owner := range owners {
		most = max(most, len(d.servers[owner]))
		for s := range d.servers[owner] {
			latest = s // any of them: they have the same chain
		}
	}
	d.others.Store(uint32(most))
	d.server.Store(latest)
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

const (
	// recheck is how often it is verified that what is for us comes to us.
	recheck = 5 * time.Second
	// handback is how long the sockets are still served after nothing new is steered to them: what the
	// kernel has for them already comes in that time.
	handback = 50 * time.Millisecond
	// grace is what a request has to come to its end, as CoreDNS gives its own.
	grace = 5 * time.Second
)

// run serves the door until ctx ends or the address is given up, then closes it.
func (d *door) run(ctx context.Context) {
	if d.awaitServer(ctx) {
		var loops sync.WaitGroup
		loops.Go(d.serveUDP)
		loops.Go(d.serveTCP)
		d.keepSteered(ctx)
		d.warnIf(d.steer(false))
		d.warnIf(d.endReads())
		loops.Wait()
	}
	d.warnIf(d.close())
	d.drain()
}

// awaitServer reports whether a server became known before the end.
func (d *door) awaitServer(ctx context.Context) bool {
	for d.server.Load() == nil {
		select {
		case <-ctx.Done():
			return false
		case <-d.stop:
			return false
		case <-d.wake:
		}
	}
	return true
}

// keepSteered keeps the programs right until ctx ends or the address is given up.
func (d *door) keepSteered(ctx context.Context) {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		d.warnIf(d.steer(d.server.Load() != nil))
		select {
		case <-ctx.Done():
			return
		case <-d.stop:
			return
		case <-d.wake:
		case <-tick.C:
		}
	}
}

func (d *door) steer(take bool) error {
	others := d.others.Load()
	return errors.Join(d.lanes[overUDP].steer(take, others), d.lanes[overTCP].steer(take, others))
}

// endReads has the loops end when they have served what the kernel has for them already.
func (d *door) endReads() error {
	deadline := time.Now().Add(handback)
	return errors.Join(d.udp.SetReadDeadline(deadline), d.tcp.SetDeadline(deadline))
}

// close closes the sockets. The program over TCP stays in the group: it names no socket or one of
// CoreDNS's, and between taking it away and closing we would be given connections that then are cut.
// Over UDP it goes, or sockets that multisocket adds later would have nothing to do; a datagram that
// comes to us in that moment is asked again.
func (d *door) close() error {
	return errors.Join(d.tcp.Close(), detach(d.udp), d.udp.Close())
}

// drain waits for what is being served. Connections that wait for their client end at once, those that
// do not come to an end are cut.
func (d *door) drain() {
	d.closing.Store(true)
	d.front.conns.of(d, (*conn).unblock)
	cut := time.AfterFunc(grace, func() { d.front.conns.of(d, func(c *conn) { _ = c.Close() }) })
	defer cut.Stop()
	done := make(chan struct{})
	go func() {
		d.inflight.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(2 * grace): // a handler hangs; it is not ours
	}
}

func (d *door) warnIf(err error) {
	if err != nil {
		d.front.log.Warn().Err(err).Str("listen", d.addr).Msg("the sockets for DNS UPDATE beside CoreDNS")
	}
}
