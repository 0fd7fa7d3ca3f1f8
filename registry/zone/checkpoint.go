package zone

import (
	"context"
	"iter"
	"maps"

	"github.com/nameward/nameward/registry/store/journal"
)

// How much the journal may have beside its base, at least.
const (
	backlogOctets  = 8 << 20
	backlogBatches = 20_000
	chunkOctets    = 64 << 10
)

func (d *DB) upkeep() journal.Upkeep {
	return journal.Upkeep{
		Log: d.journal, Batches: backlogBatches, Octets: backlogOctets, Size: d.octets, Checkpoint: d.Checkpoint,
		Failed: func(err error) {
			d.log.Error().Err(err).Msg("the journal of the zones cannot be shortened; it goes on growing")
		},
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
