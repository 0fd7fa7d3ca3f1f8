package nameward

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nameward/nameward/registry/servetest"
)

// units are the last word of a metric's name, before _total. Plain counts are named for what is counted.
var units = []string{"roles", "changes", "claims", "commits", "failing", "seconds", "rejected", "reloads", "rules", "packets", "drained", "queries", "answers", "notifies", "records", "held", "requests", "queued", "dropped", "updates", "contexts", "negotiations", "sessions", "subscriptions", "pushes", "connections", "ended"}

// labels are the labels in use, each with how many values it may have.
var labels = map[string]int{"state": 5, "outcome": 32, "result": 2, "op": 4, "fate": 4, "transport": 2, "reason": 6}

// TestMetrics checks names, labels and their values against the rules of the house.
func TestMetrics(t *testing.T) {
	runServer(t)
	checkMetrics(t, 19)
}

func checkMetrics(t *testing.T, want int) {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile(`^coredns_nameward_([a-z]+_)*(` + strings.Join(units, "|") + `)(_total)?$`)
	word := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	n := 0
	for _, f := range families {
		name := f.GetName()
		if !strings.HasPrefix(name, "coredns_nameward_") {
			continue
		}
		n++
		if !pattern.MatchString(name) || f.GetHelp() == "" {
			t.Errorf("%s: name or help", name)
		}
		if isCounter := f.GetType().String() == "COUNTER"; isCounter != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is of type %v", name, f.GetType())
		}
		values := map[string]map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if values[l.GetName()] == nil {
					values[l.GetName()] = map[string]bool{}
				}
				values[l.GetName()][l.GetValue()] = true
				if !word.MatchString(l.GetValue()) {
					t.Errorf("%s: label %s is %q", name, l.GetName(), l.GetValue())
				}
			}
		}
		for label, seen := range values {
			if len(seen) > labels[label] {
				t.Errorf("%s: label %s has %d values, at most %d", name, label, len(seen), labels[label])
			}
		}
	}
	if n != want {
		t.Errorf("%d metrics, want %d", n, want)
	}
}

// TestMetricsWithoutGuard: a scrape while nothing runs is no error.
func TestMetricsWithoutGuard(t *testing.T) {
	if _, err := prometheus.DefaultGatherer.Gather(); err != nil {
		t.Error(err)
	}
}

// TestReadmeNamesEveryMetric and no other.
func TestReadmeNamesEveryMetric(t *testing.T) {
	ch := make(chan *prometheus.Desc, 128)
	collector{}.Describe(ch)
	close(ch)
	want := []string{"coredns_nameward_dns_queries_total", "coredns_nameward_upstream_scrubbed_answers_total", "coredns_nameward_updates_total"}
	for d := range ch {
		_, rest, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ := strings.Cut(rest, `"`)
		want = append(want, name)
	}
	readme := readmeText(t)
	for _, name := range want {
		if !strings.Contains(readme, "`"+name) {
			t.Errorf("README.md does not have %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`coredns_nameward_[a-z_]+`).FindAllString(readme, -1) {
		found := false
		for _, w := range want {
			found = found || w == name
		}
		if !found {
			t.Errorf("README.md has %s, which does not exist", name)
		}
	}
}

// TestUpdateMetrics: they are there with zones that take updates only.
func TestUpdateMetrics(t *testing.T) {
	path := writeConfig(t, "")
	write(t, path, strings.Replace(readText(t, path), "{name: corp.example.,", "{name: corp.example., updates: own,", 1))
	start(t, fmt.Sprintf(".:%d {\n    bind 127.0.0.1\n    nameward %s\n}", servetest.FreePort(t), path))
	checkMetrics(t, 24)
}

// counted reads a counter of ours for an outcome.
func counted(t *testing.T, metric string, outcome fmt.Stringer) float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "coredns_nameward_"+metric && m.GetLabel()[0].GetValue() == outcome.String() {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("outcome %s is not counted", outcome)
	return 0
}
