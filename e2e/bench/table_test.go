package main

import (
	"strings"
	"testing"
)

func TestTableMet(t *testing.T) {
	tests := []struct {
		name string
		fill func(*table)
		want bool
	}{
		{"empty", func(*table) {}, true},
		{"met", func(t *table) { t.require(true, row{required: "< 1 ms"}) }, true},
		{"one is not", func(t *table) {
			t.require(true, row{required: "< 1 ms"})
			t.require(false, row{required: "< 2 ms"})
		}, false},
		{"information is no requirement", func(t *table) { t.inform(row{what: "x"}) }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tab table
			tt.fill(&tab)
			if got := tab.met(); got != tt.want {
				t.Errorf("met() = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestMarkdown(t *testing.T) {
	var tab table
	tab.require(true, row{what: "qps", ours: "70", peer: "68", ratio: "1.03x", required: ">= 1.0x"})
	tab.require(false, row{what: "start", ours: "3 s", required: "< 2 s"})
	tab.inform(row{what: "peak", ours: "210 MB"})
	tab.keep("qps", "1/s", samples{70, 71, 72})
	tab.note("beside")
	got := tab.markdown()
	for _, want := range []string{
		"| qps | 70 | 68 | 1.03x | >= 1.0x | yes |\n",
		"| start | 3 s | - | - | < 2 s | **no** |\n",
		"| peak | 210 MB | - | - | - | - |\n",
		"- beside\n",
		"| qps | 1/s | 3 | 71 | 72 | 70 | 72 |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
}
