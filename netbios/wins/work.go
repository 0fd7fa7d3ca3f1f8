package wins

import (
	"maps"
	"slices"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/held"
)

// work is one batch in the making. Nothing of it shows before publish.
type work struct {
	d      *Database
	set    *Settings
	before *Snapshot
	now    Stamp
	edit   *editor
	roles  *editor
	owners map[IPv4]*owner // that this batch changes
	orders bool            // the owners have the versions of their records
	failed error           // the disk takes nothing: what needs it is refused
	first  *work           // the same batch when it could not be saved: what it holds, it holds already

	version uint64
	masters []netbios.Name
	moved   bool // masters is a copy
	perAddr map[IPv4]int
	delta   []byte
	soft    map[netbios.Name]bool // changed in memory alone; true: to get a new version
	hard    []netbios.Name        // no longer so
	forgot  map[*Request]bool     // releases of what was parked
	outs    []Out
	outGone []outKey
	starts  []*pending
	joined  []joined
	told    map[*Request]bool // to wait
	ended   []netbios.Name    // challenges

	contests map[netbios.Name]*contest // that this batch begins
	arrivals []arriving
	settled  []*contest
	deferred []*contest // to be decided when the disk takes something
	demands  []demand

	answers []answered
	changed bool
}

type answered struct {
	to *Request
	Answer
}

func (d *Database) begin(failed error) *work {
	d.edits++
	before := d.Snapshot()
	w := &work{
		d: d, set: d.settings.Load(), before: before, now: StampOf(time.Now()), edit: before.edit(d.edits), roles: before.roles.edit(d.edits),
		failed: failed, orders: before.ordered,
		version: before.Version, masters: before.masters, delta: d.delta[:0],
	}
	w.order(w.set.Partners || len(before.owners) > 1)
	return w
}

// anew begins the batch once more, to be decided without a disk.
func (w *work) anew(failed error) *work {
	again := w.d.begin(failed)
	again.first = w
	return again
}

func (w *work) run(batch []*Request, cmds []*command) {
	for _, r := range batch {
		w.handle(r)
	}
	for _, c := range cmds {
		c.do(w)
	}
}

// handle decides one request.
func (w *work) handle(r *Request) {
	switch {
	case r.verdict.Guarded:
		w.guarded(r)
	case r.Op == Release:
		w.release(r)
	default:
		w.register(r)
	}
}

func (w *work) answer(r *Request, o Outcome, code netbios.Rcode) {
	a := Answer{Outcome: o, Rcode: code}
	if r.Op != Release {
		a.TTL = w.set.Timers.grant(r)
	}
	w.answers = append(w.answers, answered{r, a})
}

// guarded deals with the name of a role, whose state decides what is published. Nobody is refused but on
// the policy's word: that would fail a cluster's resource.
func (w *work) guarded(r *Request) {
	h := heldOf(r)
	if r.Op == Release {
		parked := h
		parked.What = What(Register)
		if len(r.Addrs) == 1 && r.Addrs[0].Addr == r.Source.Addr() && w.unpark(r, parked.key()) {
			w.answer(r, ReleasedOwn, 0)
			return
		}
		h.Fate, h.Reason = IsIgnored, ReasonGuarded
		w.hold(h)
		w.answer(r, NotReleased, 0)
		return
	}
	switch r.verdict.Action {
	case Publish, Park:
		h.Fate = IsParked
		w.hold(h)
		if r.verdict.Action == Publish {
			w.tell(r, r.verdict.Addrs)
		}
		w.answer(r, Parked, 0)
	case Quarantine:
		w.quarantine(r, h)
	case Refuse:
		w.refuse(r, h)
	}
}

func heldOf(r *Request) Held {
	v := &r.verdict
	h := Held{
		Name: r.Name, What: What(r.Op), Source: r.Source.Addr(), Claimed: r.Addrs, Role: v.Role,
		Reason: v.Reason, Rule: v.Rule, Decision: v.Decision, Alert: v.Alert,
	}
	if v.Guarded {
		h.Name = h.Name.Fold()
	}
	for _, a := range v.Addrs {
		h.Kept = append(h.Kept, IPv4Of(a.Addr))
	}
	return h
}

func (w *work) hold(h Held) {
	if w.first == nil && w.d.note(h, w.now) {
		w.d.report(&h)
	}
}

