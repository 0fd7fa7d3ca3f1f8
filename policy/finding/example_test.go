package finding_test

import (
	"fmt"
	"os"

	"github.com/nameward/nameward/policy/finding"
)

func Example() {
	kind := &finding.Kind{ID: "NW104", Name: "published-management-address", Severity: finding.Error}
	zone := []byte("web   A  192.0.2.11\nmail  A  10.9.0.11\n")
	w := finding.NewWriter(os.Stdout, finding.Text, finding.Options{
		Tool: "nameward", Title: "audit", Kinds: []*finding.Kind{kind},
		Source: func(string) []byte { return zone },
	})
	err := w.Add(&finding.Finding{
		Kind: kind, Severity: kind.Severity,
		Message: "a management address is published, remove the record",
		Place:   finding.Place{File: "corp.db", Line: 2, Col: 10, EndCol: 19},
		Fields:  []finding.Field{{Key: "name", Value: "mail.corp.example."}, {Key: "class", Value: "management"}},
	})
	if err == nil {
		err = w.Close(finding.Table{Columns: []string{"severity", "count"}, Rows: [][]string{{"error", "1"}}})
	}
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// corp.db:2:10: error: a management address is published, remove the record [NW104]
	//     mail  A  10.9.0.11
	//              ^~~~~~~~~
	//     name:  mail.corp.example.
	//     class: management
	//
	//   severity  count
	//   error         1
}
