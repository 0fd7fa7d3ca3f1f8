package stream

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push/dso"
	"github.com/nameward/nameward/registry/zone"
)

// hub knows who subscribed to which names, and follows what stands there.
type hub struct {
	snapshot func() *registry.Snapshot
	zones    *zone.DB

	mu     sync.Mutex
	topics map[string]*topic // by lower-case name; none without a session
	owned  map[string]*group // by zone, those with a topic
	seen   *registry.Snapshot
}

// topic is a name that somebody subscribed to.
type topic struct {
	owner    string
	now      atomic.Pointer[content]
	sessions map[*session]bool
}

// group is the topics in an owned zone.
type group struct {
	topics map[string]*topic
	seen   *zone.View
}

func newHub(snapshot func() *registry.Snapshot, zones *zone.DB) *hub {
	return &hub{snapshot: snapshot, zones: zones, topics: map[string]*topic{}, owned: map[string]*group{}, seen: snapshot()}
}

// run follows the state by level until ctx ends.
func (h *hub) run(ctx context.Context) {
	for {
		roles, zones := h.snapshot().Superseded(), h.zones.Superseded()
		h.catchUp()
		select {
		case <-roles:
		case <-zones:
		case <-ctx.Done():
			return
		}
	}
}

// catchUp brings the topics to the state of now. The state is read under the lock, here as where a topic begins, so
// that a topic never goes back.
func (h *hub) catchUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	snap, before := h.snapshot(), h.seen
	h.seen = snap
	if snap.World != before.World {
		h.regroup(snap)
		for _, t := range h.topics {
			h.refresh(snap, t)
		}
		return
	}
	for name, g := range h.owned {
		h.followZone(snap, name, g)
	}
	for s := range snap.ChangedSince(before) {
		for _, owner := range s.Role.DNS {
			h.refreshName(snap, owner)
		}
	}
	for owner := range snap.PTRsChangedSince(before) {
		h.refreshName(snap, owner)
	}
}

// followZone looks at what was registered in a zone.
func (h *hub) followZone(snap *registry.Snapshot, name string, g *group) {
	v := h.zones.View(name)
	if v == nil || v == g.seen {
		return
	}
	owners, known := v.ChangedSince(g.seen)
	g.seen = v
	if !known {
		for _, t := range g.topics {
			h.refresh(snap, t)
		}
		return
	}
	for _, owner := range owners {
		if t := g.topics[owner]; t != nil {
			h.refresh(snap, t)
		}
	}
	if t := g.topics[name]; t != nil {
		h.refresh(snap, t) // the serial
	}
}

func (h *hub) refreshName(snap *registry.Snapshot, owner string) {
	if t := h.topics[owner]; t != nil {
		h.refresh(snap, t)
	}
}

// refresh makes the content of a topic anew and wakes those who subscribed, if there is any difference.
func (h *hub) refresh(snap *registry.Snapshot, t *topic) {
	c := contentOf(published(snap, h.zones, t.owner), t.now.Load())
	if len(c.delta) == 0 {
		return
	}
	t.now.Store(c)
	for s := range t.sessions {
		s.changed(t)
	}
}

// regroup puts the topics under the zones of another configuration.
func (h *hub) regroup(snap *registry.Snapshot) {
	h.owned = map[string]*group{}
	for _, t := range h.topics {
		h.enter(snap, t)
	}
}

func (h *hub) enter(snap *registry.Snapshot, t *topic) {
	z := snap.Zone(t.owner)
	if z == nil {
		return
	}
	g := h.owned[z.Name]
	if g == nil {
		g = &group{topics: map[string]*topic{}, seen: h.zones.View(z.Name)}
		h.owned[z.Name] = g
	}
	g.topics[t.owner] = t
}

// nothing is the content of a topic before its first, and what a client knows that was told nothing.
var nothing = new(content)

// join enters a session under a lower-case name. Being in already is no harm.
func (h *hub) join(s *session, owner string) *topic {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[owner]
	if t == nil {
		snap := h.snapshot()
		t = &topic{owner: owner, sessions: map[*session]bool{}}
		h.topics[owner] = t
		h.enter(h.seen, t)
		t.now.Store(contentOf(published(snap, h.zones, owner), nothing))
	}
	t.sessions[s] = true
	return t
}

// leave takes a session out from under a name.
func (h *hub) leave(s *session, t *topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(t.sessions, s)
	if len(t.sessions) > 0 || h.topics[t.owner] != t {
		return
	}
	delete(h.topics, t.owner)
	for name, g := range h.owned {
		if g.topics[t.owner] == t {
			delete(g.topics, t.owner)
			if len(g.topics) == 0 {
				delete(h.owned, name)
			}
			return
		}
	}
}

// judge says whether a client may subscribe: RFC 8765, Section 6.2.2. A name need not exist, if it lies in a zone of ours.
func (h *hub) judge(q dso.Question) (rcode int) {
	switch {
	case q.Class != dns.ClassINET && q.Class != dns.ClassANY:
		return dns.RcodeNotAuth
	case isMeta(q.Type):
		return dns.RcodeRefused
	}
	snap, owner := h.snapshot(), dns.CanonicalName(q.Name)
	z := snap.Zone(owner)
	if z == nil {
		return judgeOverlaid(snap, owner, q.Type)
	}
	if v := h.zones.View(z.Name); v != nil && v.IsCutOff(owner, q.Type) {
		return dns.RcodeNotAuth
	}
	return dns.RcodeSuccess
}

// judgeOverlaid is for names in zones of others. What is answered for them here is the addresses, or the PTR record: who
// asks for ANY wants all that stands there, and that is not known here.
func judgeOverlaid(snap *registry.Snapshot, owner string, rrtype uint16) int {
	e, ok := snap.Lookup(owner)
	isPTR := rrtype == dns.TypePTR
	if ok && (e.Kind == registry.KindPTR) == isPTR && (isPTR || rrtype == dns.TypeA || rrtype == dns.TypeAAAA) {
		return dns.RcodeSuccess
	}
	return dns.RcodeNotAuth
}

// isMeta reports types that no record at a name has: RFC 6895, Section 3.1. ANY stands for all that are.
func isMeta(t uint16) bool {
	return t == 0 || t == dns.TypeOPT || t >= 128 && t < dns.TypeANY
}
