package wrepl

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push"
)

// Driver carries the roles' NetBIOS names to one partner.
type Driver struct {
	// Version waits until the WINS database has what a change of the registry says, and returns the version of this
	// server's records then.
	Version func(ctx context.Context, change uint64) (uint64, error)
	// Tell returns when the partner has our records up to a version; it calls sent when the partner was told of them.
	Tell func(ctx context.Context, version uint64, sent func()) error
	// Server is where the partner answers name queries.
	Server netip.AddrPort
	Client *nbns.Client
}

var _ push.Verifier = (*Driver)(nil)

// Content implements push.Driver.
func (d *Driver) Content(_ *registry.Snapshot, role *registry.RoleState) string {
	if len(role.Role.NetBIOS) == 0 {
		return ""
	}
	var words []string
	for _, n := range role.Role.NetBIOS {
		words = append(words, n.String())
	}
	for _, a := range role.NB() {
		words = append(words, a.String())
	}
	if len(role.NB()) == 0 {
		words = append(words, "withdrawn")
	}
	return strings.Join(words, " ")
}

// Push implements push.Driver. One notification is for all items.
func (d *Driver) Push(ctx context.Context, items []*push.Item) {
	var change uint64
	for _, it := range items {
		change = max(change, it.Snap.Change)
	}
	version, err := d.Version(ctx, change)
	if err == nil {
		err = d.Tell(ctx, version, func() { each(items, (*push.Item).Sent) })
	}
	if err != nil {
		each(items, func(it *push.Item) { it.Fail(err) })
		return
	}
	each(items, (*push.Item).Acked)
}

func each(items []*push.Item, do func(*push.Item)) {
	for _, it := range items {
		do(it)
	}
}

// atOnce bounds the questions that are under way, so that the answers find room in a small receive buffer.
const atOnce = 64

// Verify implements push.Verifier.
func (d *Driver) Verify(ctx context.Context, items []*push.Item) {
	room := make(chan struct{}, atOnce)
	var asking sync.WaitGroup
	for _, it := range items {
		room <- struct{}{}
		asking.Go(func() {
			defer func() { <-room }()
			d.verify(ctx, it)
		})
	}
	asking.Wait()
}

// suffixControllers is that of internet groups, to which a partner adds members of its own.
const suffixControllers = 0x1c

// verify asks for all names of a role until one is not answered right.
func (d *Driver) verify(ctx context.Context, it *push.Item) {
	for _, name := range it.Role.Role.NetBIOS {
		if name.Suffix() == suffixControllers {
			continue
		}
		found, err := d.ask(ctx, name)
		if err != nil {
			it.Fail(err)
			return
		}
		if verdict := it.Verdict(found, it.Role.NB()); verdict != push.Verified {
			it.Answers(verdict, found)
			return
		}
	}
	it.Right()
}

// ask returns the addresses of a name, none when the partner says that there is no such name.
func (d *Driver) ask(ctx context.Context, name netbios.Name) ([]netip.Addr, error) {
	r, err := d.Client.Query(ctx, d.Server, name)
	if negative := new(nbns.NegativeError); errors.As(err, &negative) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []netip.Addr
	for _, a := range r.Addrs {
		if !slices.Contains(found, a.Addr) {
			found = append(found, a.Addr)
		}
	}
	return found, nil
}
