package finding

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type jsonPlace struct {
	File                      string
	Line, Col, EndCol, Packet int
}

type jsonReport struct {
	Tool, Version, Title string
	Findings             []struct {
		ID, Name, Severity, Message string
		Place                       jsonPlace
		Fields                      map[string]string
		Related                     []struct {
			Message string
			Place   jsonPlace
		}
	}
	Passed  int
	Summary []Table
}

func readJSON(t testing.TB, b []byte) (r jsonReport) {
	t.Helper()
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestJSONReadsBack(t *testing.T) {
	in := reports["mixed"]
	got := readJSON(t, render(t, JSON, sampleOptions(), in))
	if got.Tool != "nameward" || got.Version != "1.2.3" || got.Title != "audit" || got.Passed != 2 || len(got.Findings) != 5 {
		t.Fatalf("got %+v", got)
	}
	if diff := cmp.Diff(in.summary, got.Summary); diff != "" {
		t.Error(diff)
	}
	first, packet := got.Findings[0], got.Findings[3]
	if first.ID != "NW104" || Place(first.Place) != in.findings[0].Place || first.Fields["witness"] != "ex1" || len(first.Related) != 2 {
		t.Errorf("first is %+v", first)
	}
	if packet.Place.Packet != 17 || packet.Fields["address"] != "192.0.2.11, 192.0.2.12" {
		t.Errorf("fourth is %+v", packet)
	}
}

// The reader of the standard library is the judge: what it reads is what was written.
func TestJSONString(t *testing.T) {
	for in, want := range map[string]string{
		"":                               `""`,
		`MAIL<20> & "x" \`:               `"MAIL<20> & \"x\" \\"`,
		"\x00\x1f\x7f\u0085\u2028\u202e": `"\u0000\u001f\u007f\u0085\u2028\u202e"`,
		"a\n\tb":                         `"a\n\tb"`,
		"\U000e0041é日😀":                  `"\udb40\udc41é日😀"`,
		"\xff":                           "\"\ufffd\"",
	} {
		got := appendJSON(nil, in)
		if string(got) != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
		var back string
		if err := json.Unmarshal(got, &back); err != nil || (back != in && in != "\xff") {
			t.Errorf("%s reads as %q, %v", got, back, err)
		}
	}
}
