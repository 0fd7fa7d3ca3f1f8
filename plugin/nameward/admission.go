package nameward

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/held"
	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/zone"
)

// Reasons of our own; those of the policy are its words.
const (
	reasonUnsigned = "unsigned"   // nobody signed it, and the rule does not name the source
	reasonNobody   = "no-primary" // it was to be handed on, and the zone is owned
)

// asker is who sent an update.
type asker struct {
	source    netip.Addr
	principal string // who signed it, "" for nobody that we know
	// vouched says that whoever gets the update next proves the signature, so that it counts as signed.
	vouched bool
	claims  string // the name of the key that it says it is signed by, if that was not proved here
}

// name is who the rules are asked about. What is vouched for counts only if the primary proves the key.
func (w *asker) name() string {
	if w.vouched {
		return w.claims
	}
	return w.principal
}

// ruling is what the policy says of an update.
type ruling struct {
	pass    []dns.RR       // the changes that are made
	by      []uint64       // the decision about each of them
	held    []updates.Held // those that are not, each with the reason
	refused *updates.Held  // not nil: the update is refused because of this one
	altered bool           // pass is not what was asked for
}

// admission asks the registration policy about the changes of an update.
type admission struct {
	snap  *registry.Snapshot
	pol   *policy.Policy
	zone  string
	who   asker
	now   time.Time
	gated bool       // the zone is another server's
	view  *zone.View // of an owned zone, nil while it is not served
}

// admit decides about every change. Records that are added are decided RRset by RRset, so that the policy
// sees all addresses of one; what is deleted publishes nothing, and is decided by name and type. An update that
// only asks, by its prerequisites, is let through for whoever signed it, or may change what is asked about.
func (a *admission) admit(prerequisites, changes []dns.RR) ruling {
	var out ruling
	if len(changes) == 0 && !a.isSigned() && !a.mayAsk(prerequisites) {
		out.refused = &updates.Held{Zone: a.zone, Name: a.zone, Type: dns.TypeANY, Source: a.who.source, Fate: held.Refused, Reason: reasonUnsigned}
		return out
	}
	ruled := make([]verdict, len(changes))
	for _, set := range changedSets(changes) {
		if !a.decide(changes, set, ruled, &out) {
			return out
		}
	}
	a.keepReplaced(changes, ruled, &out)
	for i, rr := range changes {
		v := &ruled[i]
		switch {
		case v.instead != nil:
			out.pass, out.altered = append(out.pass, v.instead...), true
		case v.kept:
			out.pass = append(out.pass, rr)
		default:
			out.altered = true
		}
		for len(out.by) < len(out.pass) {
			out.by = append(out.by, v.decision)
		}
	}
	return out
}

// mayAsk reports whether rules name the source of an update that only asks, for each name and type. Clients of
// Windows begin so.
func (a *admission) mayAsk(prerequisites []dns.RR) bool {
	for _, rr := range prerequisites {
		h := rr.Header()
		req := policy.Request{Channel: policy.Update, DNS: h.Name, Type: h.Rrtype, Source: a.who.source, Time: a.now}
		if h.Class == dns.ClassINET {
			req.Addrs = appendAddrs(nil, rr)
		}
		if d := a.pol.Decide(a.snap, &req); d.Verdict == policy.Refuse || !vouches(&d) && !a.vouchesName(&req, &d) {
			return false
		}
	}
	return len(prerequisites) > 0
}

