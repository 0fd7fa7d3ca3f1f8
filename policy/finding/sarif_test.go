package finding

import (
	"encoding/json"
	"testing"
)

func fingerprint(t *testing.T, f Finding) string {
	t.Helper()
	var read struct {
		Runs []struct {
			Results []struct{ PartialFingerprints map[string]string }
		}
	}
	out := render(t, SARIF, Options{}, report{findings: []*Finding{&f}})
	if err := json.Unmarshal(out, &read); err != nil {
		t.Fatal(err)
	}
	return read.Runs[0].Results[0].PartialFingerprints["nameward/v1"]
}

func TestFingerprint(t *testing.T) {
	base := Finding{
		Kind: published, Message: "m", Place: Place{File: "a", Line: 1},
		Fields: []Field{{"name", "x"}, {"address", "y"}},
	}
	// Written down: a new value would open every alert of every user again.
	if got, want := fingerprint(t, base), "cd5117e24e4e85132cdf49148d949eba"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, test := range map[string]struct {
		change func(*Finding)
		same   bool
	}{
		"line":               {func(f *Finding) { f.Place.Line = 7 }, true},
		"message":            {func(f *Finding) { f.Message = "n" }, true},
		"severity":           {func(f *Finding) { f.Severity = Error }, true},
		"file":               {func(f *Finding) { f.Place.File = "b" }, false},
		"kind":               {func(f *Finding) { f.Kind = stale }, false},
		"value":              {func(f *Finding) { f.Fields = []Field{{"name", "x"}, {"address", "z"}} }, false},
		"values moved":       {func(f *Finding) { f.Fields = []Field{{"name", "xy"}, {"address", ""}} }, false},
		"no fields":          {func(f *Finding) { f.Fields = nil }, false},
		"no kind, no fields": {func(f *Finding) { f.Kind, f.Fields = nil, nil }, false},
	} {
		changed := base
		test.change(&changed)
		if same := fingerprint(t, changed) == fingerprint(t, base); same != test.same {
			t.Errorf("%s: same is %v", name, same)
		}
	}
}

func TestFirstParagraph(t *testing.T) {
	for in, want := range map[string]string{
		"":                                 "",
		"# Only a heading":                 "",
		"# Heading\n\nOne\ntwo.\n\nThree.": "One two.",
		"# Heading\r\n\r\nOne.\r\n":        "One.",
		"\n\nOne.":                         "One.",
	} {
		if got := firstParagraph(in); got != want {
			t.Errorf("%q begins with %q, want %q", in, got, want)
		}
	}
}
