package zone

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/journal"
)

// filled is a journal of n records in corp.example., of as many names.
func filled(b *testing.B, n int) (chunks [][]byte) {
	b.Helper()
	p := &packer{chunk: func(c []byte) bool { chunks = append(chunks, slices.Clone(c)); return true }}
	p.zone(corp)
	p.head(1_800_000_000, digest{})
	for i := range n {
		p.record(tagRecord, Record{benchRecord(i), &By{At: 1_800_000_000 + int64(i)}})
	}
	p.flush()
	return chunks
}

func benchRecord(i int) dns.RR {
	return &dns.A{Hdr: header(fmt.Sprintf("host%07d.%s", i, corp), dns.TypeA, 3600), A: []byte{192, 0, 2, byte(i)}}
}

func benchOpen(b *testing.B, j journal.Log) *DB {
	b.Helper()
	reg, err := registry.Open(testWorld(), &registry.Memory{}, nopLog)
	if err != nil {
		b.Fatal(err)
	}
	limits := DefaultLimits
	limits.Records *= 4
	db, err := Open(j, limits, reg.Snapshot, nopLog)
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// heapOf is how much the heap grows by what make makes.
func heapOf[T any](make func() T) (made T, octets uint64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	made = make()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return made, after.HeapAlloc - before.HeapAlloc
}

// BenchmarkOpen starts with a large zone.
func BenchmarkOpen(b *testing.B) {
	const n = 1_000_000
	m := &journal.Memory{}
	if err := m.Checkpoint(b.Context(), 0, slices.Values(filled(b, n))); err != nil {
		b.Fatal(err)
	}
	var octets uint64
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		runtime.GC()
		b.StartTimer()
		var db *DB
		db, octets = heapOf(func() *DB { return benchOpen(b, m) })
		runtime.KeepAlive(db)
	}
	b.ReportMetric(float64(octets)/n, "heapB/record")
}

// BenchmarkUpdate adds one record with each update, on a real disk: the cost must not grow with the zone.
func BenchmarkUpdate(b *testing.B) {
	for _, size := range []int{1_000, 100_000, 1_000_000} {
		j, err := journal.Open(filepath.Join(b.TempDir(), "zones.db"))
		if err != nil {
			b.Fatal(err)
		}
		if err := j.Checkpoint(b.Context(), 0, slices.Values(filled(b, size))); err != nil {
			b.Fatal(err)
		}
		db := benchOpen(b, j)
		ctx, cancel := context.WithCancel(b.Context())
		var all sync.WaitGroup
		all.Go(func() { _ = db.Run(ctx) })
		next := size
		for _, outstanding := range []int{1, 32, 256} {
			b.Run(fmt.Sprintf("%d records, %d outstanding", size, outstanding), func(b *testing.B) {
				benchmarkUpdates(b, db, &next, outstanding)
			})
		}
		cancel()
		all.Wait()
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkUpdates(b *testing.B, db *DB, next *int, outstanding int) {
	b.ReportAllocs()
	updates := make([]*Update, b.N)
	var latency time.Duration
	slots := make(chan struct{}, outstanding)
	for i := range updates {
		updates[i] = &Update{Zone: corp, By: &By{At: int64(i)}, Changes: []dns.RR{benchRecord(*next)}}
		*next++
	}
	b.ResetTimer()
	for _, u := range updates {
		slots <- struct{}{}
		start := time.Now()
		u.Done = func(r Result) {
			if r.Rcode != 0 {
				b.Error(r.Why)
			}
			latency += time.Since(start)
			<-slots
		}
		db.Submit(u)
	}
	for range outstanding {
		slots <- struct{}{}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	b.ReportMetric(float64(latency.Microseconds())/float64(b.N), "us-latency")
}

// BenchmarkStep is what the writer does for updates, without the disk.
func BenchmarkStep(b *testing.B) {
	for _, size := range []int{1_000, 1_000_000} {
		m := &journal.Memory{}
		if err := m.Checkpoint(b.Context(), 0, slices.Values(filled(b, size))); err != nil {
			b.Fatal(err)
		}
		db := benchOpen(b, forgetful{m})
		for _, batch := range []int{1, 32, 256} {
			b.Run(fmt.Sprintf("%d records, %d at once", size, batch), func(b *testing.B) {
				b.ReportAllocs()
				updates := make([]*Update, batch)
				for n := 0; b.Loop(); n++ {
					for i := range updates {
						rr := benchRecord((n*batch + i) * 7919 % size)
						rr.Header().Ttl = uint32(n)
						updates[i] = &Update{Zone: corp, By: &By{At: int64(n)}, Changes: []dns.RR{rr}}
					}
					_ = db.step(updates, nil, false)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/update")
			})
		}
	}
}

// forgetful is a journal that keeps nothing.
type forgetful struct{ *journal.Memory }

func (forgetful) Append([]byte) (uint64, error) { return 1, nil }

func BenchmarkLookup(b *testing.B) {
	m := &journal.Memory{}
	if err := m.Checkpoint(b.Context(), 0, slices.Values(filled(b, 1_000_000))); err != nil {
		b.Fatal(err)
	}
	db := benchOpen(b, m)
	_ = db.step([]*Update{{Zone: corp, Changes: []dns.RR{
		&dns.A{Hdr: header("*.wild."+corp, dns.TypeA, 5), A: []byte{192, 0, 2, 1}},
	}}}, nil, false)
	v := db.View(corp)
	for _, bb := range []struct {
		name, owner string
		qtype       uint16
		kind        AnswerKind
	}{
		{"found", "host%07d.corp.example.", dns.TypeA, Found},
		{"nodata", "host%07d.corp.example.", dns.TypeTXT, NoData},
		{"nxdomain", "none%07d.corp.example.", dns.TypeA, NoName},
		{"wildcard", "q%07d.wild.corp.example.", dns.TypeA, Found},
	} {
		names := make([]string, 1<<14)
		for i := range names {
			names[i] = fmt.Sprintf(bb.owner, i*61)
		}
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if a := v.Lookup(names[i%len(names)], bb.qtype); a.Kind != bb.kind {
					b.Fatalf("%+v", a)
				}
			}
		})
	}
}

// BenchmarkCheck is what the form of an update costs, before the writer.
func BenchmarkCheck(b *testing.B) {
	for _, text := range []string{"+ a 5 A 192.0.2.1", "+ a 5 SRV 1 2 3 b.corp.example.", "- a A"} {
		rrs := unpacked(b, []dns.RR{rr(b, text)})
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r := Check(corp, nil, rrs); r.Rcode != 0 {
					b.Fatal(r.Why)
				}
			}
		})
	}
}
