package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// measured has one round of figures, those of a server of the given speed.
func measured(what string, speed float64) *winsServer {
	s := &winsServer{what: what, records: winsMore, claims: peerOutstanding, figures: map[winsKey]*winsFigures{}}
	for _, step := range winsSteps(0) {
		if f := s.of(step.key); len(f.rate) == 0 {
			*f = winsFigures{rate: samples{speed}, cpu: samples{1000 / speed}, p50: samples{1}, p99: samples{2}, lost: samples{0}}
		}
	}
	s.of(winsTakeOver).p50 = samples{2860, 2870}
	return s
}

func failed(what string, err error) *winsServer {
	return &winsServer{what: what, figures: map[winsKey]*winsFigures{}, failed: err}
}

func TestReportWINS(t *testing.T) {
	missing, broken := fmt.Errorf("%w: no nmbd here", errMissing), errors.New("nmbd has ended")
	lossy, late, wrong := measured("nameward", 100), measured("nameward", 100), measured("nameward", 100)
	lossy.of(winsBurstQuery).lost.add(1)
	late.of(winsTakeOver).p50.add(3300)
	wrong.of(winsRefresh).wrong++
	tests := []struct {
		name           string
		ours, nmbd, ad *winsServer
		met            bool
		text           string // in the table
	}{
		{"fast", measured("nameward", 100), measured("nmbd", 2), measured("AD", 1), true,
			"| CPU for each WINS query, 1,000 records, against nmbd | 10 µs | 500 µs | 50x | >= 5x | yes |"},
		{"slow", measured("nameward", 100), measured("nmbd", 50), measured("AD", 1), false,
			"WINS registrations a second, 20,000 names, 128 outstanding, against nmbd (20,000, 128) | 100 | 50 | 2x | >= 3x | **no** |"},
		{"missing peers", measured("nameward", 100), failed("nmbd", missing), failed("AD", missing), true, "- nmbd was not measured: skipped: no nmbd here"},
		{"broken peer", measured("nameward", 100), failed("nmbd", broken), measured("AD", 1), false, "| 10 µs | - | - | >= 5x | **no** |"},
		{"broken", failed("nameward", broken), measured("nmbd", 2), measured("AD", 1), false, "| - | 0, 0 | - | 0 | **no** |"},
		{"lossy", lossy, measured("nmbd", 2), measured("AD", 1), false, "| 1 | 0, 0 | - | 0 | **no** |"},
		{"late", late, measured("nmbd", 2), measured("AD", 1), false, "| 3.3 s | 2.87 s, 2.87 s | - | <= 3 s | **no** |"},
		{"wrong", wrong, measured("nmbd", 2), measured("AD", 1), false, "| 0 / 1 / 0 | 0 / 0 / 0, 0 / 0 / 0 |"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bench
			b.reportWINS(tt.ours, tt.nmbd, tt.ad)
			text := b.table.markdown()
			if got := b.table.met(); got != tt.met {
				t.Errorf("met %v, want %v", got, tt.met)
			}
			if !strings.Contains(text, tt.text) || strings.Contains(text, "NaN") {
				t.Errorf("the table lacks %q, or has NaN:\n%s", tt.text, text)
			}
		})
	}
}

// TestWINSSteps shows that later steps ask for names which earlier ones have registered.
func TestWINSSteps(t *testing.T) {
	for _, records := range []int{winsSlow, winsMore} {
		s := &winsServer{records: records}
		registered := map[int]bool{}
		for _, step := range winsSteps(1) {
			o := step.load(s)
			for i := o.first; i < o.first+o.names; i++ {
				switch {
				case o.op != opRegister && !registered[i]:
					t.Fatalf("%s for name %d of %d, which is not registered", step.key, i, records)
				case o.op == opRegister && registered[i]:
					t.Fatalf("%s for name %d of %d, which is registered", step.key, i, records)
				}
				registered[i] = true
			}
		}
		if want := records + winsBurst; len(registered) != want {
			t.Errorf("%d names are registered, want %d", len(registered), want)
		}
	}
}
