package wins

import (
	"slices"

	"github.com/nameward/nameward/netbios"
)

// step is what the rules make of a request: an answer, and a record to put in the place of the one that
// was there; or the wish to challenge the recorded owner first. NETBIOS rules of Windows 2003, but where
// they would let a name be taken away by forging.
type step struct {
	outcome   Outcome
	rcode     netbios.Rcode
	put       *Record // nil: nothing changes
	fresh     bool    // the record gets a new version
	challenge bool
}

// claim is a request as the rules see it.
type claim struct {
	name   netbios.Name
	kind   Kind
	node   netbios.NodeFlags
	addrs  []IPv4
	source IPv4
	ends   Stamp
	now    Stamp
}

func newClaim(r *Request, addrs []netbios.Address, now Stamp, t *Timers) claim {
	c := claim{
		name: r.Name, kind: kindOf(r.Name, r.Addrs[0].Flags, r.Op), node: r.Addrs[0].Flags.NodeType(),
		source: IPv4Of(r.Source.Addr()), now: now, ends: now.after(t.grant(r)),
	}
	if c.kind == Group && isHost(c.source) {
		// Nobody is told the address: the record says who asked, and a limit counts against him.
		c.addrs = []IPv4{c.source}
		return c
	}
	for _, a := range addrs {
		if ip := IPv4Of(a.Addr); !slices.Contains(c.addrs, ip) && len(c.addrs) < MaxMembers {
			c.addrs = append(c.addrs, ip)
		}
	}
	return c
}

// register decides a registration or refresh; cur is the record of the name, nil for none, with the state
// that time has made of it.
func (c *claim) register(cur *Record, state State) step {
	switch {
	case cur == nil:
		return step{outcome: Registered, put: c.record(), fresh: true}
	case cur.Static:
		return c.meetsStatic(cur)
	case state != Active:
		return step{outcome: Registered, put: c.record(), fresh: true}
	case cur.Kind == Group:
		return c.joins(cur)
	case cur.Kind == Internet:
		return c.joinsInternet(cur)
	case !c.kind.isGroup() && c.owned(cur):
		return c.refreshes(cur)
	}
	return step{challenge: true}
}

// isForbidden reports whether no node can have what is asked for.
func isForbidden(r *Request) bool {
	return !mayBe(r.Name, kindOf(r.Name, r.Addrs[0].Flags, r.Op)) ||
		slices.ContainsFunc(r.verdict.Addrs, func(a netbios.Address) bool { return !isHost(IPv4Of(a.Addr)) })
}

// renews reports whether the step gives nobody an address that the record has not.
func (s *step) renews(cur *Record) bool {
	return s.outcome == Refreshed && !slices.ContainsFunc(s.put.Members(), func(m Member) bool { return cur.Index(m.Addr) < 0 })
}

// record is the one that the claim makes, whatever was there before.
func (c *claim) record() *Record {
	r := &Record{Name: c.name, Kind: c.kind, Node: c.node, Ends: c.ends}
	if len(c.addrs) > 1 && !c.kind.isGroup() {
		r.Kind = Multihomed
	}
	members := make([]Member, len(c.addrs))
	for i, a := range c.addrs {
		members[i] = Member{Addr: a, Ends: c.ends}
	}
	if c.kind == Group {
		members = members[:1]
	}
	r.SetMembers(members)
	return r
}

func (c *claim) meetsStatic(cur *Record) step {
	same := cur.Kind.isGroup() == c.kind.isGroup()
	if same && (cur.Kind.isGroup() || c.owned(cur)) {
		return step{outcome: StaticKept}
	}
	return step{outcome: Contested, rcode: netbios.RcodeActive}
}

// joins is a claim for a normal group: any node may.
func (c *claim) joins(cur *Record) step {
	if c.kind != Group {
		return step{outcome: Contested, rcode: netbios.RcodeActive}
	}
	next := *cur
	next.Owner, next.Ends = IPv4{}, max(cur.Ends, c.ends)
	next.SetMembers([]Member{{Addr: c.addrs[0], Ends: c.ends}})
	return step{outcome: Refreshed, put: &next, fresh: cur.Owner != IPv4{}}
}

// joinsInternet adds members to an internet group. Own members go before replicated ones; beyond the
// limit the oldest goes.
func (c *claim) joinsInternet(cur *Record) step {
	members, isNew := c.alive(cur), false
	for _, a := range c.addrs {
		i := slices.IndexFunc(members, func(m Member) bool { return m.Addr == a })
		if i < 0 || members[i].Owner != (IPv4{}) {
			isNew = true
		}
		if i >= 0 {
			members = slices.Delete(members, i, i+1)
		}
		members = append(members, Member{Addr: a, Ends: c.ends})
	}
	return c.replaces(cur, Internet, capMembers(members), isNew || len(members) != cur.Len())
}

