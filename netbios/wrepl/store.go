package wrepl

import (
	"context"
	"iter"

	"github.com/nameward/nameward/netbios/wins"
)

// Store is a WINS database as replication sees it. As in its records, the zero owner is this server; a Replicator
// translates that to the server's own address and back. Its methods are called from any goroutine.
type Store interface {
	// Versions is the highest version of each owner's records that is known here, with that of this server, which is
	// there even if it is 0.
	Versions() map[wins.IPv4]uint64
	// Records yields an owner's records with versions from least to most, active ones and tombstones; most 0 is no
	// limit. Released records are not replicated.
	Records(owner wins.IPv4, least, most uint64) iter.Seq[*wins.Record]
	// Apply decides about the records of one owner, never this server, that a partner has sent; owners of members may
	// be this server. It returns once what was taken is on stable storage. An error means that they should be asked for
	// again; records that the rules or the policy do not take are no error.
	Apply(ctx context.Context, partner, owner wins.IPv4, records []wins.Record) error
	// Raise has the next version of this server be above the one given. It is called when a partner knows a higher one
	// than this server has given out, as after the loss of its file.
	Raise(ctx context.Context, version uint64) error
	// Changed is closed when this server has a newer version than when Changed was called.
	Changed() <-chan struct{}
}
