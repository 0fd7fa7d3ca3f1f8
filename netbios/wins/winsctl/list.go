package winsctl

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
)

// sortLimit is how many names are sorted before they are sent: they are 40 octets each. More of them come
// as they stand in the table.
var sortLimit = 50_000

// listing is one pass over what the WINS server has.
type listing struct {
	db    *wins.Database
	snap  *wins.Snapshot
	roles *registry.Snapshot
	now   wins.Stamp
	Filter
	pattern pattern
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	db, err := s.database()
	if err != nil {
		control.Fail(w, statusOf(err), err)
		return
	}
	l := listing{db: db, snap: db.Snapshot(), roles: s.snapshot(), now: wins.StampOf(time.Now())}
	if l.Filter, err = parseFilter(r.URL.Query()); err == nil {
		l.pattern, err = parsePattern(l.Name)
	}
	if err != nil {
		control.Fail(w, http.StatusBadRequest, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for reg := range l.all() {
		// The client has gone if this fails; there is nobody left to tell.
		if enc.Encode(reg) != nil {
			return
		}
	}
	_ = out.Flush()
}

// all yields what the filter leaves, sorted by name if there are few.
func (l *listing) all() iter.Seq[*Registration] {
	return func(yield func(*Registration) bool) {
		held := l.held()
		names, ok := l.names()
		if !ok {
			l.unsorted(held, yield)
			return
		}
		slices.SortFunc(names, netbios.Name.Compare)
		for len(names)+len(held) > 0 {
			if len(names) == 0 || len(held) > 0 && held[0].Name.Compare(names[0]) < 0 {
				if !yield(l.heldWords(&held[0])) {
					return
				}
				held = held[1:]
				continue
			}
			r, _ := l.snap.Find(names[0])
			if !yield(l.words(&r)) {
				return
			}
			names = names[1:]
		}
	}
}

func (l *listing) unsorted(held []wins.Held, yield func(*Registration) bool) {
	for i := range held {
		if !yield(l.heldWords(&held[i])) {
			return
		}
	}
	for r := range l.snap.All() {
		if l.wants(r) && !yield(l.words(r)) {
			return
		}
	}
}

// names are those of the records that are wanted, and whether they are few.
func (l *listing) names() (names []netbios.Name, ok bool) {
	if !l.Held.records() {
		return nil, true
	}
	if l.pattern.name.IsValid() && l.pattern.whole {
		// Nodes register names in upper case; other octets than these take the long way.
		if r, ok := l.snap.Find(l.pattern.name.Fold()); ok && l.wants(&r) {
			return []netbios.Name{r.Name}, true
		}
	}
	for r := range l.snap.All() {
		if !l.wants(r) {
			continue
		}
		if len(names) == sortLimit {
			return nil, false
		}
		names = append(names, r.Name)
	}
	return names, true
}

// wants tells whether a record passes the filter.
func (l *listing) wants(r *wins.Record) bool {
	if l.Static && !r.Static || !l.pattern.matches(r.Name) {
		return false
	}
	if l.State == "" {
		return true
	}
	state, _ := l.snap.StateAt(r, l.now)
	return stateWord(state) == l.State
}

// held is what passes the filter of that which is held, sorted by name.
func (l *listing) held() []wins.Held {
	if l.Static || l.State != "" || l.Filter.Held == NoneHeld {
		return nil
	}
	held := slices.DeleteFunc(l.db.Held(), func(h wins.Held) bool { return !l.Filter.Held.has(h.Fate) || !l.pattern.matches(h.Name) })
	slices.SortStableFunc(held, func(a, b wins.Held) int { return cmp.Or(a.Name.Compare(b.Name), cmp.Compare(a.Fate, b.Fate)) })
	return held
}

func (l *listing) words(r *wins.Record) *Registration {
	return &Registration{Record: RecordOf(l.snap, r, l.now)}
}

// StatePublished is what a parked registration is called while the role serves its address.
const StatePublished = "published"

func (l *listing) heldWords(h *wins.Held) *Registration {
	out := &Registration{
		Record: Record{Name: h.Name, Kind: wins.KindOf(h.Name, h.Claimed).String(), State: h.Fate.String(), Addresses: make([]Address, len(h.Claimed))},
		Held: &Held{
			What: h.What.String(), Source: h.Source, Role: h.Role, Reason: h.Reason, Rule: h.Rule, Alert: h.Alert,
			First: h.First.Time(), Last: h.Last.Time(), Count: h.Count,
		},
	}
	if h.Decision != 0 {
		out.Held.Decision = fmt.Sprintf("%016x", h.Decision)
	}
	for i, a := range h.Claimed {
		out.Addresses[i].Address = a.Addr
		out.Node = nodeWord(a.Flags)
	}
	for _, a := range h.Kept {
		out.Held.Kept = append(out.Held.Kept, a.Addr())
	}
	if h.Fate == wins.IsParked && isServed(l.roles, h.Name, out.Held.Kept) {
		out.State = StatePublished
	}
	return out
}

// isServed reports whether one of the addresses is what the role with the name serves now.
func isServed(roles *registry.Snapshot, n netbios.Name, addrs []netip.Addr) bool {
	if roles == nil {
		return false
	}
	role, ok := roles.NetBIOS(n)
	return ok && slices.ContainsFunc(addrs, func(a netip.Addr) bool { return slices.Contains(role.V4(), a) })
}
