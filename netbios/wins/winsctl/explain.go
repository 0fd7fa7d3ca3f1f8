package winsctl

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
)

// Behind are WINS servers behind this one.
type Behind struct {
	Servers []netip.AddrPort // in the order in which they are asked; none: there is nobody behind
	Front   bool             // they are asked and told first: mode forward
	Share   bool             // they are told what is registered here: mode both
}

// Explain tells what is registered, held and still to be told under a name; for [control.Server.Names].
func (s *Server) Explain(e *control.Explanation, snap *registry.Snapshot, names []netbios.Name) {
	db, err := s.database()
	if err != nil {
		e.Step("%s", err)
		return
	}
	x := explaining{Explanation: e, listing: listing{db: db, snap: db.Snapshot(), roles: snap, now: wins.StampOf(time.Now())}}
	if s.Behind != nil {
		x.behind = s.Behind()
	}
	n := x.known(names)
	if _, guarded := snap.NetBIOS(n.Fold()); !guarded {
		x.unguarded(n)
	}
	x.heldOf(n)
	x.told(n)
}

// explaining is a listing of one name in sentences.
type explaining struct {
	*control.Explanation
	listing
	behind Behind
}

// known is the first name of which there is something.
func (x *explaining) known(names []netbios.Name) netbios.Name {
	held := x.db.Held()
	for _, n := range names {
		_, registered := x.find(n)
		if registered || slices.ContainsFunc(held, func(h wins.Held) bool { return h.Name.Fold() == n.Fold() }) {
			return n
		}
	}
	return names[0]
}

// find finds a record as it is written or, as nodes register names, in upper case.
func (x *explaining) find(n netbios.Name) (wins.Record, bool) {
	if r, ok := x.snap.Find(n); ok {
		return r, true
	}
	return x.snap.Find(n.Fold())
}

// unguarded explains a name that no role has.
func (x *explaining) unguarded(n netbios.Name) {
	r, registered := x.find(n)
	if n = n.Fold(); registered {
		n = r.Name
		x.record(&r)
	}
	found, ok := x.snap.Query(nil, n, x.now)
	switch {
	case ok && !registered:
		x.Step("%s stands for the master browsers of all domains", n)
	case !registered:
		x.Step("%s is not in the WINS database", n)
	}
	var answer []string
	for _, a := range found.Addrs {
		if class, filtered := x.roles.Filtered(a.Addr); filtered {
			x.Step("%s is class %s and never published", a.Addr, class)
			continue
		}
		answer = append(answer, a.Addr.String())
	}
	x.answers(answer, found)
}

// record tells what is kept of a name.
func (x *explaining) record(r *wins.Record) {
	w := RecordOf(x.snap, r, x.now)
	whose := "registered here"
	if w.Owner.IsValid() {
		whose = "taken over from the name server " + w.Owner.String()
	}
	if w.Static {
		x.Step("%s is in the WINS database: %s, %s, static, version %d, %s; no time ends it and no node changes it", w.Name, w.Kind, w.State, w.Version, whose)
	} else {
		x.Step("%s is in the WINS database: %s, %s until %s, dynamic, version %d, %s; type of the node: %s", w.Name, w.Kind, w.State,
			control.TimeText(w.Ends), w.Version, whose, w.Node)
	}
	for i := range w.Addresses {
		if r.Kind == wins.Group {
			x.Step("it is a group of which no members are kept; %s was the last to register it", w.Addresses[i].Address)
			continue
		}
		x.Step("%s", addressText(&w.Addresses[i]))
	}
}

func addressText(a *Address) string {
	text := "address " + a.Address.String()
	if a.Owner.IsValid() {
		text += ", registered at the name server " + a.Owner.String()
	}
	if !a.Ends.IsZero() {
		text += ", until " + control.TimeText(a.Ends)
	}
	return text
}

// answers tells who answers for the name: the addresses are those that the database has for it, if any.
func (x *explaining) answers(addrs []string, found wins.Found) {
	behind := joinServers(x.behind.Servers)
	switch {
	case len(addrs) == 0 && behind != "":
		x.Step("there is no answer here: the WINS servers behind are asked (%s), and their answer is filtered", behind)
	case len(addrs) == 0:
		x.Step("there is no answer here, and no WINS server behind: NetBIOS answers negatively")
	case x.behind.Front && behind != "" && !found.Static:
		x.Step("the WINS servers behind are asked first (%s), and their answer is filtered; while none of them answers, it is %s with TTL %d s",
			behind, strings.Join(addrs, ", "), found.TTL)
	default:
		x.Step("TTL %d s", found.TTL)
		x.Answer = addrs
	}
}

func joinServers(servers []netip.AddrPort) string {
	out := make([]string, len(servers))
	for i, s := range servers {
		out[i] = s.String()
	}
	return strings.Join(out, ", ")
}

// maxSteps bounds what is listed of one name: strangers can ask for it as often as they like.
const maxSteps = 10

// heldOf tells what was asked for under the name and is not, or not of itself, published.
func (x *explaining) heldOf(n netbios.Name) {
	held := slices.DeleteFunc(x.db.Held(), func(h wins.Held) bool { return h.Name.Fold() != n.Fold() })
	for i := range held[:min(len(held), maxSteps)] {
		x.Step("%s", heldText(x.heldWords(&held[i])))
	}
	if more := len(held) - maxSteps; more > 0 {
		x.Step("%d more are held of the name: nameward registrations '%s' lists them", more, n)
	}
}

func heldText(r *Registration) string {
	h := r.Held
	text := h.What + " from " + h.Source.String()
	for i, a := range r.Addresses {
		text += [2]string{" of ", ", "}[min(i, 1)] + a.Address.String()
	}
	switch text += ": " + r.State; r.State {
	case StatePublished:
		text += " while the role serves it"
	case wins.IsParked.String():
		text += " until the role serves it"
	}
	return control.Occurrence{Reason: h.Reason, Rule: h.Rule, Decision: h.Decision, First: h.First, Last: h.Last, Count: h.Count}.After(text)
}

// told tells what the servers behind do not know yet.
func (x *explaining) told(n netbios.Name) {
	if len(x.behind.Servers) == 0 {
		return
	}
	untold := x.db.Untold(n)
	for _, o := range untold[:min(len(untold), maxSteps)] {
		x.Step("the WINS servers behind have still to be told: %s of %s, since %s", o.Op, o.Addr, control.TimeText(o.Since.Time()))
	}
	if more := len(untold) - maxSteps; more > 0 {
		x.Step("they have still to be told of %d more addresses", more)
	}
	if len(untold) == 0 && (x.behind.Front || x.behind.Share) {
		x.Step("nothing waits to be told to the WINS servers behind")
	}
}
