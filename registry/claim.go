package registry

import (
	"slices"
	"time"
)

// Claim is a source's statement of who holds a role.
type Claim struct {
	Role   string
	Origin string   // who says it, as status shows it: "file /run/x.role"
	Nodes  []string // the holder; the members in mode all; the candidates when Pick
	// Epoch is the fencing token. 0 is for sources that have none: a change of holder takes the next
	// epoch, anything else keeps the one in force.
	Epoch   uint64
	Expires time.Time // of the lease; zero: never
	// Pick says that Nodes are the healthy ones in order of preference and that a role in mode single
	// goes to the first of them that is not drained.
	Pick bool
}

// MaxEpoch is the highest epoch that a claim may carry. It leaves room to count on from it, because an
// epoch must never wrap.
const MaxEpoch = 1<<63 - 1

// Trouble is a source's statement that it cannot say who holds a role.
type Trouble struct {
	Role   string
	Origin string
	Why    string
	// Gone: nobody claims the role any more (the file was deleted, no node is healthy). Otherwise the
	// source could not be understood, and its last good word stands.
	Gone bool
}

// Outcome is what became of a claim. Its words are metric labels.
type Outcome uint8

// The outcomes of a claim.
const (
	Accepted    Outcome = iota // a new holder or epoch
	Renewed                    // what was known is confirmed
	Fenced                     // an older epoch: dropped
	Conflicting                // the epoch in force, from other nodes
	UnknownRole
	UnknownNode
	Malformed // no node, several for a role in mode single, or an epoch beyond MaxEpoch
)

// Outcomes lists every outcome, for those who count them.
var Outcomes = []Outcome{Accepted, Renewed, Fenced, Conflicting, UnknownRole, UnknownNode, Malformed}

func (o Outcome) String() string {
	return [...]string{"accepted", "renewed", "fenced", "conflicting", "unknown-role", "unknown-node", "malformed"}[o]
}

// cell is what the writer keeps of one role. A cell in place never changes; the writer replaces it.
type cell struct {
	rec       Record
	confirmed bool // a source has stood behind rec since the start, or since the source was changed
	*orders        // never nil
	*word          // never nil
}

// orders are what operators said. Most roles have none and share one.
type orders struct {
	override *Override
	lowered  *Lowered
}

var noOrders = &orders{}

// order returns the cell with other orders.
func (c *cell) order(o orders) *cell {
	n := *c
	n.orders = noOrders
	if o != *noOrders {
		n.orders = &o
	}
	return &n
}

// word is what sources said beside the record. Most roles have none of it and share one.
type word struct {
	expires time.Time // of the lease in force
	rivals  []rival   // who else claims rec.Epoch
	pool    []string  // the candidates of the last claim with Pick
	trouble *Trouble  // what the source of rec complains about
}

var nothing = &word{}

// say returns the cell with other words.
func (c *cell) say(w word) *cell {
	n := *c
	n.word = &w
	if w.expires.IsZero() && w.rivals == nil && w.pool == nil && w.trouble == nil {
		n.word = nothing
	}
	return &n
}

type rival struct {
	origin  string
	nodes   []string
	expires time.Time // of the rival's lease; zero: never
}

// at returns the cell as it stands at a time: without rivals whose lease ran out, and without a lowered TTL that has
// ended.
func (c *cell) at(now time.Time) *cell {
	c = c.withoutEnded(now)
	over := func(r rival) bool { return !r.expires.IsZero() && !now.Before(r.expires) }
	if !slices.ContainsFunc(c.rivals, over) {
		return c
	}
	w := *c.word
	w.rivals = slices.DeleteFunc(slices.Clone(c.rivals), over)
	return c.say(w)
}

// take returns the cell after a claim. It does not change c.
func (c *cell) take(role *Role, cl Claim, drained map[string]Drain, now time.Time) (*cell, Outcome) {
	if o, ok := wellFormed(role, cl); !ok {
		return c, o
	}
	nodes := pick(role, cl, drained)
	held := slices.Equal(nodes, c.members(role))
	switch {
	case cl.Epoch != 0 && cl.Epoch < c.rec.Epoch:
		return c.fence(cl.Origin), Fenced
	case held && (cl.Epoch == 0 || cl.Epoch == c.rec.Epoch):
		return c.renew(cl), Renewed
	case cl.Epoch != 0 && cl.Epoch == c.rec.Epoch:
		return c.contest(cl, nodes), Conflicting
	}
	epoch := cl.Epoch
	if epoch == 0 {
		epoch = c.rec.Epoch + 1
	}
	since := now
	if held {
		since = c.rec.Since
	}
	n := &cell{rec: Record{Nodes: nodes, Epoch: epoch, Since: since, Origin: cl.Origin}, confirmed: true, orders: c.orders}
	return n.say(word{expires: cl.Expires, pool: poolOf(cl)}), Accepted
}