func (w *work) unpark(r *Request, k heldKey) bool {
	if w.first != nil {
		return w.first.forgot[r]
	}
	ok := w.d.held.Forget(k, func(h *Held) bool { return h.Fate == IsParked })
	if ok && w.forgot == nil {
		w.forgot = map[*Request]bool{}
	}
	if ok {
		w.forgot[r] = true
	}
	return ok
}

func (w *work) quarantine(r *Request, h Held) {
	h.Fate, h.Kept = IsQuarantined, nil
	w.hold(h)
	w.answer(r, Quarantined, 0)
}

func (w *work) refuse(r *Request, h Held) {
	h.Fate, h.Kept = IsRefused, nil
	w.hold(h)
	w.answer(r, Refused, netbios.RcodeRefused)
}

// register deals with registrations and refreshes of names that belong to no role.
func (w *work) register(r *Request) {
	switch {
	case r.verdict.Action == Refuse:
		w.refuse(r, heldOf(r))
		return
	case r.Name.Suffix() == suffixBrowser:
		w.answer(r, Unstored, 0)
		return
	case r.verdict.Action != Publish, r.verdict.HandOn && r.Upstream == NotAsked:
		w.quarantine(r, heldOf(r))
		return
	case isForbidden(r):
		w.answer(r, Forbidden, netbios.RcodeRefused)
		return
	}
	if c, cur, state, ok := w.claims(r); ok {
		w.take(r, cur, c.decided(r, cur, state))
	}
}

// claims is what a request claims, with the record of the name and what time has made of it. A request of
// which nothing is left is answered, and claims nothing.
func (w *work) claims(r *Request) (c claim, cur *Record, state State, ok bool) {
	cur, state = w.find(r.Name)
	addrs := w.vouched(r, cur, state)
	if len(addrs) == 0 {
		w.answer(r, Quarantined, 0)
		return c, nil, gone, false
	}
	return newClaim(r, addrs, w.now, &w.set.Timers), cur, state, true
}

// vouched returns the addresses of a claim that it may make. Those that the policy took out, and those
// that are not the source's own, are noted: an address that the packet did not come from needs somebody's
// word, that of a rule or of the recorded owner, which then has to confirm it.
func (w *work) vouched(r *Request, cur *Record, state State) []netbios.Address {
	v := &r.verdict
	if len(v.Addrs) < len(r.Addrs) && !w.waited(r) {
		h := heldOf(r)
		h.Claimed = slices.DeleteFunc(slices.Clone(r.Addrs), func(a netbios.Address) bool { return slices.Contains(v.Addrs, a) })
		h.Fate, h.Kept = IsQuarantined, nil
		w.hold(h)
	}
	source := r.Source.Addr()
	isForeign := func(a netbios.Address) bool { return a.Addr != source }
	switch {
	case v.ByRule, !slices.ContainsFunc(v.Addrs, isForeign), kindOf(r.Name, r.Addrs[0].Flags, r.Op) == Group:
		return v.Addrs
	case cur != nil && state == Active && !cur.Kind.isGroup() && cur.Index(IPv4Of(source)) >= 0:
		return v.Addrs
	}
	if !w.waited(r) {
		h := heldOf(r)
		h.Claimed = slices.DeleteFunc(slices.Clone(v.Addrs), func(a netbios.Address) bool { return !isForeign(a) })
		h.Fate, h.Reason, h.Rule, h.Kept = IsQuarantined, ReasonNotSource, "", nil
		w.hold(h)
	}
	return slices.DeleteFunc(slices.Clone(v.Addrs), isForeign)
}

// decided is the rules' word on the claim, or that of a server behind.
func (c *claim) decided(r *Request, cur *Record, state State) step {
	s := c.register(cur, state)
	isStatic := cur != nil && cur.Static
	switch {
	case r.Upstream == Denied:
		return step{outcome: Contested, rcode: r.UpstreamRcode}
	case r.Upstream == Accepted && !isStatic && (s.challenge || s.rcode != 0):
		return step{outcome: TakenOver, put: c.record(), fresh: true}
	}
	return s
}

