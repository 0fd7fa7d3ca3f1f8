package finding

import (
	"encoding/xml"
	"strconv"
	"strings"
	"testing"
)

type junitCase struct {
	Class   string `xml:"classname,attr"`
	Name    string `xml:"name,attr"`
	File    string `xml:"file,attr"`
	Failure *struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Body    string `xml:",chardata"`
	} `xml:"failure"`
}

type junitReport struct {
	XMLName  xml.Name `xml:"testsuites"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Suites   []struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	} `xml:"testsuite"`
}

// readJUnit reads a report and compares its counts with its cases.
func readJUnit(t testing.TB, b []byte) junitReport {
	t.Helper()
	var r junitReport
	if err := xml.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	tests, failures := 0, 0
	for _, s := range r.Suites {
		failed := 0
		for _, c := range s.Cases {
			if c.Failure != nil {
				failed++
			}
		}
		if s.Tests != len(s.Cases) || s.Failures != failed {
			t.Errorf("suite %q says %d tests, %d failures; has %d, %d", s.Name, s.Tests, s.Failures, len(s.Cases), failed)
		}
		tests += s.Tests
		failures += s.Failures
	}
	if r.Tests != tests || r.Failures != failures {
		t.Errorf("says %d tests, %d failures; has %d, %d", r.Tests, r.Failures, tests, failures)
	}
	return r
}

func TestJUnitCounts(t *testing.T) {
	for name, want := range map[string][2]int{"empty": {0, 0}, "mixed": {7, 5}, "hostile": {3, 1}} {
		r := readJUnit(t, render(t, JUnit, sampleOptions(), reports[name]))
		if got := [2]int{r.Tests, r.Failures}; got != want {
			t.Errorf("%s: %v tests and failures, want %v", name, got, want)
		}
	}
}

func TestJUnitSuitesStayTogether(t *testing.T) {
	var r report
	for _, file := range []string{"a", "b", "a"} {
		r.findings = append(r.findings, &Finding{Kind: stale, Message: "m", Place: Place{File: file, Line: 1}})
	}
	r.passed = [][2]string{{"b", "good"}}
	got := readJUnit(t, render(t, JUnit, sampleOptions(), r))
	if len(got.Suites) != 2 || got.Suites[0].Tests != 2 || got.Suites[1].Tests != 2 || got.Suites[1].Failures != 1 {
		t.Errorf("suites %+v", got.Suites)
	}
}

func TestJUnitIsBounded(t *testing.T) {
	for name, message := range map[string]string{"by number": "m", "by size": strings.Repeat("m", 1<<20)} {
		t.Run(name, func(t *testing.T) {
			r := report{findings: make([]*Finding, maxEntries+5)}
			for i := range r.findings {
				r.findings[i] = &Finding{Kind: stale, Message: message, Place: Place{File: "f" + strconv.Itoa(i%3)}}
			}
			out := render(t, JUnit, sampleOptions(), r)
			if len(out) > 2*maxSpoolSize {
				t.Errorf("%d bytes", len(out))
			}
			got := readJUnit(t, out)
			last := got.Suites[len(got.Suites)-1].Cases[0]
			shown := got.Failures - 1
			if want := moreFindings(len(r.findings) - shown); last.Name != want || last.Failure == nil {
				t.Errorf("the last case is %q, want %q", last.Name, want)
			}
		})
	}
}

func TestJUnitCaseNameIsCutBetweenCharacters(t *testing.T) {
	f := Finding{Message: strings.Repeat("日", 60)}
	if got, want := f.caseName(), strings.Repeat("日", 33)+cut; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
