package registry

import (
	"iter"
	"net"
	"net/netip"
	"time"

	"github.com/nameward/nameward/netbios"
)

// Snapshot is the immutable state that answers are made from. It and all that is reachable from it
// may be read by any goroutine for as long as it likes.
type Snapshot struct {
	World *World
	// Change numbers the step that led here; it grows by one with each and survives a restart.
	Change uint64
	// StoreErr is why the state could not be written to stable storage, nil when it was.
	StoreErr error

	ix         *index
	roles      vector[*RoleState]
	ptrs       vector[*PTRState]
	drained    map[string]Drain
	superseded chan struct{}
}

// RoleState is one role's live state.
type RoleState struct {
	Role  *Role
	State State
	// Confirmed reports that Origin has stood behind the claim since the start, or that there is nobody who could.
	Confirmed bool
	TTL       uint32 // of answers, seconds: what is in force now
	Why       string // the state in words; "" for a fresh one

	Holder  []string  // the nodes that hold the claim in force; one at most in mode single
	Epoch   uint64    // of the claim in force; 0 before the first
	Since   time.Time // when Holder took over
	Origin  string    // who said so: "file /run/x.role", "operator", ...
	Forced  *Override // nil when none is set
	*Limits           // never nil

	Served  []*Node // whose public addresses are answered
	Changed time.Time

	addrs *addrSet
}

// Limits are what may end by itself: the claim in force, a lowered TTL. Most roles have none and share one.
type Limits struct {
	Expires   time.Time // of the lease; zero: none
	Rivals    []string  // nodes that claim the same epoch
	rivalEnds time.Time // when the first rival's lease runs out; zero: never
	Lowered   *Lowered  // nil when the TTL is the role's own
}

var noLimits = &Limits{}

// State is a role's condition in one word.
type State uint8

// The states, from the one that needs nobody to the one that needs somebody most.
const (
	Fresh    State = iota // the source stands behind what is served
	Stale                 // last known state is served; the source has not confirmed it
	Forced                // an operator's override is served
	Lost                  // nobody holds the role; OnSourceLost says what is served
	Conflict              // two nodes claim one epoch; OnConflict says what is served
)

// States lists every state, for those who count them.
var States = []State{Fresh, Stale, Forced, Lost, Conflict}

func (s State) String() string {
	return [...]string{"fresh", "stale", "forced", "lost", "conflict"}[s]
}

// MarshalText writes the word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A returns the IPv4 addresses served, 4 octets each. The caller must not write to it.
func (s *RoleState) A() []net.IP { return s.addrs.a }

// AAAA returns the IPv6 addresses served, 16 octets each. The caller must not write to it.
func (s *RoleState) AAAA() []net.IP { return s.addrs.aaaa }

// V4 returns the IPv4 addresses served. The caller must not write to it.
func (s *RoleState) V4() []netip.Addr { return s.addrs.v4 }

// NB returns what the role's NetBIOS names stand for: in mode single the first IPv4 address of each node that is served,
// so that no client can choose a wrong one; in mode all every one. They are at most the 25 that a WINS server keeps of a
// name. The caller must not write to it.
func (s *RoleState) NB() []netip.Addr {
	list := s.addrs.v4
	if s.Role.Mode == Single {
		list = s.addrs.first
	}
	return list[:min(len(list), maxNB)]
}

// maxNB is how many members an internet group has at most.
const maxNB = 25

// V6 returns the IPv6 addresses served. The caller must not write to it.
func (s *RoleState) V6() []netip.Addr { return s.addrs.v6 }

// ServedNames returns the names of the nodes served.
func (s *RoleState) ServedNames() []string { return namesOf(s.Served) }

// Unknown reports that no holder was ever known, so that there is no right answer yet, not even "no
// address": the querier should ask again or elsewhere.
func (s *RoleState) Unknown() bool { return len(s.Holder) == 0 && s.Forced == nil && s.Epoch == 0 }