// keepReplaced leaves out the deletion of what was to be replaced when nothing of the replacement is published:
// a node that registers its management address alone would take its name away.
func (a *admission) keepReplaced(changes []dns.RR, ruled []verdict, out *ruling) {
	if len(out.held) == 0 {
		return
	}
	type key struct {
		name   string
		rrtype uint16
	}
	published, lost := map[key]bool{}, map[key]updates.Held{}
	for i, rr := range changes {
		if h := rr.Header(); h.Class == dns.ClassINET && (ruled[i].kept || ruled[i].instead != nil) {
			published[key{h.Name, h.Rrtype}], published[key{h.Name, dns.TypeANY}] = true, true
		}
	}
	for _, h := range out.held {
		if !h.Deletes {
			lost[key{h.Name, h.Type}], lost[key{h.Name, dns.TypeANY}] = h, h
		}
	}
	for i, rr := range changes {
		k := key{rr.Header().Name, rr.Header().Rrtype}
		h, ok := lost[k]
		if rr.Header().Class == dns.ClassINET || !ruled[i].kept || !ok || published[k] {
			continue
		}
		ruled[i].kept = false
		h.Type, h.Deletes, h.Data = k.rrtype, true, dataOf(rr)
		out.held = append(out.held, h)
	}
}

// verdict is what becomes of one change.
type verdict struct {
	kept     bool
	instead  []dns.RR // a service binding without its hints, or what is deleted of a name
	decision uint64
}

func (a *admission) isSigned() bool { return a.who.principal != "" || a.who.vouched }

// changedSets groups changes by name, type, class and whether they lead elsewhere, in the order in which they begin.
func changedSets(changes []dns.RR) (sets [][]int) {
	type key struct {
		name          string
		rrtype, class uint16
		leads         bool
	}
	at := make(map[key]int, len(changes))
	for i, rr := range changes {
		h := rr.Header()
		k := key{h.Name, h.Rrtype, h.Class, leadsElsewhere(rr)}
		n, ok := at[k]
		if !ok {
			n = len(sets)
			at[k], sets = n, append(sets, nil)
		}
		sets[n] = append(sets[n], i)
	}
	return sets
}

// leadsElsewhere reports a service binding that sends clients to another name, as an alias does: RFC 9460,
// Sections 2.4.2 and 2.5.
func leadsElsewhere(rr dns.RR) bool {
	target := bindingTarget(rr)
	return target != "" && target != "." && dns.CanonicalName(target) != rr.Header().Name
}

// decide asks about changes of one name, type and class. It is false when the update is refused.
func (a *admission) decide(changes []dns.RR, set []int, ruled []verdict, out *ruling) bool {
	var few [4]netip.Addr
	h := changes[set[0]].Header()
	req := policy.Request{
		Channel: policy.Update, DNS: h.Name, Type: h.Rrtype, Addrs: few[:0], Source: a.who.source, Principal: a.who.name(), Time: a.now,
	}
	owners := make([]int, 0, len(set)) // of the addresses
	if h.Class == dns.ClassINET {
		for _, i := range set {
			req.Addrs = appendAddrs(req.Addrs, changes[i])
			for len(owners) < len(req.Addrs) {
				owners = append(owners, i)
			}
		}
	}
	d := a.pol.Decide(a.snap, &req)
	if h.Class == dns.ClassINET && d.Guarded && leadsElsewhere(changes[set[0]]) {
		d = a.asAlias(&req, d)
	}
	for _, i := range set {
		ruled[i].decision = uint64(d.ID)
	}
	switch {
	case d.Verdict == policy.Refuse:
		return a.refuse(out, changes[set[0]], &d, d.Reason.String())
	case !a.isSigned() && !vouches(&d) && !a.vouchesName(&req, &d):
		return a.refuse(out, changes[set[0]], &d, reasonUnsigned)
	case a.belongsToRole(&d, h):
		a.leave(out, changes, set, owners, &d)
		return true
	}
	a.apply(changes, set, owners, ruled, &d, out)
	if h.Class == dns.ClassANY && h.Rrtype == dns.TypeANY && ruled[set[0]].kept {
		return a.decideTypes(h.Name, &ruled[set[0]], out)
	}
	return true
}

// asAlias decides about a service binding that leads away from a guarded name as about an alias, unless the
// policy holds it back already.
func (a *admission) asAlias(req *policy.Request, d policy.Decision) policy.Decision {
	if d.Verdict == policy.Refuse || d.Verdict == policy.Quarantine && d.Reason != policy.Emptied {
		return d
	}
	alias := *req
	alias.Type, alias.Addrs = dns.TypeCNAME, nil
	if as := a.pol.Decide(a.snap, &alias); as.Verdict != policy.Publish {
		return as
	}
	return d
}

