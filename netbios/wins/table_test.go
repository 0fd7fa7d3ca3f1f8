package wins

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/nameward/nameward/netbios"
)

// labName is the i-th name of a large table; every 97th has a scope.
func labName(i int) netbios.Name {
	n, err := netbios.NewName(fmt.Sprintf("HOST%d", i), byte(i%3)<<4, "")
	if err == nil && i%97 == 96 {
		n, err = n.WithScope("dept.example")
	}
	if err != nil {
		panic(err)
	}
	return n
}

func labRecord(i int, version uint64) Record {
	ip := IPv4{10, byte(i >> 16), byte(i >> 8), byte(i)}
	r := Record{Name: labName(i), Kind: Unique, Node: netbios.HNode, Version: version, Ends: 1 << 31}
	members := []Member{{Addr: ip, Ends: r.Ends}}
	if i%50 == 49 {
		r.Kind = Multihomed
		members = append(members, Member{Addr: IPv4{172, 16, byte(i >> 8), byte(i)}, Ends: r.Ends})
	}
	r.SetMembers(members)
	return r
}

// contents is what a table has, by Find and All.
func contents(t *testing.T, table *Table) map[netbios.Name]Record {
	t.Helper()
	m := map[netbios.Name]Record{}
	for r := range table.All() {
		if _, ok := m[r.Name]; ok {
			t.Fatalf("%s is there twice", r.Name)
		}
		m[r.Name] = *r
		if got, ok := table.Find(r.Name); !ok || !got.Equal(r) {
			t.Fatalf("Find %s: %+v, want %+v", r.Name, got, r)
		}
	}
	if table.Len() != len(m) {
		t.Fatalf("Len is %d, All yields %d", table.Len(), len(m))
	}
	return m
}

func wantTable(t *testing.T, table *Table, want map[netbios.Name]Record) {
	t.Helper()
	got := contents(t, table)
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for n, r := range want {
		if g, ok := got[n]; !ok || !g.Equal(&r) {
			t.Fatalf("%s: %+v, want %+v", n, g, r)
		}
	}
}

func clone(m map[netbios.Name]Record) map[netbios.Name]Record {
	out := make(map[netbios.Name]Record, len(m))
	for n, r := range m {
		out[n] = r
	}
	return out
}

// TestTable compares a table with a map over random edits, some of them given up, and looks at old
// tables again in the end.
func TestTable(t *testing.T) {
	type kept struct {
		table *Table
		want  map[netbios.Name]Record
	}
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		names := 50 + rnd.IntN(4000)
		table, want := emptyTable, map[netbios.Name]Record{}
		var old []kept
		for number := range uint64(300) {
			if rnd.IntN(10) == 0 {
				old = append(old, kept{table, clone(want)})
			}
			e, next := table.edit(number+1), want
			isGivenUp := rnd.IntN(10) == 0
			if isGivenUp {
				next = clone(want)
			}
			for range rnd.IntN(60) {
				i := rnd.IntN(names)
				if rnd.IntN(4) == 0 {
					e.remove(labName(i))
					delete(next, labName(i))
					continue
				}
				r := labRecord(i+49*rnd.IntN(2), number)
				r.Name = labName(i) // so that a record moves between short and long
				e.put(&r)
				next[r.Name] = r
			}
			if !isGivenUp {
				table, want = e.done(), next
			}
			if _, ok := table.Find(netbios.MustParseName("NONE")); ok {
				t.Fatal("found what was never put")
			}
		}
		wantTable(t, table, want)
		for _, k := range old {
			wantTable(t, k.table, k.want)
		}
	}
	wantTable(t, emptyTable, nil)
}

// TestTableGrows puts 200,000 records, in edits of many sizes, and takes them all out again.
func TestTableGrows(t *testing.T) {
	const n = 200_000
	table, number := emptyTable, uint64(0)
	var middle *Table
	for i := 0; i < n; {
		number++
		e := table.edit(number)
		for end := min(n, i+1+int(number)%1000); i < end; i++ {
			r := labRecord(i, uint64(i))
			e.put(&r)
		}
		table = e.done()
		if middle == nil && i > n/2 {
			middle = table
		}
	}
	was := middle.Len()
	if table.Len() != n || table.leaves < n/leafLen {
		t.Fatalf("%d records in %d leaves", table.Len(), table.leaves)
	}
	longest := 0
	for i := range table.leaves {
		l := table.chunks[i/chunkLen].leaves[i%chunkLen]
		longest = max(longest, len(l.slots)+len(l.long))
	}
	if longest > 8*leafLen {
		t.Errorf("the longest leaf has %d records: the hash is no good", longest)
	}
	contents(t, table)
	for i := 0; i < n; {
		number++
		e := table.edit(number)
		for end := min(n, i+5000); i < end; i++ {
			e.remove(labName(i))
			e.remove(labName(i))
		}
		table = e.done()
	}
	wantTable(t, table, nil)
	if middle.Len() != was || len(contents(t, middle)) != was {
		t.Errorf("the table in the middle of it has changed")
	}
}

