package control

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
)

// Explanation says step by step why a name is answered as it is.
type Explanation struct {
	Name   string   `json:"name"`
	Steps  []string `json:"steps"`
	Answer []string `json:"answer"` // addresses or names; empty: none is given, or somebody else is asked for it

	asked string // the role that the name is of; "" for none
}

// Step adds a step.
func (e *Explanation) Step(format string, args ...any) {
	e.Steps = append(e.Steps, fmt.Sprintf(format, args...))
}

// Names explains what a name server has of NetBIOS names, for [Server.Names]. The names belong to roles, or
// none of them does: then they are what one text may stand for, and the first that is known counts.
type Names func(e *Explanation, snap *registry.Snapshot, names []netbios.Name)

// Updates explains what owned zones and dynamic updates (RFC 2136) have made of a DNS name, which is lower case
// and fully qualified, for [Server.Updates]. Functions that are nil have nothing to tell.
type Updates struct {
	// Serial tells the serial of an owned zone, if it is served already.
	Serial func(zone string) (serial uint32, ok bool)
	// Registered tells what is registered at the name or above it, and reports whether it is answered with that.
	Registered func(e *Explanation, owner string) (answers bool)
	// Held tells what was asked for and is not published.
	Held func(e *Explanation, owner string)
}

func (u *Updates) serial(zone string) (serial uint32, ok bool) {
	if u.Serial == nil {
		return 0, false
	}
	return u.Serial(zone)
}

func (u *Updates) registered(e *Explanation, owner string) (answers bool) {
	return u.Registered != nil && u.Registered(e, owner)
}

func (u *Updates) held(e *Explanation, owner string) {
	if u.Held != nil {
		u.Held(e, owner)
	}
}

// Explain explains a DNS name, a NetBIOS name such as MAIL or MAIL<20>, or an address. All steps that are
// about roles are taken from one snapshot. A nil names stands for no name server.
func Explain(snap *registry.Snapshot, name string, names Names, updates Updates) (Explanation, error) {
	if name == "" {
		return Explanation{}, errors.New("say which name: a DNS name, a NetBIOS name such as MAIL<20>, or an address")
	}
	e := Explanation{Name: name, Answer: []string{}}
	if addr, err := netip.ParseAddr(name); err == nil {
		e.address(snap, addr)
		return e, nil
	}
	owner := strings.ToLower(strings.TrimSuffix(name, ".")) + "."
	if entry, ok := snap.Lookup(owner); ok {
		e.dns(snap, owner, entry, updates)
		updates.held(&e, owner)
		return e, nil
	}
	meant := meantBy(name)
	if nb, role, ok := findNetBIOS(snap, meant); ok {
		e.Step("%s is a NetBIOS name of role %s (cluster %s, mode %s)", nb, role.Role.Name, role.Role.Cluster, role.Role.Mode)
		e.role(snap, role)
		if names != nil {
			names(&e, snap, []netbios.Name{nb})
		}
		return e, nil
	}
	if z := snap.Zone(owner); z != nil {
		e.owned(z, owner, updates)
	} else {
		e.elsewhere(snap, meant, names)
	}
	updates.held(&e, owner)
	return e, nil
}

// meantBy lists the NetBIOS names that a text stands for; without a suffix the usual ones. It is nil for a
// text that is none.
func meantBy(text string) []netbios.Name {
	name, err := netbios.ParseName(text)
	if err != nil {
		return nil
	}
	if strings.Contains(text, "<") {
		return []netbios.Name{name}
	}
	return []netbios.Name{name.WithSuffix(0x20), name.WithSuffix(0x00), name.WithSuffix(0x03)}
}

// findNetBIOS finds the first name that belongs to a role.
func findNetBIOS(snap *registry.Snapshot, names []netbios.Name) (netbios.Name, *registry.RoleState, bool) {
	for _, n := range names {
		if role, ok := snap.NetBIOS(n.Fold()); ok {
			return n.Fold(), role, true
		}
	}
	return netbios.Name{}, nil, false
}

func (e *Explanation) dns(snap *registry.Snapshot, owner string, entry registry.Entry, updates Updates) {
	switch entry.Kind {
	case registry.KindRole:
		s := snap.RoleOf(entry)
		e.Step("%s is a DNS name of role %s (cluster %s, mode %s)", owner, s.Role.Name, s.Role.Cluster, s.Role.Mode)
		e.place(entry.Zone, updates)
		e.role(snap, s)
	case registry.KindPTR:
		e.Step("%s is the reverse name of a public address", owner)
		e.place(entry.Zone, updates)
		e.pointer(snap, entry)
	case registry.KindHost:
		e.Step("%s is the host name of a node; its public addresses are answered, whatever role it has", owner)
		e.place(entry.Zone, updates)
		a, aaaa := snap.HostOf(entry)
		for _, ip := range append(a[:len(a):len(a)], aaaa...) {
			e.Answer = append(e.Answer, ip.String())
		}
	case registry.KindNameServer:
		e.Step("%s is a name server of an owned zone; its addresses are written in the configuration", owner)
		for _, a := range snap.ServerOf(entry).Addrs {
			e.Answer = append(e.Answer, a.String())
		}
	case registry.KindService:
		e.Step("%s says where DNS Push is served for the zone: %s, port %d; push.stream in the configuration says so", owner, entry.Zone.Stream.Host, entry.Zone.Stream.Port)
		e.place(entry.Zone, updates)
	default:
		if !updates.registered(e, owner) {
			e.Step("%s exists in an owned zone and has no address: NODATA", owner)
		}
		e.place(entry.Zone, updates)
		return
	}
	updates.registered(e, owner)
}

