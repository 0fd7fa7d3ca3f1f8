package zone

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// work is one batch in the making. Nothing of it shows before publish.
type work struct {
	d       *DB
	before  *state
	snap    *registry.Snapshot
	fresh   map[string]*View   // zones that there were none of before
	editors map[string]*editor // zones that are changed
	parked  map[string]*kept   // zones that go
	marks   map[string]int     // how much of each editor's undo the registry did
	next    map[string]*View   // what pack made of the editors
	saved   []byte             // the entries for that
	results []answered
	cmd     *command // nil for none
	outage  int      // of the disk in which it takes effect, 0 for none
}

type answered struct {
	to *Update
	Result
}

func (d *DB) begin(before *state, snap *registry.Snapshot) *work {
	return &work{
		d: d, before: before, snap: snap, fresh: map[string]*View{}, editors: map[string]*editor{}, parked: map[string]*kept{},
	}
}

// editor returns the zone in the making, nil when it is not owned.
func (w *work) editor(zone string) *editor {
	if e, ok := w.editors[zone]; ok {
		return e
	}
	v := w.fresh[zone]
	if v == nil {
		p, ok := w.before.views[zone]
		if _, goes := w.parked[zone]; !ok || goes {
			return nil
		}
		v = p.Load()
	}
	e := v.edit(w.d.limits.Load().Records)
	if v.State.World == w.snap.World {
		e.state = w.snap // with the same names in this zone, or follow says which ones differ
	}
	w.editors[zone] = e
	return e
}

// follow brings the zones to the registry's state.
func (w *work) follow() {
	switch old := w.before.snap; {
	case old == w.snap:
	case old != nil && old.World == w.snap.World:
		for z, owners := range ownersOf(old, w.snap) {
			w.editor(z.Name).follow(old, owners)
		}
	default:
		w.reconfigure()
	}
}

func (w *work) reconfigure() {
	owned := map[string]bool{}
	for _, z := range w.snap.World.Zones {
		owned[z.Name] = true
		if _, had := w.before.views[z.Name]; had {
			w.editor(z.Name).reconfigure(w.snap, z)
			continue
		}
		w.enter(z)
	}
	for name, p := range w.before.views {
		if v := p.Load(); !owned[name] {
			w.parked[name] = v.kept()
		}
	}
}

// enter adds a zone, as the journal has it or empty. A zone that never had a serial starts with the time in
// seconds, so that a lost journal does not take it backwards. The history of a zone begins anew when it is not
// known what the registry had in it before.
func (w *work) enter(z *registry.Zone) {
	k, known := w.d.parked[z.Name]
	if !known {
		k = &kept{serial: uint32(time.Now().Unix()), doubt: w.d.doubt}
	}
	v := &View{
		Zone: z, State: w.snap, Serial: k.serial, names: k.names.Copy(), records: k.records, octets: k.octets,
		history: k.history, digest: digestOf(w.snap, z),
	}
	v.history = v.history.within(v.maxHistory())
	anew := !known || k.digest != v.digest
	if anew {
		v.history = history{}
		if v.Serial = plus(k.serial, k.skipped()); known && !k.doubt {
			v.Serial = next(k.serial)
		}
	}
	w.fresh[z.Name] = v
	e := w.editor(z.Name)
	e.anew, e.skips = anew, k.doubt && !anew
	e.dropReserved()
}

// run does the updates, one after the other.
func (w *work) run(batch []*Update) {
	for _, u := range batch {
		e := w.editor(u.Zone)
		if e == nil {
			w.results = append(w.results, answered{u, resultf(dns.RcodeNotAuth, "zone %s is not owned", u.Zone)})
			continue
		}
		w.results = append(w.results, answered{u, e.update(u)})
	}
}

// removeWhere takes registered records out.
func (w *work) removeWhere(gone func(zone string, r Record) bool) (went []Record) {
	for _, z := range w.snap.World.Zones {
		e := w.editor(z.Name)
		var found []Record
		e.names.Scan(func(_ string, n *Name) bool {
			for _, s := range n.Sets {
				for _, r := range s.Records {
					if gone(z.Name, r) {
						found = append(found, r)
					}
				}
			}
			return true
		})
		for _, r := range found {
			e.deleteRecord(r.RR)
		}
		went = append(went, found...)
	}
	return went
}

// refuse answers updates that cannot be saved.
func (w *work) refuse(batch []*Update, err error) {
	w.results = w.results[:0]
	for _, u := range batch {
		w.results = append(w.results, answered{u, resultf(dns.RcodeServerFailure, "it cannot be saved: %v", err)})
	}
}

