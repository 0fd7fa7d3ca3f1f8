package push

import (
	"context"
	"time"
)

// Progress is how far one target is with some roles since a change.
type Progress struct {
	Target string        `json:"target"`
	Kind   string        `json:"kind"`
	Roles  int           `json:"roles"` // of those that it is told of
	Done   int           `json:"done"`  // of those that it has
	Stage  Stage         `json:"stage"` // of the one that is furthest behind
	Acked  time.Duration `json:"acked_ns"`
	// Took is the time from the change until the last of those that it has was verified, or acknowledged where that is
	// all that can be had.
	Took time.Duration `json:"took_ns"`
	Why  string        `json:"why,omitempty"` // the last failure of one that it has not
}

// IsDone reports whether the target has all of the roles.
func (p *Progress) IsDone() bool { return p.Done == p.Roles }

// Progress returns how far the targets are that are told of any of the roles, which were part of a change. What
// counts as done is on stable storage, as far as that takes anything.
func (p *Pusher) Progress(change uint64, roles []string) []Progress {
	var out []Progress
	for _, w := range p.current() {
		if g := w.progress(change, roles); g.Roles > 0 {
			out = append(out, g)
		}
	}
	return out
}

func (w *worker) progress(change uint64, roles []string) Progress {
	g := Progress{Target: w.Name, Kind: w.Kind, Stage: Verified}
	snap := w.source()
	isSeen := w.seen.Load() >= change
	for _, name := range roles {
		role, ok := snap.Role(name)
		if !ok || w.content(snap, role) == "" || role.Unknown() {
			continue
		}
		g.Roles++
		d, known := w.ledger.Row(w.Name, name)
		switch {
		case !isSeen || !known:
			g.Stage = Queued
		case d.IsDone() && w.ledger.isSaved(d.key()):
			g.Done++
			g.Acked, g.Took = max(g.Acked, d.Acked.Sub(d.Moved)), max(g.Took, d.settled().Sub(d.Moved))
			if d.Stage == Acked && g.Stage == Verified {
				g.Stage = Acked
			}
		default:
			g.Stage = d.Stage
			if d.Why != "" {
				g.Why = d.Why
			}
		}
	}
	return g
}

// Wait returns the progress of the roles when so many targets have all of them, or when ctx ends; a quorum of 0
// means every target.
func (p *Pusher) Wait(ctx context.Context, change uint64, roles []string, quorum int) ([]Progress, bool) {
	for {
		changed := p.Ledger.Changed()
		hasBegun := p.hasBegun() // before it is looked who there is
		now := p.Progress(change, roles)
		done := 0
		for i := range now {
			if now[i].IsDone() {
				done++
			}
		}
		if hasBegun && done == len(now) || quorum > 0 && done >= quorum {
			return now, true
		}
		select {
		case <-changed:
			// Thousands of roles change the ledger thousands of times, and the times are those of the ledger.
			pause(ctx, min(time.Duration(len(roles)*len(now))*10*time.Microsecond, 50*time.Millisecond))
		case <-ctx.Done():
			return now, false
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
