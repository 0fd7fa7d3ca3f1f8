package wins

import (
	"slices"
	"time"

	"github.com/nameward/nameward/netbios"
)

// pending is a name whose recorded owner is being challenged, RFC 1002, Section 5.1.4.1.
type pending struct {
	req    *Request
	record Record // as it was when the challenge began
	// waiting are further claimants, in their order. Each was told to wait.
	waiting []*Request
}

// maxWaiting bounds the claimants of one name that wait for the end of a challenge.
const maxWaiting = 16

// wackTTL is for how long a claimant waits, in seconds: 5 and 4 for each address that is asked.
func wackTTL(addrs int) uint32 { return uint32(5 + 4*addrs) }

// joined is a claimant that waits for the end of somebody else's challenge.
type joined struct {
	p *pending
	r *Request
}

// contest begins the challenge of the recorded owner, or joins those who wait for the end of one.
func (w *work) contest(r *Request, cur *Record) {
	p := w.pendingFor(r.Name)
	switch {
	case p != nil && w.waits(p, r):
		w.answer(r, Duplicate, 0)
	case w.failed != nil:
		w.answer(r, Unsaved, netbios.RcodeServer)
	case p == nil && !w.waited(r) && len(w.d.pending)-len(w.ended)+len(w.starts) >= w.set.Limits.Challenges:
		w.answer(r, Shed, 0)
	case p == nil:
		w.starts = append(w.starts, &pending{req: r, record: *cur})
		w.wait(r, cur.Len())
	case w.waiting(p) >= maxWaiting:
		w.answer(r, Shed, 0)
	default:
		w.wait(r, (w.waiting(p)+2)*cur.Len())
		w.joined = append(w.joined, joined{p, r})
	}
}

// wait sends a WACK, unless the claimant has one: a second one would be an error of the protocol.
func (w *work) wait(r *Request, addrs int) {
	if w.waited(r) {
		return
	}
	if w.told == nil {
		w.told = map[*Request]bool{}
	}
	w.told[r] = true
	w.answers = append(w.answers, answered{r, Answer{Outcome: Waiting, Wack: true, TTL: wackTTL(addrs)}})
}

// waited reports whether the claimant was told to wait, before or by this batch.
func (w *work) waited(r *Request) bool { return r.Waits || w.told[r] }

func (w *work) pendingFor(n netbios.Name) *pending {
	for _, p := range w.starts {
		if p.record.Name == n {
			return p
		}
	}
	if slices.Contains(w.ended, n) {
		return nil
	}
	return w.d.pending[n]
}

// waits reports whether the request is one that waits already, sent again.
func (w *work) waits(p *pending, r *Request) bool {
	same := func(o *Request) bool { return o.ID == r.ID && o.Op == r.Op && o.Source == r.Source }
	return same(p.req) || slices.ContainsFunc(p.waiting, same) ||
		slices.ContainsFunc(w.joined, func(j joined) bool { return j.p == p && same(j.r) })
}

// waiting is how many wait for the end of a challenge beside the one that it is for.
func (w *work) waiting(p *pending) int {
	n := len(p.waiting)
	for _, j := range w.joined {
		if j.p == p {
			n++
		}
	}
	return n
}

// settlePending starts the challenges of a batch that is in force.
func (w *work) settlePending() {
	for _, n := range w.ended {
		delete(w.d.pending, n)
	}
	for _, j := range w.joined {
		j.p.waiting = append(j.p.waiting, j.r)
	}
	for _, p := range w.starts {
		w.d.pending[p.record.Name] = p
		w.d.asking.Go(func() { w.d.challengeOwner(p) })
	}
	w.d.challenges.Store(int64(len(w.d.pending)))
}

// challengeOwner challenges one owner and hands the result to the writer.
func (d *Database) challengeOwner(p *pending) {
	var addrs []IPv4
	now := StampOf(time.Now())
	for _, m := range p.record.Members() {
		if m.Ends > now {
			addrs = append(addrs, m.Addr)
		}
	}
	said, err := d.challenge(d.asks, p.record.Name, addrs)
	select {
	case d.commands <- &command{do: func(w *work) { w.judge(p, said, err) }}:
	case <-d.asks.Done():
	}
}

// judge ends a challenge: its claimant gets the last word, and those who waited, or came to wait in this
// very batch, are looked at again.
func (w *work) judge(p *pending, said []Challenged, err error) {
	waiting := slices.Clone(p.waiting)
	w.joined = slices.DeleteFunc(w.joined, func(j joined) bool {
		if j.p == p {
			waiting = append(waiting, j.r)
		}
		return j.p == p
	})
	w.ended = append(w.ended, p.record.Name)
	w.judgeOne(p, said, err)
	for _, r := range waiting {
		w.d.Judge(r)
		w.handle(r)
	}
}

// judgeOne decides by what the owner said. Role state and policy may have changed meanwhile, and so may
// the record: the claimant may have it now, as nobody else's, and else whoever changed it is alive.
func (w *work) judgeOne(p *pending, said []Challenged, err error) {
	r := p.req
	if v := w.d.Judge(r); v.Guarded || v.Action != Publish {
		w.handle(r)
		return
	}
	c, cur, state, ok := w.claims(r)
	if !ok {
		return
	}
	s := c.register(cur, state)
	switch {
	case s.challenge && err != nil:
		w.d.log.Warn().Err(err).Stringer("name", r.Name).Msg("the recorded owner of a name could not be asked")
		s = step{outcome: Unasked, rcode: netbios.RcodeServer}
	case s.challenge && cur.Equal(&p.record):
		s = c.challenged(cur, said)
	case s.challenge:
		s = step{outcome: Contested, rcode: netbios.RcodeActive}
	}
	w.take(r, cur, s)
}
