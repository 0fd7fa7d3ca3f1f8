package nameward

import (
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// cleaning makes the message that is sent instead of one of which something must be changed.
type cleaning struct {
	review
	in      *dns.Msg
	now     time.Time
	sets    [3]map[setKey]*rrset // by section
	order   []*rrset             // all of them, as they come
	dnames  int                  // RRsets of that type in the answer
	changed map[setKey]bool      // in any section
	outcome ScrubOutcome         // so far; stripped if nothing says more
	rule    string               // the first one that took something out
}

func newCleaning(v review, m *dns.Msg) *cleaning {
	c := &cleaning{review: v, in: m, now: time.Now(), changed: map[setKey]bool{}}
	c.gather(answerSection, m.Answer)
	c.gather(authoritySection, m.Ns)
	c.gather(additionalSection, m.Extra)
	return c
}

// note keeps the outcome that says most.
func (c *cleaning) note(o ScrubOutcome) { c.outcome = max(c.outcome, o) }

// clean returns the new message, or nil when there is nothing to change.
func (c *cleaning) clean() *dns.Msg {
	for _, s := range c.order {
		c.decide(s)
		if s.section == answerSection && s.rrtype == dns.TypeDNAME {
			c.dnames++
		}
	}
	ch := c.follow()
	if len(c.changed) == 0 && ch.end == nil {
		return nil
	}
	var out *dns.Msg
	switch {
	case c.outcome == ScrubRefused:
		return c.failed(dns.RcodeRefused)
	case ch.end != nil:
		c.note(ScrubLive)
		out = c.ended(&ch)
	default:
		out = c.rest(&ch)
	}
	if c.choice.servfail && c.wantsProof() && signatures(out) < signatures(c.in) {
		c.note(ScrubServfail)
		return c.failed(dns.RcodeServerFailure)
	}
	return out
}

// rest is the message with what is left of each RRset.
func (c *cleaning) rest(ch *chain) *dns.Msg {
	out := *c.in
	out.AuthenticatedData = false // it was said of another answer
	out.Answer, out.Ns, out.Extra = c.left(answerSection, c.in.Answer), c.left(authoritySection, c.in.Ns), c.left(additionalSection, c.in.Extra)
	if ch.cut {
		out.Answer = c.aliases(ch)
	}
	switch {
	case ch.cut, answers(c.in, ch.last) && !answers(&out, ch.last):
		out.Rcode = dns.RcodeSuccess
		c.noData(&out, ch.last)
	case len(out.Answer) == 0 && len(c.in.Answer) > 0, !answers(&out, ch.last) && leads(c.in.Ns) && !leads(out.Ns):
		c.noData(&out, ch.last)
	}
	return &out
}

// left copies a section with what is left of each RRset, and without the signatures over what changed.
func (c *cleaning) left(at section, rrs []dns.RR) []dns.RR {
	out := make([]dns.RR, 0, len(rrs))
	for _, rr := range rrs {
		s := c.setOf(at, rr)
		sig, isSig := rr.(*dns.RRSIG)
		switch {
		case isSig && c.changed[setKey{strings.ToLower(sig.Hdr.Name), sig.TypeCovered}]:
		case s == nil || !s.changed:
			out = append(out, rr)
		case !s.written:
			s.written = true
			out = append(out, s.out...)
		}
	}
	return out
}

// answers reports whether a message has what was asked for at the end of its chain.
func answers(m *dns.Msg, last string) bool {
	if len(m.Question) != 1 {
		return len(m.Answer) > 0
	}
	qtype := m.Question[0].Qtype
	return slices.ContainsFunc(m.Answer, func(rr dns.RR) bool {
		return qtype == dns.TypeANY || rr.Header().Rrtype == qtype && strings.EqualFold(rr.Header().Name, last)
	})
}

// leads reports whether an authority section says where to go on: it has the SOA of a negative answer
// or the name servers of a referral.
func leads(ns []dns.RR) bool {
	return slices.ContainsFunc(ns, func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeSOA || rr.Header().Rrtype == dns.TypeNS
	})
}

// wantsProof reports whether the client validates, or lets somebody do so: RFC 3225 and RFC 4035,
// Section 3.2.2.
func (v *review) wantsProof() bool {
	o := v.r.IsEdns0()
	return v.r.CheckingDisabled || o != nil && o.Do()
}

// signatures counts those that a validator needs. It does without the additional section.
func signatures(m *dns.Msg) (n int) {
	for _, rrs := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range rrs {
			if rr.Header().Rrtype == dns.TypeRRSIG {
				n++
			}
		}
	}
	return n
}

func (c *cleaning) log() {
	e := c.choice.log.Debug()
	if !e.Enabled() {
		return
	}
	if len(c.in.Question) == 1 {
		e = e.Str("name", c.in.Question[0].Name).Str("type", dns.Type(c.in.Question[0].Qtype).String())
	}
	if c.rule != "" {
		e = e.Str("rule", c.rule)
	}
	e.Stringer("outcome", c.outcome).Msg("another server's answer was changed")
}