// take does what the rules say to a registration.
func (w *work) take(r *Request, cur *Record, s step) {
	switch {
	case s.challenge:
		w.contest(r, cur)
		return
	case s.put != nil && !w.fits(cur, s.put):
		w.answer(r, OverLimit, netbios.RcodeServer)
		return
	case s.put != nil && w.failed != nil && s.fresh && !s.renews(cur):
		w.answer(r, Unsaved, netbios.RcodeServer)
		return
	}
	if s.put != nil {
		w.put(cur, s.put, s.fresh)
	}
	if s.rcode == 0 {
		w.tell(r, r.verdict.Addrs)
	}
	w.answer(r, s.outcome, s.rcode)
}

// release deals with releases of names that belong to no role.
func (w *work) release(r *Request) {
	cur, state := w.find(r.Name)
	c := newClaim(r, r.Addrs, w.now, &w.set.Timers)
	s := c.release(cur, state, &w.set.Timers)
	if s.outcome == NotReleased && cur != nil && state == Active && cur.Kind != Group {
		h := heldOf(r)
		h.Fate, h.Kept, h.Reason = IsIgnored, nil, ReasonNotOwner
		if cur.Index(c.source) >= 0 {
			h.Reason = ReasonNotSource
		}
		w.hold(h)
	}
	if s.put != nil {
		if w.failed != nil {
			w.answer(r, Unsaved, netbios.RcodeServer)
			return
		}
		w.put(cur, s.put, s.fresh)
		w.tell(r, r.Addrs)
	}
	w.answer(r, s.outcome, s.rcode)
}

// find returns the record of a name as this batch has it, nil for none, and what time has made of it.
func (w *work) find(n netbios.Name) (*Record, State) {
	r, ok := w.edit.t.Find(n)
	if !ok {
		return nil, gone
	}
	state, _ := r.stateAt(w.now, &w.set.Timers)
	if state == gone {
		return &r, Tombstone // it goes with the next sweep
	}
	return &r, state
}

// fits reports whether the record may stand beside all others.
func (w *work) fits(cur, next *Record) bool {
	l := &w.set.Limits
	if cur == nil && w.edit.t.len >= l.Records {
		return false
	}
	for a := range next.counted() {
		if (cur == nil || cur.Index(a) < 0) && int(w.d.perAddr[a])+w.perAddr[a] >= l.PerAddress {
			return false
		}
	}
	return true
}

// put places a record. A version is one of this server's, and so is the record then.
func (w *work) put(cur, next *Record, fresh bool) {
	switch {
	case fresh && w.failed != nil:
		next.Owner, next.Version = cur.Owner, cur.Version // until it can be saved
	case fresh:
		w.version++
		next.Owner, next.Version = IPv4{}, w.version
		w.dropRole(next.Name)
	}
	w.number(cur, next)
	w.count(cur, -1)
	w.count(next, +1)
	w.master(next.Name, true)
	w.edit.put(next)
	w.changed = true
	if w.failed != nil {
		if w.soft == nil {
			w.soft = map[netbios.Name]bool{}
		}
		w.soft[next.Name] = fresh || w.soft[next.Name] || w.d.unsaved[next.Name]
		return
	}
	w.delta = appendRecord(w.delta, next)
}

// withdraw takes a record out and lets partners know, but for the name of a role, of which they know already.
func (w *work) withdraw(cur *Record) {
	if !w.set.Partners || cur.Owner != (IPv4{}) || cur.State == Tombstone || w.hasRole(cur.Name) {
		w.remove(cur)
		return
	}
	next := *cur
	next.State, next.Static, next.Ends = Tombstone, false, w.now.add(w.set.Timers.ExtinctionTimeout)
	w.put(cur, &next, true)
}

// remove takes a record out.
func (w *work) remove(cur *Record) {
	w.number(cur, nil)
	w.count(cur, -1)
	w.master(cur.Name, false)
	w.edit.remove(cur.Name)
	w.changed = true
	w.delta = appendGone(w.delta, cur.Name)
}

func (w *work) count(r *Record, by int) {
	if r == nil {
		return
	}
	if w.perAddr == nil {
		w.perAddr = map[IPv4]int{}
	}
	for a := range r.counted() {
		w.perAddr[a] += by
	}
}

