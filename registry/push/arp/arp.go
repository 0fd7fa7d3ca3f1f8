package arp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
)

// Driver announces addresses on one interface. It implements push.Driver and push.Closer.
type Driver struct {
	iface, node string
	open        func(iface string) (link, error)

	mu     sync.Mutex
	left   map[netip.Addr]int // how often an address is still to be announced
	timer  *time.Timer        // for the next time; nil: none
	closed bool
	wg     sync.WaitGroup
}

// link is an interface that frames can be sent on.
type link interface {
	// has says for each address nil, or why it must not be announced now.
	has(addrs []netip.Addr) ([]error, error)
	announce(addr netip.Addr) error
	close() error
}

const (
	// rounds is how often an address is announced: MAX_NEIGHBOR_ADVERTISEMENT of RFC 4861, Section 10; one more than
	// ANNOUNCE_NUM of RFC 5227, Section 1.1.
	rounds = 3
	// apart is RETRANS_TIMER of RFC 4861, Section 10.
	apart = time.Second
)

// New makes the driver of a target. Other systems than Linux are errors.ErrUnsupported.
func New(c *config.ARP) (*Driver, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("arp needs Linux, this is %s: take the target out: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	return newDriver(c, openLink), nil
}

func newDriver(c *config.ARP, open func(string) (link, error)) *Driver {
	return &Driver{iface: c.Interface, node: c.Node, open: open, left: map[netip.Addr]int{}}
}

// Content implements push.Driver. It has the time of the change: between two times that a node serves a role nothing is
// said here of another that did.
func (d *Driver) Content(_ *registry.Snapshot, role *registry.RoleState) string {
	addrs := d.shared(role)
	if len(addrs) == 0 {
		return ""
	}
	var words []string
	for _, a := range addrs {
		words = append(words, a.String())
	}
	return strings.Join(words, " ") + " since " + role.Changed.UTC().Format(time.RFC3339Nano)
}

// shared are the addresses of this node that the role is served with and that another of its nodes has too; none
// when this node does not serve it.
func (d *Driver) shared(role *registry.RoleState) []netip.Addr {
	i := slices.IndexFunc(role.Served, func(n *registry.Node) bool { return strings.EqualFold(n.Name, d.node) })
	if i < 0 {
		return nil
	}
	us := role.Served[i]
	var out []netip.Addr
	for _, a := range us.Public {
		if slices.ContainsFunc(role.Role.Nodes, func(n *registry.Node) bool { return n.Name != us.Name && slices.Contains(n.Public, a) }) {
			out = append(out, a)
		}
	}
	return out
}

// Push announces each address of the items once, and then again without keeping anybody waiting.
func (d *Driver) Push(_ context.Context, items []*push.Item) {
	var addrs []netip.Addr
	for _, it := range items {
		it.Sent()
		for _, a := range d.shared(it.Role) {
			if !slices.Contains(addrs, a) {
				addrs = append(addrs, a)
			}
		}
	}
	errs, err := d.announce(addrs)
	var said []netip.Addr
	for i, e := range errs {
		if e == nil {
			said = append(said, addrs[i])
		}
	}
	for _, it := range items {
		failed := err
		for _, a := range d.shared(it.Role) {
			if err == nil && failed == nil {
				failed = errs[slices.Index(addrs, a)]
			}
		}
		if failed != nil {
			it.Fail(failed)
		} else {
			it.Acked()
		}
	}
	d.repeat(said)
}

// announce announces those of the addresses that are here, and tells why not the others.
func (d *Driver) announce(addrs []netip.Addr) ([]error, error) {
	if len(addrs) == 0 {
		return nil, nil
	}
	l, err := d.open(d.iface)
	if err != nil {
		return nil, err
	}
	defer l.close()
	errs, err := l.has(addrs)
	if err != nil {
		return nil, err
	}
	for i, a := range addrs {
		if errs[i] == nil {
			errs[i] = l.announce(a)
		}
	}
	return errs, nil
}

// repeat has addresses announced again, as long as they are here.
func (d *Driver) repeat(addrs []netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range addrs {
		d.left[a] = rounds - 1
	}
	d.schedule()
}

// schedule sets the timer if there is something to do and nobody has. d.mu is locked.
func (d *Driver) schedule() {
	if len(d.left) == 0 || d.timer != nil || d.closed {
		return
	}
	d.wg.Add(1)
	d.timer = time.AfterFunc(apart, func() {
		defer d.wg.Done()
		_, _ = d.announce(d.next()) // the first time has been acknowledged, or not
	})
}

// next takes the addresses whose turn it is.
func (d *Driver) next() (addrs []netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for a := range d.left {
		addrs = append(addrs, a)
		if d.left[a]--; d.left[a] == 0 {
			delete(d.left, a)
		}
	}
	d.timer = nil
	d.schedule()
	return addrs
}

// Close ends the repetitions.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.closed = true
	if d.timer != nil && d.timer.Stop() {
		d.wg.Done()
	}
	d.mu.Unlock()
	d.wg.Wait()
	return nil
}