// capMembers puts own members before replicated ones, the latest last among their like, and drops the
// oldest, replicated ones first, beyond the limit.
func capMembers(members []Member) []Member {
	slices.SortStableFunc(members, func(a, b Member) int { return ownFirst(a) - ownFirst(b) })
	for len(members) > MaxMembers {
		begin := slices.IndexFunc(members, func(m Member) bool { return m.Owner != IPv4{} })
		oldest := max(begin, 0)
		// Own ones stand in the order of their renewal, which need not be that of their ends: a node that
		// asks for a short time only is not the oldest.
		for i := oldest; begin >= 0 && i < len(members); i++ {
			if members[i].Ends < members[oldest].Ends {
				oldest = i
			}
		}
		members = slices.Delete(members, oldest, oldest+1)
	}
	return members
}

func ownFirst(m Member) int {
	if m.Owner == (IPv4{}) {
		return 0
	}
	return 1
}

// owned reports whether every claimed address is one of the record's own that has not run out.
func (c *claim) owned(cur *Record) bool {
	for _, a := range c.addrs {
		i := cur.Index(a)
		if i < 0 || !cur.Static && cur.At(i).Ends <= c.now {
			return false
		}
	}
	return true
}

// refreshes renews the claimed addresses; others that have run out fall away.
func (c *claim) refreshes(cur *Record) step {
	members := c.alive(cur)
	fresh := len(members) != cur.Len() || cur.Node != c.node
	for i := range members {
		if slices.Contains(c.addrs, members[i].Addr) {
			fresh = fresh || members[i].Owner != IPv4{}
			members[i].Owner, members[i].Ends = IPv4{}, c.ends
		}
	}
	return c.replaces(cur, cur.Kind, members, fresh)
}

// alive returns the members that have not run out, for the caller to change.
func (c *claim) alive(cur *Record) []Member {
	var members []Member
	for i := range cur.Len() {
		if m := cur.At(i); m.Ends > c.now {
			members = append(members, m)
		}
	}
	return members
}

func (c *claim) replaces(cur *Record, kind Kind, members []Member, fresh bool) step {
	next := *cur
	next.Kind, next.Node, next.Owner, next.State = kind, c.node, IPv4{}, Active
	next.SetMembers(members)
	next.Ends = lastEnd(members)
	return step{outcome: Refreshed, put: &next, fresh: fresh || cur.Owner != IPv4{}}
}

func lastEnd(members []Member) Stamp {
	end := Stamp(0)
	for _, m := range members {
		end = max(end, m.Ends)
	}
	return end
}

// challenged decides after the addresses of the record were asked; cur is the record as it was then.
func (c *claim) challenged(cur *Record, said []Challenged) step {
	var listed []IPv4
	alive := false
	for _, s := range said {
		if s.Has {
			alive = true
			listed = append(append(listed, s.Addr), s.Lists...)
		}
	}
	switch {
	case !alive:
		return step{outcome: TakenOver, put: c.record(), fresh: true}
	case c.kind.isGroup():
		return step{outcome: Contested, rcode: netbios.RcodeActive}
	}
	for _, a := range c.addrs {
		if !slices.Contains(listed, a) {
			return step{outcome: Contested, rcode: netbios.RcodeActive}
		}
	}
	return c.merges(cur, listed)
}

// merges makes the record multihomed: the old addresses that the owner still lists, and the claimed ones.
func (c *claim) merges(cur *Record, listed []IPv4) step {
	var members []Member
	for _, m := range c.alive(cur) {
		if slices.Contains(listed, m.Addr) && !slices.Contains(c.addrs, m.Addr) {
			members = append(members, m)
		}
	}
	for _, a := range c.addrs {
		members = append(members, Member{Addr: a, Ends: c.ends})
	}
	if len(members) > MaxMembers {
		members = members[len(members)-MaxMembers:]
	}
	s := c.replaces(cur, Multihomed, members, true)
	s.outcome = Merged
	return s
}

// release decides a release. It takes effect only if the packet comes from an address of the record and
// says that very address: a stranger can write any address into a packet, and an owner that gives up
// another one's is none.
func (c *claim) release(cur *Record, state State, t *Timers) step {
	switch {
	case cur == nil || state != Active || cur.Kind == Group:
		return step{outcome: NotReleased}
	case cur.Static && cur.Kind.isGroup():
		return step{outcome: StaticKept}
	case cur.Static:
		return step{outcome: StaticKept, rcode: netbios.RcodeActive}
	case !c.owns(cur):
		return step{outcome: NotReleased}
	}
	next := *cur
	members := slices.DeleteFunc(cur.Members(), func(m Member) bool { return m.Addr == c.source || m.Ends <= c.now })
	if len(members) == 0 {
		next.State, next.Ends = Released, c.now.add(t.ExtinctionInterval)
		// A replica that its node gives up here is this server's: its owner knows nothing of it yet.
		return step{outcome: ReleasedOwn, put: &next, fresh: cur.Owner != IPv4{}}
	}
	next.SetMembers(members)
	next.Ends = lastEnd(members)
	return step{outcome: ReleasedOwn, put: &next, fresh: true}
}

// owns reports whether the claim comes from an address of the record and is about no other one.
func (c *claim) owns(cur *Record) bool {
	return cur.Index(c.source) >= 0 && len(c.addrs) == 1 && c.addrs[0] == c.source
}
