package wrepl

import (
	"context"
	"errors"
	"fmt"

	"github.com/nameward/nameward/netbios/wins"
)

// fetch asks a partner for what its table has and this server has not. It reports whether partners have something to
// learn of that, and whether some is left to a partner that knows more of its owner.
func (r *Replicator) fetch(ctx context.Context, p *partner, a *association, t *Table) (sum wins.Applied, left bool, err error) {
	p.note(t)
	var untaken []error // one owner's trouble is not that of others
	for _, o := range t.Owners {
		switch {
		case o.Addr == r.set.Address:
			r.ownOf(ctx, p, o.Max)
			continue
		case p.Pull == 0, o.Max == 0:
			continue
		case !isServer(o.Addr):
			untaken = append(untaken, fmt.Errorf("it has records of %s, which is no address of a server by which others can know it: "+
				"a Samba server takes that of its first interface, set winsdb:local_owner there", o.Addr))
			continue
		}
		if elsewhere, later := r.elsewhere(p, o); elsewhere {
			left = left || later
			continue
		}
		applied, err := r.fetchOwner(ctx, p, a, o)
		sum = plus(sum, applied)
		switch {
		case errors.Is(err, errStore):
			untaken = append(untaken, err)
		case err != nil:
			return sum, left, err
		}
	}
	return sum, left, errors.Join(untaken...)
}

// isServer reports whether an address can be that of an owner.
func isServer(ip wins.IPv4) bool {
	a := ip.Addr()
	return a.IsGlobalUnicast() && ip[0] != 0 && ip[0] < 240
}

// errStore is why the database did not take records.
var errStore = errors.New("they are not taken")

func plus(a, b wins.Applied) wins.Applied {
	return wins.Applied{
		Stored: a.Stored + b.Stored, Merged: a.Merged + b.Merged, Kept: a.Kept + b.Kept, Raised: a.Raised + b.Raised,
		Challenged: a.Challenged + b.Challenged, Held: a.Held + b.Held,
	}
}

// ownOf deals with what a partner has of this server's records.
func (r *Replicator) ownOf(ctx context.Context, p *partner, version uint64) {
	if own := r.version(); version > own {
		err := r.store.Raise(ctx, version)
		r.noise.Warn().Str("partner", p.String()).Uint64("version", version).Uint64("own", own).AnErr("raised", err).
			Msg("a partner has newer records of this server than the server itself: its next version is to be above theirs")
	}
	p.hasNow(version)
}

// fetchOwner asks for the records of one owner.
func (r *Replicator) fetchOwner(ctx context.Context, p *partner, a *association, o Owner) (wins.Applied, error) {
	done, err := r.claim(ctx, o.Addr)
	if err != nil {
		return wins.Applied{}, err
	}
	defer done()
	ownWord := o.Addr == p.address()
	ask := wins.Replicas{Partner: p.address(), Owner: o.Addr, Renew: ownWord || !r.isPartner(o.Addr)}
	ask.From = r.store.Next(o.Addr, ask.Renew)
	switch {
	case ownWord && o.Max+1 < ask.From:
		ask.From = 1 // it has lost its file, and begins anew
	case ask.From > o.Max:
		return wins.Applied{}, nil
	}
	wire, err := a.records(Owner{Addr: o.Addr, Max: o.Max, Min: ask.From, Type: 1})
	if err != nil {
		return wins.Applied{}, err
	}
	if ownWord {
		// From anybody else it would keep the owner's next records out, if it were too high.
		ask.UpTo = o.Max
	}
	ask.Records = r.readable(p, o, ask.From, wire)
	applied, err := r.store.Apply(ctx, ask)
	if err != nil {
		return applied, fmt.Errorf("%d records of %s: %w: %w", len(ask.Records), o.Addr, errStore, err)
	}
	return applied, nil
}

// isPartner reports whether an owner is one whose own word can be had.
func (r *Replicator) isPartner(owner wins.IPv4) bool {
	p := r.byAddr[owner.Addr()]
	return p != nil && p.Pull > 0
}

// readable are the records of an answer that were asked for and can be read.
func (r *Replicator) readable(p *partner, o Owner, from uint64, wire []Record) []wins.Record {
	out := make([]wins.Record, 0, len(wire))
	for i := range wire {
		rec, err := wire[i].record(o.Addr, r.set.Address)
		if err != nil {
			r.noise.Warn().Str("partner", p.String()).Err(err).Msg("a record of a partner cannot be read, it is left out")
			continue
		}
		if rec.Version >= from && rec.Version <= o.Max {
			out = append(out, rec)
		}
	}
	return out
}
