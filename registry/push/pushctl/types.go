package pushctl

import (
	"time"

	"github.com/nameward/nameward/registry/push"
)

// Status is how the targets are.
type Status struct {
	// Standby: another guard tells the targets.
	Standby bool `json:"standby,omitempty"`
	// Error is why the ledger cannot be saved, "" when it is.
	Error   string   `json:"error,omitempty"`
	Drill   string   `json:"drill,omitempty"` // the role that drills move
	Targets []Target `json:"targets"`
	// Deliveries are those that were asked for: what is not done, unless Filter says otherwise.
	Deliveries []push.Delivery `json:"deliveries"`
	History    []push.Delivery `json:"history,omitempty"`
}

// Target is how one target is.
type Target struct {
	Name       string         `json:"name"`
	Kind       string         `json:"kind"`
	Stages     map[string]int `json:"stages"` // deliveries by stage
	Lacks      int            `json:"lacks"`  // roles that it has not yet
	Change     uint64         `json:"change"` // up to which it is followed
	Superseded uint64         `json:"superseded"`
	Failures   uint64         `json:"failures"`
	Delivered  uint64         `json:"delivered"` // since the start
	MeanSec    float64        `json:"mean_seconds"`
}

// Filter says which deliveries are asked for.
type Filter struct {
	Target, Role string
	Done         bool // also those that are done
	History      int  // so many of those that are over
}

// WaitRequest asks to wait until targets have what roles published with a change.
type WaitRequest struct {
	Change  uint64        `json:"change"`
	Roles   []string      `json:"roles"`
	Quorum  int           `json:"quorum,omitempty"` // so many targets are enough; 0: all
	Timeout time.Duration `json:"timeout_ns"`       // at most a minute: ask again then
}

// WaitReply is how far the targets are.
type WaitReply struct {
	Done    bool            `json:"done"`
	Targets []push.Progress `json:"targets"`
}

// RetryRequest asks to tell targets now.
type RetryRequest struct {
	Targets []string `json:"targets,omitempty"` // none: all
	Roles   []string `json:"roles,omitempty"`   // none: all
	All     bool     `json:"all,omitempty"`     // also what is delivered already
}

// RetryReply is how many targets were asked to.
type RetryReply struct {
	Targets int `json:"targets"`
}
