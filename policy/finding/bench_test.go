package finding

import (
	"bytes"
	"io"
	"runtime"
	"testing"
)

// A million findings in one file, each at another line, is what a bad rule does to a large WINS
// database.
func BenchmarkMillion(b *testing.B) {
	content := bytes.Repeat([]byte("MAIL\t<20>\tU\t10.9.0.11\t2026-01-02\n"), 1_000_000)
	for _, format := range Formats {
		b.Run(format.String(), func(b *testing.B) {
			o := sampleOptions()
			o.Source = func(string) []byte { return content }
			for b.Loop() {
				writeMany(b, format, o, 1_000_000)
			}
		})
	}
}

func writeMany(tb testing.TB, format Format, o Options, n int) {
	tb.Helper()
	w := NewWriter(io.Discard, format, o)
	f := &Finding{
		Kind: published, Severity: Error,
		Message: "MAIL<20> is registered with 10.9.0.11, a management address; remove the record",
		Place:   Place{File: "wins.txt", Col: 13, EndCol: 22},
		Fields:  []Field{{"name", "MAIL<20>"}, {"address", "10.9.0.11"}, {"class", "management"}},
	}
	for i := range n {
		f.Place.Line = i + 1
		if err := w.Add(f); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
}

// TestMemoryIsConstant: the formats that stream take no memory for a finding once it is written.
func TestMemoryIsConstant(t *testing.T) {
	for _, format := range []Format{Text, JSON, SARIF, GitHub, CSV} {
		o := sampleOptions()
		o.Source = nil
		allocated := func(n int) uint64 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			writeMany(t, format, o, n)
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		allocated(1) // what is made once
		if few, many := allocated(10), allocated(100_000); many > few+64<<10 {
			t.Errorf("%v: %d bytes for 10 findings, %d for 100000", format, few, many)
		}
	}
}
