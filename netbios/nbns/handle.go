package nbns

import (
	"net/netip"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/registry"
)

// handle decides on one packet. The reply is appended to dst; one that takes time comes back as more,
// which then has the outcome too. Every packet ends in exactly one outcome.
func (s *Server) handle(snap *registry.Snapshot, p packet, dst []byte) (reply []byte, more later, outcome Outcome) {
	h, q, err := netbios.ParseQuestion(p.data)
	set := s.settings.Load()
	switch {
	case err != nil && h.IsResponse():
		// Never answer a response: two servers would talk for ever.
		if set.WINS.DB != nil {
			s.noteResponse(snap, p, set.WINS.DB)
		}
		return nil, nil, Response
	case err != nil && set.WINS.DB != nil && netbios.Reason(err) == "scope" && !p.broadcast:
		// Whoever registers it is to learn that it is not kept.
		reply, _ = netbios.AppendScopeRefusal(dst, p.data)
		return reply, nil, BadName
	case err != nil:
		return nil, nil, malformed(err)
	case q.Class != netbios.ClassIN:
		return nil, nil, Silent
	case h.Opcode != netbios.OpQuery && set.WINS.DB != nil:
		return s.claim(p, set, dst)
	case h.Opcode != netbios.OpQuery:
		reply, outcome = s.handleClaim(snap, p, q.Name, dst)
		return reply, nil, outcome
	case q.Type == netbios.TypeNBSTAT:
		reply, outcome = s.nodeStatus(snap, p, h, q.Name, dst)
		return reply, nil, outcome
	case q.Type != netbios.TypeNB:
		return nil, nil, Silent
	case h.Flags&netbios.FlagBroadcast != 0 && !p.broadcast:
		// RFC 1002, Section 4.2.1.1: B says that the packet was broadcast; this one was not.
		return nil, nil, Silent
	}
	return s.nameQuery(snap, set, p, h, q.Name, dst)
}

func malformed(err error) Outcome {
	switch netbios.Reason(err) {
	case "short":
		return Short
	case "name", "scope":
		return BadName
	case "record", "rdata":
		return BadRecord
	}
	return BadHeader
}

// nameQuery answers a name query: RFC 1002, Section 5.1.4.2 for the server, 5.1.1.3 for broadcasts. A query
// with RD clear is for the names of the one who is asked, and not for those of others.
func (s *Server) nameQuery(snap *registry.Snapshot, set *Settings, p packet, h netbios.Header, name netbios.Name, dst []byte) ([]byte, later, Outcome) {
	if role, ok := snap.NetBIOS(name); ok {
		reply, outcome := guarded(role, p, h.ID, name, dst)
		p.note(name, outcome == Positive)
		return reply, nil, outcome
	}
	recursive := h.Flags&netbios.FlagRecursionDesired != 0
	if p.broadcast {
		return nil, nil, Silent
	}
	if recursive && set.WINS.DB != nil {
		if reply, ok := s.lookup(snap, set.WINS.DB, p.desk.now, name, h.ID, set.WINS.Front && len(set.Forward) > 0, dst); ok {
			p.note(name, true)
			return reply, nil, Positive
		}
	}
	if recursive && len(set.Forward) > 0 {
		return s.forward(p, h.ID, name)
	}
	p.note(name, false)
	return netbios.AppendNegativeQueryResponse(dst, h.ID, netbios.RcodeName, name), nil, Negative
}

// guarded answers for a role's name.
func guarded(role *registry.RoleState, p packet, id uint16, name netbios.Name, dst []byte) ([]byte, Outcome) {
	switch addrs := role.NB(); len(addrs) {
	case 0:
	case 1:
		// Nearly every answer: without the room for a list.
		return netbios.AppendPositiveQueryResponse(dst, id, name, role.TTL, netbios.Address{Flags: netbios.HNode, Addr: addrs[0]}), Positive
	default:
		return positiveList(addrs, role.TTL, id, name, dst), Positive
	}
	switch {
	case role.Unknown():
		return nil, NoHolder
	case p.broadcast:
		return nil, Silent
	}
	return netbios.AppendNegativeQueryResponse(dst, id, netbios.RcodeName, name), Negative
}

func positiveList(list []netip.Addr, ttl uint32, id uint16, name netbios.Name, dst []byte) []byte {
	var room [maxAddrs]netbios.Address
	addrs := room[:0]
	for _, a := range list {
		addrs = append(addrs, netbios.Address{Flags: netbios.HNode, Addr: a})
	}
	return netbios.AppendPositiveQueryResponse(dst, id, name, ttl, addrs...)
}

// maxAddrs is how many addresses a name has at most.
const maxAddrs = wins.MaxMembers

// handleClaim deals with registrations, refreshes and releases where there is no database: a node that
// registers a guarded name is quietly accepted, since a refusal would fail its cluster resource, and
// nothing that it says is published. The role's state decides.
func (s *Server) handleClaim(snap *registry.Snapshot, p packet, name netbios.Name, dst []byte) ([]byte, Outcome) {
	m, err := netbios.ParseRequest(p.data)
	if err != nil {
		return nil, malformed(err)
	}
	claim, _ := m.Claim()
	// The answer echoes the addresses; no node has more, and so it stays below MaxDatagram.
	claim.Addrs = claim.Addrs[:min(len(claim.Addrs), maxAddrs)]
	_, isGuarded := snap.NetBIOS(name)
	var answer netbios.Message
	outcome := QuietAccept
	switch form := m.Form(); {
	case p.broadcast:
		return nil, Silent
	case form == netbios.FormRelease && isGuarded:
		answer, outcome = netbios.NewPositiveRelease(m.ID, name, claim.Addrs...), QuietIgnore
	case form == netbios.FormRelease:
		answer, outcome = netbios.NewNegativeRelease(m.ID, netbios.RcodeNotImplemented, name, claim.Addrs...), Unsupported
	case isGuarded:
		answer = netbios.NewPositiveRegistration(m.ID, name, grantedTTL(claim.TTL), claim.Addrs...)
	default:
		answer, outcome = netbios.NewNegativeRegistration(m.ID, netbios.RcodeNotImplemented, name, 0, claim.Addrs...), Unsupported
	}
	reply, err := answer.Append(dst)
	if err != nil {
		return nil, BadRecord
	}
	return reply, outcome
}

// grantedTTL echoes what was asked for; a claim without end gets the six days of WINS, in seconds.
func grantedTTL(asked uint32) uint32 {
	const sixDays = 6 * 24 * 60 * 60
	if asked == 0 || asked > sixDays {
		return sixDays
	}
	return asked
}
