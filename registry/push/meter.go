package push

import (
	"sync"
	"sync/atomic"
	"time"
)

// Meter counts what becomes of the deliveries to one target.
type Meter struct {
	superseded, failures atomic.Uint64

	mu        sync.Mutex
	delivered Histogram // from the change to the proof, or to the acknowledgement where that is all that can be had
	stale     Histogram // from the change to the last answer that was seen with what was right before
}

// Counts are what a Meter has counted since the start.
type Counts struct {
	Superseded, Failures uint64
	// Delivered is the time from the change until the target was verified (acknowledged, where it cannot be asked).
	Delivered Histogram
	// Stale is the time from the change until the last stale answer that was seen; 0 when none was.
	Stale Histogram
}

// Buckets are the upper bounds of those of a Histogram, in seconds.
var Buckets = []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 300}

// Histogram counts durations. The zero Histogram is empty.
type Histogram struct {
	Count  uint64
	Sum    time.Duration
	Counts [16]uint64 // up to each of Buckets, cumulative
}

func (h *Histogram) observe(d time.Duration) {
	h.Count++
	h.Sum += d
	for i, b := range Buckets {
		if d.Seconds() <= b {
			h.Counts[i]++
		}
	}
}

// settled counts a delivery that is done.
func (m *Meter) settled(d *Delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.delivered.observe(max(0, d.settled().Sub(d.Moved)))
	stale := time.Duration(0)
	if !d.LastStale.IsZero() {
		stale = max(0, d.LastStale.Sub(d.Moved))
	}
	m.stale.observe(stale)
}

func (m *Meter) counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Counts{m.superseded.Load(), m.failures.Load(), m.delivered, m.stale}
}