// TestTablesShare says that an edit copies what it touches and nothing else.
func TestTablesShare(t *testing.T) {
	table := labTable(100_000)
	e := table.edit(1 << 40)
	r := labRecord(7, 1)
	e.put(&r)
	next := e.done()
	copied := 0
	for i := range table.leaves {
		if table.chunks[i/chunkLen].leaves[i%chunkLen] != next.chunks[i/chunkLen].leaves[i%chunkLen] {
			copied++
		}
	}
	if copied != 1 {
		t.Errorf("an edit of one record copied %d leaves", copied)
	}
}

func labTable(n int) *Table {
	e := emptyTable.edit(1)
	for i := range n {
		r := labRecord(i, uint64(i))
		e.put(&r)
	}
	return e.done()
}

// heapOf is the live heap that make adds, in octets.
func heapOf[T any](make func() T) (made T, octets uint64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	made = make()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return made, after.HeapAlloc - before.HeapAlloc
}

// TestTableHeap holds the table to its size for each record: after a load, and after each record was
// renewed alone, which is what a table looks like that has been in use.
func TestTableHeap(t *testing.T) {
	n := 200_000
	if testing.Short() {
		n = 50_000
	}
	table, octets := heapOf(func() *Table { return labTable(n) })
	perRecord := float64(octets) / float64(n)
	t.Logf("%.1f octets a record after a load", perRecord)
	if perRecord > 90 {
		t.Errorf("%.1f octets a record, want at most 90", perRecord)
	}
	used, octets := heapOf(func() *Table {
		used := table
		for i := range n {
			e := used.edit(uint64(i) + 2)
			r := labRecord(i, uint64(i))
			e.put(&r)
			used = e.done()
		}
		return used
	})
	perRecord = float64(octets) / float64(n)
	t.Logf("%.1f octets a record in use", perRecord)
	if perRecord > 90 {
		t.Errorf("%.1f octets a record in use, want at most 90", perRecord)
	}
	runtime.KeepAlive(table)
	runtime.KeepAlive(used)
}

func BenchmarkTable(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		table, octets := heapOf(func() *Table { return labTable(n) })
		rnd := rand.New(rand.NewPCG(1, 2))
		names := make([]netbios.Name, 4096)
		for i := range names {
			names[i] = labName(rnd.IntN(n/97) * 97) // without scope
		}
		b.Run(fmt.Sprintf("find-%d", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := table.Find(names[i%len(names)]); !ok {
					b.Fatal("not found")
				}
				i++
			}
			b.ReportMetric(float64(octets)/float64(n), "heapB/record")
		})
		b.Run(fmt.Sprintf("put-%d", n), func(b *testing.B) {
			b.ReportAllocs()
			t, i := table, uint64(1)
			for b.Loop() {
				i++
				e := t.edit(i)
				r, _ := t.Find(names[i%uint64(len(names))])
				r.Version = i
				e.put(&r)
				t = e.done()
			}
		})
		b.Run(fmt.Sprintf("put100-%d", n), func(b *testing.B) {
			b.ReportAllocs()
			t, i := table, uint64(1)
			for b.Loop() {
				i++
				e := t.edit(i)
				for _, n := range names[i%40*100:][:100] {
					r, _ := t.Find(n)
					r.Version = i
					e.put(&r)
				}
				t = e.done()
			}
		})
	}
}

// TestRecordMembers says that copies of a record do not share what SetMembers gives one of them.
func TestRecordMembers(t *testing.T) {
	r := labRecord(49, 1)
	was := r.Members()
	c := r
	c.SetMembers(slices.Delete(c.Members(), 0, 1))
	if !slices.Equal(r.Members(), was) || c.Len() != 1 || c.Index(was[0].Addr) >= 0 {
		t.Errorf("members %v and %v, want %v and the last of them", r.Members(), c.Members(), was)
	}
}
