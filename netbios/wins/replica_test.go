package wins

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nameward/nameward/netbios"
)

// Steps of scenarios that are about replication; the servers are those of meet_test.go.
//
//	replica NAME RECORD => stored | merged | kept | raised | challenged | held
//	again NAME RECORD       the same in a pull of all that the owner has, from itself
//	confirm SERVER N        a pull of all that the owner has, up to version N, which brings nothing
//	role NAME ADDR... | role NAME none | role NAME unknown
//	roles NAME...           these and no others
//	told SERVER [A..B] => vVERSION NAME KIND STATE ADDR...; ... or -
//	next SERVER [again] => the first version that is asked for
//	version => the highest of this server
//	demanded => NAME ADDR...; ... or -
//	hide ADDR               is told to nobody
//	partners                what goes leaves a tombstone
func (s *scenario) replication(words []string, do string) (got string, ok bool) {
	s.t.Helper()
	args := words[1:]
	snap, now := s.db.Snapshot(), StampOf(time.Now())
	switch words[0] {
	case "replica", "again":
		return s.replica(args[0], strings.Join(args[1:], " "), words[0] == "again"), true
	case "confirm":
		n, _ := strconv.ParseUint(args[1], 10, 64)
		owner := servers[args[0]]
		return s.apply(Replicas{Partner: owner, Owner: owner, From: 1, UpTo: n, Renew: true}), true
	case "role", "roles":
		return "", s.setRoles(words)
	case "told":
		return s.told(args), true
	case "next":
		return strconv.FormatUint(snap.Next(servers[args[0]], len(args) > 1, now), 10), true
	case "version":
		return strconv.FormatUint(snap.Version, 10), true
	case "demanded":
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		got := strings.Join(s.demands, "; ")
		s.demands = nil
		return orDash(got), true
	case "hide":
		s.hidden = append(s.hidden, IPv4Of(mustAddr(args[0])))
		return "", true
	case "partners":
		set := s.db.Settings()
		set.Partners = true
		s.db.Configure(set)
		return "", true
	}
	return "", false
}

func (s *scenario) replica(name, text string, again bool) string {
	s.t.Helper()
	r := rowRecord(s.t, text)
	r.Name = netbios.MustParseName(name)
	b := Replicas{Partner: r.Owner, Owner: r.Owner, From: r.Version, Renew: true, Records: []Record{*r}}
	if again {
		b.From = 1
	}
	return s.apply(b)
}

func (s *scenario) apply(b Replicas) string {
	s.t.Helper()
	a, err := s.db.Apply(s.t.Context(), b)
	if err != nil {
		return "error: " + err.Error()
	}
	var out []string
	for i, n := range []int{a.Stored, a.Merged, a.Kept, a.Raised, a.Challenged, a.Held} {
		if n > 0 {
			out = append(out, []string{"stored", "merged", "kept", "raised", "challenged", "held"}[i])
		}
	}
	return orDash(strings.Join(out, " "))
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (s *scenario) setRoles(words []string) bool {
	s.t.Helper()
	var names []RoleName
	if words[0] == "role" {
		n := RoleName{Name: netbios.MustParseName(words[1])}
		for _, w := range words[2:] {
			n.Unknown = w == "unknown"
			if w != "none" && w != "unknown" {
				n.Addrs = append(n.Addrs, IPv4Of(mustAddr(w)))
			}
		}
		names = append(names, n)
	} else {
		for _, w := range words[1:] {
			r, _ := s.db.Snapshot().roles.Find(netbios.MustParseName(w))
			names = append(names, RoleName{Name: netbios.MustParseName(w), Addrs: addrsOf(&r)})
		}
	}
	if err := s.db.SetRoles(s.t.Context(), names, words[0] == "roles"); err != nil {
		s.t.Errorf("%s: %v", s.at, err)
	}
	return true
}

// told is what partners are told of an owner's records.
func (s *scenario) told(args []string) string {
	low, high := uint64(0), uint64(math.MaxUint64)
	if len(args) > 1 {
		a, b, _ := strings.Cut(args[1], "..")
		low, _ = strconv.ParseUint(a, 10, 64)
		high, _ = strconv.ParseUint(b, 10, 64)
	}
	isHidden := func(a IPv4) bool { return slices.Contains(s.hidden, a) }
	var out []string
	for r := range s.db.Snapshot().Records(servers[args[0]], low, high, StampOf(time.Now()), isHidden) {
		text := fmt.Sprintf("v%d %s %s %s", r.Version, r.Name, r.Kind, r.State)
		for _, m := range r.Members() {
			text += " " + m.Addr.String()
			if m.Owner != (IPv4{}) {
				text += "@" + serverName(m.Owner)
			}
		}
		out = append(out, text)
	}
	return orDash(strings.Join(out, "; "))
}

// TestRolesOneBatch has a thousand roles move: one batch of the journal, and what was told once is not told again.
func TestRolesOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer l.stop()
		names := labRoles(1000, 1)
		if err := l.db.SetRoles(t.Context(), names, true); err != nil {
			t.Fatal(err)
		}
		before, moved := l.db.Snapshot(), l.db.Snapshot().Moved()
		if err := l.db.SetRoles(t.Context(), names, true); err != nil || l.db.Snapshot().Version != before.Version {
			t.Fatalf("the same again: %v, version %d, was %d", err, l.db.Snapshot().Version, before.Version)
		}
		select {
		case <-moved:
			t.Error("partners are told of nothing")
		default:
		}
		if err := l.db.SetRoles(t.Context(), labRoles(1000, 2), false); err != nil {
			t.Fatal(err)
		}
		<-moved
		after := l.db.Snapshot()
		if after.seq != before.seq+1 || after.Version != before.Version+3000 {
			t.Errorf("%d batches and %d versions, want 1 and 3000", after.seq-before.seq, after.Version-before.Version)
		}
		n := 0
		for r := range after.Records(IPv4{}, before.Version+1, math.MaxUint64, StampOf(time.Now()), nil) {
			if n++; r.State != Active || r.At(0).Addr != (IPv4{198, 51, 100, 2}) {
				t.Fatalf("%+v", r)
			}
		}
		if n != 3000 {
			t.Errorf("%d records, want 3000", n)
		}
		after.checkIndex(t)
		l.restart()
		if s := l.db.Snapshot(); s.Version != after.Version || s.Versions()[0].Records != 3000 {
			t.Errorf("after a restart: %+v", s.Versions()[0])
		}
		l.db.Snapshot().checkIndex(t)
	})
}

