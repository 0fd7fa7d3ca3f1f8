package plan

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
)

// Guard is the running nameward. Its refusals are *control.RefusedError.
type Guard interface {
	Status(context.Context) (control.Status, error)
	Switch(context.Context, registry.SwitchRequest) (registry.Moves, error)
	LowerTTL(context.Context, registry.LowerRequest) (registry.TTLs, error)
	RaiseTTL(context.Context, registry.RaiseRequest) (registry.TTLs, error)
	// Targets tells where changes are pushed, and how each is.
	Targets(context.Context) ([]TargetState, error)
	// Deliveries tells how far each target is with what a change did to the roles.
	Deliveries(ctx context.Context, change uint64, roles []string) ([]Delivery, error)
}

// TargetState is how a target is now.
type TargetState struct {
	Target
	Trouble string // what keeps it from having the latest state; "" when it has it
}

// Delivery is how far a target is with a change.
type Delivery struct {
	Target
	Done  bool          // it has all of it, as surely as its kind can tell
	Stage string        // of what is furthest behind: "verified", "sent", ...
	After time.Duration // since the change, when Done
	Why   string        // what was wrong last; "" for nothing
}

// Refused says why something is not done, or not done to its end: what was found, and nothing that could not be asked.
type Refused struct{ Findings []string }

func (r *Refused) Error() string { return strings.Join(r.Findings, "\n") }

func refuse(findings ...string) error { return &Refused{findings} }

// refusal is the guard's own word that it did not do what was asked, or "".
func refusal(err error) string {
	var refused *control.RefusedError
	if errors.As(err, &refused) {
		return refused.Text
	}
	return ""
}
