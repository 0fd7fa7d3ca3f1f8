package usage

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nameward/nameward/netbios"
)

var byValue = cmpopts.EquateComparable(netbios.Name{}, netip.Addr{})

// carryOver is a restart with another number of rows.
func carryOver(t *testing.T, from *Tracker, rows int) *Tracker {
	t.Helper()
	b, err := from.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	to := New(rows)
	if err := to.Restore(b); err != nil {
		t.Fatal(err)
	}
	return to
}

// crowd is a tracker with rows evicted, sums with sketches and without, and scopes.
func crowd(tb testing.TB) *Tracker {
	tb.Helper()
	tr := New(minRows)
	rng := rand.New(rand.NewPCG(7, 8))
	pool := names(tb, 100)
	for i := range 20_000 {
		n := Note{pool[rng.IntN(len(pool))], address(rng.IntN(500)), Kind(rng.IntN(kinds)), i%3 > 0}
		if i%10 == 0 {
			n.Name = random(rng)
		}
		put(tr, start.AddDate(0, 0, i%7), n)
	}
	put(tr, start, Note{netbios.MustParseName(`A\x01B<1b>.x\x2ey.example`), address(1), Query, true})
	return tr
}

func TestSnapshotRestore(t *testing.T) {
	for _, tt := range []struct {
		name string
		of   func() *Tracker
		rows int
	}{
		{"empty", func() *Tracker { return New(0) }, 0},
		{"office", office, 0},
		{"crowd", func() *Tracker { return crowd(t) }, minRows},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := tt.of()
			from.Recorder().Note(Note{}) // a dropped one
			to := carryOver(t, from, tt.rows)
			want, got := from.Report(start, View{}), to.Report(start, View{})
			if diff := cmp.Diff(want, got, byValue); diff != "" {
				t.Errorf("-before +after:\n%.2000s", diff)
			}
			if n := to.Dropped(); n != 0 {
				t.Errorf("%d notes dropped by the new tracker", n)
			}
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	good, err := office().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	full, err := crowd(t).Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"nothing", nil, "not a snapshot"},
		{"other file", []byte("since: 2026"), "not a snapshot"},
		{"magic only", []byte(magic), "too early"},
		{"later version", slices.Concat([]byte(magic), []byte{2}, good[6:]), "version is 2, want 1"},
		{"cut", good[:len(good)-1], "too early"},
		{"cut in the rows", full[:len(full)/2], "too early"},
		{"more", append(slices.Clone(good), 0), "left over"},
		{"huge numbers", append(slices.Clone(good[:6+32]), strings.Repeat("\xff", 40)...), "out of range"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := office()
			err := tr.Restore(tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			works(t, tr)
		})
	}
}

// works checks that a tracker is empty and counts.
func works(t *testing.T, tr *Tracker) {
	t.Helper()
	if r := tr.Report(start, View{}); r.Total() != 0 || len(r.ByName) != 0 || !r.Complete() {
		t.Errorf("not empty: %v", text(r))
	}
	tr.Recorder().Note(Note{netbios.MustParseName("MAIL<20>"), address(1), Query, true})
	if r := tr.Report(start, View{}); r.Queries != 1 || len(r.ByName) != 1 {
		t.Errorf("does not count: %v", text(r))
	}
}

// small is a tracker with a little of everything; its rows are few, so that the fuzzer gets on.
func small(tb testing.TB) *Tracker {
	tb.Helper()
	tr := office()
	tr.state = newState(minRows, tr.state.keys, start.UnixMilli())
	s := tr.state
	put(tr, start, Note{netbios.MustParseName("MAIL<20>.x.example"), address(1), Query, true})
	for i := range 3 {
		n, c := netbios.MustParseName("MAIL<20>"), client(address(i/2).As4())
		s.classes[found].names.take(s.keys.name(n), row[netbios.Name]{key: n, first: s.since, last: s.since + 5}, Query, 2, s.keys.client(c))
		s.classes[found].clients.take(s.keys.client(c), row[client]{key: c, first: s.since, last: s.since}, Query, 2, s.keys.name(n))
	}
	s.classes[notFound].pairs.buckets[3].floor = 7
	return tr
}

// FuzzRestore changes what stands behind the large sketches, and in every other run the head.
func FuzzRestore(f *testing.F) {
	var head []byte
	for _, tr := range []*Tracker{New(minRows), office(), small(f)} {
		b, err := tr.Snapshot()
		if err != nil {
			f.Fatal(err)
		}
		const fixed = len(magic) + 1 + 8*len(keys{})
		r := &reader{b: b[fixed:]}
		r.time(0)
		r.number(mostCount)
		f.Add(b[:fixed+20], false)
		r.sketch(allPrecision)
		r.sketch(allPrecision)
		if r.err != nil {
			f.Fatal(r.err)
		}
		head = b[:len(b)-len(r.b)]
		f.Add(r.b, true)
		f.Add(r.b[:len(r.b)/2], true)
	}
	f.Fuzz(func(t *testing.T, b []byte, behind bool) {
		if behind {
			b = slices.Concat(head, b)
		}
		tr := New(minRows)
		if err := tr.Restore(b); err != nil {
			works(t, tr)
			return
		}
		put(tr, start, Note{netbios.MustParseName("MAIL<20>"), address(1), Query, true})
		before := tr.Report(start, View{})
		if before.LeftOut.RowBound+before.LeftOut.NameBound > 1<<40 || slices.ContainsFunc(before.ByName, func(n NameUse) bool { return n.Total() > 1<<40 }) {
			t.Skip("no such counts come about, and they need not survive")
		}
		after := carryOver(t, tr, minRows).Report(start, View{})
		if diff := cmp.Diff(before, after, byValue); diff != "" {
			t.Errorf("-before +after:\n%.2000s", diff)
		}
	})
}