func (e *Explanation) place(zone *registry.Zone, updates Updates) {
	if zone == nil {
		e.Step("it lies in no owned zone: its addresses are answered here, other types by the next plugin")
		return
	}
	serial := ""
	if n, ok := updates.serial(zone.Name); ok {
		serial = fmt.Sprintf(", serial %d", n)
	}
	e.Step("it lies in the owned zone %s%s: every type is answered here", zone.Name, serial)
}

func (e *Explanation) role(snap *registry.Snapshot, s *registry.RoleState) {
	e.asked = s.Role.Name
	e.Step("%s", claimText(s))
	switch s.State {
	case registry.Fresh:
		e.Step("state fresh: the source stands behind it")
	case registry.Lost:
		e.Step("state lost: %s; on_source_lost: %s", s.Why, s.Role.OnSourceLost)
	default:
		e.Step("state %s: %s", s.State, s.Why)
	}
	for _, n := range s.Role.Nodes {
		e.Step("%s", nodeText(snap, s, n))
	}
	if len(s.Served) == 0 && s.Unknown() {
		e.Step("nobody was ever known to hold the role: DNS answers SERVFAIL, NetBIOS is silent, so that nobody remembers a wrong answer")
		return
	}
	if len(s.Served) == 0 {
		e.Step("nothing is served: DNS answers that there is no address (in an owned zone, no name), NetBIOS negatively")
		return
	}
	ttl := fmt.Sprintf("TTL %d s", s.TTL)
	if s.Role.TTLChanging > 0 && s.TTL == uint32(s.Role.TTLChanging/time.Second) {
		ttl += fmt.Sprintf(" (ttl_changing, for %s after a change)", s.Role.Changing)
	}
	if l := s.Lowered; l != nil {
		ttl += fmt.Sprintf(" (lowered by %s until %s; the role's own is %s)", l.Owner, TimeText(l.Until), s.Role.TTL)
	}
	e.Step("%s", ttl)
	for _, a := range s.Addrs() {
		e.Answer = append(e.Answer, a.String())
	}
}

func claimText(s *registry.RoleState) string {
	if len(s.Holder) == 0 {
		return "source " + s.Role.Source.String() + ": no claim was ever taken"
	}
	return fmt.Sprintf("source %s: %s claimed it with epoch %d since %s (%s)", s.Role.Source, strings.Join(s.Holder, ", "),
		s.Epoch, TimeText(s.Since), s.Origin)
}

// nodeText says what becomes of a node's addresses.
func nodeText(snap *registry.Snapshot, s *registry.RoleState, n *registry.Node) string {
	text := "node " + n.Name + ": passive, nothing of it is published under this name"
	for _, served := range s.Served {
		if served == n {
			text = fmt.Sprintf("node %s: served with %s", n.Name, registry.JoinAddrs(n.Public))
		}
	}
	if _, drained := snap.Drained(n.Name); drained {
		text += "; it is drained"
	}
	for _, o := range n.Other {
		text += fmt.Sprintf("; %s is class %s and never published", o.Addr, o.Class)
	}
	return text
}

func (e *Explanation) pointer(snap *registry.Snapshot, entry registry.Entry) {
	p := snap.PTROf(entry)
	if p == nil {
		e.Step("no role is served from the address and its node has no host name: there is no PTR")
		return
	}
	e.Step("it points to the first role that is served from the address, or else to the node's host name")
	e.Answer = append(e.Answer, p.Target)
}

func (e *Explanation) address(snap *registry.Snapshot, addr netip.Addr) {
	if class, filtered := snap.Filtered(addr); filtered {
		e.Step("%s is class %s: it is never published", addr, class)
		return
	}
	for _, n := range snap.World.Nodes {
		for _, a := range n.Public {
			if a == addr {
				e.Step("%s is a public address of node %s (cluster %s)", addr, n.Name, n.Cluster)
				e.servedFrom(snap, n)
				return
			}
		}
	}
	e.Step("%s is no address of a node and in no filtered class", addr)
}

func (e *Explanation) servedFrom(snap *registry.Snapshot, n *registry.Node) {
	for s := range snap.Roles() {
		for _, served := range s.Served {
			if served == n {
				e.Step("role %s is served from it", s.Role.Name)
				e.Answer = append(e.Answer, s.Role.DNS...)
			}
		}
	}
}

// owned explains a name of an owned zone that the configuration does not have.
func (e *Explanation) owned(z *registry.Zone, owner string, updates Updates) {
	if !updates.registered(e, owner) {
		e.Step("%s lies in the owned zone %s and does not exist there: NXDOMAIN", owner, z.Name)
		return
	}
	e.place(z, updates)
}

// elsewhere explains a name that is not guarded, and the NetBIOS names that it may be meant for.
func (e *Explanation) elsewhere(snap *registry.Snapshot, meant []netbios.Name, names Names) {
	if names == nil || meant == nil {
		e.Step("%s is not guarded: DNS hands it to the next plugin; NetBIOS asks the WINS servers, if there are any, and filters their answer", e.Name)
		return
	}
	e.Step("%s is not guarded: DNS hands it to the next plugin; NetBIOS answers as the WINS server says", e.Name)
	names(e, snap, meant)
}
