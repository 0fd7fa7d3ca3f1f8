package usage

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/netbios"
)

// office is three clients and three names.
func office() *Tracker {
	tr := New(0)
	at := func(min int, times int, name string, client int, kind Kind, wasFound bool) {
		for range times {
			put(tr, start.Add(time.Duration(min)*time.Minute), Note{netbios.MustParseName(name), address(client), kind, wasFound})
		}
	}
	at(0, 3, "MAIL<20>", 1, Query, true)
	at(1, 2, "MAIL<20>", 1, Query, false)
	at(2, 1, "MAIL<20>", 2, Query, true)
	at(3, 1, "PC1<00>", 1, Registration, true)
	at(4, 4, "OLD<20>", 3, Query, false)
	at(5, 1, "MAIL<20>", 1, Query, true)
	at(6, 1, "PC1<00>", 2, Registration, false)
	return tr
}

// text is a report as a test reads it.
func text(r Report) string {
	var b strings.Builder
	use := func(who string, u Use) {
		fmt.Fprintf(&b, "%s %+v +%d, %v others, %s-%s\n", who, u.Count, u.Error, u.Others.N, u.First.UTC().Format("4"), u.Last.UTC().Format("4"))
		for _, row := range u.Rows {
			fmt.Fprintf(&b, "  %v %v %v found=%v %d +%d %s-%s\n", row.Name, row.Client, row.Kind, row.Found, row.Count, row.Error,
				row.First.UTC().Format("4"), row.Last.UTC().Format("4"))
		}
		if u.MoreRows > 0 {
			fmt.Fprintf(&b, "  and %d rows\n", u.MoreRows)
		}
	}
	fmt.Fprintf(&b, "%+v names=%d clients=%d complete=%v\n", r.Count, r.Names.N, r.Clients.N, r.Complete())
	for _, n := range r.ByName {
		use(n.Name.String(), n.Use)
	}
	for _, c := range r.ByClient {
		use(c.Client.String(), c.Use)
	}
	if r.LeftOut.Names+r.LeftOut.Clients > 0 {
		fmt.Fprintf(&b, "and %d names, %d clients\n", r.LeftOut.Names, r.LeftOut.Clients)
	}
	return b.String()
}

