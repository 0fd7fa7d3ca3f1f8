package wrepl

import (
	"context"
	"iter"

	"github.com/nameward/nameward/netbios/wins"
)

// Store is a WINS database as replication sees it. As in its records, the zero owner is this server; a Replicator
// translates that to the server's own address and back. Its methods are called from any goroutine.
type Store interface {
	// Versions is the owner-version map, with that of this server.
	Versions() []wins.OwnerVersion
	// Next is the first version of an owner to ask for. With renew, the answer is the owner's own word or the best that
	// can be had of it: from time to time it is asked for everything, to confirm what is here.
	Next(owner wins.IPv4, renew bool) uint64
	// Records yields an owner's records with versions from low to high, active ones and tombstones.
	Records(owner wins.IPv4, low, high uint64) iter.Seq[*wins.Record]
	// Apply decides about what a partner has sent, and returns once what was taken is on stable storage. On an error it
	// is asked for again; that the rules or the policy do not take a record is none.
	Apply(context.Context, wins.Replicas) (wins.Applied, error)
	// Raise has the next version of this server be above the one given. It is called when a partner knows a higher one
	// than this server has given out, as after the loss of its file.
	Raise(ctx context.Context, version uint64) error
	// Changed is closed when this server has a newer version than when Changed was called.
	Changed() <-chan struct{}
}