// TestOrdered: partners are answered alike whether the order of versions is kept or not, and it is kept for them alone.
func TestOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer func() { l.stop() }()
		for i := range 600 {
			l.want(fmt.Sprintf("register FS%d 192.0.2.%d", i, i%200+1), Registered)
		}
		if err := l.db.SetRoles(t.Context(), labRoles(3, 1), true); err != nil {
			t.Fatal(err)
		}
		told := func() (out []string) {
			s := l.db.Snapshot()
			for r := range s.Records(IPv4{}, 100, 605, StampOf(time.Now()), nil) {
				out = append(out, fmt.Sprint(r.Version, r.Name))
			}
			return append(out, fmt.Sprint(s.Versions()))
		}
		want := told()
		if len(want) != 507 {
			t.Fatalf("%d lines: %q", len(want), want)
		}
		turn := func(on bool) {
			set := l.db.Settings()
			set.Partners = on
			l.db.Configure(set)
		}
		check := func(what string, ordered bool) {
			t.Helper()
			s := l.db.Snapshot()
			s.checkIndex(t)
			if got := told(); !slices.Equal(got, want) || s.ordered != ordered {
				t.Errorf("%s: ordered %t, %d lines, want %d", what, s.ordered, len(got), len(want))
			}
		}
		check("without partners", false)
		turn(true)
		check("with partners, at once", false)
		time.Sleep(2 * sweepEvery)
		check("with partners", true)
		set := l.db.Settings()
		l.stop()
		l.start(set)
		check("after a start", true)
		turn(false)
		time.Sleep(2 * sweepEvery)
		check("without partners any more", false)
		r := Record{Name: netbios.MustParseName("FAR"), Node: netbios.HNode, Version: 7, Owner: IPv4{192, 0, 2, 250}}
		r.SetMembers([]Member{{Addr: IPv4{192, 0, 2, 9}, Owner: r.Owner}})
		if _, err := l.db.Apply(t.Context(), Replicas{Partner: r.Owner, Owner: r.Owner, From: 1, UpTo: 7, Records: []Record{r}}); err != nil {
			t.Fatal(err)
		}
		if s := l.db.Snapshot(); !s.ordered || len(s.Versions()) != 2 || s.Versions()[1].Max != 7 {
			t.Errorf("with a replica: ordered %t, %+v", s.ordered, s.Versions())
		}
		l.db.Snapshot().checkIndex(t)
	})
}

// labRoles are the three names of each of n roles, with one address that ends with last.
func labRoles(n int, last byte) []RoleName {
	var out []RoleName
	for i := range n {
		for _, suffix := range []byte{0x00, 0x03, 0x20} {
			name := netbios.MustParseName(fmt.Sprintf("ROLE%d<%02x>", i, suffix))
			out = append(out, RoleName{Name: name, Addrs: []IPv4{{198, 51, 100, last}}})
		}
	}
	return out
}

// TestApplyNot is about replicas that nobody can have sent.
func TestApplyNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer l.stop()
		if _, err := l.db.Apply(t.Context(), Replicas{}); err == nil {
			t.Error("replicas of nobody were taken")
		}
		if err := l.db.Raise(t.Context(), math.MaxUint64); err == nil {
			t.Error("no version is left")
		}
		if err := l.db.Raise(t.Context(), 1000); err != nil || l.db.Snapshot().Version != 1000 {
			t.Errorf("raised: %v, version %d", err, l.db.Snapshot().Version)
		}
		l.want("register FS1 192.0.2.1", Registered)
		if r, _ := l.db.Snapshot().Find(netbios.MustParseName("FS1")); r.Version != 1001 {
			t.Errorf("version %d", r.Version)
		}
		for i := range maxOwners + 1 {
			_, err := l.db.Apply(t.Context(), Replicas{Owner: IPv4{10, 1, byte(i >> 8), byte(i)}, UpTo: 1})
			if isFull := i >= maxOwners-1; (err != nil) != isFull {
				t.Fatalf("owner %d: %v", i, err)
			}
		}
	})
}
