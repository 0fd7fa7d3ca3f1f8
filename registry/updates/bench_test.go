package updates

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/store/journal"
)

// BenchmarkFlush is what a quarantined update waits for before it is answered: 256 at once, in a file.
func BenchmarkFlush(b *testing.B) {
	j, err := journal.Open(filepath.Join(b.TempDir(), "updates.db"))
	if err != nil {
		b.Fatal(err)
	}
	book, err := Open(j, DefaultLimits, zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- book.Run(ctx) }()
	var n atomic.Int64
	b.SetParallelism(128)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(n.Add(1))
			book.Note(update(i, i%60_000))
			if err := book.Flush(ctx); err != nil {
				b.Error(err)
				return
			}
		}
	})
	cancel()
	<-done
	if err := j.Close(); err != nil {
		b.Error(err)
	}
}

// BenchmarkNote is what a flood costs: each entry is new, and another one goes for it.
func BenchmarkNote(b *testing.B) {
	t := newTable(DefaultLimits)
	book := &Book{table: t, log: zerolog.Nop(), sampled: zerolog.Nop(), news: make(chan struct{}, 1)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		book.Note(update(i, i%60_000))
	}
}
