package registry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Lowered is a TTL that no answer for a role exceeds until it ends: before a planned switchover, so that caches let go
// of the old address soon. It ends by itself, so that nobody has to come back for it.
type Lowered struct {
	TTL   uint32    `json:"ttl"`   // seconds
	Since time.Time `json:"since"` // no answer from then on had a longer one
	Until time.Time `json:"until"` // from then on the role's own TTL holds again
	Owner string    `json:"owner"` // who alone may change it before that: the id of a plan
	By    string    `json:"by,omitempty"`
}

// until is when it ends, zero for nil.
func (l *Lowered) until() time.Time {
	if l == nil {
		return time.Time{}
	}
	return l.Until
}

// The bounds of a lowered TTL. Answers of roles have at most an hour, and a day is enough to wait that out and to think
// again.
const (
	maxLoweredTTL = 60 * 60
	maxLoweredFor = 24 * 60 * 60
)

// LowerRequest asks for shorter TTLs for a while.
type LowerRequest struct {
	Roles []string `json:"roles"`
	TTL   uint32   `json:"ttl"`   // seconds, 1 to 3,600; a role whose own is shorter keeps that
	For   uint32   `json:"for"`   // seconds from now, 1 to 86,400
	Owner string   `json:"owner"` // whose it is; while it lasts, nobody else lowers or raises it
	By    string   `json:"by,omitempty"`
}

// RaiseRequest ends lowered TTLs before their time.
type RaiseRequest struct {
	Roles []string `json:"roles"`
	Owner string   `json:"owner"` // only what it lowered is raised
}

// TTLs is the result of lowering or raising. All of it is one change.
type TTLs struct {
	Change uint64    `json:"change"` // they are part of this and every later change
	Roles  []TTLMove `json:"roles"`
}

// TTLMove is what became of one role's TTL.
type TTLMove struct {
	Role    string   `json:"role"`
	Before  uint32   `json:"before"` // seconds
	After   uint32   `json:"after"`  // seconds
	Lowered *Lowered `json:"lowered,omitempty"`
}

// LowerTTL lowers the TTLs of roles until a time, all of them under one change, or none of them and an error that names
// every obstacle. What the same owner has lowered is lowered or prolonged anew. It returns when that is on stable storage
// and every later snapshot answers with it.
func (r *Registry) LowerTTL(ctx context.Context, req LowerRequest) (TTLs, error) {
	return r.setTTLs(ctx, func(ch *change) ([]int32, error) { return ch.lower(req) })
}

// RaiseTTL gives roles their own TTLs back, under one change. Roles that the owner has not lowered, or that are gone,
// are left alone.
func (r *Registry) RaiseTTL(ctx context.Context, req RaiseRequest) (TTLs, error) {
	return r.setTTLs(ctx, func(ch *change) ([]int32, error) { return ch.raise(req), nil })
}

// setTTLs runs a command that stages cells and returns the roles to report on.
func (r *Registry) setTTLs(ctx context.Context, do func(*change) ([]int32, error)) (TTLs, error) {
	out := TTLs{Roles: []TTLMove{}}
	err := r.ask(ctx, true, func(ch *change) error {
		ids, err := do(ch)
		if err != nil {
			return err
		}
		out.Roles = out.Roles[:0]
		for _, id := range ids {
			before, after := ch.before.roles.at(int(id)), ch.view(id)
			out.Roles = append(out.Roles, TTLMove{before.Role.Name, before.TTL, after.TTL, after.Lowered})
		}
		return nil
	})
	if err != nil {
		return TTLs{}, err
	}
	out.Change = r.Snapshot().Change
	return out, nil
}

func (ch *change) lower(req LowerRequest) ([]int32, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	ids, err := ch.named(req.Roles)
	problems := []error{err}
	for _, id := range ids {
		if l := ch.cell(id).withoutEnded(ch.now).lowered; l != nil && l.Owner != req.Owner {
			problems = append(problems, fmt.Errorf("the TTL of role %s is lowered by %s until %s; wait for that, or finish it first",
				ch.before.World.Roles[id].Name, l.Owner, l.Until.UTC().Format(time.RFC3339)))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	for _, id := range ids {
		c := ch.cell(id).withoutEnded(ch.now)
		l := &Lowered{TTL: req.TTL, Since: ch.now, Until: ch.now.Add(time.Duration(req.For) * time.Second), Owner: req.Owner, By: req.By}
		if c.lowered != nil && c.lowered.TTL <= l.TTL {
			l.Since = c.lowered.Since
		}
		ch.put(id, c.order(orders{override: c.override, lowered: l}))
	}
	return ids, nil
}

func (req LowerRequest) check() error {
	switch {
	case len(req.Roles) == 0:
		return errors.New("say which roles")
	case req.Owner == "":
		return errors.New("say who lowers the TTLs")
	case req.TTL < 1 || req.TTL > maxLoweredTTL:
		return fmt.Errorf("a TTL of %d s is out of range, want 1 to %d", req.TTL, maxLoweredTTL)
	case req.For < 1 || req.For > maxLoweredFor:
		return fmt.Errorf("a TTL cannot be lowered for %d s, want 1 to %d", req.For, maxLoweredFor)
	}
	return nil
}

func (ch *change) raise(req RaiseRequest) []int32 {
	var ids []int32
	for _, name := range req.Roles {
		id, _, err := ch.role(name)
		if err != nil {
			continue
		}
		if c := ch.cell(id); c.lowered != nil && c.lowered.Owner == req.Owner {
			ch.put(id, c.order(orders{override: c.override}))
			ids = append(ids, id)
		}
	}
	return ids
}

// withoutEnded returns the cell without a lowered TTL whose time is over.
func (c *cell) withoutEnded(now time.Time) *cell {
	if c.lowered == nil || now.Before(c.lowered.Until) {
		return c
	}
	return c.order(orders{override: c.override})
}

// forgetEnded takes lowered TTLs out of what was saved when their time is over. One that would last longer than any may
// was written under a clock that has been set back since.
func (s *Saved) forgetEnded(now time.Time, d *Delta) {
	latest := now.Add(maxLoweredFor * time.Second)
	for role, l := range s.Lowered {
		if now.Before(l.Until) && !l.Until.After(latest) {
			continue
		}
		if d.Lowered == nil {
			d.Lowered = map[string]*Lowered{}
		}
		d.Lowered[role] = nil
		delete(s.Lowered, role)
	}
}
