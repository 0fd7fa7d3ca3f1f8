package nbns

import (
	"net/netip"
	"sync/atomic"

	"github.com/nameward/nameward/netbios"
)

// verdict tells what a received packet is to an exchange.
type verdict uint8

const (
	verdictIgnore verdict = iota
	verdictAnswer
	verdictWack
)

// judge decides about one packet and counts it if it is to be ignored. The cheap checks come first.
func (x exchange) judge(b []byte, from netip.AddrPort, ignored *ignoredCounters) (netbios.Message, verdict) {
	drop := func(counter *atomic.Uint64) (netbios.Message, verdict) {
		counter.Add(1)
		return netbios.Message{}, verdictIgnore
	}
	if !x.broadcast && from != x.to {
		return drop(&ignored.source)
	}
	h, err := netbios.ParseHeader(b)
	switch {
	case err != nil:
		return drop(&ignored.malformed)
	case !h.IsResponse():
		return drop(&ignored.request)
	case h.ID != x.request.ID:
		return drop(&ignored.id)
	}
	m, err := netbios.Parse(b)
	if err != nil {
		return drop(&ignored.malformed)
	}
	if v := x.verdict(m); v != verdictIgnore {
		return m, v
	}
	return drop(&ignored.mismatch)
}

// verdict decides about a well-formed response with the right id.
func (x exchange) verdict(m netbios.Message) verdict {
	form := m.Form()
	if form == netbios.FormRedirect {
		if !x.broadcast && answers(x.request.Form(), form) && x.sameName(m.Authority) {
			return verdictAnswer
		}
		return verdictIgnore
	}
	if !x.sameName(m.Answers) {
		return verdictIgnore
	}
	if form == netbios.FormWack {
		data, ok := m.Answers[0].Data.(netbios.Wack)
		if ok && data.Word == x.request.Word() && !x.broadcast {
			return verdictWack
		}
		return verdictIgnore
	}
	positive := m.Rcode == netbios.RcodeOK
	if !answers(x.request.Form(), form) || x.broadcast && !positive {
		return verdictIgnore
	}
	// A negative query response has a NULL record; all others have data, RFC 1002, Section 4.2.
	if form != netbios.FormNegativeQuery && !hasData(m) {
		return verdictIgnore
	}
	return verdictAnswer
}

// sameName reports whether the first record is for the name in question. Servers echo the name, some of
// them folded.
func (x exchange) sameName(records []netbios.Record) bool {
	return len(records) > 0 && records[0].Name.Fold() == x.request.Questions[0].Name.Fold()
}

// hasData reports whether a response has the one answer with data that its form calls for. A client
// that took less would report a name without an address.
func hasData(m netbios.Message) bool {
	switch data := m.Answers[0].Data.(type) {
	case netbios.NB:
		return len(m.Answers) == 1 && m.Answers[0].Class == netbios.ClassIN && len(data) > 0
	case netbios.NodeStatus:
		return len(m.Answers) == 1 && m.Form() == netbios.FormNodeStatusResponse
	}
	return false
}

// answers reports whether a response of form r answers a request of form q.
func answers(q, r netbios.Form) bool {
	switch q {
	case netbios.FormQuery:
		return r == netbios.FormPositiveQuery || r == netbios.FormNegativeQuery || r == netbios.FormRedirect
	case netbios.FormNodeStatusRequest:
		return r == netbios.FormNodeStatusResponse || r == netbios.FormNegativeQuery
	case netbios.FormRelease:
		return r == netbios.FormPositiveRelease || r == netbios.FormNegativeRelease
	case netbios.FormRegistration, netbios.FormMultihomed, netbios.FormOverwrite, netbios.FormRefresh:
		return r == netbios.FormPositiveRegistration || r == netbios.FormNegativeRegistration ||
			r == netbios.FormEndNodeChallenge || r == netbios.FormConflictDemand
	}
	return false
}
