package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// samples are measured values of one kind, in whatever unit.
type samples []float64

func (s *samples) add(v float64) { *s = append(*s, v) }

// addTime adds a time span in milliseconds.
func (s *samples) addTime(d time.Duration) { s.add(float64(d) / float64(time.Millisecond)) }

// quantile returns the smallest value that a share q of all samples does not exceed (nearest rank), and
// NaN without samples. q is 0 to 1; 0 is the minimum, 1 the maximum.
func (s samples) quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median is the middle value, the mean of the two middle ones of an even number.
func (s samples) median() float64 {
	n := len(s)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func (s samples) p99() float64 { return s.quantile(0.99) }
func (s samples) max() float64 { return s.quantile(1) }
func (s samples) min() float64 { return s.quantile(0) }

// ratios divides what was measured in the same round; a surplus of either is left out.
func ratios(a, b samples) samples {
	out := make(samples, min(len(a), len(b)))
	for i := range out {
		out[i] = a[i] / b[i]
	}
	return out
}

// summary is the line of the raw table.
func (s samples) summary() []string {
	cells := []string{fmt.Sprint(len(s))}
	for _, v := range []float64{s.median(), s.p99(), s.min(), s.max()} {
		cells = append(cells, figure(v))
	}
	return cells
}

// figure writes a number with three significant digits, or all of its integer ones.
func figure(v float64) string {
	if a := math.Abs(v); a >= 100 || v == 0 || math.IsNaN(v) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
