package finding

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

var extensions = map[Format]string{
	Text: "txt", JSON: "json", SARIF: "sarif", GitHub: "github", JUnit: "xml", CSV: "csv", HTML: "html",
}

func TestGolden(t *testing.T) {
	for name, r := range reports {
		for _, f := range Formats {
			t.Run(name+"/"+f.String(), func(t *testing.T) {
				golden(t, name+"."+extensions[f], render(t, f, sampleOptions(), r))
			})
		}
	}
}

func TestGoldenColour(t *testing.T) {
	o := sampleOptions()
	o.Colour = true
	golden(t, "colour.txt", render(t, Text, o, reports["mixed"]))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestSameBytesTwice(t *testing.T) {
	for _, f := range Formats {
		for name, r := range reports {
			if !bytes.Equal(render(t, f, sampleOptions(), r), render(t, f, sampleOptions(), r)) {
				t.Errorf("%v of %s differs from run to run", f, name)
			}
		}
	}
}

func TestFindingIsNotKept(t *testing.T) {
	for _, f := range Formats {
		var out bytes.Buffer
		w := NewWriter(&out, f, sampleOptions())
		one := *reports["mixed"].findings[0]
		one.Fields = append([]Field(nil), one.Fields...)
		if err := w.Add(&one); err != nil {
			t.Fatal(err)
		}
		one.Message, one.Fields[0].Value = "another", "another"
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(out.Bytes(), []byte("another")) {
			t.Errorf("%v wrote what was changed after Add", f)
		}
	}
}

// failing is a full disk.
type failing struct{ left int }

var errFull = errors.New("no space left")

func (w *failing) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestErrorsOfTheUnderlyingWriter(t *testing.T) {
	for _, f := range Formats {
		w := NewWriter(&failing{left: 10}, f, sampleOptions())
		var err error
		for range 1000 {
			if err = w.Add(reports["mixed"].findings[0]); err != nil {
				break
			}
		}
		buffers := f == JUnit || f == HTML
		if !buffers && !errors.Is(err, errFull) {
			t.Errorf("%v: Add gave %v", f, err)
		}
		if err := w.Close(reports["mixed"].summary...); !errors.Is(err, errFull) {
			t.Errorf("%v: Close gave %v", f, err)
		}
	}
}

func TestClosed(t *testing.T) {
	for _, f := range Formats {
		var out bytes.Buffer
		w := NewWriter(&out, f, Options{})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		before := out.Len()
		for i, err := range []error{w.Add(&Finding{}), w.Pass("a", "b"), w.Close()} {
			if err == nil {
				t.Errorf("%v: call %d after Close was accepted", f, i)
			}
		}
		if out.Len() != before {
			t.Errorf("%v: written to after Close", f)
		}
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range Formats {
		got, err := ParseFormat(f.String())
		if err != nil || got != f {
			t.Errorf("ParseFormat(%q) = %v, %v", f, got, err)
		}
	}
	var f Format
	err := f.UnmarshalText([]byte("yaml"))
	want := `format "yaml" is none, known are text, json, sarif, github, junit, csv, html`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestPlaceString(t *testing.T) {
	for want, p := range map[string]Place{
		"":            {},
		"a":           {File: "a", Col: 3},
		"a:2":         {File: "a", Line: 2},
		"a:2:3":       {File: "a", Line: 2, Col: 3, EndCol: 5},
		"a packet 17": {File: "a", Packet: 17},
	} {
		if got := p.String(); got != want {
			t.Errorf("%#v is %q, want %q", p, got, want)
		}
	}
}
