package wins

import (
	"context"
	"net/netip"

	"github.com/nameward/nameward/netbios"
)

// Op is what a node asks for.
type Op uint8

// The operations. Opcodes 5 and 15 are treated alike but for the kind of the record; 8 and 9 are both
// Refresh.
const (
	Register           Op = iota + 1 // RFC 1002, Section 4.2.2
	RegisterMultihomed               // opcode 15
	Refresh                          // RFC 1002, Section 4.2.4; of an unknown name it registers
	Release                          // RFC 1002, Section 4.2.9
)

// Ops lists the operations.
var Ops = []Op{Register, RegisterMultihomed, Refresh, Release}

func (o Op) String() string {
	return [...]string{"none", "registration", "multihomed", "refresh", "release"}[o]
}

// Request is what a node asks of the database. It must not be changed once it was submitted.
type Request struct {
	Op     Op
	ID     uint16
	Name   netbios.Name
	TTL    uint32            // seconds, 0 for no end
	Addrs  []netbios.Address // claimed, at least one
	Source netip.AddrPort    // of the packet
	To     Sink
	// Tag is the sink's own.
	Tag any
	// Upstream is the word of another WINS server on this request, with the TTL in seconds that it granted
	// or the rcode of its refusal.
	Upstream      Upstream
	UpstreamTTL   uint32
	UpstreamRcode netbios.Rcode
	// Waits says that the node was told to wait, and gets no second WACK.
	Waits bool

	verdict Verdict
}

// Upstream is what the WINS server behind a forwarding guard said.
type Upstream uint8

// The words of the server behind.
const (
	NotAsked    Upstream = iota // the rules here decide
	Accepted                    // it accepted: its word is kept here
	Denied                      // it refused: nothing is kept
	Unreachable                 // the rules here decide, and the request is sent later
	SendToo                     // the same: this server decides, and tells the other one
)

// Sink takes answers. Both methods are called by the one writer and must not wait for anybody.
type Sink interface {
	// Answer takes one; a request gets one WACK at the most and then one other answer.
	Answer(*Request, Answer)
	// Flush is called after the last answer of a batch.
	Flush()
}

// Answer is what is said to a request.
type Answer struct {
	Outcome Outcome
	Wack    bool          // wait TTL seconds, there will be another answer
	Rcode   netbios.Rcode // 0 for a positive answer
	TTL     uint32        // seconds: granted, or to wait
}

// Silent reports that nothing is to be sent.
func (a Answer) Silent() bool { return a.Outcome == Shed || a.Outcome == Duplicate }

// Outcome is what became of a request. Each has exactly one; its words are metric labels.
type Outcome uint8

// The outcomes.
const (
	Waiting     Outcome = iota // a WACK was sent, and the last word comes later
	Registered                 // a new record, or one that nobody had any more
	Refreshed                  // the record was theirs
	Merged                     // the owner confirmed it as another address of its own
	TakenOver                  // the recorded owner was silent or had given it up
	Contested                  // the recorded owner has it still, or it is a group's
	Unstored                   // accepted and not kept: suffix 1D belongs to a subnet
	Forbidden                  // not to be had: the kind does not go with the suffix, or the address is none
	Parked                     // a member of the role: the role's state decides when it is published
	Quarantined                // accepted quietly, nothing is published
	Refused                    // the policy says so
	ReleasedOwn                // released by its owner
	NotReleased                // accepted without effect: not the owner's, or no such name
	StaticKept                 // an operator's record stays as it is
	OverLimit                  // too many records, or of one address
	Unsaved                    // the disk takes nothing
	Shed                       // too much at once: no answer, the node asks again
	Duplicate                  // the node was told to wait and asked again: no second answer
	Unasked                    // the recorded owner could not be asked, for want of a socket: it is left in peace
	Burst                      // the disk is slow: accepted for a short time, not kept
	outcomes
)

// Outcomes lists the outcomes.
func Outcomes() []Outcome {
	out := make([]Outcome, outcomes)
	for i := range out {
		out[i] = Outcome(i)
	}
	return out
}

func (o Outcome) String() string {
	return [...]string{
		"waiting", "registered", "refreshed", "merged", "taken-over", "contested", "unstored", "forbidden", "parked", "quarantined",
		"refused", "released", "not-released", "static", "over-limit", "unsaved", "shed", "duplicate", "unasked", "burst",
	}[o]
}

// Guard says what of a request may be published: the registration policy with the state of roles. It is
// called from any goroutine.
type Guard interface {
	Admit(*Request) Verdict
}

// Action is what the guard decided.
type Action uint8

// The actions.
const (
	Publish    Action = iota // Addrs may be published
	Park                     // the name belongs to a role: Addrs are kept for the day the node holds it
	Quarantine               // quiet accept
	Refuse                   // a negative answer
)

// Verdict is the guard's word.
type Verdict struct {
	Action  Action
	Addrs   []netbios.Address // those of the claim that may be published
	ByRule  bool              // somebody wrote that they may, so that they need not be the source's own
	HandOn  bool              // the servers behind decide, whatever the mode
	Local   bool              // the servers behind are not told, for what they would be told must not be published
	Guarded bool              // the name belongs to a role
	Role    string
	// What follows goes into the record of what was not published.
	Reason   string
	Rule     string
	Decision uint64
	Alert    bool
}

// Challenger asks the recorded addresses of a name whether they have it still, and returns what each
// said. It takes three seconds at the most, less when the context ends. With an error nothing is known.
type Challenger func(ctx context.Context, name netbios.Name, addrs []IPv4) ([]Challenged, error)

// Challenged is what one address said.
type Challenged struct {
	Addr  IPv4
	Has   bool   // a positive answer
	Lists []IPv4 // the addresses in it
}

// Demander tells a node to give up a name: a name release demand, RFC 1002, Section 4.2.9, sent to these addresses. It
// does not wait for an answer.
type Demander func(ctx context.Context, name netbios.Name, addrs []IPv4)

// kindOf is what a claim with these flags makes of a name.
func kindOf(name netbios.Name, flags netbios.NodeFlags, op Op) Kind {
	switch {
	case flags.IsGroup() && name.Suffix() == suffixControllers:
		return Internet
	case flags.IsGroup():
		return Group
	case op == RegisterMultihomed:
		return Multihomed
	}
	return Unique
}

// Suffixes with rules of their own.
const (
	suffixMaster      = 0x1b // domain master browser: unique
	suffixControllers = 0x1c // domain controllers: an internet group
	suffixBrowser     = 0x1d // master browser of a subnet: every subnet has its own
	suffixElection    = 0x1e // browser elections: a group
)

// mayBe reports whether a name may be registered as this kind.
func mayBe(name netbios.Name, kind Kind) bool {
	switch name.Suffix() {
	case suffixMaster:
		return !kind.isGroup()
	case suffixControllers, suffixElection:
		return kind.isGroup()
	}
	return true
}

// isHost reports whether an address may be that of a node: not this network, loopback, multicast,
// reserved or broadcast, RFC 1122, Section 3.2.1.3.
func isHost(a IPv4) bool { return a[0] != 0 && a[0] != 127 && a[0] < 224 }