// master keeps the list of domain master browsers.
func (w *work) master(n netbios.Name, is bool) {
	if n.Suffix() != suffixMaster || slices.Contains(w.masters, n) == is {
		return
	}
	if !w.moved {
		w.masters, w.moved = slices.Clone(w.masters), true
	}
	if is {
		w.masters = append(w.masters, n)
		return
	}
	w.masters = slices.DeleteFunc(w.masters, func(m netbios.Name) bool { return m == n })
}

// tell notes what a server behind has to be told.
func (w *work) tell(r *Request, addrs []netbios.Address) {
	if r.Upstream != Unreachable && r.Upstream != SendToo || r.verdict.Local || w.failed != nil {
		return
	}
	for _, a := range addrs {
		o := Out{Name: r.Name, Addr: IPv4Of(a.Addr), Op: r.Op, Flags: a.Flags, TTL: r.TTL, Since: w.now}
		w.outs = append(w.outs, o)
		w.delta = appendOut(w.delta, &o)
	}
}

// save puts the batch on stable storage.
func (w *work) save() error {
	if w.failed != nil {
		return nil
	}
	w.harden()
	var changes []held.Change[heldKey, Held]
	w.delta, changes = w.d.appendHeldChanges(w.delta)
	if w.version != w.before.Version {
		w.delta = appendVersion(w.delta, w.version)
	}
	if len(w.delta) == 0 && w.before.Err == nil {
		return nil
	}
	if len(w.delta) == 0 {
		// Nothing to save, but the disk's last word was an error: ask it again.
		w.delta = appendVersion(w.delta, w.version)
	}
	seq, err := w.d.journal.Append(w.delta)
	if err != nil {
		return err
	}
	w.d.held.Saved(changes, w.now.Time())
	for _, n := range w.hard {
		delete(w.d.unsaved, n)
	}
	saved := *w.before
	saved.seq, saved.Err = seq, nil
	w.before = &saved
	w.changed = true
	return nil
}

// maxHardened bounds how many records a batch has beside its own: many may have been renewed while the
// disk took nothing, and the journal takes no batch of any size. The others are in the batches to come.
const maxHardened = 8192

// harden adds records to the batch that were renewed while the disk took nothing.
func (w *work) harden() {
	for n, fresh := range w.d.unsaved {
		if len(w.hard) == maxHardened {
			return
		}
		w.hard = append(w.hard, n)
		cur, ok := w.edit.t.Find(n)
		if !ok {
			continue // removed by this batch
		}
		next := cur
		w.put(&cur, &next, fresh)
	}
}

// publish puts the batch in force and answers.
func (w *work) publish() {
	d := w.d
	d.delta = w.delta[:0]
	if cap(d.delta) > 1<<20 {
		d.delta = nil
	}
	// Before the snapshot that it belongs to: a checkpoint of that one has to find it.
	d.outbox.put(w.outs, w.outGone)
	if w.changed || w.failed != nil {
		w.show()
	}
	for a, by := range w.perAddr {
		if n := int(d.perAddr[a]) + by; n > 0 {
			d.perAddr[a] = uint32(n)
		} else {
			delete(d.perAddr, a)
		}
	}
	maps.Copy(d.unsaved, w.soft)
	w.flush()
	w.settlePending()
	w.settleContests()
	w.sendDemands()
}

// show makes the new snapshot that of now.
func (w *work) show() {
	s := &Snapshot{
		Table: w.edit.done(), Version: w.version, Err: w.failed, masters: w.masters, seq: w.before.seq, timers: &w.set.Timers,
		roles: w.roles.done(), owners: w.ownersNow(), ordered: w.orders, moved: w.before.moved,
	}
	if s.Version == w.before.Version {
		w.d.cur.Store(s)
		return
	}
	s.moved = make(chan struct{})
	w.d.cur.Store(s)
	close(w.before.moved)
}

// flush hands out the answers, one sink after the other.
func (w *work) flush() {
	var sinks []Sink
	for _, a := range w.answers {
		a.to.Waits = a.to.Waits || a.Wack
		if !a.Wack {
			w.d.counters[a.to.Op][a.Outcome].Add(1)
		}
		a.to.To.Answer(a.to, a.Answer)
		if !slices.Contains(sinks, a.to.To) {
			sinks = append(sinks, a.to.To)
		}
	}
	for _, s := range sinks {
		s.Flush()
	}
}
