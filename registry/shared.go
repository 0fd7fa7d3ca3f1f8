package registry

import (
	"errors"
	"maps"
	"time"
)

// maxConflicts bounds how often a step is decided anew because other guards were faster.
const maxConflicts = 20

// news is nil when the state is this guard's alone.
func (r *Registry) news() <-chan struct{} {
	if r.shared == nil {
		return nil
	}
	return r.shared.News()
}

// catchUp puts in force what other guards have committed.
func (r *Registry) catchUp() error {
	deltas, err := r.shared.Pull()
	if errors.Is(err, ErrGap) {
		return r.reconfigure(r.Snapshot().World)
	}
	for _, d := range deltas {
		r.adopt(d)
	}
	return err
}

// hear follows the news of other guards. That they cannot be read is told where it matters: at the next commit.
func (r *Registry) hear() {
	if err := r.catchUp(); err != nil {
		r.log.Debug().Err(err).Msg("the shared state cannot be read")
	}
}

// adopt puts a delta in force that somebody else has committed.
func (r *Registry) adopt(d Delta) {
	ch := r.newChange(time.Now())
	if len(d.Drains) > 0 {
		ch.drained = mergeOrDelete(maps.Clone(ch.drained), d.Drains)
	}
	for name, rec := range d.Records {
		if id, _, err := ch.role(name); err == nil {
			ch.put(id, ch.cell(id).adopt(rec))
		}
	}
	for name, o := range d.Overrides {
		if id, _, err := ch.role(name); err == nil {
			ch.put(id, ch.cell(id).order(orders{override: o, lowered: ch.cell(id).lowered}))
		}
	}
	for name, l := range d.Lowered {
		if id, _, err := ch.role(name); err == nil {
			ch.put(id, ch.cell(id).order(orders{override: ch.cell(id).override, lowered: l}))
		}
	}
	for node := range d.Drains {
		if n, ok := ch.before.Node(node); ok {
			for _, id := range ch.before.ix.rolesOf[n] {
				ch.put(id, ch.cell(id))
			}
		}
	}
	ch.settle()
	ch.delta = Delta{Drains: d.Drains} // it is committed; the drains tell publish that there is something new
	ch.number = max(ch.number, d.Change)
	r.unsaved = r.unsaved.without(d)
	r.publish(ch)
}

// adopt returns the cell with what another guard has accepted. An older epoch than that in force changes nothing.
func (c *cell) adopt(rec Record) *cell {
	if rec.Epoch < c.rec.Epoch || c.rec.equal(rec) {
		return c
	}
	n := *c
	n.rec, n.confirmed = rec, true
	return n.say(word{pool: c.pool})
}

// without leaves out what somebody else has decided since.
func (d *Delta) without(other Delta) *Delta {
	if d == nil {
		return nil
	}
	for role, rec := range other.Records {
		if mine, ok := d.Records[role]; ok && mine.Epoch <= rec.Epoch {
			delete(d.Records, role)
		}
	}
	for role := range other.Overrides {
		delete(d.Overrides, role)
	}
	for node := range other.Drains {
		delete(d.Drains, node)
	}
	for role := range other.Lowered {
		delete(d.Lowered, role)
	}
	return d
}
