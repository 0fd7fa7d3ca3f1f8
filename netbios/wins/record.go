package wins

import (
	"iter"
	"math"
	"net/netip"
	"time"

	"github.com/nameward/nameward/netbios"
)

// Kind is what a name is registered as; the numbers are those of MS-WINSRA, Section 2.2.10.1.
type Kind uint8

// The kinds.
const (
	Unique     Kind = iota // one node
	Group                  // any number of nodes, of which no list is kept: asked for, it is 255.255.255.255
	Internet               // a group of up to 25 members that are listed: names with suffix 1C
	Multihomed             // one node with several addresses
)

func (k Kind) String() string { return [...]string{"unique", "group", "internet", "multihomed"}[k] }

// MarshalText writes the word.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// isGroup reports whether registrations of this kind have the group bit.
func (k Kind) isGroup() bool { return k == Group || k == Internet }

// State is where a record is in its life, MS-WINSRA, Section 2.2.10.1.
type State uint8

// The states. A record that is not renewed in time is released, becomes a tombstone after the extinction
// interval and goes after the extinction timeout.
const (
	Active State = iota
	Released
	Tombstone
	gone // no record any more
)

// States lists the states that a record can have.
var States = []State{Active, Released, Tombstone}

func (s State) String() string { return [...]string{"active", "released", "tombstone", "gone"}[s] }

// MarshalText writes the word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MaxMembers is how many addresses a name has at most: those of an internet group, and of a multihomed
// node, in WINS.
const MaxMembers = 25

// Stamp is a time in seconds since 1970; 0 is never. A million records have a few each.
type Stamp uint32

// StampOf returns the second that t is in.
func StampOf(t time.Time) Stamp { return Stamp(t.Unix()) }

// Time is the begin of the second, the zero time for never.
func (s Stamp) Time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// add is s a while later; never stays never.
func (s Stamp) add(d time.Duration) Stamp {
	if s == 0 {
		return 0
	}
	return s + Stamp(d/time.Second)
}

// after is s and so many seconds, the last Stamp when there is none for it.
func (s Stamp) after(seconds uint32) Stamp { return s + Stamp(min(seconds, uint32(math.MaxUint32-s))) }

// IPv4 is an address in four octets.
type IPv4 [4]byte

// IPv4Of returns an address that is IPv4.
func IPv4Of(a netip.Addr) IPv4 { return a.Unmap().As4() }

// Addr returns the address.
func (a IPv4) Addr() netip.Addr { return netip.AddrFrom4(a) }

func (a IPv4) String() string { return a.Addr().String() }

// Member is one address of a record.
type Member struct {
	Addr IPv4
	// Owner is the name server that the address was registered at, zero for this one.
	Owner IPv4
	// Ends is when the address falls out unless it is renewed.
	Ends Stamp
}

// Record is what the database has of a name. A group has one Member: who registered it last.
type Record struct {
	Name   netbios.Name
	Kind   Kind
	State  State
	Static bool              // made by an operator: no time ends it, no node changes it
	Node   netbios.NodeFlags // BNode, PNode, MNode or HNode
	// Owner is the name server whose record it is, zero for this one.
	Owner IPv4
	// Version grows with each change that others have to learn, over all records of this server.
	Version uint64
	// Ends is when the state ends, 0 for a static record. An active record with several addresses has
	// the latest end of them.
	Ends Stamp

	first Member
	more  []Member // never written to: copies of the record share it
}

// Len is the number of addresses.
func (r *Record) Len() int {
	if r.first.Addr == (IPv4{}) {
		return 0
	}
	return 1 + len(r.more)
}

// At returns the i-th address.
func (r *Record) At(i int) Member {
	if i == 0 {
		return r.first
	}
	return r.more[i-1]
}

// Index is the place of an address, -1 when the record has it not.
func (r *Record) Index(a IPv4) int {
	for i := range r.Len() {
		if r.At(i).Addr == a {
			return i
		}
	}
	return -1
}

// counted yields the addresses that count against the limit of records of one address: that of a group which another
// server has is nobody's in particular.
func (r *Record) counted() iter.Seq[IPv4] {
	return func(yield func(IPv4) bool) {
		if r.Kind == Group && r.Owner != (IPv4{}) {
			return
		}
		for i := range r.Len() {
			if !yield(r.At(i).Addr) {
				return
			}
		}
	}
}

// Members returns all addresses.
func (r *Record) Members() []Member {
	out := make([]Member, r.Len())
	for i := range out {
		out[i] = r.At(i)
	}
	return out
}

// SetMembers gives the record its addresses.
func (r *Record) SetMembers(members []Member) {
	r.first, r.more = Member{}, nil
	if len(members) > 0 {
		r.first = members[0]
	}
	if len(members) > 1 {
		r.more = members[1:]
	}
}

// Equal reports whether nobody could tell the records apart.
func (r *Record) Equal(o *Record) bool {
	if r.Name != o.Name || r.Kind != o.Kind || r.State != o.State || r.Static != o.Static || r.Node != o.Node ||
		r.Owner != o.Owner || r.Version != o.Version || r.Ends != o.Ends || r.Len() != o.Len() {
		return false
	}
	for i := range r.Len() {
		if r.At(i) != o.At(i) {
			return false
		}
	}
	return true
}

// Timers are the intervals of a record's life, MS-WINSRA, Section 3.1.1.
type Timers struct {
	MinTTL, MaxTTL     time.Duration // bounds of what a registration is granted; MaxTTL is the renewal interval
	ExtinctionInterval time.Duration // from released to tombstone
	ExtinctionTimeout  time.Duration // from tombstone to gone
	Verify             time.Duration // for which another server's record is answered without that server's word
}

// DefaultTimers are those of Windows, but for MinTTL: a client renews at half of its time, and the
// shortest interval that Windows lets administrators set is 40 minutes.
var DefaultTimers = Timers{
	MinTTL: 40 * time.Minute, MaxTTL: 6 * 24 * time.Hour,
	ExtinctionInterval: 4 * 24 * time.Hour, ExtinctionTimeout: 6 * 24 * time.Hour, Verify: 24 * 24 * time.Hour,
}

// grant is the TTL in seconds for a request: what it asks for within the bounds, 0 asking for no end, or
// what a server behind has granted already.
func (t *Timers) grant(r *Request) uint32 {
	if r.Upstream == Accepted && r.UpstreamTTL > 0 {
		return r.UpstreamTTL
	}
	asked := r.TTL
	low, high := uint32(t.MinTTL/time.Second), uint32(t.MaxTTL/time.Second)
	if asked == 0 {
		return high
	}
	return min(max(asked, low), high)
}

// stateAt is what time alone has made of the record, and when that state ends; time does nothing to a
// static one. Nothing has to be written down for it.
func (r *Record) stateAt(now Stamp, t *Timers) (State, Stamp) {
	state, ends := r.State, r.Ends
	if r.Static {
		return state, ends
	}
	for state != gone && ends <= now {
		switch state {
		case Active:
			ends = ends.add(t.ExtinctionInterval)
		case Released:
			if r.Owner != (IPv4{}) {
				return gone, ends // a tombstone of another server is that server's word
			}
			ends = ends.add(t.ExtinctionTimeout)
		}
		state++
	}
	return state, ends
}
