package push

import (
	"context"

	"github.com/nameward/nameward/registry"
)

// Driver knows one target: what of the world's state it is to have, how it is told, and how it is asked. Content may
// be called by any goroutine at any time; the others are called by one at a time.
type Driver interface {
	// Content says in one line of text what the target is to publish for a role, such as
	// "mail.corp.example. 5 192.0.2.11"; "" when the role is not for this target. A role whose content differs from what
	// was delivered last is delivered anew.
	Content(snap *registry.Snapshot, role *registry.RoleState) string
	// Push tells the target what the items say, and has each of them Sent, and then Acked, Failed, or Foreign where
	// something stands that is not to be written over, when it returns. Items that it leaves without a word have
	// failed. It ends soon when ctx does.
	Push(ctx context.Context, items []*Item)
}

// Verifier is a Driver whose target can be asked what it answers. Deliveries to others end with Acked.
type Verifier interface {
	Driver
	// Verify asks the target once about each item and has each of them Right, Stale, Foreign or Failed. It is called
	// again, soon and then less often, for those that are not Right.
	Verify(ctx context.Context, items []*Item)
}

// Closer is a Driver that keeps something open.
type Closer interface {
	Driver
	// Close lets go of it, once nothing else of the driver is called any more.
	Close() error
}
