package zone

import (
	"context"
	"iter"
	"maps"
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
		n += int64(p.Load().octets)
	}
	return n
}

// Checkpoint writes a new base of the journal, while updates go on.
func (d *DB) Checkpoint(ctx context.Context) error {
	var zones map[string]*kept
	var seq uint64
	if err := d.command(ctx, func(*work) {}, func() { zones, seq = d.whole(), d.cur.Load().seq }); err != nil {
		return err
	}
	return d.journal.Checkpoint(ctx, seq, base(zones))
}

// whole lists every zone, those that are not owned at present too. It is called by the writer.
func (d *DB) whole() map[string]*kept {
	out := maps.Clone(d.parked)
	for name, p := range d.cur.Load().views {
		out[name] = p.Load().kept()
	}
	return out
}

func (v *View) kept() *kept {
	return &kept{serial: v.Serial, digest: v.digest, names: *v.names, records: v.records, octets: v.octets, history: v.history}
}

// base is all zones, in chunks.
func base(zones map[string]*kept) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		p := &packer{chunk: yield}
		for name, k := range zones {
			if p.kept(name, k); p.ended {
				return
			}
		}
		p.flush()
	}
}

func (p *packer) kept(zone string, k *kept) {
	p.zone(zone)
	p.head(k.serial, k.digest)
	k.names.Scan(func(_ string, n *Name) bool {
		for _, s := range n.Sets {
			for _, r := range s.Records {
				p.record(tagRecord, r)
			}
		}
		return !p.ended
	})
	for _, s := range k.history.steps {
		if p.ended {
			return
		}
		p.past(s)
	}
}
