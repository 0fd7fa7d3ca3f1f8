package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for _, tt := range []struct {
		patterns []string
		want     []string // combinations as "0+2"
	}{
		{[]string{"a*"}, []string{"", "0"}},
		{[]string{"a*", "*b"}, []string{"", "0", "1", "0+1"}},
		{[]string{"a?", "ab"}, []string{"", "0", "0+1"}},
		{[]string{"a*", "b*"}, []string{"", "0", "1"}},
		{[]string{"*a*", "*b*", "*c*"}, []string{"", "0", "1", "2", "0+1", "0+2", "1+2", "0+1+2"}},
		{[]string{"*", "x"}, []string{"0", "0+1"}},
	} {
		w := words{spare: "xyz", maxLen: 15, budget: 100_000}
		for _, p := range tt.patterns {
			w.patterns = append(w.patterns, tokensOf(p))
		}
		all, ok := w.find()
		if !ok {
			t.Errorf("%q: the budget was not enough", tt.patterns)
		}
		var got []string
		for _, f := range all {
			var ids []string
			for _, p := range f.patterns {
				ids = append(ids, fmt.Sprint(p))
			}
			got = append(got, strings.Join(ids, "+"))
		}
		slices.Sort(got)
		slices.Sort(tt.want)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.patterns, got, tt.want)
		}
	}
}

// TestWordsBudget: what cannot be followed to the end says so.
func TestWordsBudget(t *testing.T) {
	w := words{spare: "x", maxLen: 60, budget: 50_000}
	for c := 'a'; c < 'p'; c++ {
		w.patterns = append(w.patterns, tokensOf("*"+string(c)+"*"))
	}
	if _, ok := w.find(); ok {
		t.Error("2^15 combinations within the budget")
	}
}
