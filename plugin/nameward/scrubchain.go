package nameward

import (
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// chain is what the aliases in an answer make of the name that was asked for.
type chain struct {
	names  map[string]bool // owners of the aliases followed, lower case
	dnames map[string]bool // owners of the DNAMEs that some of them are made of
	last   string          // the name at the end, lower case
	text   string          // as the last alias has it
	end    *dns.Msg        // what we answer for last; nil: that is upstream's
	cut    bool            // an alias is there no longer, and what stood behind it is out of reach
}

// follow goes along the aliases from the name that was asked for, RFC 1034, Section 3.6.2, to the first
// name that is ours or to the end. No alias is followed twice, so that a loop ends too.
func (c *cleaning) follow() chain {
	ch := chain{names: map[string]bool{}, dnames: map[string]bool{}}
	if len(c.in.Question) != 1 {
		return ch
	}
	q := c.in.Question[0]
	ch.last, ch.text = strings.ToLower(q.Name), q.Name
	if !follows(q.Qtype) {
		return ch
	}
	for !ch.names[ch.last] {
		if len(ch.names) > 0 {
			if ch.end = c.ours(ch.text, q.Qtype); ch.end != nil {
				return ch
			}
		}
		next := c.next(&ch)
		if next == "" {
			return ch
		}
		ch.names[ch.last] = true
		ch.last, ch.text = strings.ToLower(next), next
	}
	return ch
}

// follows reports whether a question for a type is one for the target of an alias as well: RFC 1034,
// Section 3.6.2, and RFC 4035, Section 2.5, for the types that stand beside a CNAME.
func follows(qtype uint16) bool {
	switch qtype {
	case dns.TypeCNAME, dns.TypeANY, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeAXFR, dns.TypeIXFR:
		return false
	}
	return true
}

// next is where the alias at the end of a chain leads, "" for nowhere. A DNAME stands above the CNAME
// that is made of it (RFC 6672, Section 3.1); if that is missing, it is made here.
func (c *cleaning) next(ch *chain) string {
	answers := c.sets[answerSection]
	dname := c.dnameAbove(ch.last)
	cname := answers[setKey{ch.last, dns.TypeCNAME}]
	switch {
	case dname != nil && len(dname.left()) == 0, cname != nil && len(cname.left()) == 0:
		ch.cut = true
		return ""
	case dname != nil:
		ch.dnames[dname.name] = true
	}
	return target(cname, dname, ch.text)
}

// target is where a CNAME leads, or a DNAME above a name if there is none.
func target(cname, dname *rrset, name string) string {
	if cname != nil {
		if rr, ok := cname.rrs[0].(*dns.CNAME); ok {
			return rr.Target
		}
	} else if dname != nil {
		if rr, ok := dname.rrs[0].(*dns.DNAME); ok {
			return substituted(name, rr)
		}
	}
	return ""
}

func (c *cleaning) dnameAbove(name string) *rrset {
	for c.dnames > 0 && name != "." {
		name = registry.Parent(name)
		if s := c.sets[answerSection][setKey{name, dns.TypeDNAME}]; s != nil {
			return s
		}
	}
	return nil
}

// substituted puts a DNAME's target in the place of its owner at the end of a name, "" if the result is
// too long: RFC 6672, Section 2.2.
func substituted(name string, d *dns.DNAME) string {
	prefix := name[:len(name)-len(d.Hdr.Name)]
	if d.Hdr.Name == "." {
		prefix = name
	}
	target := prefix + strings.TrimPrefix(d.Target, ".")
	if _, ok := dns.IsDomainName(target); !ok {
		return ""
	}
	return target
}

// ours is what we answer for the name that an alias leads to, nil if nothing: the same as for a question
// of its own. When upstream says of its addresses what is live, its word stands, with its signatures.
func (c *cleaning) ours(name string, qtype uint16) *dns.Msg {
	if s := c.sets[answerSection][setKey{strings.ToLower(name), qtype}]; s != nil && s.live && !s.changed {
		return nil
	}
	q := *c.r
	q.Question = []dns.Question{{Name: name, Qtype: qtype, Qclass: dns.ClassINET}}
	m, _ := now{c.snap, c.zones}.answer(&q)
	return m
}

// ended is the answer with the chain's aliases up to the name that is ours, and our answer for that.
func (c *cleaning) ended(ch *chain) *dns.Msg {
	if ch.end.Rcode == dns.RcodeServerFailure {
		out := c.bare(ch.end.Rcode)
		if o := ch.end.IsEdns0(); o != nil {
			out.Extra = []dns.RR{o}
		}
		return out
	}
	out := c.bare(ch.end.Rcode)
	out.Answer = append(c.aliases(ch), ch.end.Answer...)
	out.Ns = ch.end.Ns
	if o := c.in.IsEdns0(); o != nil {
		out.Extra = []dns.RR{dns.Copy(o)}
	}
	return out
}

// aliases are the chain's aliases as upstream has them, with their signatures.
func (c *cleaning) aliases(ch *chain) []dns.RR {
	var out []dns.RR
	for _, rr := range c.in.Answer {
		rrtype, name := rr.Header().Rrtype, strings.ToLower(rr.Header().Name)
		if sig, ok := rr.(*dns.RRSIG); ok {
			rrtype = sig.TypeCovered
		}
		if rrtype == dns.TypeCNAME && ch.names[name] || rrtype == dns.TypeDNAME && ch.dnames[name] {
			out = append(out, rr)
		}
	}
	return out
}
