package plan

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push/pushctl"
)

// Guard is the running nameward. Its refusals are *control.RefusedError.
type Guard interface {
	Status(context.Context) (control.Status, error)
	Switch(context.Context, registry.SwitchRequest) (registry.Moves, error)
	LowerTTL(context.Context, registry.LowerRequest) (registry.TTLs, error)
	RaiseTTL(context.Context, registry.RaiseRequest) (registry.TTLs, error)
	// Targets tells where changes are pushed, and what is not delivered.
	Targets(context.Context) (pushctl.Status, error)
	// Wait returns when so many targets have the roles as they are since a change, or when a time is over.
	Wait(context.Context, pushctl.WaitRequest, time.Duration) (pushctl.WaitReply, error)
}

// Remote is a Guard behind its control socket.
type Remote struct{ *control.Client }

// Targets asks for what is not delivered.
func (r Remote) Targets(ctx context.Context) (pushctl.Status, error) {
	return pushctl.Client{Client: r.Client}.Status(ctx, pushctl.Filter{})
}

// Wait waits for targets.
func (r Remote) Wait(ctx context.Context, req pushctl.WaitRequest, limit time.Duration) (pushctl.WaitReply, error) {
	return pushctl.Client{Client: r.Client}.Wait(ctx, req, limit)
}

// Refused says why something is not done, or not done to its end: what was found, and nothing that could not be asked.
type Refused struct{ Findings []string }

func (r *Refused) Error() string { return strings.Join(r.Findings, "\n") }

func refuse(findings ...string) error { return &Refused{findings} }

// refusal is the guard's own word that it will not do what was asked, or "". One that ends has said nothing.
func refusal(err error) string {
	var refused *control.RefusedError
	if errors.As(err, &refused) && !refused.Stopping {
		return refused.Text
	}
	return ""
}

// view is what is looked at before anything is decided.
type view struct {
	control.Status
	push pushctl.Status
}

func look(ctx context.Context, g Guard) (view, error) {
	st, err := g.Status(ctx)
	if err != nil {
		return view{}, err
	}
	targets, err := g.Targets(ctx)
	return view{st, targets}, err
}
