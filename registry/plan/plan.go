package plan

import (
	"net/netip"
	"slices"
	"time"

	"github.com/nameward/nameward/registry"
)

// Plan is a switchover that was thought over before it is made. [Make] makes one, [Read] reads it from its file.
type Plan struct {
	ID     string // unique; it owns the lowered TTLs
	Made   time.Time
	By     string
	Change uint64 // the state's number when it was made
	TTL    uint32 // while it is carried out, seconds
	Roles  []Role
	// Targets are those that are told of changes.
	Targets []Target
	// Checks say for people what is looked at before anything is changed, and Notes what they should know.
	Checks, Notes []string
}

// Role is what a plan does to one role.
type Role struct {
	registry.Move          // what a dry run has told
	Names         []string // DNS and NetBIOS names that follow
	Source        string   // who decides on the role
	TTL           uint32   // the role's own, seconds
	// Negative is for how many seconds "there is no such address" may be kept: 0 unless one holder has addresses of a
	// family that the other one has not.
	Negative uint32
}

// Target is where changes are pushed.
type Target struct {
	Name string
	Kind string
}

// underWay is for answers that are on their way to a cache when TTLs are lowered.
const underWay = time.Second

// Wait is how long caches may hold what was answered before the TTLs were lowered; 0 when nothing is lowered.
func (p *Plan) Wait() time.Duration {
	longest := uint32(0)
	for _, r := range p.Roles {
		for _, seconds := range []uint32{r.TTL, r.Negative} {
			if seconds > p.TTL {
				longest = max(longest, seconds)
			}
		}
	}
	if longest == 0 {
		return 0
	}
	return time.Duration(longest)*time.Second + underWay
}

// Moves are what the plan does, as [registry.SwitchRequest.Expect] has them.
func (p *Plan) Moves() []registry.Move {
	out := make([]registry.Move, len(p.Roles))
	for i, r := range p.Roles {
		out[i] = r.Move
	}
	return out
}

// Back are the moves that undo [Plan.Moves].
func (p *Plan) Back() []registry.Move {
	out := p.Moves()
	for i, m := range out {
		out[i] = registry.Move{Role: m.Role, From: m.To, To: m.From, Epoch: m.Epoch + 1, Before: m.After, After: m.Before}
	}
	return out
}

// RoleNames are the names of the roles, in the plan's order.
func (p *Plan) RoleNames() []string {
	out := make([]string, len(p.Roles))
	for i, r := range p.Roles {
		out[i] = r.Role
	}
	return out
}

// owner is who the lowered TTLs belong to.
func (p *Plan) owner() string { return "plan " + p.ID }

// families reports which families are among the addresses.
func families(addrs []netip.Addr) (v4, v6 bool) {
	return slices.ContainsFunc(addrs, netip.Addr.Is4), slices.ContainsFunc(addrs, netip.Addr.Is6)
}
