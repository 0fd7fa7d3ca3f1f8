package wrepl

import (
	"context"
	"fmt"
	"math"

	"github.com/nameward/nameward/netbios/wins"
)

// maxRaise is the highest version of our own that is taken from a partner's word: beyond it there would be no room for
// new ones.
const maxRaise = math.MaxUint64 >> 8

// fetch asks a partner for what its table has and this server has not. It reports how many records were obtained, and
// whether some are left to a partner that knows more of their owner. With again it asks also for what it has asked for
// before in vain.
func (r *Replicator) fetch(ctx context.Context, p *partner, a *association, t *Table, again bool) (obtained int, left bool, err error) {
	p.note(t)
	asked := map[wins.IPv4]uint64{}
	for _, o := range t.Owners {
		switch {
		case o.Addr == r.set.Address:
			if err := r.ownOf(ctx, p, o.Max); err != nil {
				return obtained, left, err
			}
			continue
		case p.Pull == 0, o.Addr == wins.IPv4{}, !again && p.asked[o.Addr] >= o.Max:
			asked[o.Addr] = p.asked[o.Addr]
			continue
		}
		if q := r.knowsMore(p, o.Addr, o.Max); q != nil {
			left = true
			q.poke(nil)
			continue
		}
		n, err := r.fetchOwner(ctx, p, a, o)
		if obtained += n; err != nil {
			return obtained, left, err
		}
		asked[o.Addr] = o.Max
	}
	p.asked = asked
	return obtained, left, nil
}

// ownOf deals with what a partner has of this server's records.
func (r *Replicator) ownOf(ctx context.Context, p *partner, version uint64) error {
	if own := r.version(); version > own && version <= maxRaise {
		r.log.Warn().Str("partner", p.String()).Uint64("version", version).Uint64("own", own).
			Msg("a partner has newer records of this server than the server itself: its next version is above theirs")
		if err := r.store.Raise(ctx, version); err != nil {
			return err
		}
	}
	p.hasNow(version)
	return nil
}

func (r *Replicator) fetchOwner(ctx context.Context, p *partner, a *association, o Owner) (int, error) {
	done, err := r.claim(ctx, o.Addr)
	if err != nil {
		return 0, err
	}
	defer done()
	have := r.store.Versions()[o.Addr]
	if have >= o.Max {
		return 0, nil
	}
	wire, err := a.records(Owner{Addr: o.Addr, Max: o.Max, Min: have + 1, Type: 1})
	if err != nil || len(wire) == 0 {
		return 0, err
	}
	records := make([]wins.Record, 0, len(wire))
	for i := range wire {
		rec, err := wire[i].record(o.Addr, r.set.Address)
		switch {
		case err != nil:
			r.noise.Warn().Str("partner", p.String()).Err(err).Msg("a record of a partner cannot be read, it is left out")
		case rec.Version > have && rec.Version <= o.Max:
			records = append(records, rec)
		}
	}
	if err := r.store.Apply(ctx, p.address(), o.Addr, records); err != nil {
		return 0, fmt.Errorf("taking %d records of %s: %w", len(records), o.Addr, err)
	}
	return len(records), nil
}
