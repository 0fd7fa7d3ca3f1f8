package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestReadmeNamesEveryDependency that go.mod requires directly, so that each has its reason.
func TestReadmeNamesEveryDependency(t *testing.T) {
	readme := readFile(t, "../../README.md")
	direct := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(readFile(t, "../../go.mod"), -1)
	if len(direct) < 10 {
		t.Fatalf("go.mod has %d direct dependencies; is it read right?", len(direct))
	}
	for _, m := range direct {
		if path := regexp.MustCompile(`/v\d+$`).ReplaceAllString(m[1], ""); !strings.Contains(readme, path) {
			t.Errorf("README.md does not say why %s is there", m[1])
		}
	}
}

// TestReadmeNamesEveryVerb and every target of the Makefile.
func TestReadmeNamesEveryVerb(t *testing.T) {
	readme := readFile(t, "../../README.md")
	for _, cmd := range newRoot().Commands() {
		if cmd.IsAvailableCommand() && !strings.Contains(readme, "nameward "+cmd.Name()) {
			t.Errorf("README.md does not have `nameward %s`", cmd.Name())
		}
	}
	phony := regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindStringSubmatch(readFile(t, "../../Makefile"))
	for target := range strings.FieldsSeq(phony[1]) {
		if target != "peers" && !strings.Contains(readme, "`"+target+"`") && !strings.Contains(readme, "make "+target) {
			t.Errorf("README.md does not have the target %s", target)
		}
	}
}

// TestEveryVerbIsDocumented: a short text, and words for each flag.
func TestEveryVerbIsDocumented(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" {
			t.Errorf("%s has no short text", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
}
