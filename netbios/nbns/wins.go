package nbns

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/usage"
	"github.com/nameward/nameward/registry"
)

// WINS is the database that a server registers names in and answers other names from.
type WINS struct {
	DB *wins.Database // nil: there is none
	// Front says that the server is a guard in front of those in Settings.Forward: they are asked and told
	// first, and the database is for the time in which none of them answers.
	Front bool
	// Share says that what is registered here is told to those in Settings.Forward.
	Share bool
	// Usage notes who uses which names; nil for nobody.
	Usage *usage.Tracker
}

// claimed is a request to the database with the way back to who sent it.
type claimed struct {
	wins.Request
	header netbios.Header
	route  route
}

// claim deals with registrations, refreshes and releases that are kept in a database.
func (s *Server) claim(p packet, set *Settings, dst []byte) (reply []byte, more later, outcome Outcome) {
	h, c, err := netbios.ParseClaim(p.data)
	switch {
	case err != nil:
		return nil, nil, malformed(err)
	case p.broadcast:
		return nil, nil, Silent
	}
	r := &claimed{
		Request: wins.Request{
			Op: opOf(h.Opcode), ID: h.ID, Name: c.Name, TTL: c.TTL, Addrs: c.Addrs[:min(len(c.Addrs), maxAddrs)], Source: p.from, To: p.desk.late,
		},
		header: h, route: p.route,
	}
	r.Tag = r
	v, behind := set.WINS.DB.Judge(&r.Request), len(set.Forward) > 0
	switch {
	case behind && (set.WINS.Front || v.HandOn):
		return s.front(set, r, v)
	case behind && set.WINS.Share:
		r.Upstream = wins.SendToo
	}
	return s.submit(set, r, dst)
}

func opOf(o netbios.Opcode) wins.Op {
	switch o {
	case netbios.OpRelease:
		return wins.Release
	case netbios.OpMultihomed:
		return wins.RegisterMultihomed
	case netbios.OpRefresh, netbios.OpRefreshAlt:
		return wins.Refresh
	}
	return wins.Register
}

// submit hands a request that was judged to the database, and has the reply if there is one at once.
func (s *Server) submit(set *Settings, r *claimed, dst []byte) ([]byte, later, Outcome) {
	switch a := set.WINS.DB.SubmitJudged(&r.Request); a.Outcome {
	case wins.Waiting:
		return nil, nil, Registered
	case wins.Shed:
		return nil, nil, Shed
	default:
		return r.append(dst, a), nil, Registered
	}
}

// append appends the reply that an answer is, if it is one.
func (r *claimed) append(dst []byte, a wins.Answer) []byte {
	switch {
	case a.Silent():
		return dst
	case a.Wack:
		return netbios.AppendWack(dst, r.header, r.Name, a.TTL)
	case r.Op == wins.Release:
		return netbios.AppendReleaseResponse(dst, r.ID, a.Rcode, r.Name, r.Addrs...)
	}
	return netbios.AppendRegistrationResponse(dst, r.ID, a.Rcode, r.Name, a.TTL, r.Addrs...)
}

// lateSink sends the answers of the database on the socket that the requests came in on.
type lateSink struct {
	server *Server
	out    *outgoing
	notes  atomic.Pointer[usage.Recorder] // nil for nobody
}

// Answer implements wins.Sink.
func (k *lateSink) Answer(r *wins.Request, a wins.Answer) {
	c := r.Tag.(*claimed)
	if notes := k.notes.Load(); notes != nil && !a.Wack && r.Op != wins.Release {
		notes.Note(usage.Note{Name: r.Name, Source: r.Source.Addr(), Kind: usage.Registration, Found: a.Rcode == 0})
	}
	if reply := c.append(k.out.room(), a); len(reply) > 0 {
		if err := k.out.queue(c.route, reply); err != nil {
			k.server.Log.Debug().Err(err).Msg("sending")
		}
	}
}

// Flush implements wins.Sink.
func (k *lateSink) Flush() {
	if err := k.out.flush(); err != nil {
		k.server.Log.Debug().Err(err).Msg("sending")
	}
}

// wack tells a node to wait, at once and from any goroutine.
func (k *lateSink) wack(c *claimed, ttl uint32) {
	if err := k.out.now(c.route, netbios.AppendWack(nil, c.header, c.Name, ttl)); err != nil {
		k.server.Log.Debug().Err(err).Msg("sending")
	}
}

// note notes a query.
func (p *packet) note(name netbios.Name, found bool) {
	if p.desk != nil && p.desk.notes != nil {
		p.desk.notes.Note(usage.Note{Name: name, Source: p.from.Addr(), Kind: usage.Query, Found: found})
	}
}

// lookup answers a name query from the database, without the addresses that must never be published: what
// was accepted once may be filtered now. In front of other servers only an operator's records go before
// their word, as long as one of them answers.
func (s *Server) lookup(snap *registry.Snapshot, db *wins.Database, at wins.Stamp, name netbios.Name, id uint16, staticOnly bool, dst []byte) ([]byte, bool) {
	var room [maxAddrs]netbios.Address
	found, ok := db.Snapshot().Query(room[:0], name, at)
	if !ok || staticOnly && !found.Static {
		return nil, false
	}
	kept := found.Addrs[:0]
	for _, a := range found.Addrs {
		if _, filtered := snap.Filtered(a.Addr); !filtered {
			kept = append(kept, a)
		}
	}
	if len(kept) == 0 {
		return nil, false
	}
	return netbios.AppendPositiveQueryResponse(dst, id, name, found.TTL, kept...), true
}

// now is the second that the database's timers count in.
func now() wins.Stamp { return wins.StampOf(time.Now()) }

// Challenge asks the recorded owners of a name whether they have it still: a wins.Challenger. On sockets of
// its own: a forger has to guess a port beside the id.
func Challenge(client *Client) wins.Challenger {
	return func(ctx context.Context, name netbios.Name, addrs []wins.IPv4) ([]wins.Challenged, error) {
		owners := make([]netip.Addr, len(addrs))
		for i, a := range addrs {
			owners[i] = a.Addr()
		}
		answers, err := client.Challenge(ctx, name, owners)
		if err != nil {
			return nil, err
		}
		out := make([]wins.Challenged, len(answers))
		for i, a := range answers {
			out[i] = wins.Challenged{Addr: wins.IPv4Of(a.Owner), Has: a.Stance == OwnerConfirms}
			for _, l := range a.Addrs {
				out[i].Lists = append(out[i].Lists, wins.IPv4Of(l.Addr))
			}
		}
		return out, nil
	}
}

// noteResponse records a response that nobody asked for: a conflict demand, or the answer to a question
// that was never put. Neither has any effect.
func (s *Server) noteResponse(snap *registry.Snapshot, p packet, db *wins.Database) {
	m, err := netbios.Parse(p.data)
	if err != nil || len(m.Answers) == 0 {
		return
	}
	h := wins.Held{
		Name: m.Answers[0].Name, What: wins.Unsolicited, Fate: wins.IsIgnored, Source: p.from.Addr(), Reason: wins.ReasonUnasked,
	}
	if m.Form() == netbios.FormConflictDemand {
		h.What = wins.ConflictDemand
	}
	claim, _ := m.Claim()
	h.Claimed = claim.Addrs[:min(len(claim.Addrs), maxAddrs)]
	role, guarded := snap.NetBIOS(h.Name)
	if guarded {
		h.Role, h.Alert = role.Role.Name, true
	}
	// Anything else is noise: late answers, replies to somebody who had the port before.
	if guarded || h.What == wins.ConflictDemand {
		db.Note(h)
	}
}
