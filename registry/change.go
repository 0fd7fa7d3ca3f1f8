package registry

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// change is the next state in the making: what differs from the snapshot in force, and nothing else.
type change struct {
	r      *Registry
	before *Snapshot
	now    time.Time
	number uint64

	cells    map[int32]*cell
	drained  map[string]Drain     // the snapshot's own map until it is edited
	states   map[int32]*RoleState // those that differ
	answers  []int32              // roles that publish something else than before
	delta    Delta
	storeErr error
}

func (r *Registry) newChange(now time.Time) *change {
	before := r.Snapshot()
	return &change{
		r: r, before: before, now: now, number: before.Change, cells: map[int32]*cell{},
		drained: before.drained, states: map[int32]*RoleState{}, storeErr: before.StoreErr,
	}
}

// stage runs the commands against the change, adds the roles that time has caught up with, and
// settles what follows.
func (ch *change) stage(batch []*command, due []int32) {
	for _, id := range due {
		ch.put(id, ch.cell(id).withoutEnded(ch.now))
	}
	for _, c := range batch {
		c.err = c.do(ch)
	}
	ch.settle()
}

func (ch *change) cell(id int32) *cell {
	if c, ok := ch.cells[id]; ok {
		return c
	}
	return ch.r.cells[id]
}

// put stages a cell; its state will be judged again even if it is the same cell.
func (ch *change) put(id int32, c *cell) { ch.cells[id] = c }

func (ch *change) role(name string) (int32, *Role, error) {
	id, ok := ch.before.ix.roles[name]
	if !ok {
		return 0, nil, fmt.Errorf("no role is named %q", name)
	}
	return id, ch.before.World.Roles[id], nil
}

// view is the role's state with what is staged so far.
func (ch *change) view(id int32) *RoleState { return ch.viewOf(id, ch.cell(id)) }

func (ch *change) viewOf(id int32, c *cell) *RoleState {
	return view(ch.before.ix, ch.before.World.Roles[id], c, ch.drained, ch.before.roles.at(int(id)), ch.now)
}

func (ch *change) drain(node string, d *Drain) {
	ch.drained = maps.Clone(ch.drained)
	if d == nil {
		delete(ch.drained, node)
	} else {
		if ch.drained == nil {
			ch.drained = map[string]Drain{}
		}
		ch.drained[node] = *d
	}
	if ch.delta.Drains == nil {
		ch.delta.Drains = map[string]*Drain{}
	}
	ch.delta.Drains[node] = d
	n, _ := ch.before.Node(node)
	for _, id := range ch.before.ix.rolesOf[n] {
		ch.put(id, ch.cell(id).repick(ch.before.World.Roles[id], ch.drained, ch.now))
	}
}

// settle judges every staged cell and writes down what differs: states and durable records.
func (ch *change) settle() {
	for _, id := range slices.Sorted(maps.Keys(ch.cells)) {
		c, old, s := ch.cells[id], ch.before.roles.at(int(id)), ch.view(id)
		if same(old, s) {
			continue
		}
		ch.states[id] = s
		if !sameAnswers(old, s) {
			ch.answers = append(ch.answers, id)
		}
		ch.record(s.Role.Name, ch.r.cells[id], c)
	}
	if !ch.delta.empty() || len(ch.answers) > 0 {
		ch.number = ch.before.Change + 1
	}
	ch.delta.Change = ch.number
}

func (ch *change) record(role string, old, c *cell) {
	if !old.rec.equal(c.rec) {
		if ch.delta.Records == nil {
			ch.delta.Records = map[string]Record{}
		}
		ch.delta.Records[role] = c.rec
	}
	if old.override != c.override {
		if ch.delta.Overrides == nil {
			ch.delta.Overrides = map[string]*Override{}
		}
		ch.delta.Overrides[role] = c.override
	}
	if old.lowered != c.lowered {
		if ch.delta.Lowered == nil {
			ch.delta.Lowered = map[string]*Lowered{}
		}
		ch.delta.Lowered[role] = c.lowered
	}
}

func (r Record) equal(o Record) bool {
	return r.Epoch == o.Epoch && r.Origin == o.Origin && r.Since.Equal(o.Since) && slices.Equal(r.Nodes, o.Nodes)
}

// publish puts the change in force: cells, alarms, PTR targets, and one new snapshot if anybody could
// tell the difference.
func (r *Registry) publish(ch *change) {
	for id, c := range ch.cells {
		r.cells[id] = c
	}
	for id := range ch.cells {
		s := ch.states[id]
		if s == nil {
			s = ch.before.roles.at(int(id))
		}
		r.alarms.set(id, wakeAt(s, ch.now))
	}
	before := ch.before
	if len(ch.states) == 0 && len(ch.delta.Drains) == 0 && ch.storeErr == before.StoreErr {
		return
	}
	next := *before
	next.Change, next.StoreErr, next.drained = ch.number, ch.storeErr, ch.drained
	next.superseded = make(chan struct{})
	roles := before.roles.edit()
	for id, s := range ch.states {
		roles.set(int(id), s)
	}
	next.roles = roles.done()
	next.ptrs = r.repoint(ch, &next)
	r.cur.Store(&next)
	close(before.superseded)
	r.logChange(ch)
}

func (r *Registry) logChange(ch *change) {
	for _, id := range slices.Sorted(maps.Keys(ch.states)) {
		old, s := ch.before.roles.at(int(id)), ch.states[id]
		if old.State == s.State && slices.Equal(old.Holder, s.Holder) && old.Epoch == s.Epoch && slices.Equal(old.Served, s.Served) {
			continue
		}
		e := r.log.Info()
		if s.State == Conflict || s.State == Lost {
			e = r.log.Warn()
		}
		e.Str("role", s.Role.Name).Strs("holder", s.Holder).Uint64("epoch", s.Epoch).Stringer("state", s.State).
			Strs("served", namesOf(s.Served)).Str("origin", s.Origin).Uint64("change", ch.number)
		if s.Why != "" {
			e.Str("why", s.Why)
		}
		e.Msg("role changed")
	}
}

func namesOf(nodes []*Node) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.Name
	}
	return out
}