// PTRState is what the PTR record of a public address points to now.
type PTRState struct {
	Target string // fully qualified
	TTL    uint32 // seconds
}

// Superseded is closed when a newer snapshot stands.
func (s *Snapshot) Superseded() <-chan struct{} { return s.superseded }

// Lookup finds a DNS owner name, which must be lower case and fully qualified.
func (s *Snapshot) Lookup(name string) (Entry, bool) {
	e, ok := s.ix.names[name]
	return e, ok
}

// Zone returns the closest owned zone at or above a lower-case owner name, or nil.
func (s *Snapshot) Zone(name string) *Zone { return s.ix.zoneOf(name) }

// OwnerNames returns the names that exist in an owned zone, sorted, without empty non-terminals. The
// caller must not write to it.
func (s *Snapshot) OwnerNames(z *Zone) []string { return s.ix.owned[z] }

// RoleOf returns the live state of the role that an entry of KindRole stands for.
func (s *Snapshot) RoleOf(e Entry) *RoleState { return s.roles.at(int(e.id)) }

// HostOf returns the public addresses of the node that an entry of KindHost stands for.
func (s *Snapshot) HostOf(e Entry) (a, aaaa []net.IP) {
	set := s.ix.nodeAddr[s.World.Nodes[e.id]]
	return set.a, set.aaaa
}

// NodeOf returns the node that an entry of KindHost stands for.
func (s *Snapshot) NodeOf(e Entry) *Node { return s.World.Nodes[e.id] }

// PTROf returns what an entry of KindPTR points to now, or nil.
func (s *Snapshot) PTROf(e Entry) *PTRState { return s.ptrs.at(int(e.id)) }

// ServerOf returns the name server that an entry of KindNameServer stands for.
func (s *Snapshot) ServerOf(e Entry) NameServer { return s.ix.servers[e.id] }

// NetBIOS finds the role that a NetBIOS name belongs to. The name's case does not matter.
func (s *Snapshot) NetBIOS(name netbios.Name) (*RoleState, bool) {
	id, ok := s.ix.byNetBIOS(name.Fold())
	if !ok {
		return nil, false
	}
	return s.roles.at(int(id)), true
}

// Role returns a role's state by its name.
func (s *Snapshot) Role(name string) (*RoleState, bool) {
	id, ok := s.ix.roles[name]
	if !ok {
		return nil, false
	}
	return s.roles.at(int(id)), true
}

// Roles yields every role's state in written order.
func (s *Snapshot) Roles() iter.Seq[*RoleState] {
	return func(yield func(*RoleState) bool) {
		for i := range s.roles.n {
			if !yield(s.roles.at(i)) {
				return
			}
		}
	}
}

// ChangedSince yields the states that differ from an older snapshot, all of them if that is nil or of
// another world. Its cost is that of what changed.
func (s *Snapshot) ChangedSince(old *Snapshot) iter.Seq[*RoleState] {
	if old == nil || old.ix != s.ix {
		return s.Roles()
	}
	return func(yield func(*RoleState) bool) {
		for i := range s.roles.differing(old.roles) {
			if s.roles.at(i) != old.roles.at(i) && !yield(s.roles.at(i)) {
				return
			}
		}
	}
}

// Node returns a node by its name.
func (s *Snapshot) Node(name string) (*Node, bool) {
	id, ok := s.ix.nodes[name]
	if !ok {
		return nil, false
	}
	return s.World.Nodes[id], true
}

// Drained returns the drain of a node, if there is one.
func (s *Snapshot) Drained(node string) (Drain, bool) {
	d, ok := s.drained[node]
	return d, ok
}

// PTRsChangedSince yields the reverse names whose PTR records differ from an older snapshot of the same
// world. Its cost is that of what changed.
func (s *Snapshot) PTRsChangedSince(old *Snapshot) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range s.ptrs.differing(old.ptrs) {
			if s.ptrs.at(i) != old.ptrs.at(i) && !yield(s.ix.addrList[i].arpa) {
				return
			}
		}
	}
}
