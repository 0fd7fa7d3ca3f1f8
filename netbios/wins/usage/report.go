package usage

import (
	"net/netip"
	"time"

	"github.com/nameward/nameward/netbios"
)

// Report is who used which names. Where it does not know all it says so: in the errors beside the
// counts, and in LeftOut.
type Report struct {
	// Since is when counting began, before the restarts that a snapshot was carried over; Until is when
	// the report was made.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Count is of all requests that were counted, and is exact.
	Count
	Names    Estimate    `json:"names"`
	Clients  Estimate    `json:"clients"`
	ByName   []NameUse   `json:"by_name"`
	ByClient []ClientUse `json:"by_client"`
	LeftOut  LeftOut     `json:"left_out"`
}

// Count is a number of requests by kind.
type Count struct {
	Queries       uint64 `json:"queries"`
	NotFound      uint64 `json:"not_found"` // of the queries
	Registrations uint64 `json:"registrations"`
	Refused       uint64 `json:"refused"` // of the registrations
}

// Total is the number of requests of both kinds.
func (c Count) Total() uint64 { return c.Queries + c.Registrations }

func (c *Count) add(kind Kind, wasFound bool, n uint64) {
	all, negative := &c.Queries, &c.NotFound
	if kind == Registration {
		all, negative = &c.Registrations, &c.Refused
	}
	*all += n
	if !wasFound {
		*negative += n
	}
}

// Estimate is a number of different things.
type Estimate struct {
	N uint64 `json:"n"`
	// Error is the relative standard error of N, as 0.065; 0 says that N is exact.
	Error float64 `json:"error,omitempty"`
}

// Use is how much a name or a client was used.
type Use struct {
	Count
	// Error is how many more requests there may have been: the true total is at least Total() and at
	// most Total()+Error.
	Error uint64 `json:"error,omitempty"`
	// First is when the first request came of those counted; there was none before it if Error is 0.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Others is the number of a name's clients, or of a client's names. It is too low if Error is not 0
	// and the missing requests came from others.
	Others Estimate `json:"others"`
	// Rows are in the order of the report, cut as asked; MoreRows is how many were cut. What had to make
	// room is in the counts, but has no row.
	Rows     []Row `json:"rows"`
	MoreRows int   `json:"more_rows,omitempty"`
}

// NameUse is a name with its clients.
type NameUse struct {
	Name netbios.Name `json:"name"`
	Use
}

// ClientUse is a client with its names.
type ClientUse struct {
	Client netip.Addr `json:"client"`
	Use
}

// Row is the requests of one kind, with one sort of answer, of one client for one name.
type Row struct {
	Name   netbios.Name `json:"name"`
	Client netip.Addr   `json:"client"`
	Kind   Kind         `json:"kind"`
	Found  bool         `json:"found"`
	// Count is at least how many there were, Count+Error at most.
	Count uint64 `json:"count"`
	Error uint64 `json:"error,omitempty"`
	// First is exact if Error is 0, and otherwise the first since there is a row. Last is always exact.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// LeftOut is what the report does not show.
type LeftOut struct {
	// Dropped is how many requests were not counted at all.
	Dropped uint64 `json:"dropped"`
	// Evicted is how often a row of one client and one name made room for another, and Unattributed how
	// many requests have no row for that reason.
	Evicted      uint64 `json:"evicted"`
	Unattributed uint64 `json:"unattributed"`
	// RowBound is the most requests that a row can have had which is not here, NameBound a name,
	// ClientBound a client; 0 says that none is missing.
	RowBound    uint64 `json:"row_bound"`
	NameBound   uint64 `json:"name_bound"`
	ClientBound uint64 `json:"client_bound"`
	// Names and Clients is how many the view cut.
	Names   int `json:"names"`
	Clients int `json:"clients"`
}

// Complete reports whether every request since the beginning is in the report's counts and rows.
func (r Report) Complete() bool {
	if r.LeftOut != (LeftOut{}) {
		return false
	}
	for i := range r.ByName {
		if r.ByName[i].MoreRows > 0 {
			return false
		}
	}
	for i := range r.ByClient {
		if r.ByClient[i].MoreRows > 0 {
			return false
		}
	}
	return true
}

// Order is how a report is sorted, its names and clients as well as the rows of each.
type Order uint8

const (
	// ByCount has the largest counts first.
	ByCount Order = iota
	// ByLast has the latest first.
	ByLast
)

// View is what a report shows; the zero View is all of it, the largest counts first.
type View struct {
	Order Order
	// Names, Clients and Rows are the most names, clients and rows of each of these that are shown; 0
	// is all.
	Names, Clients, Rows int
}

// Report returns what is known at this moment, notes that wait for Run included. It takes about as much
// memory as the tracker itself. Counting is held up only while the state is copied.
func (t *Tracker) Report(now time.Time, v View) Report {
	s := t.copyState(now)
	r := Report{Since: time.UnixMilli(s.since), Until: now, LeftOut: LeftOut{Dropped: s.dropped}}
	for in := range s.classes {
		for kind, n := range s.classes[in].totals {
			r.add(Kind(kind), in == found, n)
		}
	}
	rows := s.rows(&r)
	evicted := r.LeftOut.Evicted > 0

	names := groupBy(s, rows, nameSide)
	r.Names = all(s.names, len(names), evicted)
	for _, g := range show(names, v.Order, v.Names, &r.LeftOut.Names, netbios.Name.Compare) {
		r.ByName = append(r.ByName, NameUse{g.key, g.finish(s, nameSide, v)})
	}
	clients := groupBy(s, rows, clientSide)
	r.Clients = all(s.clients, len(clients), evicted)
	for _, g := range show(clients, v.Order, v.Clients, &r.LeftOut.Clients, client.compare) {
		r.ByClient = append(r.ByClient, ClientUse{g.key.addr(), g.finish(s, clientSide, v)})
	}
	return r
}

// rows lists the rows of pairs, and fills in what it learns about those that are not there.
func (s *state) rows(r *Report) []Row {
	out := &r.LeftOut
	out.Unattributed = r.Total()
	rows := make([]Row, 0, s.classes[notFound].pairs.held+s.classes[found].pairs.held)
	for in := range s.classes {
		c := &s.classes[in]
		out.Evicted += c.pairs.evicted
		out.RowBound = max(out.RowBound, c.pairs.highest())
		out.NameBound += c.names.highest()
		out.ClientBound += c.clients.highest()
		for i := range c.pairs.taken {
			p := &c.pairs.rows[i]
			row := Row{
				Name: p.key.name, Client: p.key.client.addr(), Kind: p.key.kind, Found: in == found,
				Count: c.pairs.count(i), Error: p.before,
				First: time.UnixMilli(p.first), Last: time.UnixMilli(p.last),
			}
			out.Unattributed -= min(row.Count, out.Unattributed)
			rows = append(rows, row)
		}
	}
	return rows
}
