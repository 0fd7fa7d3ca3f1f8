package nameward

import (
	"context"
	"strings"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/zone"
)

// Handler is the plugin in one server block.
type Handler struct {
	Next plugin.Handler
	// State is what the handler answers from; the guard, in a running server.
	State interface {
		Snapshot() *registry.Snapshot
		Zones() *zone.DB
		updating() *updateService
	}
	// Rules are what the answers of the next plugins are held against; the guard, in a running server. Nil:
	// the built-in policy.
	Rules answerRules

	zones []string // owned zones, until State is there
}

// Name implements plugin.Handler.
func (h *Handler) Name() string { return "nameward" }

// ServeDNS implements plugin.Handler.
func (h *Handler) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	switch {
	case r.Opcode == dns.OpcodeUpdate:
		return h.State.updating().serve(ctx, w, r)
	case isTKEY(r):
		return h.State.updating().serveTKEY(ctx, w, r)
	case h.Next == nil && r.Question[0].Qclass != dns.ClassINET:
		return dns.RcodeRefused, nil
	}
	n := now{h.State.Snapshot(), h.State.Zones()}
	m, outcome := n.answer(r)
	responses[outcome].Inc()
	if m == nil {
		return plugin.NextOrFailure(h.Name(), h.Next, ctx, &scrubber{w, h, r}, r)
	}
	if outcome == Aliased {
		m = completed(ctx, w, r, m)
	}
	if err := w.WriteMsg(m); err != nil {
		return dns.RcodeServerFailure, err
	}
	return dns.RcodeSuccess, nil
}

// now is the state that one query is answered from.
type now struct {
	snap  *registry.Snapshot
	zones *zone.DB
}

// answer makes the reply to a query, or nil when the next plugin is to make it.
func (n now) answer(r *dns.Msg) (*dns.Msg, Outcome) {
	if r.Opcode != dns.OpcodeQuery || len(r.Question) != 1 || r.Question[0].Qclass != dns.ClassINET {
		return nil, Passed
	}
	m, outcome := n.one(r, strings.ToLower(r.Question[0].Name))
	if outcome == Aliased {
		return n.followed(r, m, outcome)
	}
	return m, outcome
}

// one answers for a name, given in lower case, without following aliases.
func (n now) one(r *dns.Msg, owner string) (*dns.Msg, Outcome) {
	e, ok := n.snap.Lookup(owner)
	if !ok {
		if z := n.snap.Zone(owner); z != nil {
			return n.registered(r, z, owner, false)
		}
		return nil, Passed
	}
	switch e.Kind {
	case registry.KindRole:
		return n.answerRole(r, e, owner)
	case registry.KindHost:
		a, aaaa := n.snap.HostOf(e)
		return n.answerFixed(r, e, owner, addresses{a: a, aaaa: aaaa, ttl: registry.HostTTL})
	case registry.KindNameServer:
		return n.answerFixed(r, e, owner, glue(n.snap, e))
	case registry.KindService:
		return n.answerService(r, e, owner)
	case registry.KindPTR:
		return n.answerPTR(r, e, owner)
	}
	return n.answerOther(r, e, owner)
}

// answerRole answers for a role's name: address types from its live state, the rest like any name. A
// role that publishes nothing leaves no record at its name in an owned zone, and so no name: a
// secondary, which knows only records, says the same.
func (n now) answerRole(r *dns.Msg, e registry.Entry, owner string) (*dns.Msg, Outcome) {
	s := n.snap.RoleOf(e)
	qtype := r.Question[0].Qtype
	isAddress := qtype == dns.TypeA || qtype == dns.TypeAAAA
	as := addresses{s.A(), s.AAAA(), s.TTL, s.Role.Mode == registry.All}
	switch {
	case len(as.a)+len(as.aaaa) == 0 && s.Unknown() && (isAddress || e.Zone != nil && !e.Apex):
		// "No address" would be cached as the truth; there is no truth yet.
		return notReady(r, s), NotReady
	case len(as.a)+len(as.aaaa) == 0 && n.isNoName(e, owner):
		return n.negative(r, e.Zone, dns.RcodeNameError)
	case isAddress:
		m, outcome := n.answerAddresses(r, e, as)
		return brief(m, s), outcome
	}
	return n.answerOther(r, e, owner)
}

// brief holds a lowered TTL in "no address of that type" too: the next holder may have one.
func brief(m *dns.Msg, s *registry.RoleState) *dns.Msg {
	if s.Lowered == nil {
		return m
	}
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			soa.Hdr.Ttl, soa.Minttl = min(soa.Hdr.Ttl, s.TTL), min(soa.Minttl, s.TTL)
		}
	}
	return m
}

// isNoName reports whether a name of the registry that has no records now does not exist at all.
func (n now) isNoName(e registry.Entry, owner string) bool {
	if e.Zone == nil || e.Apex || e.Below {
		return false
	}
	v := n.zones.View(e.Zone.Name)
	return v == nil || !v.Has(owner)
}

// answerFixed answers for names whose addresses do not follow a role.
func (n now) answerFixed(r *dns.Msg, e registry.Entry, owner string, as addresses) (*dns.Msg, Outcome) {
	switch r.Question[0].Qtype {
	case dns.TypeA, dns.TypeAAAA:
		return n.answerAddresses(r, e, as)
	}
	return n.answerOther(r, e, owner)
}

func (n now) answerAddresses(r *dns.Msg, e registry.Entry, as addresses) (*dns.Msg, Outcome) {
	if m := as.reply(r); m != nil {
		return m, Answered
	}
	return n.noData(r, e, as.ttl)
}

// answerService answers for the name under which clients look for DNS Push.
func (n now) answerService(r *dns.Msg, e registry.Entry, owner string) (*dns.Msg, Outcome) {
	if r.Question[0].Qtype != dns.TypeSRV {
		return n.answerOther(r, e, owner)
	}
	m := reply(r)
	m.Answer = ownedBy(r.Question[0].Name, zone.Static(n.snap, owner))
	return m, Answered
}

// answerPTR answers for the reverse name of a public address.
func (n now) answerPTR(r *dns.Msg, e registry.Entry, owner string) (*dns.Msg, Outcome) {
	p := n.snap.PTROf(e)
	switch {
	case p == nil && n.isNoName(e, owner):
		return n.negative(r, e.Zone, dns.RcodeNameError)
	case p != nil && r.Question[0].Qtype == dns.TypePTR:
		m := reply(r)
		m.Answer = []dns.RR{ptrRR(r.Question[0].Name, p)}
		return m, Answered
	}
	return n.answerOther(r, e, owner)
}

// answerOther answers what the registry says nothing of: the apex, ANY, types that a name of an owned zone
// has from updates or not at all. Of an overlaid name they are not ours to answer.
func (n now) answerOther(r *dns.Msg, e registry.Entry, owner string) (*dns.Msg, Outcome) {
	qtype := r.Question[0].Qtype
	switch {
	case e.Apex && (qtype == dns.TypeSOA || qtype == dns.TypeNS):
		return n.answerApex(r, e.Zone)
	case qtype == dns.TypeANY && e.Kind != registry.KindEmptyNonTerminal && (e.Zone != nil || e.Kind != registry.KindPTR):
		return minimalAny(r), Any
	case e.Zone == nil:
		return nil, Passed
	}
	return n.registered(r, e.Zone, owner, true)
}
