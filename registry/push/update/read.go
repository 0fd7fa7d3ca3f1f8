package update

import (
	"context"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push/dnsask"
)

// read asks a primary what stands at the entries' names. The error is that of an entry, by its place.
func (d *Driver) read(ctx context.Context, at netip.AddrPort, entries []*entry) []error {
	var questions []dns.Question
	ask := func(name string, t uint16) {
		questions = append(questions, dns.Question{Name: name, Qtype: t, Qclass: dns.ClassINET})
	}
	for _, e := range entries {
		if d.marks() {
			ask(markerLabel+e.name, dns.TypeTXT)
		}
		for _, t := range e.types {
			ask(e.name, t)
		}
	}
	replies := dnsask.Query(ctx, at, questions, dnsask.Options{Key: d.servers.Key()})
	errs := make([]error, len(entries))
	for i, e := range entries {
		n := len(e.types)
		if d.marks() {
			n++
		}
		e.stood, errs[i] = standingIn(e.name, replies[:n])
		replies = replies[n:]
	}
	return errs
}

// standingIn takes what stands at a name from the replies about it.
func standingIn(name string, replies []dnsask.Reply) (*standing, error) {
	s := &standing{sets: map[uint16][]dns.RR{}}
	for _, r := range replies {
		set, err := r.Records()
		if err != nil {
			return nil, err
		}
		if r.Question.Qtype == dns.TypeTXT {
			s.marker = set
			continue
		}
		s.sets[r.Question.Qtype] = set
		for _, rr := range r.Msg.Answer {
			if rr.Header().Rrtype == dns.TypeCNAME && dns.CanonicalName(rr.Header().Name) == name {
				s.alias = []dns.RR{rr}
			}
		}
	}
	return s, nil
}

// same reports whether two RRsets are, whatever their TTL is.
func same(a, b []dns.RR) bool {
	in := func(list, of []dns.RR) bool {
		return !slices.ContainsFunc(list, func(x dns.RR) bool {
			return !slices.ContainsFunc(of, func(y dns.RR) bool { return dns.IsDuplicate(x, y) })
		})
	}
	return in(a, b) && in(b, a)
}

// differs reports whether something else stands at a name than before.
func (s *standing) differs(before *standing) bool {
	for t := range s.sets {
		if !same(s.sets[t], before.sets[t]) {
			return true
		}
	}
	return !same(s.marker, before.marker) || !same(s.alias, before.alias)
}
