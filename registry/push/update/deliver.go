package update

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/primary"
	"github.com/nameward/nameward/registry/push"
)

const (
	// maxTries is how often a write is tried again when somebody else wrote in between.
	maxTries = 3
	// maxRefusals is how many messages of one call may be refused. A pack that is refused is divided to find the name
	// that is to blame; when all are, the rest is not tried.
	maxRefusals = 64
)

// delivery writes entries, in one call of Push.
type delivery struct {
	*Driver
	queue    [][]*entry
	refusals int
}

// deliver writes entries. Each of them is settled when it returns.
func (d *Driver) deliver(ctx context.Context, at netip.AddrPort, entries []*entry) {
	w := &delivery{Driver: d}
	w.queue = packs(d.prepare(ctx, at, entries))
	for len(w.queue) > 0 {
		pack := w.queue[0]
		w.queue = w.queue[1:]
		w.write(ctx, pack)
	}
}

// prepare reads what is not known and gives the entries that are to be written. The others are settled.
func (d *Driver) prepare(ctx context.Context, at netip.AddrPort, entries []*entry) (ready []*entry) {
	var unknown []*entry
	for _, e := range entries {
		switch e.stood = d.known[e.name]; {
		case e.stood == nil:
			unknown = append(unknown, e)
		case e.isPointer() && same(e.want, e.stood.sets[dns.TypePTR]):
			e.settle(outcome{}) // as it was written
		default:
			ready = append(ready, e)
		}
	}
	for i, err := range d.read(ctx, at, unknown) {
		if e := unknown[i]; err != nil {
			d.fail(e, fmt.Errorf("what stands there is not known: %w", err))
		} else if d.mayWrite(e) {
			ready = append(ready, e)
		}
	}
	slices.SortStableFunc(ready, byZone)
	return ready
}

// mayWrite decides by what was read whether an entry is to be written. If not, it is settled.
func (d *Driver) mayWrite(e *entry) bool {
	marks := markersIn(e.stood.marker)
	for _, m := range marks {
		if role, ok := e.snap.Role(m.role); ok && m.epoch > role.Epoch {
			d.fail(e, fmt.Errorf("%s: epoch %d of role %s stands there, holder %s: %w", e.name, m.epoch, m.role, m.holder, push.ErrNewer))
			return false
		}
	}
	switch {
	case len(marks) > 0 || !e.isForeign():
		return true
	case e.isPointer() && len(e.want) == 0: // nothing of ours is there to be taken away
		e.settle(outcome{})
		return false
	case !d.repair:
		delete(d.known, e.name)
		e.settle(outcome{foreign: true, found: e.stood.found()})
		return false
	}
	return true
}

// isForeign reports whether something stands at the name that was not written from here.
func (e *entry) isForeign() bool {
	for _, set := range e.stood.sets {
		if slices.ContainsFunc(set, func(rr dns.RR) bool { return !e.ours(rr) }) {
			return true
		}
	}
	return len(e.stood.alias) > 0
}

func byZone(a, b *entry) int { return strings.Compare(a.zone, b.zone) }

func (e *entry) isPointer() bool { return e.types[0] == dns.TypePTR }

// write sends one message and does with its entries what comes of it.
func (w *delivery) write(ctx context.Context, pack []*entry) {
	response, by, err := w.servers.Exchange(ctx, w.message(pack))
	switch {
	case err == nil && response.Rcode == dns.RcodeSuccess:
		for _, e := range pack {
			w.done(e, by)
		}
	case err == nil && (response.Rcode == dns.RcodeNotAuth || response.Rcode == dns.RcodeNotImplemented):
		w.giveUp(pack, says(by, response)) // that has nothing to do with what is in it
	case err == nil:
		w.examine(ctx, by, pack, says(by, response))
	case errors.Is(err, primary.ErrUntrusted):
		w.examine(ctx, by, pack, err)
	default:
		w.giveUp(pack, err)
	}
}

func says(by netip.AddrPort, response *dns.Msg) error {
	return fmt.Errorf("the primary %s says %s", by, dns.RcodeToString[response.Rcode])
}

// done keeps what stands at a name now.
func (d *Driver) done(e *entry, by netip.AddrPort) {
	d.known[e.name] = d.stands(e)
	for _, o := range e.orders {
		d.took[o.Role.Role.Name] = by
	}
	e.settle(outcome{})
}

// fail settles an entry of which nobody knows what stands there now.
func (d *Driver) fail(e *entry, why error) {
	delete(d.known, e.name)
	e.settle(outcome{err: why})
}

// giveUp ends the delivery.
func (w *delivery) giveUp(pack []*entry, why error) {
	for _, pack := range append([][]*entry{pack}, w.queue...) {
		for _, e := range pack {
			w.fail(e, why)
		}
	}
	w.queue = nil
}

// examine reads what stands at a primary that did not carry out a message, or that cannot be trusted to have said so.
// What went through is done, what is newer or foreign stays, and the rest is tried again, in smaller parts if nobody
// else has written.
func (w *delivery) examine(ctx context.Context, by netip.AddrPort, pack []*entry, why error) {
	before := make([]*standing, len(pack))
	for i, e := range pack {
		before[i] = e.stood
	}
	var left []*entry
	changed := false
	for i, err := range w.read(ctx, by, pack) {
		switch e := pack[i]; {
		case err != nil:
			w.fail(e, fmt.Errorf("%w; and then: %w", why, err))
		case w.wentThrough(e):
			w.done(e, by)
		default:
			changed = changed || e.stood.differs(before[i])
			if e.tries++; w.mayWrite(e) {
				left = append(left, e)
			}
		}
	}
	w.retry(left, changed, why)
}

// wentThrough reports whether an entry's write was carried out.
func (d *Driver) wentThrough(e *entry) bool {
	if d.marks() {
		return slices.ContainsFunc(markersIn(e.stood.marker), func(m marker) bool { return m == e.marker })
	}
	return !e.stood.differs(d.stands(e))
}

// retry queues what is left of a message that was not carried out.
func (w *delivery) retry(left []*entry, changed bool, why error) {
	w.refusals++
	switch {
	case len(left) == 0:
	case w.refusals >= maxRefusals:
		w.giveUp(left, why)
	case changed && left[0].tries < maxTries:
		w.queue = append(w.queue, left)
	case len(left) == 1:
		w.fail(left[0], why)
	default:
		half := len(left) / 2
		w.queue = append(w.queue, left[:half], left[half:])
	}
}
