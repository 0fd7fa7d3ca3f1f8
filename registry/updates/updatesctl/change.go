package updatesctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/zone"
)

func (s *Server) forget(ctx context.Context, f Filter) (reply ForgetReply, err error) {
	b, err := s.book()
	if err != nil {
		return reply, err
	}
	if f == (Filter{}) {
		return reply, errors.New("say what to forget: a name, or * for all")
	}
	is, err := f.matcher()
	if err != nil {
		return reply, err
	}
	if reply.Forgotten = b.Forget(is); reply.Forgotten == 0 {
		return reply, errors.New("nothing like that is held: nameward updates lists what is")
	}
	if err := b.Flush(ctx); err != nil {
		return reply, errUnsaved{fmt.Errorf("it is forgotten in memory, and that cannot be saved: %w", err)}
	}
	return reply, nil
}

func (s *Server) remove(ctx context.Context, req RemoveRequest) (reply RemoveReply, err error) {
	db, err := s.zones()
	if err != nil {
		return reply, err
	}
	owner, err := parseName(req.Name)
	if err == nil && owner == "" {
		err = errors.New("say which name")
	}
	if err != nil {
		return reply, err
	}
	v, err := viewOf(db, owner)
	if err != nil {
		return reply, err
	}
	chosen, err := choose(v.Name(owner), owner, req)
	if err != nil {
		return reply, err
	}
	if len(chosen) == 0 {
		return reply, s.nothingToRemove(v, owner, req)
	}
	res, err := db.Do(ctx, zone.Update{Zone: v.Zone.Name, Changes: deletions(chosen)})
	switch {
	case err != nil:
		return reply, err
	case res.Rcode != dns.RcodeSuccess:
		return reply, errUnsaved{fmt.Errorf("nothing was removed: %s", res.Why)}
	}
	reply.Zone, reply.Serial = v.Zone.Name, res.Serial
	for _, r := range chosen {
		reply.Removed = append(reply.Removed, recordOf(reply.Zone, r))
		s.Log.Info().Str("zone", reply.Zone).Str("record", r.RR.String()).Str("by", req.By).Msg("registered record removed by an operator")
	}
	return reply, nil
}

// choose lists the records at a name that are meant.
func choose(n *zone.Name, owner string, req RemoveRequest) (out []zone.Record, err error) {
	rrtype, is := uint16(dns.TypeANY), func(dns.RR) bool { return true }
	switch {
	case req.Type != "":
		if rrtype, err = parseType(req.Type); err != nil {
			return nil, err
		}
		if req.Data != "" {
			is = sameData(owner, req)
		}
	case req.Data != "":
		return nil, errors.New("say which type the record has, as in A")
	}
	if n == nil {
		return nil, nil
	}
	for _, set := range n.Sets {
		for _, r := range set.Records {
			if (rrtype == dns.TypeANY || rrtype == set.Type) && is(r.RR) {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// parseType reads a word as A, or TYPE65534 (RFC 3597, Section 5).
func parseType(word string) (uint16, error) {
	word = strings.ToUpper(word)
	if t, ok := dns.StringToType[word]; ok {
		return t, nil
	}
	if digits, ok := strings.CutPrefix(word, "TYPE"); ok {
		if t, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return uint16(t), nil
		}
	}
	return 0, fmt.Errorf("%q is not the type of a record, as in A, AAAA or TXT", word)
}

// sameData compares records with what a person writes: as it is listed, without the quotes, or in another form of
// the same data.
func sameData(owner string, req RemoveRequest) func(dns.RR) bool {
	// Data that cannot be read as such is compared as a text.
	parsed, _ := dns.NewRR(fmt.Sprintf("%s 0 IN %s %s", owner, req.Type, req.Data))
	return func(rr dns.RR) bool {
		text := dataOf(rr)
		return text == req.Data || strings.Trim(text, `"`) == req.Data || parsed != nil && dns.IsDuplicate(rr, parsed)
	}
}

// deletions are the changes that take just these records out: RFC 2136, Section 2.5.4.
func deletions(records []zone.Record) []dns.RR {
	out := make([]dns.RR, len(records))
	for i, r := range records {
		out[i] = dns.Copy(r.RR)
		out[i].Header().Class, out[i].Header().Ttl = dns.ClassNONE, 0
	}
	return out
}

// nothingToRemove says what is there instead.
func (s *Server) nothingToRemove(v *zone.View, owner string, req RemoveRequest) error {
	n := v.Name(owner)
	if n == nil {
		return fmt.Errorf("nothing is registered at %s%s", owner, s.instead(v, owner))
	}
	what := strings.ToUpper(req.Type)
	for _, set := range n.Sets {
		if dns.Type(set.Type).String() == what {
			return fmt.Errorf("%s has no %s %s registered; it has %s", owner, what, req.Data, dataList(set))
		}
	}
	var types []string
	for _, set := range n.Sets {
		types = append(types, dns.Type(set.Type).String())
	}
	return fmt.Errorf("%s has no %s registered; it has %s", owner, what, strings.Join(types, ", "))
}

func (s *Server) instead(v *zone.View, owner string) string {
	e, ok := v.State.Lookup(owner)
	switch {
	case ok && e.Kind == registry.KindRole:
		return "; it belongs to role " + v.State.RoleOf(e).Role.Name + ", whose state decides what is answered"
	case ok && e.Kind <= registry.KindService:
		return "; its records come from the configuration"
	}
	if held, err := s.held(Filter{Name: owner}); err == nil && len(held) > 0 {
		return fmt.Sprintf("; updates of it are held: nameward updates --name %s lists them", owner)
	}
	return ""
}

func dataList(set zone.Set) string {
	var out []string
	for _, rr := range set.RRs()[:min(len(set.Records), 10)] {
		out = append(out, dataOf(rr))
	}
	slices.Sort(out)
	if more := len(set.Records) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, ", ")
}
