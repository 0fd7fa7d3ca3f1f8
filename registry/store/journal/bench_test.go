package journal

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// fill appends n batches in few transactions and without syncs.
func fill(t testing.TB, j *Journal, n, size int) {
	t.Helper()
	j.db.NoSync = true
	defer func() { j.db.NoSync = false }()
	batch := make([]byte, size)
	for n > 0 {
		part := min(n, 1000)
		seq := j.Last()
		j.write.Lock()
		err := j.commit(func(tx *bbolt.Tx) error {
			for i := range part {
				if err := appendTo(tx, seq+uint64(i)+1, batch); err != nil {
					return err
				}
			}
			return nil
		})
		j.write.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		for range part {
			j.sizes = append(j.sizes, uint32(size))
			j.octets += int64(size)
		}
		n -= part
	}
	if err := j.db.Sync(); err != nil {
		t.Fatal(err)
	}
}

// chunksOf is a base of n chunks.
func chunksOf(n, size int) iter.Seq[[]byte] {
	chunk := make([]byte, size)
	return func(yield func([]byte) bool) {
		for i := range n {
			chunk[0] = byte(i)
			if !yield(chunk) {
				return
			}
		}
	}
}

// BenchmarkAppend is what a burst of registrations waits for.
func BenchmarkAppend(b *testing.B) {
	for _, bb := range []struct {
		name               string
		logged, base, size int
	}{
		{"empty", 0, 0, 16 << 10},
		{"log 1000", 1000, 0, 16 << 10},
		{"log 100000", 100_000, 0, 16 << 10},
		{"base 64 MB", 0, 1024, 16 << 10},
		{"base 64 MB and log 100000", 100_000, 1024, 16 << 10},
		{"200 octets", 0, 0, 200},
		{"1 MiB", 0, 0, 1 << 20},
	} {
		b.Run(bb.name, func(b *testing.B) {
			j := open(b, filepath.Join(b.TempDir(), "journal.db"))
			if bb.base > 0 {
				if err := j.Checkpoint(context.Background(), 0, chunksOf(bb.base, 64<<10-64)); err != nil {
					b.Fatal(err)
				}
			}
			fill(b, j, bb.logged, 2000)
			batch := make([]byte, bb.size)
			var took []time.Duration
			b.SetBytes(int64(bb.size))
			cpu := cpuTime()
			for b.Loop() {
				start := time.Now()
				if _, err := j.Append(batch); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-µs/op")
			reportLatency(b, took)
		})
	}
}

// reportLatency shows the middle, the 99th percentile and the worst.
func reportLatency(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	for name, d := range map[string]time.Duration{"p50": took[len(took)/2], "p99": took[len(took)*99/100], "max": took[len(took)-1]} {
		b.ReportMetric(float64(d.Microseconds())/1000, name+"-ms")
	}
}

// BenchmarkCheckpoint writes a base of 64 MB in place of another one and a log of 1,000 batches, while
// batches of 16 KiB are appended without a pause. The latencies are those of the Appends.
func BenchmarkCheckpoint(b *testing.B) {
	path := filepath.Join(b.TempDir(), "journal.db")
	j := open(b, path)
	if err := j.Checkpoint(context.Background(), 0, chunksOf(1024, 64<<10-64)); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		fill(b, j, 1000, 16<<10)
		upTo := j.Last()
		var done sync.WaitGroup
		stop := make(chan struct{})
		done.Go(func() {
			batch := make([]byte, 16<<10)
			for {
				select {
				case <-stop:
					return
				default:
				}
				start := time.Now()
				if _, err := j.Append(batch); err != nil {
					panic(fmt.Sprint(err))
				}
				took = append(took, time.Since(start))
			}
		})
		b.StartTimer()
		if err := j.Checkpoint(context.Background(), upTo, chunksOf(1024, 64<<10-64)); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		close(stop)
		done.Wait()
		b.StartTimer()
	}
	reportLatency(b, took)
	b.ReportMetric(float64(fileSize(b, path))/(1<<20), "MiB-file")
}

// BenchmarkOpenLoad is a start with a base of 64 MB and 1,000 batches.
func BenchmarkOpenLoad(b *testing.B) {
	path := filepath.Join(b.TempDir(), "journal.db")
	j := open(b, path)
	if err := j.Checkpoint(context.Background(), 0, chunksOf(1024, 64<<10-64)); err != nil {
		b.Fatal(err)
	}
	fill(b, j, 1000, 16<<10)
	_ = j.Close()
	for b.Loop() {
		j := open(b, path)
		if err := j.Load(ignore, ignore); err != nil {
			b.Fatal(err)
		}
		_ = j.Close()
	}
}
