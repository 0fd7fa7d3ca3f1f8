package main

import (
	"math"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	hundred := make(samples, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	tests := []struct {
		name string
		in   samples
		q    float64
		want float64
	}{
		{"minimum", hundred, 0, 1},
		{"half", hundred, 0.5, 50},
		{"p99", hundred, 0.99, 99},
		{"maximum", hundred, 1, 100},
		{"one sample", samples{7}, 0.99, 7},
		{"p99 of few is the largest", samples{1, 2, 9}, 0.99, 9},
		{"none", nil, 0.5, math.NaN()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.quantile(tt.q); !same(got, tt.want) {
				t.Errorf("quantile(%v) = %v, want %v", tt.q, got, tt.want)
			}
		})
	}
	if hundred[0] != 100 {
		t.Error("quantile sorted its receiver")
	}
}

func TestMedian(t *testing.T) {
	tests := []struct {
		name string
		in   samples
		want float64
	}{
		{"odd", samples{9, 1, 5}, 5},
		{"even", samples{4, 1, 2, 9}, 3},
		{"one", samples{3}, 3},
		{"none", nil, math.NaN()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.median(); !same(got, tt.want) {
				t.Errorf("median() = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRatios(t *testing.T) {
	got := ratios(samples{6, 9, 8}, samples{3, 3})
	if len(got) != 2 || got[0] != 2 || got[1] != 3 {
		t.Errorf("ratios = %v, want [2 3]: one for each round that both have", got)
	}
}

func TestAddTime(t *testing.T) {
	var s samples
	s.addTime(1500 * time.Microsecond)
	if s[0] != 1.5 {
		t.Errorf("1500 µs were added as %v, want 1.5 ms", s[0])
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.04321: "0.0432", 1.5: "1.5", 12.34: "12.3", 99.96: "100", 123.4: "123", 67890: "67890",
	} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %q, want %q", v, got, want)
		}
	}
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
