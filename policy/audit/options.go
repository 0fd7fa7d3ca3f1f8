package audit

import (
	"github.com/nameward/nameward/registry/tsig"
)

import "time"

// DefaultTimeout is how long a server may take for a connection and for each message of a transfer.
const DefaultTimeout = 10 * time.Second

// Options say how a source is read. The zero Options are ready for use.
type Options struct {
	Kind    Kind          // zero: told from the source's name and its first octets
	Origin  string        // the zone of relative names where the source does not name it
	TSIG    tsig.Key      // signs a transfer; zero: not signed
	Timeout time.Duration // of a transfer's connection and of each of its messages; 0 means DefaultTimeout
}

func (o *Options) timeout() time.Duration {
	if o.Timeout == 0 {
		return DefaultTimeout
	}
	return o.Timeout
}
