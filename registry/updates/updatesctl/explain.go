package updatesctl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/held"
	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/zone"
)

// Registered tells what updates have registered at a name, or above it, and reports whether that is what the name
// is answered with; for [control.Updates].
func (s *Server) Registered(e *control.Explanation, owner string) (answers bool) {
	db, err := s.zones()
	if err != nil {
		return false
	}
	v, err := viewOf(db, owner)
	if err != nil {
		return false
	}
	x := explaining{e, v, owner}
	n := v.Name(owner)
	if entry, configured := v.State.Lookup(owner); configured {
		x.beside(n, entry)
		return n != nil
	}
	switch a := v.Lookup(owner, dns.TypeA); {
	case a.Kind == zone.Referral:
		x.delegated(a, n)
	case n != nil:
		x.at(n)
	case a.Kind == zone.Alias && a.Records[0].Header().Rrtype == dns.TypeDNAME:
		x.below(a)
	case v.Has(owner):
		x.Step("%s has no records and exists because names below it are registered: NODATA", owner)
	default:
		w := v.Wildcard(v.State, owner)
		if w == nil {
			return false
		}
		x.Step("%s does not exist; it is answered from the wildcard %s", owner, w.Owner)
		x.at(w)
	}
	return true
}

// explaining is about one name of a zone.
type explaining struct {
	*control.Explanation
	view  *zone.View
	owner string
}

// maxSteps bounds what is listed of one name: there may be hundreds of records, and strangers can ask for the name
// as often as they like.
const maxSteps = 10

// beside tells what is registered at a name of the configuration, which has the last word about addresses where it
// has any.
func (x *explaining) beside(n *zone.Name, entry registry.Entry) {
	switch {
	case n == nil:
	case entry.Kind == registry.KindApex || entry.Kind == registry.KindEmptyNonTerminal:
		x.at(n)
	default:
		x.list(n)
	}
}

// at tells what is registered at a name and gives the answer that it makes.
func (x *explaining) at(n *zone.Name) {
	x.list(n)
	addressed := false
	for _, set := range n.Sets {
		switch set.Type {
		case dns.TypeA, dns.TypeAAAA, dns.TypePTR:
			addressed = true
			for _, rr := range set.RRs() {
				x.Answer = append(x.Answer, dataOf(rr))
			}
		case dns.TypeCNAME:
			target := dataOf(set.Records[0].RR)
			x.Step("it is an alias: the answer is that of %s", target)
			x.Answer = append(x.Answer, target)
			return
		}
	}
	if !addressed {
		x.Step("it has no address: NODATA for A and AAAA")
	}
}

func (x *explaining) list(n *zone.Name) {
	told := 0
	for r := range recordsAt(x.view, n) {
		if told++; told <= maxSteps {
			x.Step("registered: %s", recordText(&r))
		}
	}
	if more := told - maxSteps; more > 0 {
		x.Step("%d more are registered: nameward records '%s' lists them", more, n.Owner)
	}
}

func recordText(r *Record) string {
	text := fmt.Sprintf("%s %s %s, TTL %d s", r.Name, r.Type, r.Data, r.TTL)
	if r.Source.IsValid() {
		text += ", by an update from " + r.Source.String()
	}
	if r.Principal != "" {
		text += " that " + r.Principal + " signed"
	}
	if !r.At.IsZero() {
		text += ", at " + control.TimeText(r.At)
	}
	if r.Decision != "" {
		text += " (decision " + r.Decision + ")"
	}
	return text
}

// delegated explains a name at or below a zone cut.
func (x *explaining) delegated(a zone.Answer, n *zone.Name) {
	cut := x.view.Name(a.Records[0].Header().Name)
	x.Step("%s is delegated: whoever asks for a name in it is referred to its name servers", cut.Owner)
	x.list(cut)
	if n != nil && n != cut {
		x.Step("what is registered below is no answer, but may be told with the referral")
		x.list(n)
	}
	for _, ns := range a.Records {
		x.Answer = append(x.Answer, dataOf(ns))
	}
}

// below explains a name below a DNAME: RFC 6672, Section 2.2.
func (x *explaining) below(a zone.Answer) {
	x.list(x.view.Name(a.Records[0].Header().Name))
	if a.Target == "" {
		x.Step("the name that %s would stand for is too long: YXDOMAIN", x.owner)
		return
	}
	x.Step("%s is an alias by that: the answer is that of %s", x.owner, a.Target)
	x.Answer = append(x.Answer, a.Target)
}

// HeldOf tells what updates have asked for under a name and what is not, or not of itself, published; for
// [control.Updates].
func (s *Server) HeldOf(e *control.Explanation, owner string) {
	b, err := s.book()
	if err != nil {
		return
	}
	list := slices.DeleteFunc(b.List(), func(h updates.Held) bool { return h.Name != owner })
	for i := range list[:min(len(list), maxSteps)] {
		e.Step("%s", heldText(&list[i]))
	}
	if more := len(list) - maxSteps; more > 0 {
		e.Step("%d more are held of the name: nameward updates --name '%s' lists them", more, owner)
	}
}

func heldText(h *updates.Held) string {
	text := "held: update to " + strings.TrimSpace(h.What()+" "+h.Data) + " from " + h.Source.String()
	if h.Principal != "" {
		text += " that " + h.Principal + " signed"
	}
	if text += ": " + h.Fate.String(); h.Fate == held.Parked {
		text += " until the role serves it"
	}
	return control.Occurrence{Reason: h.Reason, Role: h.Role, Rule: h.Rule, Decision: decision(h.Decision), First: h.First, Last: h.Last, Count: h.Count}.After(text)
}

// Serial tells the serial of an owned zone; for [control.Updates].
func (s *Server) Serial(zone string) (serial uint32, ok bool) {
	db, err := s.zones()
	if err != nil {
		return 0, false
	}
	v := db.View(zone)
	if v == nil {
		return 0, false
	}
	return v.Serial, true
}
