package wins

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/held"
)

// Held is something that somebody asked for and that is not, or not yet, published: a registration that
// was quarantined or refused, one of a role's member that is parked, a try to take a name away.
type Held struct {
	Name    netbios.Name
	What    What
	Fate    Fate
	Source  netip.Addr        // of the packet
	Claimed []netbios.Address // as it was said
	Kept    []IPv4            // what of it may be published, when the time comes
	Role    string
	// Reason is a short stable word; Rule and Decision are those of the policy, if it had a word in it.
	Reason      string
	Rule        string
	Decision    uint64
	Alert       bool
	First, Last Stamp
	Count       uint64
}

// What was asked for. The first ones have the numbers of operations.
type What uint8

// What is asked for by no request of its own.
const (
	ConflictDemand What = iota + 16 // RFC 1002, Section 4.2.8: a response that nobody asked for
	Unsolicited                     // any other response that nobody asked for
	Replica                         // a record that a replication partner has sent: the source is the server whose it is
)

func (w What) isKnown() bool {
	return w >= What(Register) && w <= What(Release) || w >= ConflictDemand && w <= Replica
}

func (w What) String() string {
	switch w {
	case ConflictDemand:
		return "conflict-demand"
	case Unsolicited:
		return "response"
	case Replica:
		return "replica"
	}
	return Op(w).String()
}

// MarshalText writes the word.
func (w What) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// Fate is what became of it.
type Fate = held.Fate

// The fates.
const (
	IsParked      = held.Parked
	IsQuarantined = held.Quarantined
	IsRefused     = held.Refused
	IsIgnored     = held.Ignored
)

// Reasons of our own; those of the policy are its words.
const (
	ReasonNotSource = "not-the-source" // the address is not the one that the packet came from
	ReasonNotOwner  = "not-owner"      // the packet did not come from an address of the record
	ReasonGuarded   = "guarded"        // the role's state decides
	ReasonUnasked   = "unasked"        // a response that nobody asked for
	ReasonUpstream  = "upstream"       // the server behind did not take it
	ReasonLimit     = "limit"          // there are too many records, or of one address
	ReasonMalformed = "malformed"      // no record can be like this
)

// heldLimits bound what strangers can make us remember.
var heldLimits = held.Limits{Total: 16384, OfSource: 256, Parked: 1 << 20}

// maxHeldSaved bounds what one batch has of them; the others are in the next one.
const maxHeldSaved = 4096

type heldKey struct {
	name   netbios.Name
	source IPv4
	addr   IPv4
	what   What
}

func (h *Held) key() heldKey {
	k := heldKey{name: h.Name, what: h.What}
	if h.Source.IsValid() {
		k.source = IPv4Of(h.Source)
	}
	if h.What == What(RegisterMultihomed) || h.What == What(Refresh) {
		k.what = What(Register) // one matter to whoever reads the list
	}
	if len(h.Claimed) > 0 {
		k.addr = IPv4Of(h.Claimed[0].Addr)
	}
	return k
}

// heldTable is the bounded table of all that is held. Parked entries are those of members and so bounded by the
// configuration.
type heldTable = held.Table[heldKey, IPv4, Held]

func newHeldTable() *heldTable {
	return held.New(held.Kind[heldKey, IPv4, Held]{
		Key:    (*Held).key,
		Source: func(h *Held) IPv4 { return h.key().source },
		Fate:   func(h *Held) Fate { return h.Fate },
		Last:   func(h *Held) time.Time { return h.Last.Time() },
		Count:  (*Held).count,
		Same:   (*Held).sameAs,
	}, heldLimits)
}

// count gives an entry its times and its count.
func (h *Held) count(before *Held, now time.Time) {
	h.Last = StampOf(now)
	h.First, h.Count = h.Last, 1
	if before != nil {
		h.First, h.Count = before.First, before.Count+1
	}
}

// sameAs reports whether nothing but times and counts differs.
func (h *Held) sameAs(o *Held) bool {
	return h.Fate == o.Fate && h.What == o.What && h.Reason == o.Reason && h.Rule == o.Rule && h.Decision == o.Decision &&
		h.Role == o.Role && slices.Equal(h.Claimed, o.Claimed) && slices.Equal(h.Kept, o.Kept)
}

// note adds an entry or counts it again, and reports whether it is news. Packets have room for thousands of
// addresses.
func (d *Database) note(h Held, now Stamp) (isNew bool) {
	h.Claimed = slices.Clip(h.Claimed[:min(len(h.Claimed), MaxMembers)])
	h.Kept = slices.Clip(h.Kept[:min(len(h.Kept), MaxMembers)])
	return d.held.Note(h, now.Time())
}

// HeldCounts are the numbers of entries.
type HeldCounts = held.Counts

// HeldCounts returns the numbers of what is held.
func (d *Database) HeldCounts() HeldCounts { return d.held.Counts() }

// HeldByFate returns the numbers of what is held.
func (d *Database) HeldByFate() map[Fate]int { return d.held.ByFate() }

// Held lists what was asked for and is not, or not yet, published: by fate, parked ones first, then by the
// latest word.
func (d *Database) Held() []Held {
	out := d.held.All()
	slices.SortFunc(out, func(a, b Held) int {
		return cmp.Or(cmp.Compare(a.Fate, b.Fate), -cmp.Compare(a.Last, b.Last), a.Name.Compare(b.Name), a.Source.Compare(b.Source))
	})
	return out
}

// appendHeldChanges appends what was not saved yet to a batch, and returns it for [held.Table.Saved].
func (d *Database) appendHeldChanges(dst []byte) ([]byte, []held.Change[heldKey, Held]) {
	changes := d.held.Unsaved(maxHeldSaved)
	for _, c := range changes {
		if c.Entry == nil {
			dst = appendHeldGone(dst, c.Key)
		} else {
			dst = appendHeld(dst, c.Entry)
		}
	}
	return dst, changes
}
