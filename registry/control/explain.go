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
	Answer []string `json:"answer"` // addresses or names; empty: none is given
}

func (e *Explanation) step(format string, args ...any) {
	e.Steps = append(e.Steps, fmt.Sprintf(format, args...))
}

// Explain explains a DNS name, a NetBIOS name such as MAIL or MAIL<20>, or an address. All steps are
// taken from one snapshot.
func Explain(snap *registry.Snapshot, name string) (Explanation, error) {
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
		e.dns(snap, owner, entry)
		return e, nil
	}
	if nb, role, ok := findNetBIOS(snap, name); ok {
		e.step("%s is a NetBIOS name of role %s (cluster %s, mode %s)", nb, role.Role.Name, role.Role.Cluster, role.Role.Mode)
		e.role(snap, role)
		return e, nil
	}
	e.unknown(snap, owner)
	return e, nil
}

// findNetBIOS takes a name as it is written; without a suffix the usual ones are tried.
func findNetBIOS(snap *registry.Snapshot, text string) (netbios.Name, *registry.RoleState, bool) {
	name, err := netbios.ParseName(text)
	if err != nil {
		return netbios.Name{}, nil, false
	}
	suffixes := []byte{name.Suffix()}
	if !strings.Contains(text, "<") {
		suffixes = []byte{0x20, 0x00, 0x03}
	}
	for _, suffix := range suffixes {
		nb := name.Fold().WithSuffix(suffix)
		if role, ok := snap.NetBIOS(nb); ok {
			return nb, role, true
		}
	}
	return netbios.Name{}, nil, false
}

func (e *Explanation) dns(snap *registry.Snapshot, owner string, entry registry.Entry) {
	switch entry.Kind {
	case registry.KindRole:
		s := snap.RoleOf(entry)
		e.step("%s is a DNS name of role %s (cluster %s, mode %s)", owner, s.Role.Name, s.Role.Cluster, s.Role.Mode)
		e.place(entry)
		e.role(snap, s)
	case registry.KindPTR:
		e.step("%s is the reverse name of a public address", owner)
		e.place(entry)
		e.pointer(snap, entry)
	case registry.KindHost:
		e.step("%s is the host name of a node; its public addresses are answered, whatever role it has", owner)
		e.place(entry)
		a, aaaa := snap.HostOf(entry)
		for _, ip := range append(a[:len(a):len(a)], aaaa...) {
			e.Answer = append(e.Answer, ip.String())
		}
	case registry.KindNameServer:
		e.step("%s is a name server of an owned zone; its addresses are written in the configuration", owner)
		for _, a := range snap.ServerOf(entry).Addrs {
			e.Answer = append(e.Answer, a.String())
		}
	default:
		e.step("%s exists in an owned zone and has no address: NODATA", owner)
		e.place(entry)
	}
}

func (e *Explanation) place(entry registry.Entry) {
	if entry.Zone == nil {
		e.step("it lies in no owned zone: its addresses are answered here, other types by the next plugin")
		return
	}
	e.step("it lies in the owned zone %s: every type is answered here", entry.Zone.Name)
}

func (e *Explanation) role(snap *registry.Snapshot, s *registry.RoleState) {
	e.step("%s", claimText(s))
	switch s.State {
	case registry.Fresh:
		e.step("state fresh: the source stands behind it")
	case registry.Lost:
		e.step("state lost: %s; on_source_lost: %s", s.Why, s.Role.OnSourceLost)
	default:
		e.step("state %s: %s", s.State, s.Why)
	}
	for _, n := range s.Role.Nodes {
		e.step("%s", nodeText(snap, s, n))
	}
	if len(s.Served) == 0 && s.Unknown() {
		e.step("nobody was ever known to hold the role: DNS answers SERVFAIL, NetBIOS is silent, so that nobody remembers a wrong answer")
		return
	}
	if len(s.Served) == 0 {
		e.step("nothing is served: DNS answers that there is no address (in an owned zone, no name), NetBIOS negatively")
		return
	}
	ttl := fmt.Sprintf("TTL %d s", s.TTL)
	if s.Role.TTLChanging > 0 && s.TTL == uint32(s.Role.TTLChanging/time.Second) {
		ttl += fmt.Sprintf(" (ttl_changing, for %s after a change)", s.Role.Changing)
	}
	e.step("%s", ttl)
	for _, a := range s.Addrs() {
		e.Answer = append(e.Answer, a.String())
	}
}

func claimText(s *registry.RoleState) string {
	if len(s.Holder) == 0 {
		return "source " + s.Role.Source.String() + ": no claim was ever taken"
	}
	return fmt.Sprintf("source %s: %s claimed it with epoch %d since %s (%s)", s.Role.Source, strings.Join(s.Holder, ", "),
		s.Epoch, s.Since.UTC().Format(time.RFC3339), s.Origin)
}

// nodeText says what becomes of a node's addresses.
func nodeText(snap *registry.Snapshot, s *registry.RoleState, n *registry.Node) string {
	text := "node " + n.Name + ": passive, nothing of it is published under this name"
	for _, served := range s.Served {
		if served == n {
			text = fmt.Sprintf("node %s: served with %s", n.Name, joinAddrs(n.Public))
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

func joinAddrs(addrs []netip.Addr) string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return strings.Join(out, ", ")
}

func (e *Explanation) pointer(snap *registry.Snapshot, entry registry.Entry) {
	p := snap.PTROf(entry)
	if p == nil {
		e.step("no role is served from the address and its node has no host name: there is no PTR")
		return
	}
	e.step("it points to the first role that is served from the address, or else to the node's host name")
	e.Answer = append(e.Answer, p.Target)
}

func (e *Explanation) address(snap *registry.Snapshot, addr netip.Addr) {
	if class, filtered := snap.Filtered(addr); filtered {
		e.step("%s is class %s: it is never published", addr, class)
		return
	}
	for _, n := range snap.World.Nodes {
		for _, a := range n.Public {
			if a == addr {
				e.step("%s is a public address of node %s (cluster %s)", addr, n.Name, n.Cluster)
				e.servedFrom(snap, n)
				return
			}
		}
	}
	e.step("%s is no address of a node and in no filtered class", addr)
}

func (e *Explanation) servedFrom(snap *registry.Snapshot, n *registry.Node) {
	for s := range snap.Roles() {
		for _, served := range s.Served {
			if served == n {
				e.step("role %s is served from it", s.Role.Name)
				e.Answer = append(e.Answer, s.Role.DNS...)
			}
		}
	}
}

func (e *Explanation) unknown(snap *registry.Snapshot, owner string) {
	if z := snap.Zone(owner); z != nil {
		e.step("%s lies in the owned zone %s and does not exist there: NXDOMAIN", owner, z.Name)
		return
	}
	e.step("%s is not guarded: DNS hands it to the next plugin; NetBIOS asks the WINS servers, if there are any, and filters their answer", e.Name)
}
