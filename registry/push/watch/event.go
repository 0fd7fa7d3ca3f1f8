package watch

import (
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push/dso"
)

// Kind is what an event is about.
type Kind uint8

// The kinds of events.
const (
	Connected Kind = iota
	Added          // a record is there, or has another TTL
	Removed        // a record is gone
	Refused        // the server takes no subscription to a question
	Lost           // the connection; what was told until then may not be true any more
)

func (k Kind) String() string {
	return [...]string{"connected", "added", "removed", "refused", "lost"}[k]
}

// Event is one thing that happened.
type Event struct {
	Kind     Kind
	At       time.Time
	Server   string        // Connected: its address
	Record   dns.RR        // Added, Removed
	Question dso.Question  // Refused
	Rcode    int           // Refused
	Err      error         // Lost
	Again    time.Duration // Lost: how long until the next try
}
