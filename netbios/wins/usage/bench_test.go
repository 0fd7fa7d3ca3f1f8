package usage

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// BenchmarkNote is what the packet loop pays.
func BenchmarkNote(b *testing.B) {
	tr := New(0)
	r := tr.Recorder()
	n := Note{names(b, 1)[0], address(1), Query, true}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i++; i%wakeEvery == 0 {
			b.StopTimer()
			tr.catchUp()
			b.StartTimer()
		}
		r.Note(n)
	}
	if tr.Dropped() > 0 {
		b.Fatal("notes were dropped")
	}
}

// BenchmarkNoteMedian tells the median of batches, as the mean has the scheduler in it.
func BenchmarkNoteMedian(b *testing.B) {
	tr := New(0)
	r := tr.Recorder()
	n := Note{names(b, 1)[0], address(1), Query, true}
	const batch = 64
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		for range batch {
			r.Note(n)
		}
		took = append(took, time.Since(began))
		tr.catchUp()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/batch, "median-ns/note")
}

// BenchmarkNoteDropped is what it pays when the ring is full.
func BenchmarkNoteDropped(b *testing.B) {
	r := New(0).Recorder()
	n := Note{names(b, 1)[0], address(1), Query, true}
	b.ReportAllocs()
	for b.Loop() {
		r.Note(n)
	}
}

// BenchmarkTotal is a note and its share of Run on one processor.
func BenchmarkTotal(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, tf := range traffics(b, rng) {
		b.Run(tf.name, func(b *testing.B) {
			notes := make([]Note, 1<<18)
			for i := range notes {
				notes[i] = tf.next()
			}
			tr := New(0)
			r := tr.Recorder()
			for i := range notes { // as after a while
				r.Note(notes[i])
				if i%wakeEvery == wakeEvery-1 {
					tr.catchUp()
				}
			}
			evicted := func() float64 {
				return float64(tr.state.classes[notFound].pairs.evicted + tr.state.classes[found].pairs.evicted)
			}
			before := evicted()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				r.Note(notes[i%len(notes)])
				if i++; i%wakeEvery == 0 {
					tr.catchUp()
				}
			}
			b.ReportMetric((evicted()-before)/float64(i), "evictions/op")
		})
	}
}

// BenchmarkFull is what a report, a copy of the state and a snapshot take when every row is in use.
func BenchmarkFull(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	tr := New(0)
	for range 1 << 20 {
		put(tr, start, Note{random(rng), address(int(rng.Uint32() >> 8)), Query, rng.IntN(2) == 0})
	}
	b.Run("copy", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tr.copyState(start)
		}
	})
	b.Run("report", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tr.Report(start, View{Names: 100, Clients: 100, Rows: 10})
		}
	})
	b.Run("report/all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tr.Report(start, View{})
		}
	})
	b.Run("snapshot", func(b *testing.B) {
		b.ReportAllocs()
		var size int
		for b.Loop() {
			data, err := tr.Snapshot()
			if err != nil {
				b.Fatal(err)
			}
			size = len(data)
		}
		b.ReportMetric(float64(size), "octets")
	})
}
