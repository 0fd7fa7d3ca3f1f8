package nameward

import (
	"context"
	"strings"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// Handler is the plugin in one server block.
type Handler struct {
	Next plugin.Handler
	// State is what the handler answers from; the guard, in a running server.
	State interface{ Snapshot() *registry.Snapshot }
	// Rules are what the answers of the next plugins are held against; the guard, in a running server. Nil:
	// the built-in policy.
	Rules answerRules

	zones []string // owned zones, until State is there
}

// Name implements plugin.Handler.
func (h *Handler) Name() string { return "nameward" }

// ServeDNS implements plugin.Handler.
func (h *Handler) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	snap := h.State.Snapshot()
	m, outcome := answer(snap, r)
	responses[outcome].Inc()
	if m == nil {
		return plugin.NextOrFailure(h.Name(), h.Next, ctx, &scrubber{w, h, r}, r)
	}
	if err := w.WriteMsg(m); err != nil {
		return dns.RcodeServerFailure, err
	}
	return dns.RcodeSuccess, nil
}

// answer makes the reply to a query, or nil when the next plugin is to make it.
func answer(snap *registry.Snapshot, r *dns.Msg) (*dns.Msg, Outcome) {
	if r.Opcode != dns.OpcodeQuery || len(r.Question) != 1 || r.Question[0].Qclass != dns.ClassINET {
		return nil, Passed
	}
	name := strings.ToLower(r.Question[0].Name)
	e, ok := snap.Lookup(name)
	if !ok {
		if z := snap.Zone(name); z != nil {
			return negative(snap, r, z, dns.RcodeNameError), NameError
		}
		return nil, Passed
	}
	switch e.Kind {
	case registry.KindRole:
		return answerRole(snap, r, e)
	case registry.KindHost:
		a, aaaa := snap.HostOf(e)
		return answerFixed(snap, r, e, addresses{a: a, aaaa: aaaa, ttl: registry.HostTTL})
	case registry.KindNameServer:
		return answerFixed(snap, r, e, glue(snap, e))
	case registry.KindPTR:
		return answerPTR(snap, r, e)
	}
	return answerOther(snap, r, e)
}

// answerRole answers for a role's name: address types from its live state, the rest like any name. A
// role that publishes nothing leaves no record at its name in an owned zone, and so no name: a
// secondary, which knows only records, says the same.
func answerRole(snap *registry.Snapshot, r *dns.Msg, e registry.Entry) (*dns.Msg, Outcome) {
	s := snap.RoleOf(e)
	qtype := r.Question[0].Qtype
	isAddress := qtype == dns.TypeA || qtype == dns.TypeAAAA
	as := addresses{s.A(), s.AAAA(), s.TTL, s.Role.Mode == registry.All}
	switch {
	case len(as.a)+len(as.aaaa) == 0 && s.Unknown() && (isAddress || e.Zone != nil && !e.Apex):
		// "No address" would be cached as the truth; there is no truth yet.
		return notReady(r, s), NotReady
	case len(as.a)+len(as.aaaa) == 0 && e.Zone != nil && !e.Apex && !e.Below:
		return negative(snap, r, e.Zone, dns.RcodeNameError), NameError
	case isAddress:
		return answerAddresses(snap, r, e, as)
	}
	return answerOther(snap, r, e)
}

// answerFixed answers for names whose addresses do not follow a role.
func answerFixed(snap *registry.Snapshot, r *dns.Msg, e registry.Entry, as addresses) (*dns.Msg, Outcome) {
	switch r.Question[0].Qtype {
	case dns.TypeA, dns.TypeAAAA:
		return answerAddresses(snap, r, e, as)
	}
	return answerOther(snap, r, e)
}

func answerAddresses(snap *registry.Snapshot, r *dns.Msg, e registry.Entry, as addresses) (*dns.Msg, Outcome) {
	if m := as.reply(r); m != nil {
		return m, Answered
	}
	return noData(snap, r, e, as.ttl), NoData
}

// answerPTR answers for the reverse name of a public address.
func answerPTR(snap *registry.Snapshot, r *dns.Msg, e registry.Entry) (*dns.Msg, Outcome) {
	p := snap.PTROf(e)
	switch {
	case p == nil && e.Apex, p == nil && e.Zone == nil:
		return answerOther(snap, r, e)
	case p == nil:
		return negative(snap, r, e.Zone, dns.RcodeNameError), NameError
	case r.Question[0].Qtype == dns.TypePTR:
		m := reply(r)
		m.Answer = []dns.RR{ptrRR(r.Question[0].Name, p)}
		return m, Answered
	}
	return answerOther(snap, r, e)
}

// answerOther answers what has nothing to do with addresses: the apex, ANY, and types that a name of
// an owned zone does not have. Of an overlaid name they are not ours to answer.
func answerOther(snap *registry.Snapshot, r *dns.Msg, e registry.Entry) (*dns.Msg, Outcome) {
	qtype := r.Question[0].Qtype
	switch {
	case e.Apex && (qtype == dns.TypeSOA || qtype == dns.TypeNS):
		return answerApex(snap, r, e.Zone), Answered
	case qtype == dns.TypeANY && e.Kind != registry.KindEmptyNonTerminal && (e.Zone != nil || e.Kind != registry.KindPTR):
		return minimalAny(r), Any
	case e.Zone == nil:
		return nil, Passed
	}
	return negative(snap, r, e.Zone, dns.RcodeSuccess), NoData
}

func answerApex(snap *registry.Snapshot, r *dns.Msg, z *registry.Zone) *dns.Msg {
	m, owner := reply(r), r.Question[0].Name
	if r.Question[0].Qtype == dns.TypeSOA {
		m.Answer = []dns.RR{soaRR(snap, z, owner)}
		return m
	}
	m.Answer = nsRRs(z, owner)
	m.Extra = glueRRs(z)
	return m
}
