package wins

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/store/journal"
)

// server is a database with its address, and the journal that it has.
type server struct {
	db      *Database
	addr    IPv4
	journal *journal.Memory
	stop    func()
}

// newServer runs a server. Nodes that are asked are silent, or have what they had.
func newServer(t *testing.T, addr IPv4, areAlive bool) *server {
	t.Helper()
	s := &server{addr: addr, journal: &journal.Memory{}}
	challenge := func(_ context.Context, _ netbios.Name, addrs []IPv4) ([]Challenged, error) {
		time.Sleep(3 * time.Second)
		if !areAlive {
			return nil, nil
		}
		return []Challenged{{Addr: addrs[0], Has: true, Lists: addrs}}, nil
	}
	set := Settings{Timers: DefaultTimers, Limits: DefaultLimits, Partners: true}
	db, err := Open(s.journal, set, &lab{}, challenge, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		db.Run(ctx)
	}()
	s.db, s.stop = db, func() {
		cancel()
		<-done
	}
	return s
}

// pull has a server take what another one has of its own, and it has not, as on the wire: zero owners are the server's
// own. A third one's records are had from that one: somebody between may have merged some of them into his.
func (s *server) pull(t *testing.T, from *server) (changed bool) {
	t.Helper()
	before := s.db.Snapshot().Version
	now := StampOf(time.Now())
	for _, v := range from.db.Snapshot().Versions()[:1] {
		b := Replicas{Partner: from.addr, Owner: translate(v.Owner, IPv4{}, from.addr), UpTo: v.Max, Renew: v.Owner == IPv4{}}
		b.From = s.db.Snapshot().Next(b.Owner, b.Renew, now)
		if b.Owner == s.addr || b.From > v.Max {
			continue
		}
		for r := range from.db.Snapshot().Records(v.Owner, b.From, v.Max, now, nil) {
			members := r.Members()
			for i := range members {
				members[i].Owner = translate(translate(members[i].Owner, IPv4{}, from.addr), s.addr, IPv4{})
			}
			r.SetMembers(members)
			b.Records = append(b.Records, *r)
		}
		a, err := s.db.Apply(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		changed = changed || a.Changed() || a.Challenged > 0
	}
	time.Sleep(10 * time.Second)
	synctest.Wait()
	return changed || s.db.Snapshot().Version != before
}

func translate(a, from, to IPv4) IPv4 {
	if a == from {
		return to
	}
	return a
}

// says is what a server answers for a name.
func (s *server) says(n netbios.Name) string {
	now := StampOf(time.Now())
	snap := s.db.Snapshot()
	found, ok := snap.Query(nil, n, now)
	if !ok {
		return "-"
	}
	var addrs []string
	for _, a := range found.Addrs {
		addrs = append(addrs, a.Addr.String())
	}
	slices.Sort(addrs)
	r, _ := snap.Find(n)
	return fmt.Sprint(r.Kind.isGroup(), " ", addrs)
}

// TestConverge has servers with records in conflict replicate until nobody learns anything new: then they answer alike,
// whatever the order of the pulls was, as far as the tables promise it. They do not when two nodes that are alive have
// the same name.
func TestConverge(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { converge(t, seed) })
		if t.Failed() {
			return
		}
	}
}

func converge(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	var all []*server
	for i := range 2 + rnd.IntN(2) {
		s := newServer(t, IPv4{192, 0, 2, byte(201 + i)}, false)
		defer s.stop()
		all = append(all, s)
	}
	// A third server may have what one of two has taken back already, and a group is not given up for a node.
	suffixes := []int{0x20, 0x1c}
	if len(all) > 2 {
		suffixes[0] = 0x1c
	}
	var names []netbios.Name
	for i := range 40 {
		names = append(names, netbios.MustParseName(fmt.Sprintf("N%d<%02x>", i, suffixes[i%2])))
	}
	for range 4 {
		for range 40 {
			s, n := all[rnd.IntN(len(all))], names[rnd.IntN(len(names))]
			if r, ok := s.db.Snapshot().Find(n); ok && r.Owner == (IPv4{}) && r.State == Active && rnd.IntN(2) == 0 {
				_, _ = s.db.Remove(t.Context(), n, netip.Addr{})
				continue
			}
			from := byte(0)
			if len(all) > 2 {
				from = 10 * s.addr[3] // no node goes from one server to another
			}
			s.putRandom(t, rnd, n, from)
		}
		settle(t, rnd, all)
		for _, n := range names {
			for _, s := range all[1:] {
				if a, b := all[0].says(n), s.says(n); a != b {
					ra, _ := all[0].db.Snapshot().Find(n)
					rb, _ := s.db.Snapshot().Find(n)
					t.Fatalf("seed %d, %s: %s has %s, %s has %s\n%+v\n%+v", seed, n, all[0].addr, a, s.addr, b, ra, rb)
				}
			}
		}
	}
	for _, s := range all {
		s.db.Snapshot().checkIndex(t)
	}
}

// settle has all pull from each other, in any order, until nothing changes.
func settle(t *testing.T, rnd *rand.Rand, all []*server) {
	t.Helper()
	for range 30 {
		changed := false
		for _, i := range rnd.Perm(len(all) * len(all)) {
			if to, from := all[i/len(all)], all[i%len(all)]; to != from && to.pull(t, from) {
				changed = true
			}
		}
		if !changed {
			return
		}
	}
	t.Fatal("they tell each other something new for ever")
}

func (s *server) putRandom(t *testing.T, rnd *rand.Rand, n netbios.Name, from byte) {
	t.Helper()
	r := Record{Name: n, Kind: Unique, Node: netbios.HNode, Ends: StampOf(time.Now().Add(6 * 24 * time.Hour))}
	count := 1
	switch {
	case n.Suffix() == suffixControllers:
		r.Kind, count = Internet, 1+rnd.IntN(3)
	case rnd.IntN(3) == 0:
		r.Kind = Group
	case rnd.IntN(3) == 0:
		r.Kind, count = Multihomed, 2
	}
	var members []Member
	for _, i := range rnd.Perm(8)[:count] {
		members = append(members, Member{Addr: IPv4{192, 0, 2, from + byte(i+1)}, Ends: r.Ends})
	}
	if cur, ok := s.db.Snapshot().Find(n); ok && r.Kind == Internet && cur.State == Active {
		// Other servers' members are theirs, as when a node registers.
		for _, m := range cur.Members() {
			if m.Owner != (IPv4{}) && !slices.ContainsFunc(members, func(o Member) bool { return o.Addr == m.Addr }) {
				members = append(members, m)
			}
		}
	}
	r.SetMembers(members)
	if errs, err := s.db.Put(t.Context(), []Record{r}); err != nil || errs[0] != nil {
		t.Fatal(err, errs[0])
	}
}
