package nameward

import (
	"context"

	"github.com/coredns/coredns/core/dnsserver"
	selves "github.com/coredns/coredns/plugin/pkg/upstream"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/zone"
)

// registered answers from what updates put into an owned zone, for a name that the registry knows nothing
// of, or only that names stand below it.
func (n now) registered(r *dns.Msg, z *registry.Zone, owner string, exists bool) (*dns.Msg, Outcome) {
	v := n.zones.View(z.Name)
	if v == nil {
		return notServed(r, z), NotReady
	}
	a := v.LookupAt(n.snap, owner, r.Question[0].Qtype)
	switch {
	case a.Kind == zone.Referral && r.RecursionDesired:
		return nil, Passed // a stub resolver wants the answer, and cannot follow
	case a.Kind == zone.Referral:
		m := reply(r)
		m.Authoritative, m.Ns, m.Extra = false, a.Records, a.Glue
		return m, Referred
	case r.Question[0].Qtype == dns.TypeANY && v.Name(owner) != nil:
		return minimalAny(r), Any
	case a.Kind == zone.Found:
		m := reply(r)
		m.Answer = named(a.Records, owner, r.Question[0].Name)
		return m, Answered
	case a.Kind == zone.Alias:
		return alias(r, a, owner)
	case a.Kind == zone.NoName && !exists:
		return n.negative(r, z, dns.RcodeNameError)
	}
	return n.negative(r, z, dns.RcodeSuccess)
}

// named copies records whose owner was asked for in another case, so that the case of the question is kept.
func named(rrs []dns.RR, owner, asked string) []dns.RR {
	if owner == asked {
		return rrs
	}
	for i, rr := range rrs {
		if rr.Header().Name == owner {
			rrs[i] = dns.Copy(rr)
			rrs[i].Header().Name = asked
		}
	}
	return rrs
}

// alias answers with an alias alone; who called follows it.
func alias(r *dns.Msg, a zone.Answer, owner string) (*dns.Msg, Outcome) {
	m := reply(r)
	m.Answer = named(a.Records, owner, r.Question[0].Name)
	if a.Target == "" {
		m.Rcode = dns.RcodeYXDomain // RFC 6672, Section 2.2
		return m, Answered
	}
	return m, Aliased
}

// maxAliases bounds a chain of aliases.
const maxAliases = 8

// followed follows an answer that ends in an alias through the names that are answered here. The outcome stays
// Aliased when the last one leads elsewhere.
func (n now) followed(r, m *dns.Msg, outcome Outcome) (*dns.Msg, Outcome) {
	for hops := 0; outcome == Aliased; hops++ {
		if hops == maxAliases {
			return failed(r, "the chain of aliases has no end"), NotReady
		}
		target := m.Answer[len(m.Answer)-1].(*dns.CNAME).Target
		q := &dns.Msg{MsgHdr: r.MsgHdr, Question: []dns.Question{{Name: target, Qtype: r.Question[0].Qtype, Qclass: dns.ClassINET}}, Extra: r.Extra}
		var end *dns.Msg
		if end, outcome = n.one(q, dns.CanonicalName(target)); end == nil {
			return m, Aliased
		}
		m.Answer = append(m.Answer[:len(m.Answer):len(m.Answer)], end.Answer...)
		m.Ns, m.Extra, m.Rcode = end.Ns, end.Extra, end.Rcode // RFC 6604, Section 3
	}
	return m, outcome
}

// completed asks the whole server for the end of a chain of aliases that leads elsewhere: stub resolvers do
// not follow it themselves. If there is no end to be had, the chain alone is the answer.
func completed(ctx context.Context, w dns.ResponseWriter, r, m *dns.Msg) *dns.Msg {
	hops, _ := ctx.Value(dnsserver.LoopKey{}).(int)
	if !r.RecursionDesired || hops >= maxAliases {
		return m
	}
	ctx = context.WithValue(ctx, dnsserver.LoopKey{}, hops+1)
	target := m.Answer[len(m.Answer)-1].(*dns.CNAME).Target
	end, err := selves.New().Lookup(ctx, request.Request{W: w, Req: r}, target, r.Question[0].Qtype)
	if err != nil || end == nil {
		return m
	}
	m.Answer = append(m.Answer, end.Answer...)
	m.Ns, m.Rcode = end.Ns, end.Rcode
	return m
}
