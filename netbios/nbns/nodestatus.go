package nbns

import (
	"net/netip"
	"strings"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
)

// maxStatusNames is one more than fits into MaxDatagram (RFC 1002, Sections 4.2.18 and 6), so that the
// codec sets TC when names are left out.
const maxStatusNames = 27

// nodeStatus answers a node status request for the wildcard, the own name or a guarded one: RFC 1002,
// Section 4.2.17. Strangers get the own name only, or nothing, since the full list is several times as
// large as the question.
func (s *Server) nodeStatus(snap *registry.Snapshot, p packet, h netbios.Header, name netbios.Name, dst []byte) ([]byte, Outcome) {
	set := s.settings.Load()
	listed := set.listed(p.from.Addr())
	switch {
	case p.broadcast, !listed && set.StatusOff:
		return nil, Silent
	case !set.isOwn(snap, name):
		return nil, Silent
	}
	var room [maxStatusNames]netbios.NodeName
	names := append(room[:0], netbios.NodeName{Name: set.Name, Flags: netbios.HNode | netbios.Active | netbios.Permanent})
	outcome := NodeStatusShort
	if listed {
		names, outcome = appendServed(names, snap, name.Scope()), NodeStatus
	}
	return netbios.AppendNodeStatusResponse(dst, h.ID, name, [6]byte{}, names...), outcome
}

func (s *Settings) listed(from netip.Addr) bool {
	for _, p := range s.StatusFull {
		if p.Contains(from) {
			return true
		}
	}
	return false
}

func (s *Settings) isOwn(snap *registry.Snapshot, name netbios.Name) bool {
	if name.Base() == "*" || name.Fold() == s.Name {
		return true
	}
	_, ok := snap.NetBIOS(name)
	return ok
}

// appendServed lists the guarded names of a scope that are answered now, as many as fit. The response
// does not carry the scope, so that those of another one would be mistaken.
func appendServed(names []netbios.NodeName, snap *registry.Snapshot, scope string) []netbios.NodeName {
	for role := range snap.Roles() {
		if len(role.NB()) == 0 {
			continue
		}
		for _, n := range role.Role.NetBIOS {
			if len(names) == cap(names) {
				return names
			}
			if !strings.EqualFold(n.Scope(), scope) {
				continue
			}
			names = append(names, netbios.NodeName{Name: n, Flags: netbios.HNode | netbios.Active})
		}
	}
	return names
}
