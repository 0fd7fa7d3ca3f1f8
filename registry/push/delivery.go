package push

import (
	"net/netip"
	"time"
)

// Delivery is how far one target is with one role. Times that have not come yet are zero.
type Delivery struct {
	Target  string `json:"target"`
	Role    string `json:"role"`
	Change  uint64 `json:"change"` // of the registry: the content stands since this one, or a few before it
	Epoch   uint64 `json:"epoch"`
	Content string `json:"content"` // what the target is to publish
	Stage   Stage  `json:"stage"`
	Why     string `json:"why,omitempty"` // of the last failure since it was queued; "" once it is verified

	Addrs []netip.Addr `json:"addrs,omitempty"` // what the target is to answer with
	Told  []netip.Addr `json:"told,omitempty"`  // what it was told last, and confirmed
	Found []netip.Addr `json:"found,omitempty"` // what it answers, when it is stale or foreign

	Moved     time.Time `json:"moved"` // when the change stood
	Sent      time.Time `json:"sent,omitzero"`
	Acked     time.Time `json:"acked,omitzero"`
	LastStale time.Time `json:"last_stale,omitzero"` // when the target was seen last with what was right before
	Verified  time.Time `json:"verified,omitzero"`
	Ended     time.Time `json:"ended,omitzero"` // when it was superseded, in the history
	By        uint64    `json:"by,omitempty"`   // the change that superseded it
	Tries     int       `json:"tries"`          // since it was queued

	id    uint64 // of the content: what comes late from an older one does not count
	final bool   // an acknowledgement is all that can be had
}

// IsDone reports whether nothing is left to be done for it.
func (d *Delivery) IsDone() bool { return d.Stage == Verified || d.final && d.Stage == Acked }

type key struct{ target, role string }

func (d *Delivery) key() key { return key{d.Target, d.Role} }

// settled returns when the delivery was done.
func (d *Delivery) settled() time.Time {
	if d.Stage == Verified {
		return d.Verified
	}
	return d.Acked
}
