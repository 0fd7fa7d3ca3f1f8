package registry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// newWorld asks the writer to put a world in force.
type newWorld struct {
	world *World
	done  chan error
}

// Configure puts a new world in force, all of it or nothing. Roles that are in both keep holder, epoch
// and override; a role whose source changed waits for the new source's first word and serves the last
// known state until then.
func (r *Registry) Configure(ctx context.Context, w *World) error {
	c := &newWorld{world: w, done: make(chan error, 1)}
	select {
	case r.worlds <- c:
		return <-c.done
	case <-r.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Registry) reconfigure(w *World) error {
	for tries := 0; ; tries++ {
		saved, err := r.store.Load()
		if err != nil {
			return fmt.Errorf("loading the state: %w", err)
		}
		if r.unsaved != nil {
			saved.Apply(*r.unsaved)
		}
		if r.rebuild(w, saved) || tries == maxConflicts {
			return nil
		}
	}
}

// rebuild makes the whole state anew: at the start and when the world changes. Its cost grows with
// the number of names; nothing else's does.
//
// It is false, and nothing has changed, when another guard has committed something meanwhile.
func (r *Registry) rebuild(w *World, saved Saved) bool {
	now, before := time.Now(), r.Snapshot()
	ix := newIndex(w)
	next := &Snapshot{
		World: w, Change: saved.Change + 1, ix: ix, drained: saved.Drains,
		ptrs: newVector[*PTRState](len(ix.addrList)), superseded: make(chan struct{}),
	}
	d := Delta{Change: next.Change, Records: map[string]Record{}}
	saved.forgetEnded(now, &d)
	cells, alarms, serving := r.cells, r.alarms, r.serving
	r.rebuildRoles(next, before, saved, d, now)
	if !r.saveRebuilt(next, d) {
		r.cells, r.alarms, r.serving = cells, alarms, serving
		return false
	}
	r.cur.Store(next)
	if before != nil {
		close(before.superseded)
	}
	return true
}

// interner lets equal parts of records share memory: thousands of roles have the same few holders.
type interner struct {
	holders map[string][]string
	origins map[string]string
}

func (in *interner) record(r Record) Record {
	if len(r.Nodes) == 1 {
		if _, ok := in.holders[r.Nodes[0]]; !ok {
			in.holders[r.Nodes[0]] = r.Nodes
		}
		r.Nodes = in.holders[r.Nodes[0]]
	}
	if _, ok := in.origins[r.Origin]; !ok {
		in.origins[r.Origin] = r.Origin
	}
	r.Origin = in.origins[r.Origin]
	return r
}

func (r *Registry) rebuildRoles(next, before *Snapshot, saved Saved, d Delta, now time.Time) {
	w, ix := next.World, next.ix
	cells := make([]*cell, len(w.Roles))
	roles := newVector[*RoleState](len(w.Roles)).edit()
	r.alarms, r.serving = alarms{}, make(serving, len(ix.addrList))
	interned := &interner{map[string][]string{}, map[string]string{}}
	for i, role := range w.Roles {
		cells[i] = r.carry(role, before, saved, interned)
		if cells[i].rec.Epoch == 0 && role.Source.Initial != "" {
			cells[i].rec = interned.record(Record{
				Nodes: []string{role.Source.Initial}, Epoch: 1, Since: now, Origin: "initial holder of the configuration",
			})
			d.Records[role.Name] = cells[i].rec
		}
		var old *RoleState
		if before != nil {
			old, _ = before.Role(role.Name)
		}
		s := view(ix, role, cells[i], next.drained, old, now)
		roles.set(i, s)
		r.alarms.set(int32(i), wakeAt(s, now))
	}
	r.cells, next.roles = cells, roles.done()
	r.repointAll(next)
}

// carry makes the cell of a role from what is saved of it and, where its source is the same as
// before, from what that source said.
func (r *Registry) carry(role *Role, before *Snapshot, saved Saved, same *interner) *cell {
	c := &cell{rec: same.record(saved.Records[role.Name]), orders: noOrders, word: nothing}
	if o, ok := saved.Overrides[role.Name]; ok {
		c = c.order(orders{override: &o})
	}
	if l, ok := saved.Lowered[role.Name]; ok {
		c = c.order(orders{override: c.override, lowered: &l})
	}
	if before == nil {
		return c
	}
	id, ok := before.ix.roles[role.Name]
	if !ok || before.World.Roles[id].Source != role.Source {
		return c
	}
	old := r.cells[id]
	c.confirmed, c.word = old.confirmed, old.word
	return c
}

// repointAll fills the PTR targets of a new world.
func (r *Registry) repointAll(next *Snapshot) {
	for i, role := range next.World.Roles {
		if len(role.DNS) == 0 {
			continue
		}
		for _, n := range next.roles.at(i).Served {
			for _, a := range n.Public {
				r.serving.add(next.ix.addrs[a], int32(i))
			}
		}
	}
	ptrs := next.ptrs.edit()
	for addr := range next.ix.addrList {
		ptrs.set(addr, r.pointer(next, int32(addr)))
	}
	next.ptrs = ptrs.done()
}

func (r *Registry) saveRebuilt(next *Snapshot, d Delta) bool {
	if r.unsaved != nil {
		d = *r.unsaved.with(d)
	}
	err := r.store.Commit(d)
	if errors.Is(err, ErrConflict) {
		return false
	}
	if err != nil {
		r.failed.Add(1)
		r.log.Error().Err(err).Msg("the state cannot be saved: serving from memory")
		r.unsaved, next.StoreErr = &d, err
		return true
	}
	r.commits.Add(1)
	r.unsaved = nil
	return true
}