// mark and rollBack take back what updates did, and leave what the registry did.
func (w *work) mark() {
	w.marks = make(map[string]int, len(w.editors))
	for zone, e := range w.editors {
		w.marks[zone] = len(e.undo)
	}
}

func (w *work) rollBack() {
	for zone, e := range w.editors {
		if m, ok := w.marks[zone]; ok {
			e.takeBack(m)
		} else {
			delete(w.editors, zone)
		}
	}
}

// save puts the batch on stable storage. When there is nothing to save, force tries the disk all the same.
func (w *work) save(force bool) (seq uint64, err error) {
	w.pack()
	batch := w.saved
	if len(w.d.unsaved) > 0 {
		batch = slices.Concat(w.d.unsaved, batch)
	}
	if len(batch) == 0 && !force {
		return w.before.seq, nil
	}
	return w.d.append(batch)
}

// pack makes the next views, and the entries that stand for them.
func (w *work) pack() {
	p := &w.d.packer
	p.reset()
	if w.before.snap == nil {
		w.skipParked(p)
	}
	w.next = map[string]*View{}
	for name, e := range w.editors {
		if v := e.finish(p, w.outage); v != e.view || w.fresh[name] != nil {
			w.next[name] = v
		}
	}
	w.saved = p.b
}

// finish makes the view that an editor stands for and writes down the step to it. It is the one before when
// nothing has changed.
func (e *editor) finish(p *packer, outage int) *View {
	v := *e.view
	v.Zone, v.State, v.names, v.records, v.octets, v.digest = e.zone, e.state, e.names, e.records, e.octets, e.digest
	if e.anew {
		p.zone(e.zone.Name)
		p.head(v.Serial, v.digest)
	}
	deleted, added := e.diff()
	s := &Step{Before: e.view.SOA(), Deleted: join(deleted, e.static.deleted), Added: join(added, e.static.added)}
	switch {
	case len(s.Deleted)+len(s.Added) > 0 || e.skips || !e.sameTimers():
	case e.anew || e.state.World != e.view.State.World:
		return &v
	default:
		return e.view
	}
	e.advance(&v, outage)
	s.Before, s.After = v.history.end(s.Before), v.SOA()
	p.zone(e.zone.Name)
	p.step(tagStep, s, deleted, added, e.static, v.digest)
	v.history = v.history.with(s, v.maxHistory())
	return &v
}

func (e *editor) sameTimers() bool {
	return e.zone == e.view.Zone || *SOA(e.zone, 0) == *SOA(e.view.Zone, 0)
}

// maxHistory is how long the differences may be that the view keeps.
func (v *View) maxHistory() int {
	return max(minHistory, v.octets+len(v.State.OwnerNames(v.Zone))*recordOctets)
}

// recordOctets is about what a record of the registry takes in a transfer.
const recordOctets = 64

func join(records []Record, rrs []dns.RR) []dns.RR {
	out := make([]dns.RR, 0, len(records)+len(rrs))
	for _, r := range records {
		out = append(out, r.RR)
	}
	return append(out, rrs...)
}

// publish puts the batch in force and answers. err says why it was not saved; then only what the registry
// did is in it.
func (w *work) publish(seq uint64, err error) {
	d := w.d
	if err != nil && d.saved == nil {
		d.saved = d.whole()
	}
	next := &state{snap: w.snap, views: w.before.views, superseded: make(chan struct{}), seq: seq, err: err}
	if w.before.snap == nil || w.before.snap.World != w.snap.World {
		next.views = w.views()
	}
	for name, v := range w.next {
		next.views[name].Store(v)
	}
	maps.Copy(d.parked, w.parked)
	for name := range w.fresh {
		delete(d.parked, name)
	}
	if len(w.next) > 0 || w.before.snap != w.snap || (err == nil) != (w.before.err == nil) {
		d.cur.Store(next)
		close(w.before.superseded)
	} else {
		w.before.seq = seq
	}
	if err != nil {
		d.keep(w.saved)
	} else {
		d.unsaved, d.saved = nil, nil
	}
	w.answer(err)
}

// views is the table of the zones of the configuration in force.
func (w *work) views() map[string]*atomic.Pointer[View] {
	out := map[string]*atomic.Pointer[View]{}
	for _, z := range w.snap.World.Zones {
		if p, ok := w.before.views[z.Name]; ok {
			out[z.Name] = p
		} else {
			out[z.Name] = &atomic.Pointer[View]{}
		}
	}
	return out
}

func (w *work) answer(err error) {
	for _, a := range w.results {
		if p, ok := w.d.cur.Load().views[a.to.Zone]; ok {
			a.Serial = p.Load().Serial
		}
		if a.to.Done != nil {
			a.to.Done(a.Result)
		}
	}
	if w.cmd != nil {
		w.cmd.done(err)
	}
}
