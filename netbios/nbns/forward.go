package nbns

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
)

// A client waits 1.5 s to 5 s before it asks again; with two tries of half a second a dead first
// server leaves time for the second one.
const (
	forwardTries   = 2
	forwardTimeout = 500 * time.Millisecond
	// maxForwarding bounds the sockets and goroutines of forwarded queries.
	maxForwarding = 512
)

type pendingKey struct {
	from netip.AddrPort
	id   uint16
}

// forward passes a query on to the WINS servers. A query that the client repeats meanwhile is not
// passed on twice. If none answers, our own database does, when there is one.
func (s *Server) forward(p packet, id uint16, name netbios.Name) ([]byte, later, Outcome) {
	key := pendingKey{p.from, id}
	if outcome := s.begin(key); outcome != Forwarded {
		return nil, nil, outcome
	}
	return nil, func(ctx context.Context) ([]byte, Outcome) {
		defer s.forget(key)
		reply, outcome := s.askUpstream(ctx, id, name)
		if db := s.settings.Load().WINS.DB; outcome == ForwardedNothing && db != nil {
			if own, ok := s.lookup(s.Snapshot(), db, name, id, false, nil); ok {
				reply, outcome = own, Positive
			}
		}
		p.note(name, outcome == Positive || outcome == Forwarded && netbios.IsPositive(reply))
		return reply, outcome
	}, Forwarded
}

// begin says whether something may be passed on now: Forwarded. It is Silent for what is under way
// already, and Shed when too much is. The caller has to forget the key in the end.
func (s *Server) begin(key pendingKey) Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.underWay[key]; again {
		return Silent
	}
	if len(s.underWay) >= maxForwarding {
		return Shed
	}
	if s.underWay == nil {
		s.underWay = map[pendingKey]struct{}{}
	}
	s.underWay[key] = struct{}{}
	return Forwarded
}

func (s *Server) forget(key pendingKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.underWay, key)
}

// askUpstream asks one WINS server after the other. The first that answers, positively or not, is
// believed; what it says is filtered. If none answers the client is left to ask its next server.
func (s *Server) askUpstream(ctx context.Context, id uint16, name netbios.Name) ([]byte, Outcome) {
	client := Client{UnicastTries: forwardTries, UnicastTimeout: forwardTimeout}
	for _, server := range s.settings.Load().Forward {
		result, err := client.Query(ctx, server, name)
		var negative *NegativeError
		switch {
		case errors.As(err, &negative):
			return netbios.AppendNegativeQueryResponse(nil, id, negative.Rcode, name), Forwarded
		case err != nil:
			s.Log.Debug().Err(err).Stringer("server", server).Msg("asking the WINS server")
			continue
		}
		kept := unfiltered(s.Snapshot(), result.Addrs)
		if len(kept) == 0 {
			return netbios.AppendNegativeQueryResponse(nil, id, netbios.RcodeName, name), Filtered
		}
		return netbios.AppendPositiveQueryResponse(nil, id, name, uint32(result.TTL/time.Second), kept...), Forwarded
	}
	return nil, ForwardedNothing
}

// unfiltered leaves out the addresses that must never be published.
func unfiltered(snap *registry.Snapshot, addrs []netbios.Address) []netbios.Address {
	kept := addrs[:0:0]
	for _, a := range addrs {
		if _, filtered := snap.Filtered(a.Addr); !filtered {
			kept = append(kept, a)
		}
	}
	return kept
}
