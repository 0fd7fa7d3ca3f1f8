package wins

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/nameward/nameward/netbios"
)

func portOf(a IPv4) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), netbios.Port) }

// Put places records as they are but for their versions: an operator's static ones, or those that are
// imported. A record that the guard would not accept, or for which there is no room, is left out and its
// error is in the place of its index; the others are kept when Put returns.
func (d *Database) Put(ctx context.Context, records []Record) ([]error, error) {
	return d.inBatches(ctx, records, (*work).place, false)
}

// inBatches has the writer do something with each record, and returns what came of it by index. A dry run
// does it with a batch that nobody will see.
func (d *Database) inBatches(ctx context.Context, records []Record, do func(*work, *Record) error, dryRun bool) ([]error, error) {
	errs := make([]error, len(records))
	for begin := 0; begin < len(records); begin += maxBatch {
		part, to := records[begin:min(begin+maxBatch, len(records))], errs[begin:]
		err := d.change(ctx, func(w *work) {
			if dryRun {
				w = d.trial()
			}
			for i := range part {
				to[i] = do(w, &part[i])
			}
		})
		if err != nil && begin > 0 {
			err = fmt.Errorf("the first %d of %d were taken; of the others: %w", begin, len(records), err)
		}
		if err != nil {
			return errs, err
		}
	}
	return errs, nil
}

// trial is a batch that nobody will see.
func (d *Database) trial() *work {
	w := d.begin(nil)
	w.delta = nil // the buffer is that of the batch under way
	return w
}

func (w *work) place(r *Record) error {
	if err := r.check(); err != nil {
		return err
	}
	req := claimOf(r)
	v := w.d.guard.Admit(req)
	switch {
	case v.Guarded:
		return fmt.Errorf("%s belongs to role %s, whose state decides what is answered", r.Name, v.Role)
	case v.Action != Publish || len(v.Addrs) < r.Len():
		return fmt.Errorf("%s may not be registered with these addresses: %s (rule %s)", r.Name, v.Reason, v.Rule)
	}
	cur, _ := w.find(r.Name)
	if !w.fits(cur, r) {
		return errors.New("the limit of records, or of records of one address, is reached: see netbios.wins.limits")
	}
	next := *r
	if !r.Static && r.State == Active {
		next.Ends = lastEnd(r.Members())
	}
	w.put(cur, &next, true)
	return nil
}

// check reports what no record may be.
func (r *Record) check() error {
	switch {
	case r.Name.Suffix() == suffixBrowser:
		return fmt.Errorf("%s: every subnet has a master browser of its own, the name is not kept", r.Name)
	case !mayBe(r.Name, r.Kind):
		return fmt.Errorf("%s cannot be %s: a name with suffix %02x is %s", r.Name, r.Kind, r.Name.Suffix(), rightKind(r.Name))
	case r.Kind.isGroup() && (r.Kind == Internet) != (r.Name.Suffix() == suffixControllers):
		return fmt.Errorf("%s cannot be %s: the groups with suffix 1c are internet groups, and no others", r.Name, r.Kind)
	case r.State > Tombstone || r.Static && r.State != Active:
		return fmt.Errorf("%s cannot be %s: a static record is active", r.Name, r.State)
	case r.Len() == 0:
		return fmt.Errorf("%s has no address", r.Name)
	case r.Len() > MaxMembers:
		return fmt.Errorf("%s has %d addresses, at most %d are kept", r.Name, r.Len(), MaxMembers)
	case r.Kind == Unique && r.Len() > 1:
		return fmt.Errorf("%s has %d addresses, a unique name has one: make it multihomed", r.Name, r.Len())
	}
	for i := range r.Len() {
		if a := r.At(i).Addr; !isHost(a) {
			return fmt.Errorf("%s: %s is not the address of a node", r.Name, a)
		}
		if !r.Static && r.At(i).Ends == 0 {
			return fmt.Errorf("%s: %s has no end: only those of static records have none", r.Name, r.At(i).Addr)
		}
	}
	return nil
}

func rightKind(n netbios.Name) string {
	if n.Suffix() == suffixMaster {
		return "unique"
	}
	return "a group"
}

// Remove takes records out, static ones too: the whole name, or one of its addresses.
func (d *Database) Remove(ctx context.Context, n netbios.Name, addr netip.Addr) (removed bool, err error) {
	err = d.change(ctx, func(w *work) { removed = w.drop(n, addr) })
	return removed && err == nil, err
}

func (w *work) drop(n netbios.Name, addr netip.Addr) bool {
	cur, _ := w.find(n)
	if cur == nil {
		return false
	}
	if !addr.IsValid() {
		w.withdraw(cur)
		return true
	}
	ip := IPv4Of(addr)
	if cur.Index(ip) < 0 {
		return false
	}
	w.reduce(cur, true, func(m Member) bool { return m.Addr == ip })
	return true
}

// Forget takes the entries of a name, and of a source unless that is not valid, out of what is held.
func (d *Database) Forget(ctx context.Context, n netbios.Name, source netip.Addr) (removed int, err error) {
	err = d.ask(ctx, func(*work) {
		removed = d.held.ForgetAll(func(h *Held) bool { return h.Name == n && (!source.IsValid() || h.Source == source) })
	})
	return removed, err
}

// Outbox lists up to limit words that a server behind has still to be told, the oldest first, and how
// many there are.
func (d *Database) Outbox(limit int) ([]Out, int) { return d.outbox.list(limit), d.outbox.len() }

// Untold lists what a server behind has still to be told of a name, whatever the case of its letters.
func (d *Database) Untold(n netbios.Name) []Out { return d.outbox.of(n.Fold()) }

// OutboxWake has a token when something was added to the outbox.
func (d *Database) OutboxWake() <-chan struct{} { return d.outbox.wake }

// Told takes words out of the outbox that the server behind has answered, unless there is a newer one.
func (d *Database) Told(ctx context.Context, outs []Out) error {
	return d.ask(ctx, func(w *work) {
		for _, o := range outs {
			if d.outbox.has(o) {
				w.outGone = append(w.outGone, o.key())
				w.delta = appendOutGone(w.delta, o.key())
			}
		}
	})
}

// Load is how much is under way.
type Load struct {
	Queue, Challenges, Outbox int
	Stalled                   time.Duration // for which the disk has not answered
}

// Load returns how much is under way.
func (d *Database) Load() Load {
	return Load{
		Queue: int(d.queue.waiting.Load()), Challenges: int(d.challenges.Load()), Outbox: d.outbox.len(), Stalled: d.stalled(),
	}
}
