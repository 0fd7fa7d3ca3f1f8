package front

import "sync/atomic"

// Outcome is what became of a message that came to one of our sockets.
type Outcome uint8

// The outcomes. Every message has exactly one.
const (
	Served   Outcome = iota // went through the chain of CoreDNS
	Rejected                // answered FORMERR, because of its header or because it cannot be parsed
	Ignored                 // a response, or too short for a header: never answered
	Unserved                // no server is known for the address: dropped, or its connection closed
	Shed                    // dropped because too many are served already; connections closed for that count here too
	Repeated                // an update that came before: answered again, or still under way
	numOutcomes
)

// Outcomes are all of them.
var Outcomes = [numOutcomes]Outcome{Served, Rejected, Ignored, Unserved, Shed, Repeated}

// String returns the label of the outcome.
func (o Outcome) String() string {
	return [numOutcomes]string{"served", "rejected", "ignored", "unserved", "shed", "repeated"}[o]
}

// Networks are the labels of the transports.
var Networks = [2]string{overUDP: "udp", overTCP: "tcp"}

// network is a transport: an index into what there are two of.
type network uint8

const (
	overUDP network = iota
	overTCP
)

func (n network) String() string { return Networks[n] }

// counts are of messages by transport and outcome.
type counts [len(Networks)][numOutcomes]atomic.Uint64

// Count returns how many messages over a network of [Networks] had an outcome.
func (f *Front) Count(over string, o Outcome) uint64 {
	for i, name := range Networks {
		if name == over {
			return f.counts[i][o].Load()
		}
	}
	return 0
}
