package finding

import (
	"encoding/csv"
	"strings"
	"testing"
)

func TestCSVField(t *testing.T) {
	for in, want := range map[string]string{
		"":               "",
		"mail":           "mail",
		"a,b":            `"a,b"`,
		`a"b`:            `"a""b"`,
		"a;=1":           `"a;=1"`,
		" a":             `" a"`,
		"a\nb":           `a\nb`,
		"=1+1":           "'=1+1",
		"+1":             "'+1",
		"-1":             "'-1",
		"@SUM(A1)":       "'@SUM(A1)",
		"\t=1":           `'\t=1`,
		"\r=1":           `'\r=1`,
		" =1":            `"' =1"`,
		"＝1":             "'＝1",
		`=HYPERLINK("")`: `"'=HYPERLINK("""")"`,
	} {
		if got := string(appendCSV(nil, in)); got != want {
			t.Errorf("%q is written %s, want %s", in, got, want)
		}
	}
}

func TestCSVReadsBack(t *testing.T) {
	for name, r := range reports {
		rows, err := csv.NewReader(strings.NewReader(string(render(t, CSV, sampleOptions(), r)))).ReadAll()
		if err != nil || len(rows) != 1+len(r.findings) {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
		}
	}
}
