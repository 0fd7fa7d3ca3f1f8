package nbns

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
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
// passed on twice.
func (s *Server) forward(p packet, id uint16, name netbios.Name) ([]byte, later, Outcome) {
	key := pendingKey{p.from, id}
	if outcome := s.begin(key); outcome != Forwarded {
		return nil, nil, outcome
	}
	return nil, func(ctx context.Context) ([]byte, Outcome) {
		defer s.forget(key)
		reply, outcome := s.askUpstream(ctx, id, name)
		p.note(name, outcome == Positive || outcome == Forwarded && netbios.IsPositive(reply))
		return reply, outcome
	}, Forwarded
}

// downFor is how long a WINS server that did not answer is passed over. A node asks again after 1.5 s, so
// that waiting for a dead server each time would cost it most of its patience.
const downFor = 5 * time.Second

// answering lists the servers that are not known to be dead; nil when all are.
func (s *Server) answering(servers []netip.AddrPort) []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.downUntil) == 0 {
		return servers
	}
	at := time.Now()
	return slices.DeleteFunc(slices.Clone(servers), func(a netip.AddrPort) bool { return at.Before(s.downUntil[a]) })
}

// answered notes whether a server has answered.
func (s *Server) answered(server netip.AddrPort, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ok:
		delete(s.downUntil, server)
	case s.downUntil == nil:
		s.downUntil = map[netip.AddrPort]time.Time{}
		fallthrough
	default:
		s.downUntil[server] = time.Now().Add(downFor)
	}
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
// believed; what it says is filtered. While none answers our own database does, as far as it can; if it
// cannot, the client is left to ask its next server.
func (s *Server) askUpstream(ctx context.Context, id uint16, name netbios.Name) ([]byte, Outcome) {
	set := s.settings.Load()
	own := func() (reply []byte, ok bool) {
		if set.WINS.DB == nil {
			return nil, false
		}
		return s.lookup(s.Snapshot(), set.WINS.DB, now(), name, id, false, nil)
	}
	servers := s.answering(set.Forward)
	if len(servers) == 0 {
		if reply, ok := own(); ok {
			return reply, Positive
		}
		servers = set.Forward
	}
	for _, server := range servers {
		if reply, outcome, ok := s.askOne(ctx, server, id, name); ok {
			return reply, outcome
		}
	}
	if reply, ok := own(); ok {
		return reply, Positive
	}
	return nil, ForwardedNothing
}

// askOne asks one server and reports whether it has answered.
func (s *Server) askOne(ctx context.Context, server netip.AddrPort, id uint16, name netbios.Name) ([]byte, Outcome, bool) {
	client := Client{UnicastTries: forwardTries, UnicastTimeout: forwardTimeout}
	result, err := client.Query(ctx, server, name)
	var negative *NegativeError
	if ctx.Err() == nil {
		s.answered(server, !errors.Is(err, os.ErrDeadlineExceeded))
	}
	switch {
	case errors.As(err, &negative):
		return netbios.AppendNegativeQueryResponse(nil, id, negative.Rcode, name), Forwarded, true
	case err != nil:
		s.Log.Debug().Err(err).Stringer("server", server).Msg("asking the WINS server")
		return nil, ForwardedNothing, false
	}
	kept := unfiltered(s.Snapshot(), result.Addrs)
	if len(kept) == 0 {
		return netbios.AppendNegativeQueryResponse(nil, id, netbios.RcodeName, name), Filtered, true
	}
	return netbios.AppendPositiveQueryResponse(nil, id, name, uint32(result.TTL/time.Second), kept...), Forwarded, true
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
