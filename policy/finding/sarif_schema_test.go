package finding

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const sarifPackage = "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

// officialSchema is the schema of OASIS, which the package has as a constant that it does not export.
func officialSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", sarifPackage).Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := constant(filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), "schema")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// constant is the value of a string constant in a Go file.
func constant(file, name string) (string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return "", err
	}
	var value string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != name || len(spec.Values) != 1 {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			value, err = strconv.Unquote(lit.Value)
		}
		return false
	})
	if value == "" && err == nil {
		err = errors.New(file + " has no constant " + name)
	}
	return value, err
}

func validate(schema *jsonschema.Schema, document []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func TestSARIFIsValid(t *testing.T) {
	schema := officialSchema(t)
	for name, r := range reports {
		for which, o := range map[string]Options{"full": sampleOptions(), "zero": {}} {
			t.Run(name+"/"+which, func(t *testing.T) {
				out := render(t, SARIF, o, r)
				if err := validate(schema, out); err != nil {
					t.Error(err)
				}
				read, err := sarif.FromBytes(out)
				if err != nil {
					t.Fatal(err)
				}
				if got := len(read.Runs[0].Results); got != len(r.findings) {
					t.Errorf("%d results, want %d", got, len(r.findings))
				}
			})
		}
	}
}

// FuzzSARIF asks the official schema about hostile values.
func FuzzSARIF(f *testing.F) {
	schema := officialSchema(f)
	addSeeds(f)
	f.Fuzz(func(t *testing.T, message, file, value, line string, col, end, packet int) {
		o, r := hostile(message, file, value, line, col, end, packet)
		out := render(t, SARIF, o, r)
		if err := validate(schema, out); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// A check that accepts everything would prove nothing.
func TestSARIFCheckRefuses(t *testing.T) {
	schema := officialSchema(t)
	good := string(render(t, SARIF, sampleOptions(), reports["mixed"]))
	for name, change := range map[string][2]string{
		"line 0":          {`"startLine": 3`, `"startLine": 0`},
		"unknown level":   {`"level": "note", "message"`, `"level": "info", "message"`},
		"unknown member":  {`"columnKind"`, `"columnSort"`},
		"version":         {`"version": "2.1.0"`, `"version": "2.0.0"`},
		"no message text": {`{"text": "nothing was read"}`, `{}`},
		"not a URI":       {`"uri": "wins.txt"`, `"uri": "%zz"`},
	} {
		broken := strings.Replace(good, change[0], change[1], 1)
		if broken == good {
			t.Errorf("%s: nothing was broken", name)
		}
		if err := validate(schema, []byte(broken)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestSARIFReadsBack(t *testing.T) {
	read, err := sarif.FromBytes(render(t, SARIF, sampleOptions(), reports["mixed"]))
	if err != nil {
		t.Fatal(err)
	}
	run := read.Runs[0]
	for _, r := range run.Results {
		if r.RuleID != nil && *run.Tool.Driver.Rules[r.RuleIndex].ID != *r.RuleID {
			t.Errorf("rule %s has index %d", *r.RuleID, r.RuleIndex)
		}
	}
	region := run.Results[0].Locations[0].PhysicalLocation.Region
	if *region.StartLine != 3 || *region.StartColumn != 15 || *region.EndColumn != 24 {
		t.Errorf("region %+v", region)
	}
}