// decideTypes asks about each type that a name has when all of them are to be deleted: rules about one type are
// not got around by that. Of a gated zone nobody here knows the types.
func (a *admission) decideTypes(owner string, v *verdict, out *ruling) bool {
	if a.view == nil {
		return true
	}
	n := a.view.Name(owner)
	if n == nil {
		return true
	}
	var permitted []dns.RR
	for _, s := range n.Sets {
		one, ruled := []dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: owner, Rrtype: s.Type, Class: dns.ClassANY}}}, []verdict{{}}
		if !a.decide(one, []int{0}, ruled, out) {
			return false
		}
		if ruled[0].kept {
			permitted = append(permitted, one[0])
		}
	}
	if len(permitted) < len(n.Sets) {
		v.kept, v.instead = false, permitted
	}
	return true
}

func (a *admission) refuse(out *ruling, rr dns.RR, d *policy.Decision, reason string) bool {
	h := a.note(rr, d, held.Refused)
	h.Reason = reason
	*out = ruling{refused: &h}
	return false
}

// vouches reports whether the rules that let an update through say who may send it: only then may it be
// without a signature.
func vouches(d *policy.Decision) bool {
	fates := d.Fates()
	for i := range fates {
		if fates[i].Kept && !namesSources(fates[i].Rule) {
			return false
		}
	}
	return namesSources(d.Rule) || len(fates) > 0 && d.Verdict == policy.Strip
}

// vouchesName is vouches for a request of which nothing is left to publish: what counts is who may send such
// records of the name at all. A node that registers each of its addresses by itself is not to fail with one.
func (a *admission) vouchesName(req *policy.Request, d *policy.Decision) bool {
	if d.Reason != policy.Emptied || len(req.Addrs) == 0 {
		return false
	}
	name := *req
	name.Addrs = nil
	as := a.pol.Decide(a.snap, &name)
	return as.Verdict == policy.Publish && vouches(&as)
}

// belongsToRole reports changes of what a role's state decides.
func (a *admission) belongsToRole(d *policy.Decision, h *dns.RR_Header) bool {
	if d.Role == "" {
		return false
	}
	switch h.Rrtype {
	case dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeDNAME:
		return true
	case dns.TypeANY:
		return a.gated // of an owned zone, what was registered goes, and the role's addresses stay
	}
	return false
}

// leave passes over changes of what a role's state decides. What a node that does not hold it asks for is
// parked: it is the node's own, and will be served when it takes over. A rule that publishes it has no more
// say than that.
func (a *admission) leave(out *ruling, changes []dns.RR, set, owners []int, d *policy.Decision) {
	role, _ := a.snap.Role(d.Role)
	published := map[int]bool{}
	fates := d.Fates()
	for n := range fates {
		published[owners[n]] = fates[n].Kept && d.Verdict != policy.Rewrite
	}
	for _, i := range set {
		if changes[i].Header().Class != dns.ClassINET {
			continue // a release
		}
		fate := held.Quarantined
		switch {
		case d.Verdict == policy.Rewrite:
			fate = held.Parked
		case !published[i]:
		case isServed(role, changes[i]):
			continue // the holder's own word
		case isMembers(role, changes[i]):
			fate = held.Parked
		}
		out.held = append(out.held, a.note(changes[i], d, fate))
	}
}

// isServed reports whether an address is what a role's name is answered with.
func isServed(role *registry.RoleState, rr dns.RR) bool {
	var few [1]netip.Addr
	addrs := appendAddrs(few[:0], rr)
	return len(addrs) == 1 && (slices.Contains(role.V4(), addrs[0]) || slices.Contains(role.V6(), addrs[0]))
}

// isMembers reports whether an address is a public one of a node that may hold the role.
func isMembers(role *registry.RoleState, rr dns.RR) bool {
	var few [1]netip.Addr
	addrs := appendAddrs(few[:0], rr)
	return len(addrs) == 1 && slices.ContainsFunc(role.Role.Nodes, func(n *registry.Node) bool { return slices.Contains(n.Public, addrs[0]) })
}

