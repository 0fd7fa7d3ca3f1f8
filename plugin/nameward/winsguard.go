package nameward

import (
	"net/netip"
	"slices"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
)

// winsGuard asks the registration policy, with the live state of roles, what of a registration may be
// published: a wins.Guard.
type winsGuard struct {
	snapshot func() *registry.Snapshot
	policy   func() *policy.Policy
}

// Admit implements wins.Guard.
func (g winsGuard) Admit(r *wins.Request) wins.Verdict {
	snap := g.snapshot()
	if r.Op == wins.Release {
		return admitRelease(snap, r)
	}
	var few [4]netip.Addr
	req := policy.Request{
		Channel: policy.WINS, NetBIOS: r.Name.Fold(), Type: policy.TypeNB, Addrs: few[:0], Source: r.Source.Addr(), Time: time.Now(),
	}
	// A normal group has no addresses that anybody is told: nodes may join it from any network card.
	_, guarded := snap.NetBIOS(r.Name)
	isGroup := !guarded && wins.KindOf(r.Name, r.Addrs) == wins.Group
	for _, a := range r.Addrs {
		if !isGroup {
			req.Addrs = append(req.Addrs, a.Addr)
		}
	}
	d := g.policy().Decide(snap, &req)
	v := wins.Verdict{
		Action: wins.Quarantine, Guarded: d.Role != "", Role: d.Role, Reason: d.Reason.String(), Rule: d.Rule.ID,
		Decision: uint64(d.ID), Alert: d.Alert,
	}
	switch {
	case d.Verdict == policy.Refuse:
		v.Action = wins.Refuse
	case v.Guarded:
		park(&v, snap, r, &d)
	case d.Verdict == policy.Publish && isGroup:
		v.Action, v.Addrs = wins.Publish, r.Addrs
		v.Local = slices.ContainsFunc(r.Addrs, func(a netbios.Address) bool { _, filtered := snap.Filtered(a.Addr); return filtered })
	case d.Verdict == policy.Publish, d.Verdict == policy.Strip:
		publish(&v, r, &d)
	case d.Verdict == policy.Forward:
		v.Action, v.Addrs, v.HandOn = wins.Publish, r.Addrs, true
	}
	return v
}

// admitRelease has nothing to ask the policy: what is released is published no longer, and whether the
// release counts is a matter of who sends it.
func admitRelease(snap *registry.Snapshot, r *wins.Request) wins.Verdict {
	if role, ok := snap.NetBIOS(r.Name); ok {
		return wins.Verdict{Action: wins.Park, Guarded: true, Role: role.Role.Name}
	}
	return wins.Verdict{Action: wins.Publish, Addrs: r.Addrs}
}

// publish keeps what the policy keeps.
func publish(v *wins.Verdict, r *wins.Request, d *policy.Decision) {
	v.Action, v.ByRule = wins.Publish, true
	fates := d.Fates()
	kept := 0
	for i := range fates {
		if fates[i].Kept {
			kept++
			v.ByRule = v.ByRule && namesSources(fates[i].Rule)
		}
	}
	if kept == len(r.Addrs) {
		v.Addrs = r.Addrs
		return
	}
	for i, a := range r.Addrs {
		if fates[i].Kept {
			v.Addrs = append(v.Addrs, a)
		}
	}
}

// namesSources reports whether a rule says who may register: only then does it vouch for an address that
// the packet did not come from.
func namesSources(r *policy.Rule) bool {
	return len(r.From) > 0 || r.Controllers || len(r.Principals) > 0
}

// park keeps a member's own public addresses for the time in which it holds the role, whether it does so
// now or not. A claim that its node did not send is no word of that node.
func park(v *wins.Verdict, snap *registry.Snapshot, r *wins.Request, d *policy.Decision) {
	switch {
	case d.Verdict == policy.Quarantine && d.Reason != policy.NoHolder, d.Verdict == policy.Forward:
		return
	}
	role, ok := snap.NetBIOS(r.Name)
	if !ok {
		return // it was taken out of the configuration this moment
	}
	source := r.Source.Addr()
	i := slices.IndexFunc(role.Role.Nodes, func(n *registry.Node) bool { return hasAddress(n, source) })
	for _, a := range r.Addrs {
		if i >= 0 && slices.Contains(role.Role.Nodes[i].Public, a.Addr) {
			v.Addrs = append(v.Addrs, a)
		}
	}
	if len(v.Addrs) == 0 {
		// What the policy would have kept is somebody else's address.
		if d.Reason == policy.ByRule {
			v.Reason = wins.ReasonNotSource
		}
		return
	}
	v.Action = wins.Park
	if d.Verdict == policy.Publish || d.Verdict == policy.Strip {
		v.Action = wins.Publish
	}
}

func hasAddress(n *registry.Node, addr netip.Addr) bool {
	return slices.Contains(n.Public, addr) ||
		slices.ContainsFunc(n.Other, func(o registry.ClassAddr) bool { return o.Addr == addr })
}
