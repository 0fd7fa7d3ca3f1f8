package finding

import (
	"cmp"
	"strconv"
	"unicode/utf8"
)

// junitDoc is the XML that JUnit's Ant task began and that Jenkins and GitLab read. A suite's head has
// its counts, so its cases are kept, rendered, up to a bound; how many did not fit is said by one case
// more, that fails if findings are among them. The counts are those of the cases in the document.
type junitDoc struct {
	name           string
	suites         []*junitSuite
	byName         map[string]*junitSuite
	failed, passed spool
}

type junitSuite struct {
	name            string
	cases           []byte
	tests, failures int
}

func newJUnitDoc(o Options) *junitDoc {
	return &junitDoc{name: o.heading(), byName: map[string]*junitSuite{}}
}

// heading is the tool and what it did.
func (o *Options) heading() string {
	if o.Tool == "" || o.Title == "" {
		return cmp.Or(o.Tool+o.Title, "findings")
	}
	return o.Tool + " " + o.Title
}

func (d *junitDoc) begin(b []byte) []byte { return b }

func (d *junitDoc) suite(name string) *junitSuite {
	name = cmp.Or(name, d.name)
	s := d.byName[name]
	if s == nil {
		s = &junitSuite{name: name}
		d.suites = append(d.suites, s)
		d.byName[name] = s
	}
	return s
}

func (d *junitDoc) finding(b []byte, f *Finding) []byte {
	if !d.failed.fits() {
		return b
	}
	s := d.suite(f.Place.File)
	before := len(s.cases)
	s.cases = appendFailure(s.cases, f)
	s.tests++
	s.failures++
	d.failed.took(len(s.cases) - before)
	return b
}

func (d *junitDoc) pass(b []byte, suite, name string) []byte {
	if !d.passed.fits() {
		return b
	}
	s := d.suite(suite)
	before := len(s.cases)
	s.cases = appendAttr(append(s.cases, "    <testcase"...), "classname", s.name)
	s.cases = append(appendAttr(s.cases, "name", name), "/>\n"...)
	s.tests++
	d.passed.took(len(s.cases) - before)
	return b
}

func appendFailure(b []byte, f *Finding) []byte {
	class := cmp.Or(f.id(), "finding")
	b = appendAttr(append(b, "    <testcase"...), "classname", class)
	b = appendAttr(b, "name", f.caseName())
	if f.Place.File != "" {
		b = appendAttr(b, "file", f.Place.File)
	}
	b = appendAttr(append(b, ">\n      <failure"...), "type", f.Severity.String())
	b = appendAttr(b, "message", f.Message)
	b = append(b, '>')
	b = appendLines(b, string(plainFinding(f)))
	return append(b, "</failure>\n    </testcase>\n"...)
}

// plainFinding is a finding as text without its source line.
func plainFinding(f *Finding) []byte {
	var d textDoc
	b := d.headline(nil, f)
	return appendRelated(appendFacts(b, f.Fields), f.Related)
}

const maxCaseName = 100 // bytes of the message that name a case

// caseName is the place and the start of the message.
func (f *Finding) caseName() string {
	message := f.Message
	if len(message) > maxCaseName {
		n := maxCaseName
		for n > maxCaseName-utf8.UTFMax && !utf8.RuneStart(message[n]) {
			n--
		}
		message = message[:n] + cut
	}
	if f.Place == (Place{}) {
		return message
	}
	return f.Place.String() + ": " + message
}

func (d *junitDoc) end(b []byte, _ []Table) []byte {
	d.addHidden()
	b = append(b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n<testsuites"...)
	tests, failures := 0, 0
	for _, s := range d.suites {
		tests += s.tests
		failures += s.failures
	}
	b = appendCounts(appendAttr(b, "name", d.name), tests, failures)
	b = append(b, ">\n"...)
	for _, s := range d.suites {
		b = appendCounts(appendAttr(append(b, "  <testsuite"...), "name", s.name), s.tests, s.failures)
		b = append(append(b, " skipped=\"0\">\n"...), s.cases...)
		b = append(b, "  </testsuite>\n"...)
	}
	return append(b, "</testsuites>\n"...)
}

// addHidden adds the cases that speak for those that did not fit.
func (d *junitDoc) addHidden() {
	if n := d.failed.hidden; n > 0 {
		d.suite(d.name).add(moreFindings(n), "failed")
	}
	if n := d.passed.hidden; n > 0 {
		d.suite(d.name).add(strconv.Itoa(n)+" more checks passed", "")
	}
}

func moreFindings(n int) string {
	return strconv.Itoa(n) + " more findings are not shown; --format csv or json has all of them"
}

func (s *junitSuite) add(name, failure string) {
	s.tests++
	s.cases = appendAttr(append(s.cases, "    <testcase"...), "classname", s.name)
	s.cases = appendAttr(s.cases, "name", name)
	if failure == "" {
		s.cases = append(s.cases, "/>\n"...)
		return
	}
	s.failures++
	s.cases = appendAttr(append(s.cases, "><failure"...), "message", name)
	s.cases = append(s.cases, "/></testcase>\n"...)
}

func appendCounts(b []byte, tests, failures int) []byte {
	b = appendAttr(b, "tests", strconv.Itoa(tests))
	b = appendAttr(b, "failures", strconv.Itoa(failures))
	return append(b, ` errors="0"`...)
}
