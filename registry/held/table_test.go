package held

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// ask is an entry: somebody wants a name.
type ask struct {
	name, source string
	fate         Fate
	why          string
	first, last  time.Time
	count        int
}

type askKey struct{ name, source string }

var testLimits = Limits{Total: 1000, OfSource: 50, Parked: 200}

func newTestTable() *Table[askKey, string, ask] {
	return New(Kind[askKey, string, ask]{
		Key:    func(a *ask) askKey { return askKey{a.name, a.source} },
		Source: func(a *ask) string { return a.source },
		Fate:   func(a *ask) Fate { return a.fate },
		Last:   func(a *ask) time.Time { return a.last },
		Count: func(a, before *ask, now time.Time) {
			a.first, a.last, a.count = now, now, 1
			if before != nil {
				a.first, a.count = before.first, before.count+1
			}
		},
		Same: func(a, b *ask) bool { return a.fate == b.fate && a.why == b.why },
	}, testLimits)
}

func asked(name, source int, fate Fate) ask {
	return ask{name: "n" + strconv.Itoa(name), source: "s" + strconv.Itoa(source), fate: fate}
}

func at(second int) time.Time { return time.Unix(1_800_000_000+int64(second), 0) }

func (t *Table[K, S, E]) save(now time.Time) (changes []Change[K, E]) {
	changes = t.Unsaved(math.MaxInt)
	t.Saved(changes, now)
	return changes
}

func TestBounds(t *testing.T) {
	table := newTestTable()
	for i := range 100 {
		table.Note(asked(i, 1, Parked), at(1))
	}
	// One source: what is new is left out, what is known is counted.
	for i := range 300 {
		if isNew := table.Note(asked(1000+i, 2, Quarantined), at(2)); isNew != (i < testLimits.OfSource) {
			t.Errorf("entry %d is news: %t", i, isNew)
		}
	}
	if table.Note(asked(1000, 2, Quarantined), at(3)) {
		t.Error("what is known is news")
	}
	if c := table.Counts(); c.Others != testLimits.OfSource || c.Dropped != uint64(300-testLimits.OfSource) || c.Parked != 100 {
		t.Errorf("%+v", c)
	}
	// All: the entry that was quiet for longest goes, and that is not the one that was counted just now.
	for i := range testLimits.Total {
		table.Note(asked(0, 1000+i, Refused), at(4))
		if i == testLimits.Total/2 {
			table.Note(asked(1000, 2, Quarantined), at(5))
		}
	}
	if c := table.Counts(); c.Others != testLimits.Total || c.Parked != 100 {
		t.Errorf("%+v", c)
	}
	of2 := 0
	for _, a := range table.All() {
		if a.source != "s2" {
			continue
		}
		if of2++; a.name != "n1000" || a.count != 3 || !a.first.Equal(at(2)) || !a.last.Equal(at(5)) {
			t.Errorf("%+v is left of the quiet source", a)
		}
	}
	if of2 != 1 || table.bySource["s2"] != 1 {
		t.Errorf("%d entries of the source that was quiet (counted %d), want the one that was not", of2, table.bySource["s2"])
	}
	// Parked ones have a limit of their own.
	for i := range 300 {
		table.Note(asked(i, 1, Parked), at(6))
	}
	if c := table.Counts(); c.Parked != testLimits.Parked || c.Others != testLimits.Total {
		t.Errorf("%+v", c)
	}
}

// TestCounts compares the counts with the entries over random histories.
func TestCounts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	table := newTestTable()
	for i := range 100_000 {
		a := asked(rnd.IntN(100), rnd.IntN(40), Fates[rnd.IntN(len(Fates))])
		switch rnd.IntN(6) {
		case 0:
			table.Forget(askKey{a.name, a.source}, func(b *ask) bool { return b.fate == a.fate })
		case 1:
			table.save(at(i))
		default:
			table.Note(a, at(i))
		}
	}
	byFate, bySource := map[Fate]int{}, map[string]int{}
	for _, a := range table.All() {
		byFate[a.fate]++
		if a.fate != Parked {
			bySource[a.source]++
		}
	}
	c, all := table.Counts(), len(table.All())
	if c.Parked != byFate[Parked] || c.Others != all-byFate[Parked] || len(table.bySource) != len(bySource) || all < 500 {
		t.Errorf("%+v, %d sources; want %v, %d sources", c, len(table.bySource), byFate, len(bySource))
	}
	for f, n := range table.ByFate() {
		if byFate[f] != n {
			t.Errorf("%d are %s, want %d", n, f, byFate[f])
		}
	}
	for s, n := range bySource {
		if table.bySource[s] != n || n > testLimits.OfSource {
			t.Errorf("%d entries of %s, want %d", table.bySource[s], s, n)
		}
	}
}

