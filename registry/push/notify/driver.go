package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/dnsask"
	"github.com/nameward/nameward/registry/zone"
)

// Driver is one secondary as a target of deliveries: the names of roles that lie in owned zones that notify it.
type Driver struct {
	sender *Sender
	target netip.AddrPort
	board  *board
	world  *registry.World
	needs  map[string]need // by role, of world
}

var _ push.Verifier = (*Driver)(nil)

// need is what the secondary must have for a role's state.
type need struct {
	role   *registry.RoleState
	serial map[string]uint32 // by zone
}

// Reasons of deliveries that get no further.
var (
	errNoZone = errors.New("none of the role's zones notifies this secondary")
	errUntold = errors.New("no NOTIFY was sent yet")
)

// Driver makes the driver of a secondary. The Sender must run.
func (s *Sender) Driver(target netip.AddrPort) *Driver {
	return &Driver{sender: s, target: target, board: s.board(target)}
}

// Content says what the secondary answers for the role's names once it has the zones.
func (d *Driver) Content(snap *registry.Snapshot, role *registry.RoleState) string {
	var lines []string
	for _, name := range d.names(snap, role) {
		line := name + " none"
		if addrs := role.Addrs(); len(addrs) > 0 {
			line = fmt.Sprintf("%s %d %s", name, role.TTL, strings.Trim(fmt.Sprint(addrs), "[]"))
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

// names are those of the role that the secondary has.
func (d *Driver) names(snap *registry.Snapshot, role *registry.RoleState) []string {
	var names []string
	for _, name := range role.Role.DNS {
		if d.zoneOf(snap, name) != nil {
			names = append(names, name)
		}
	}
	return names
}

func (d *Driver) zoneOf(snap *registry.Snapshot, name string) *registry.Zone {
	if z := snap.Zone(name); z != nil && slices.Contains(z.Notify, d.target) {
		return z
	}
	return nil
}

// Push waits until the secondary has acknowledged a NOTIFY of a serial that has each item's state, whatever the
// NOTIFY was sent for. An item whose NOTIFY is refused fails at once, others when ctx ends; the worker of the
// secondary goes on all the same.
func (d *Driver) Push(ctx context.Context, items []*push.Item) {
	if err := d.sender.zones.Sync(ctx); err != nil {
		failAll(items, fmt.Errorf("the zones do not stand for the change yet: %w", err))
		return
	}
	sent := make(map[*push.Item]bool, len(items))
	for {
		zones, changed := d.board.read()
		items = slices.DeleteFunc(slices.Clone(items), func(it *push.Item) bool { return d.pushed(it, zones, sent) })
		if len(items) == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			for _, it := range items {
				if errors.Is(ctx.Err(), context.Canceled) {
					it.Fail(ctx.Err()) // nobody waits any more
				} else {
					it.Fail(d.reason(it, zones))
				}
			}
			return
		}
	}
}

func failAll(items []*push.Item, why error) {
	for _, it := range items {
		it.Fail(why)
	}
}

// pushed tells the item how far it is and reports whether that is all for now.
func (d *Driver) pushed(it *push.Item, zones map[string]progress, sent map[*push.Item]bool) bool {
	serials := d.need(it).serial
	if len(serials) == 0 {
		it.Fail(errNoZone)
		return true
	}
	isSent, isAcked, refusal := true, true, error(nil)
	for zone, serial := range serials {
		p := zones[zone]
		isSent, isAcked = isSent && p.sent.covers(serial), isAcked && p.acked.covers(serial)
		if p.refusal != nil && p.sent.covers(serial) && !p.acked.covers(serial) {
			refusal = fmt.Errorf("NOTIFY of %s: %w", zone, p.refusal)
		}
	}
	if isSent && !sent[it] {
		sent[it] = true
		it.Sent()
	}
	switch {
	case isAcked:
		it.Acked()
	case refusal != nil:
		it.Fail(refusal)
	}
	return isAcked || refusal != nil
}

// reason is why an item is not acknowledged.
func (d *Driver) reason(it *push.Item, zones map[string]progress) error {
	for zone, serial := range d.need(it).serial {
		switch p := zones[zone]; {
		case p.acked.covers(serial):
		case !p.sent.covers(serial):
			return errUntold
		default:
			return cmp.Or(p.trouble, fmt.Errorf("NOTIFY of %s: %w", zone, errSilent))
		}
	}
	return errSilent
}

// need finds out which serials have the item's state. It is asked when the zones stand for that; later ones would have
// it too, and it could be that they are never reached.
func (d *Driver) need(it *push.Item) need {
	if it.Snap.World != d.world {
		d.world, d.needs = it.Snap.World, map[string]need{}
	}
	name := it.Role.Role.Name
	if n, ok := d.needs[name]; ok && n.role == it.Role {
		return n
	}
	n := need{it.Role, map[string]uint32{}}
	for _, name := range d.names(it.Snap, it.Role) {
		z := d.zoneOf(it.Snap, name)
		if v := d.sender.zones.View(z.Name); v != nil {
			n.serial[z.Name] = v.Serial
		}
	}
	d.needs[name] = n
	return n
}

// Verify asks the secondary for the serials and the addresses. An item is Right when both are, Stale while a serial is
// older; then the secondary is told once more, if it had its time.
func (d *Driver) Verify(ctx context.Context, items []*push.Item) {
	if err := d.sender.zones.Sync(ctx); err != nil {
		failAll(items, fmt.Errorf("the zones do not stand for the change yet: %w", err))
		return
	}
	opts := dnsask.Options{Key: d.sender.key(d.target), Names: func(it *push.Item) []string { return d.names(it.Snap, it.Role) }}
	asked := make([]*push.Item, len(items))
	for i, it := range items {
		asked[i] = push.NewItem(it.Snap, it.Role, it.Told)
	}
	serials := make(chan map[string]answer, 1)
	go func() { serials <- d.serials(ctx, items, opts) }()
	dnsask.Ask(ctx, d.target, asked, opts)
	has := <-serials
	for i, it := range items {
		d.judge(it, asked[i], has)
	}
}

// answer is the serial of a zone at the secondary.
type answer struct {
	serial uint32
	err    error
}

// serials asks for those of all zones that items need.
func (d *Driver) serials(ctx context.Context, items []*push.Item, opts dnsask.Options) map[string]answer {
	has := map[string]answer{}
	var questions []dns.Question
	for _, it := range items {
		for zone := range d.need(it).serial {
			if _, ok := has[zone]; !ok {
				has[zone] = answer{}
				questions = append(questions, dns.Question{Name: zone, Qtype: dns.TypeSOA, Qclass: dns.ClassINET})
			}
		}
	}
	for _, r := range dnsask.Query(ctx, d.target, questions, opts) {
		has[r.Question.Name] = serialIn(r)
	}
	return has
}

func serialIn(r dnsask.Reply) answer {
	zone := r.Question.Name
	switch {
	case r.Err != nil:
		return answer{err: r.Err}
	case r.Msg.Rcode == dns.RcodeRefused:
		return answer{err: fmt.Errorf("the secondary refuses to be asked about %s: have it answer this guard (named: allow-query)", zone)}
	case r.Msg.Rcode != dns.RcodeSuccess:
		return answer{err: fmt.Errorf("the secondary answers %s for zone %s", dns.RcodeToString[r.Msg.Rcode], zone)}
	}
	for _, rr := range r.Msg.Answer {
		if soa, ok := rr.(*dns.SOA); ok && strings.EqualFold(soa.Hdr.Name, zone) && r.Msg.Authoritative {
			return answer{serial: soa.Serial}
		}
	}
	return answer{err: fmt.Errorf("the secondary is not authoritative for zone %s", zone)}
}

// judge tells the item what was found: asked is its copy that knows of addresses.
func (d *Driver) judge(it, asked *push.Item, has map[string]answer) {
	stage, found, why := asked.Stage()
	older := false
	for name, serial := range d.need(it).serial {
		a := has[name]
		if a.err != nil {
			it.Fail(a.err)
			return
		}
		if zone.Newer(serial, a.serial) {
			older = true
			d.board.isBehind(name, serial)
		}
	}
	switch {
	case stage == push.Failed:
		it.Fail(why)
	case older && stage == push.Verified:
		it.Stale(it.Addrs()) // of a zone that is older in something else
	case older, stage == push.Stale:
		it.Stale(found)
	case stage == push.Foreign:
		it.Foreign(found)
	default:
		it.Right()
	}
}