func TestReport(t *testing.T) {
	for _, tt := range []struct {
		name string
		view View
		want string
	}{
		{"all", View{}, `
{Queries:11 NotFound:6 Registrations:2 Refused:1} names=3 clients=3 complete=true
MAIL<20> {Queries:7 NotFound:2 Registrations:0 Refused:0} +0, 2 others, 0-5
  MAIL<20> 10.0.0.1 query found=true 4 +0 0-5
  MAIL<20> 10.0.0.1 query found=false 2 +0 1-1
  MAIL<20> 10.0.0.2 query found=true 1 +0 2-2
OLD<20> {Queries:4 NotFound:4 Registrations:0 Refused:0} +0, 1 others, 4-4
  OLD<20> 10.0.0.3 query found=false 4 +0 4-4
PC1<00> {Queries:0 NotFound:0 Registrations:2 Refused:1} +0, 2 others, 3-6
  PC1<00> 10.0.0.2 registration found=false 1 +0 6-6
  PC1<00> 10.0.0.1 registration found=true 1 +0 3-3
10.0.0.1 {Queries:6 NotFound:2 Registrations:1 Refused:0} +0, 2 others, 0-5
  MAIL<20> 10.0.0.1 query found=true 4 +0 0-5
  MAIL<20> 10.0.0.1 query found=false 2 +0 1-1
  PC1<00> 10.0.0.1 registration found=true 1 +0 3-3
10.0.0.3 {Queries:4 NotFound:4 Registrations:0 Refused:0} +0, 1 others, 4-4
  OLD<20> 10.0.0.3 query found=false 4 +0 4-4
10.0.0.2 {Queries:1 NotFound:0 Registrations:1 Refused:1} +0, 2 others, 2-6
  PC1<00> 10.0.0.2 registration found=false 1 +0 6-6
  MAIL<20> 10.0.0.2 query found=true 1 +0 2-2
`},
		{"the latest, cut", View{Order: ByLast, Names: 2, Clients: 1, Rows: 1}, `
{Queries:11 NotFound:6 Registrations:2 Refused:1} names=3 clients=3 complete=false
PC1<00> {Queries:0 NotFound:0 Registrations:2 Refused:1} +0, 2 others, 3-6
  PC1<00> 10.0.0.2 registration found=false 1 +0 6-6
  and 1 rows
MAIL<20> {Queries:7 NotFound:2 Registrations:0 Refused:0} +0, 2 others, 0-5
  MAIL<20> 10.0.0.1 query found=true 4 +0 0-5
  and 2 rows
10.0.0.2 {Queries:1 NotFound:0 Registrations:1 Refused:1} +0, 2 others, 2-6
  PC1<00> 10.0.0.2 registration found=false 1 +0 6-6
  and 1 rows
and 1 names, 2 clients
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := text(office().Report(start.Add(time.Hour), tt.view))
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// truth counts exactly.
type truth struct {
	rows    map[truthKey]*exact
	names   map[netbios.Name]*exact
	clients map[netip.Addr]*exact
}

type truthKey struct {
	name   netbios.Name
	client netip.Addr
	kind   Kind
	found  bool
}

type exact struct {
	n           uint64
	first, last time.Time
}

func newTruth() *truth {
	return &truth{map[truthKey]*exact{}, map[netbios.Name]*exact{}, map[netip.Addr]*exact{}}
}

func (tr *truth) note(n Note, now time.Time) {
	see(tr.rows, truthKey{n.Name, n.Source, n.Kind, n.Found}, now)
	see(tr.names, n.Name, now)
	see(tr.clients, n.Source, now)
}

func see[K comparable](m map[K]*exact, k K, now time.Time) {
	e := m[k]
	if e == nil {
		e = &exact{first: now}
		m[k] = e
	}
	e.n++
	e.last = now
}

// agrees checks what a report says of a key against the truth.
func agrees(t *testing.T, what any, want *exact, count, bound uint64, first, last time.Time) {
	t.Helper()
	switch {
	case want == nil:
		t.Fatalf("%v was never noted", what)
	case want.n < count || want.n > count+bound:
		t.Errorf("%v: %d to %d reported, %d noted", what, count, count+bound, want.n)
	case first.Before(want.first), bound == 0 && !first.Equal(want.first):
		t.Errorf("%v: first %v, want %v", what, first, want.first)
	case last.After(want.last):
		t.Errorf("%v: last %v, want %v", what, last, want.last)
	}
}

// check compares a whole report with the truth, and what it does not show with its bounds.
func check(t *testing.T, r Report, want *truth) {
	t.Helper()
	missingRows, missingNames, missingClients := len(want.rows), len(want.names), len(want.clients)
	var attributed uint64
	shown := map[truthKey]bool{}
	for i := range r.ByName {
		n := &r.ByName[i]
		missingNames--
		agrees(t, n.Name, want.names[n.Name], n.Total(), n.Error, n.First, n.Last)
		delete(want.names, n.Name)
		for _, row := range n.Rows {
			key := truthKey{row.Name, row.Client, row.Kind, row.Found}
			missingRows--
			agrees(t, row, want.rows[key], row.Count, row.Error, row.First, row.Last)
			if !row.Last.Equal(want.rows[key].last) {
				t.Errorf("%v: last %v, want %v", row, row.Last, want.rows[key].last)
			}
			attributed += row.Count
			shown[key] = true
		}
	}
	for i := range r.ByClient {
		c := &r.ByClient[i]
		missingClients--
		agrees(t, c.Client, want.clients[c.Client], c.Total(), c.Error, c.First, c.Last)
		delete(want.clients, c.Client)
	}
	out := r.LeftOut
	for key, e := range want.rows {
		if !shown[key] && e.n > out.RowBound {
			t.Errorf("%v was noted %d times, and the bound for what has no row is %d", key, e.n, out.RowBound)
		}
	}
	for name, e := range want.names {
		if e.n > out.NameBound {
			t.Errorf("%v was noted %d times and is missing; the bound is %d", name, e.n, out.NameBound)
		}
	}
	for client, e := range want.clients {
		if e.n > out.ClientBound {
			t.Errorf("%v was noted %d times and is missing; the bound is %d", client, e.n, out.ClientBound)
		}
	}
	if attributed+out.Unattributed != r.Total() {
		t.Errorf("%d in rows and %d not, want %d together", attributed, out.Unattributed, r.Total())
	}
	if complete := missingRows+missingNames+missingClients == 0; r.Complete() && !complete {
		t.Errorf("complete, but %d rows, %d names, %d clients are missing", missingRows, missingNames, missingClients)
	}
}

func TestCountsAreWithinTheBounds(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			tr, want := New(minRows), newTruth()
			pool := names(t, 10<<(seed%4*3))
			nameZipf := rand.NewZipf(rng, 1.05+rng.Float64(), 1, uint64(len(pool)-1))
			clientZipf := rand.NewZipf(rng, 1.05+rng.Float64(), 1, 5000)
			now := start
			for i := range 60_000 {
				n := Note{pool[nameZipf.Uint64()], address(int(clientZipf.Uint64())), Kind(rng.IntN(kinds)), rng.IntN(3) > 0}
				if i%5 == 0 && seed%2 == 1 {
					n.Name, n.Found = random(rng), false
				}
				now = now.Add(time.Millisecond)
				put(tr, now, n)
				want.note(n, now)
				if i == 30_000 && seed >= 4 {
					tr = carryOver(t, tr, []int{minRows, 2 * minRows, 4 * minRows, 1}[seed-4])
				}
			}
			check(t, tr.Report(now, View{}), want)
		})
	}
}

// TestAttackTakesNoRoom: names made up by one client evict nothing of the names that are there.
func TestAttackTakesNoRoom(t *testing.T) {
	tr := office()
	rng := rand.New(rand.NewPCG(5, 6))
	for range 500_000 {
		put(tr, start.Add(time.Hour), Note{random(rng), address(99), Query, false})
	}
	got := tr.Report(start.Add(time.Hour), View{Names: 5, Clients: 1})
	if n := got.ByName[0]; n.Name.String() != "MAIL<20>" || n.Queries < 5 || n.Others.N != 2 {
		t.Errorf("the first name is %v", n)
	}
	c := got.ByClient[0]
	if c.Client != address(99) || c.Total() != 500_000 || c.Error != 0 {
		t.Errorf("the attacker is %v with %d +%d", c.Client, c.Total(), c.Error)
	}
	near(t, "names of the attacker", c.Others, 500_000)
	near(t, "names", got.Names, 500_003)
	if got.Complete() || got.LeftOut.Evicted == 0 || got.Clients.N < 4 {
		t.Errorf("complete %v, %+v, %v clients", got.Complete(), got.LeftOut, got.Clients)
	}
}

// TestForgedSources: the name that everybody seems to ask for is counted exactly.
func TestForgedSources(t *testing.T) {
	tr := New(0)
	mail := netbios.MustParseName("MAIL<20>")
	for i := range 200_000 {
		put(tr, start, Note{mail, address(i), Query, true})
	}
	got := tr.Report(start, View{})
	if n := got.ByName[0]; len(got.ByName) != 1 || n.Total() != 200_000 || n.Error != 0 {
		t.Errorf("%d names, %d +%d", len(got.ByName), n.Total(), n.Error)
	}
	near(t, "clients of the name", got.ByName[0].Others, 200_000)
	near(t, "clients", got.Clients, 200_000)
}

// near allows four standard errors.
func near(t *testing.T, what string, got Estimate, want float64) {
	t.Helper()
	if got.Error == 0 || math.Abs(float64(got.N)-want) > 4*got.Error*want {
		t.Errorf("%s: %d, error %.3f, want about %.0f", what, got.N, got.Error, want)
	}
}

// TestEstimates checks the library at the precisions that we use, from few to many.
func TestEstimates(t *testing.T) {
	k := newKeys()
	for _, n := range []int{1, 10, 100, 1000, 20_000} {
		for _, p := range []uint8{onePrecision, allPrecision} {
			s := newSketch(p)
			for i := range n {
				s.InsertHash(k.client(address(i).As4()))
			}
			e := standardError(p)
			if got := float64(s.Estimate()); math.Abs(got-float64(n)) > max(5*e*float64(n), 1) {
				t.Errorf("precision %d: %v of %d", p, got, n)
			}
		}
	}
}
