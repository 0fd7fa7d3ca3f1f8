package push

import (
	"time"

	"github.com/nameward/nameward/registry"
)

// Target is one place that is told of changes.
type Target struct {
	Name   string // unique
	Kind   string // what people are shown beside the name: "update", "wins", ...
	Driver Driver
	Roles  map[string]bool // those that it is told of; nil for all that the driver has content for
	Check  time.Duration   // how often it is asked whether it still answers right; 0: never
	Repair bool            // what somebody else wrote there is written over
}

func (t *Target) content(snap *registry.Snapshot, role *registry.RoleState) string {
	if t.Roles != nil && !t.Roles[role.Role.Name] {
		return ""
	}
	return t.Driver.Content(snap, role)
}

// Patient is a Driver whose Push may take longer than others'.
type Patient interface {
	Driver
	// Patience is how long one Push may take.
	Patience() time.Duration
}

const (
	// pushTime and verifyTime bound one call of a driver.
	pushTime   = 5 * time.Second
	verifyTime = 2 * time.Second

	// A failed delivery is tried again after firstWait, and then after twice as long, up to lastWait: a target that
	// comes back after an outage is not to wait for long, and one packet in some seconds hurts nobody.
	firstWait = 100 * time.Millisecond
	lastWait  = 5 * time.Second

	// After an acknowledgement the target is asked until it answers right: after firstPoll, and then after twice as long,
	// up to lastPoll. When it does not for pollFor, it is told again.
	firstPoll = time.Millisecond
	lastPoll  = 200 * time.Millisecond
	pollFor   = 600 * time.Millisecond

	// maxChecked is how many roles of a target are checked in one turn: a hundred thousand at once would be a load.
	maxChecked = 1000

	// maxItems is how many items a driver gets at once.
	maxItems = 4096
)

func (t *Target) patience() time.Duration {
	if p, ok := t.Driver.(Patient); ok {
		return p.Patience()
	}
	return pushTime
}

// doubled is the wait after w.
func doubled(w, first, last time.Duration) time.Duration { return min(max(2*w, first), last) }
