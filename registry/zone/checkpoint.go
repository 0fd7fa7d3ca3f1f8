package zone

import (
	"context"
	"iter"
	"time"
)

const (
	checkpointEvery = 10 * time.Second
	// backlogOctets and backlogBatches are how much the journal may have beside its base, at least; a large
	// table may have more, so that what is written stays in proportion to what was changed.
	backlogOctets  = 8 << 20
	backlogBatches = 20_000
	chunkOctets    = 64 << 10
)

// checkpoints shortens the journal from time to time.
func (d *DB) checkpoints(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(checkpointEvery):
		}
		batches, octets := d.journal.Backlog()
		if batches < backlogBatches && octets < max(backlogOctets, d.octets()) {
			continue
		}
		if err := d.Checkpoint(ctx); err != nil && ctx.Err() == nil {
			d.log.Error().Err(err).Msg("the journal of the zones cannot be shortened; it goes on growing")
		}
	}
}

func (d *DB) octets() (n int64) {
	for _, p := range d.cur.Load().views {
		n += int64(p.Load().records * recordOctets)
	}
	return n
}

// Checkpoint writes a new base of the journal, while updates go on.
func (d *DB) Checkpoint(ctx context.Context) error {
	type capture struct {
		zones map[string]*kept
		seq   uint64
		err   error
	}
	taken := make(chan capture, 1)
	cmd := func(w *work) {
		w.then = append(w.then, func(err error) { taken <- capture{d.whole(), d.cur.Load().seq, err} })
	}
	select {
	case d.commands <- cmd:
	case <-d.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case c := <-taken:
		if c.err != nil {
			return c.err
		}
		return d.journal.Checkpoint(ctx, c.seq, base(c.zones))
	case <-d.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// whole lists every zone, those that are not owned at present too. It is called by the writer.
func (d *DB) whole() map[string]*kept {
	out := map[string]*kept{}
	for name, k := range d.parked {
		out[name] = k
	}
	for name, p := range d.cur.Load().views {
		out[name] = p.Load().kept()
	}
	return out
}

func (v *View) kept() *kept {
	return &kept{serial: v.Serial, digest: v.digest, names: *v.names, records: v.records, history: v.history}
}

// base is all zones, in pieces that each say which zone they are about.
func base(zones map[string]*kept) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for name, k := range zones {
			if !k.pieces(name, yield) {
				return
			}
		}
	}
}

func (k *kept) pieces(zone string, yield func([]byte) bool) bool {
	p := &packer{}
	p.zone(zone)
	p.head(k.serial, k.digest)
	more := func() bool {
		if len(p.b) < chunkOctets {
			return true
		}
		ok := yield(p.b)
		p.b = p.b[:0]
		p.zone(zone)
		return ok
	}
	going := true
	k.names.Scan(func(_ string, n *Name) bool {
		for _, s := range n.Sets {
			for _, r := range s.Records {
				p.record(tagRecord, r)
				if going = more(); !going {
					return false
				}
			}
		}
		return true
	})
	for _, s := range k.history.steps {
		p.past(s)
		if !going || !more() {
			return false
		}
	}
	return going && yield(p.b)
}