// TestDisk has a disk that follows the changes, while entries come, change, go and are given up between
// Unsaved and Saved: what it has in the end is the table.
func TestDisk(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	table, disk := newTestTable(), map[askKey]ask{}
	table.limits.Total = 60
	churn := func(i int) {
		for range rnd.IntN(30) {
			a := asked(rnd.IntN(30), rnd.IntN(10), Fates[rnd.IntN(len(Fates))])
			a.why = strconv.Itoa(rnd.IntN(3))
			if rnd.IntN(5) == 0 {
				table.Forget(askKey{a.name, a.source}, func(*ask) bool { return true })
			} else {
				table.Note(a, at(i))
			}
		}
	}
	for i := range 3000 {
		churn(i)
		changes := table.Unsaved(1 + rnd.IntN(40))
		churn(i)
		if rnd.IntN(4) == 0 {
			continue // the disk takes nothing
		}
		for _, c := range changes {
			if c.Entry == nil {
				delete(disk, c.Key)
			} else {
				disk[c.Key] = *c.Entry
			}
		}
		table.Saved(changes, at(i))
	}
	for _, c := range table.save(at(3000)) {
		if c.Entry == nil {
			delete(disk, c.Key)
		} else {
			disk[c.Key] = *c.Entry
		}
	}
	all := table.All()
	if !table.IsSaved() || len(disk) != len(all) {
		t.Errorf("the disk has %d entries, the table %d; saved %t", len(disk), len(all), table.IsSaved())
	}
	for _, a := range all {
		if d, ok := disk[askKey{a.name, a.source}]; !ok || d.fate != a.fate || d.why != a.why {
			t.Errorf("the disk has %+v, the table %+v", d, a)
		}
	}
}

// TestResave says that repetitions are not written down each time.
func TestResave(t *testing.T) {
	table, saves := newTestTable(), 0
	for minute := range 200 {
		table.Note(asked(1, 1, Refused), at(60*minute))
		saves += len(table.save(at(60 * minute)))
	}
	if saves != 4 {
		t.Errorf("saved %d times in 200 minutes, want at the begin and once an hour", saves)
	}
}

// TestNeverSaved is about a flood while the disk fails: what is given up again needs no room.
func TestNeverSaved(t *testing.T) {
	table := newTestTable()
	for i := range 10 * testLimits.Total {
		table.Note(asked(0, i, Refused), at(i))
	}
	if n := len(table.Unsaved(math.MaxInt)); n != testLimits.Total {
		t.Errorf("%d are to be saved, and the table has room for %d", n, testLimits.Total)
	}
	if n := len(table.Unsaved(10)); n != 10 {
		t.Errorf("%d instead of 10", n)
	}
}

// TestLoad says that what was quiet for longest is known after a restart, and that limits may be smaller then.
func TestLoad(t *testing.T) {
	before := newTestTable()
	for i := range 100 {
		before.Note(asked(i, i, Ignored), at(i))
	}
	before.Note(asked(0, 0, Ignored), at(100))
	before.Note(asked(1, 1, Parked), at(100))
	after := newTestTable()
	after.limits.Total = 90
	for _, a := range before.All() { // in no order
		after.Load(a)
	}
	after.LoadGone(askKey{"n99", "s99"})
	after.Loaded()
	left := map[string]ask{}
	for _, a := range after.All() {
		left[a.name] = a
	}
	for i := range 100 {
		_, got := left["n"+strconv.Itoa(i)]
		if want := i != 99 && (i < 2 || i >= 10); got != want {
			t.Errorf("entry %d is there: %t", i, got)
		}
	}
	if left["n0"].count != 2 || !left["n0"].last.Equal(at(100)) || left["n1"].fate != Parked {
		t.Errorf("%+v %+v", left["n0"], left["n1"])
	}
	// Those that were given up are to be taken from the disk.
	if n := len(after.Unsaved(math.MaxInt)); n != 8 {
		t.Errorf("%d changes after loading, want 8", n)
	}
}

func TestForgetAll(t *testing.T) {
	table := newTestTable()
	for i := range 10 {
		table.Note(asked(i, 1, Fates[i%2]), at(i))
	}
	table.save(at(10))
	if n := table.ForgetAll(func(a *ask) bool { return a.fate == Parked }); n != 5 {
		t.Errorf("%d forgotten", n)
	}
	if changes := table.save(at(11)); len(changes) != 5 || changes[0].Entry != nil {
		t.Errorf("%+v", changes)
	}
	if c := table.Counts(); c.Parked != 0 || c.Others != 5 {
		t.Errorf("%+v", c)
	}
}

func TestFateText(t *testing.T) {
	for _, f := range Fates {
		var got Fate
		text, _ := f.MarshalText()
		if err := got.UnmarshalText(text); err != nil || got != f {
			t.Errorf("%s is read as %s: %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "none", "Parked", "held"} {
		if err := new(Fate).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is a fate", bad)
		}
	}
}