// members are the nodes of the record in the order that the configuration has now.
func (c *cell) members(role *Role) []string {
	if role.Mode == All {
		return inWrittenOrder(role, c.rec.Nodes)
	}
	return c.rec.Nodes
}

func wellFormed(role *Role, cl Claim) (Outcome, bool) {
	if len(cl.Nodes) == 0 || role.Mode == Single && len(cl.Nodes) > 1 && !cl.Pick || cl.Epoch > MaxEpoch {
		return Malformed, false
	}
	for _, n := range cl.Nodes {
		if role.Node(n) == nil {
			return UnknownNode, false
		}
	}
	return 0, true
}

func pick(role *Role, cl Claim, drained map[string]Drain) []string {
	if role.Mode == All {
		return inWrittenOrder(role, cl.Nodes)
	}
	for _, n := range cl.Nodes {
		if _, out := drained[n]; !out {
			return []string{n}
		}
	}
	return []string{cl.Nodes[0]}
}

func poolOf(cl Claim) []string {
	if cl.Pick {
		return slices.Clone(cl.Nodes)
	}
	return nil
}

// repick returns the cell after the set of drained nodes changed.
func (c *cell) repick(role *Role, drained map[string]Drain, now time.Time) *cell {
	if role.Mode == All || len(c.pool) == 0 || c.trouble != nil {
		return c
	}
	n, _ := c.take(role, Claim{Role: role.Name, Origin: c.rec.Origin, Nodes: c.pool, Pick: true, Expires: c.expires}, drained, now)
	return n
}

// inWrittenOrder makes sets of members comparable.
func inWrittenOrder(role *Role, names []string) []string {
	in := make(map[string]bool, len(names))
	for _, n := range names {
		in[n] = true
	}
	out := make([]string, 0, len(in))
	for _, n := range role.Nodes {
		if in[n.Name] {
			out = append(out, n.Name)
		}
	}
	return out
}

// renew confirms what is in force. A rival that now agrees is one no more.
func (c *cell) renew(cl Claim) *cell {
	n := c.say(word{expires: cl.Expires, pool: poolOf(cl), rivals: c.rivalsWithout(cl.Origin)})
	n.confirmed = true
	if c.trouble != nil || !c.confirmed {
		// The origin of the record is in trouble or not heard of since the start, and another one stands
		// behind the same claim.
		n.rec.Origin = cl.Origin
	}
	return n
}

// fence drops a claim; whoever makes it does not claim the epoch in force any more.
func (c *cell) fence(origin string) *cell {
	rivals := c.rivalsWithout(origin)
	if len(rivals) == len(c.rivals) {
		return c
	}
	w := *c.word
	w.rivals = rivals
	return c.say(w)
}

func (c *cell) contest(cl Claim, nodes []string) *cell {
	w := *c.word
	w.rivals = append(c.rivalsWithout(cl.Origin), rival{cl.Origin, nodes, cl.Expires})
	slices.SortFunc(w.rivals, func(a, b rival) int { return slices.Compare(a.nodes, b.nodes) })
	return c.say(w)
}

func (c *cell) rivalsWithout(origin string) []rival {
	var out []rival
	for _, r := range c.rivals {
		if r.origin != origin {
			out = append(out, r)
		}
	}
	return out
}

// complain returns the cell after a source said that it cannot say. A complaint of somebody who did
// not make the claim in force changes nothing but the end of his rivalry, unless nobody stands behind
// that claim yet: its origin may be a source of long ago.
func (c *cell) complain(t Trouble) *cell {
	w := *c.word
	if t.Gone {
		w.rivals = c.rivalsWithout(t.Origin)
	}
	if c.rec.Epoch == 0 || !c.confirmed || c.rec.Origin == t.Origin {
		if c.trouble != nil && c.trouble.Gone {
			t.Gone = true // nonsense after silence does not bring the last good word back
		}
		w.trouble = &t
	}
	return c.say(w)
}