// apply lets through what the policy publishes.
func (a *admission) apply(changes []dns.RR, set, owners []int, ruled []verdict, d *policy.Decision, out *ruling) {
	switch d.Verdict {
	case policy.Publish:
		for _, i := range set {
			a.publish(changes[i], &ruled[i], d, out)
		}
		return
	case policy.Quarantine:
		// Without an address nothing was stripped: the name is not for such records, but they may go.
		if d.Reason == policy.Emptied && (len(owners) > 0 || changes[set[0]].Header().Class != dns.ClassINET) {
			a.strip(changes, set, owners, ruled, d, out)
			return
		}
	case policy.Strip:
		a.strip(changes, set, owners, ruled, d, out)
		return
	case policy.Forward:
		if a.gated {
			for _, i := range set {
				ruled[i].kept = true
			}
			return
		}
	}
	for _, i := range set {
		h := a.note(changes[i], d, held.Quarantined)
		if d.Verdict == policy.Forward {
			h.Reason = reasonNobody
		}
		out.held = append(out.held, h)
	}
}

// publish lets a record through. A service binding of a role's name loses its hints: they would go on leading to
// this holder when there is another one.
func (a *admission) publish(rr dns.RR, v *verdict, d *policy.Decision, out *ruling) {
	var few [4]netip.Addr
	if d.Role == "" || bindingValues(rr) == nil || len(appendAddrs(few[:0], rr)) == 0 {
		v.kept = true
		return
	}
	v.instead = []dns.RR{withoutHints(rr, func(netip.Addr) bool { return true })}
}

// strip lets the records through whose addresses are kept. A service binding loses its hints and stays:
// clients ask for the addresses of its target.
func (a *admission) strip(changes []dns.RR, set, owners []int, ruled []verdict, d *policy.Decision, out *ruling) {
	lost, bad := map[int]*policy.Fate{}, map[netip.Addr]bool{}
	fates := d.Fates()
	for n := range fates {
		if !fates[n].Kept {
			lost[owners[n]], bad[fates[n].Addr] = &fates[n], true
		}
	}
	for _, i := range set {
		f := lost[i]
		if f == nil {
			a.publish(changes[i], &ruled[i], d, out)
			continue
		}
		if bindingValues(changes[i]) != nil {
			ruled[i].instead = []dns.RR{withoutHints(changes[i], func(addr netip.Addr) bool { return d.Role != "" || bad[addr] })}
		}
		h := a.note(changes[i], d, held.Quarantined)
		h.Reason, h.Rule, h.Alert = f.Reason.String(), f.Rule.ID, f.Rule.Alert
		out.held = append(out.held, h)
	}
}

func (a *admission) note(rr dns.RR, d *policy.Decision, fate held.Fate) updates.Held {
	h := rr.Header()
	return updates.Held{
		Zone: a.zone, Name: h.Name, Type: h.Rrtype, Deletes: h.Class != dns.ClassINET, Data: dataOf(rr),
		Source: a.who.source, Principal: a.who.principal, Fate: fate, Role: d.Role, Reason: d.Reason.String(), Rule: d.Rule.ID,
		Decision: uint64(d.ID), Alert: d.Alert,
	}
}

// dataOf is the data of a record as a zone file has it, "" when there is none.
func dataOf(rr dns.RR) string {
	h := rr.Header()
	if h.Rdlength == 0 {
		return ""
	}
	return strings.TrimPrefix(rr.String(), h.String())
}

// whyOf says in words why a change was not made, with what the administrator can look up.
func whyOf(h *updates.Held) string {
	text := fmt.Sprintf("%s %s: %s", h.Name, dns.Type(h.Type), h.Reason)
	if h.Rule != "" {
		text += ", rule " + h.Rule
	}
	if h.Role != "" {
		text += ", role " + h.Role
	}
	return text + fmt.Sprintf(", decision %016x", h.Decision)
}
