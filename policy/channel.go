package policy

import "fmt"

// Channel is the way on which something is to be published.
type Channel uint8

// The channels. The zero Channel is none.
const (
	WINS      Channel = iota + 1 // a NetBIOS registration sent to a name server
	Broadcast                    // a NetBIOS registration sent to a subnet
	Update                       // a dynamic update, RFC 2136
	Answer                       // what somebody else answers, on its way to a client
	Transfer                     // a zone that is handed out, RFC 5936
	Push                         // what is sent to upstream DNS and WINS servers when a role moves
)

// Channels lists every channel.
var Channels = []Channel{WINS, Broadcast, Update, Answer, Transfer, Push}

var channelWords = [...]string{"none", "wins", "nbns-broadcast", "update", "answer", "transfer", "push"}

func (c Channel) String() string { return channelWords[c] }

// MarshalText writes the word.
func (c Channel) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// ParseChannel reads the word of a channel.
func ParseChannel(s string) (Channel, error) {
	for _, c := range Channels {
		if c.String() == s {
			return c, nil
		}
	}
	return 0, fmt.Errorf("channel %q is none, known are %s", s, words(Channels))
}
