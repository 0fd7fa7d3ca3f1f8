package stream

import (
	"errors"
	"sync/atomic"

	"github.com/nameward/nameward/registry/push/dso"
)

// Outcome is what became of a connection.
type Outcome uint8

// The outcomes of connections.
const (
	Served  Outcome = iota
	Full            // there were as many sessions as there may be
	Crowded         // there were as many from this source as there may be
	NoTLS           // the handshake failed
)

// Outcomes lists them, for those who count.
var Outcomes = []Outcome{Served, Full, Crowded, NoTLS}

func (o Outcome) String() string { return [...]string{"served", "full", "crowded", "no-tls"}[o] }

// Reason is why a session has ended.
type Reason uint8

// The reasons.
const (
	Closed   Reason = iota // by the client, or the connection was lost
	Left                   // the server stops or moves
	Inactive               // nothing was subscribed to for a while
	Silent                 // the client did not keep the session alive
	Slow                   // the client took nothing
	Broken                 // the client did what RFC 8490 or RFC 8765 forbids
)

// Reasons lists them, for those who count.
var Reasons = []Reason{Closed, Left, Inactive, Silent, Slow, Broken}

func (r Reason) String() string {
	return [...]string{"closed", "left", "inactive", "silent", "slow", "broken"}[r]
}

func reasonOf(why error) Reason {
	var fatal errFatal
	switch {
	case errors.Is(why, errLeft):
		return Left
	case errors.Is(why, errInactive):
		return Inactive
	case errors.Is(why, errSilent):
		return Silent
	case errors.Is(why, errSlow):
		return Slow
	case errors.As(why, &fatal), errors.Is(why, dso.ErrLength):
		return Broken
	}
	return Closed
}

type counter[K ~uint8] [8]atomic.Uint64

func (c *counter[K]) add(k K)        { c[k].Add(1) }
func (c *counter[K]) get(k K) uint64 { return c[k].Load() }

type counts struct {
	connections counter[Outcome]
	ended       counter[Reason]
	pushes      atomic.Uint64
}

// Stats are the numbers of the server.
type Stats struct {
	Sessions, Subscriptions int
	Names                   int // that are subscribed to
	Pushes                  uint64
	Connections             map[Outcome]uint64
	Ended                   map[Reason]uint64
}

// Stats returns the numbers of now.
func (s *Server) Stats() Stats {
	st := Stats{
		Subscriptions: int(s.all.Load()), Pushes: s.counts.pushes.Load(), Connections: map[Outcome]uint64{}, Ended: map[Reason]uint64{},
	}
	for _, o := range Outcomes {
		st.Connections[o] = s.counts.connections.get(o)
	}
	for _, r := range Reasons {
		st.Ended[r] = s.counts.ended.get(r)
	}
	s.mu.Lock()
	st.Sessions = len(s.sessions)
	s.mu.Unlock()
	s.hub.mu.Lock()
	st.Names = len(s.hub.topics)
	s.hub.mu.Unlock()
	return st
}
