package nbns

import "sync/atomic"

// Outcome is what became of a packet. Each packet has exactly one; its words are metric labels.
type Outcome uint8

// The outcomes.
const (
	Positive         Outcome = iota // a guarded name, answered
	Negative                        // unicast: no such name, or a role that has withdrawn
	NodeStatus                      // the list of names
	NodeStatusShort                 // the own name only: the asker is not listed
	Forwarded                       // passed on to a WINS server, and its answer passed back
	ForwardedNothing                // passed on, and no WINS server answered
	Filtered                        // a WINS server's answer had nothing but filtered addresses
	QuietAccept                     // registration of a guarded name: positive reply, nothing published
	QuietIgnore                     // release or conflict demand for a guarded name: without effect
	Unsupported                     // a request that is not served here
	Silent                          // a broadcast for somebody else, or a question we must not answer
	NoHolder                        // a role whose holder was never known: the asker is to ask again
	Response                        // a response that nobody asked for
	Shed                            // too many forwarded queries under way
	Short                           // malformed: the packet ends too early
	BadHeader                       // malformed: opcode or counts
	BadName                         // malformed: name
	BadRecord                       // malformed: record
	SendFailed                      // answered later, and the socket did not take the reply
	Registered                      // a request for the WINS database, which counts what becomes of it
	outcomes
)

// Outcomes lists every outcome, for those who count them.
func Outcomes() []Outcome {
	out := make([]Outcome, outcomes)
	for i := range out {
		out[i] = Outcome(i)
	}
	return out
}

func (o Outcome) String() string {
	return [...]string{
		"positive", "negative", "node-status", "node-status-short", "forwarded", "forwarded-no-answer", "filtered",
		"quiet-accept", "quiet-ignore", "unsupported", "silent", "no-holder", "response", "shed", "malformed-short",
		"malformed-header", "malformed-name", "malformed-record", "send-failed",
		"wins",
	}[o]
}

// Counters counts packets by outcome.
type Counters [outcomes]atomic.Uint64

// Get returns the count of one outcome.
func (c *Counters) Get(o Outcome) uint64 { return c[o].Load() }
