package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/deploy"
)

// pagesConfig is the configuration that the examples of the pages are about.
const pagesConfig = "wan-pair/nameward.yaml"

// pagesNow is when the examples are decided, so that their exceptions do not expire under the test.
const pagesNow = "2026-11-22"

// TestPages runs the example of each page: the blocks before the output are the files that its first
// line, the command, names, in that order. The output is what the command says with the id of the page;
// "..." stands for whatever else it says. UPDATE_PAGES=1 writes it.
func TestPages(t *testing.T) {
	pages, err := filepath.Glob("../../policy/*/pages/*.md")
	if err != nil || len(pages) != len(allKinds()) {
		t.Fatalf("%d pages of %d kinds of findings: %v", len(pages), len(allKinds()), err)
	}
	for _, page := range pages {
		path, err := filepath.Abs(page)
		if err != nil {
			t.Fatal(err)
		}
		id := strings.TrimSuffix(filepath.Base(path), ".md")
		t.Run(id, func(t *testing.T) { runPage(t, id, path) })
	}
}

func runPage(t *testing.T, id, path string) {
	page := readFile(t, path)
	example, err := parseExample(page)
	if err != nil {
		t.Fatal(err)
	}
	want := example.output
	got := "$ " + example.command + "\n" + example.run(t, id)
	if os.Getenv("UPDATE_PAGES") != "" && unstable(want) != unstable(got) {
		if err := os.WriteFile(path, []byte(strings.Replace(page, want, got, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(unstable(want), unstable(got)); diff != "" {
		t.Errorf("page - run +:\n%s", diff)
	}
}

// unstable masks what depends on the text of the built-in rules, comments included.
func unstable(output string) string {
	return regexp.MustCompile(`decision: [0-9a-f]{16}`).ReplaceAllString(output, "decision: ...")
}

// example is the one of a page.
type example struct {
	files   []string // content
	command string
	output  string // with the command
}

var fence = regexp.MustCompile("(?ms)^```\\w+\n(.*?)^```$")

func parseExample(page string) (example, error) {
	var e example
	_, section, _ := strings.Cut(page, "\n## Example\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, block := range fence.FindAllStringSubmatch(section, -1) {
		first, _, _ := strings.Cut(block[1], "\n")
		command, ok := strings.CutPrefix(first, "$ nameward ")
		if ok {
			e.command, e.output = "nameward "+command, block[1]
			return e, nil
		}
		e.files = append(e.files, block[1])
	}
	return e, errors.New("there is no block under Example that begins with $ nameward")
}

// run runs the command with the files in a directory of its own, and returns its findings with an id.
func (e *example) run(t *testing.T, id string) string {
	t.Helper()
	args := strings.Fields(e.command)[1:]
	isFile := func(arg string) bool {
		return !strings.HasPrefix(arg, "-") && strings.Contains(arg, ".") && arg != pagesConfig
	}
	var names []string
	for i, arg := range args {
		if isFile(arg) && args[i-1] != "--name" && args[i-1] != "--prefix" {
			names = append(names, arg)
		}
	}
	if len(names) != len(e.files) {
		t.Fatalf("%s names %d files %v, and there are %d blocks before it", e.command, len(names), names, len(e.files))
	}
	t.Chdir(t.TempDir())
	config, err := deploy.Files.ReadFile(pagesConfig)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Dir(pagesConfig), 0o755); err != nil {
		t.Fatal(err)
	}
	write(pagesConfig, string(config))
	for i, name := range names {
		write(name, e.files[i])
	}
	var stdout, stderr strings.Builder
	if code := run(t.Context(), append(args, "--now", pagesNow), &stdout, &stderr); code != exitFindings || stderr.Len() > 0 {
		t.Fatalf("%s: exit code %d\n%s%s", e.command, code, &stdout, &stderr)
	}
	found := findingsOf(id, stdout.String())
	if !strings.Contains(found, "["+id+"]\n") {
		t.Fatalf("%s has no %s:\n%s", e.command, id, &stdout)
	}
	return found
}

// findingsOf keeps the findings with an id, and writes "..." behind them for what it leaves out.
func findingsOf(id, output string) string {
	var kept strings.Builder
	keep, left := false, false
	for line := range strings.Lines(output) {
		if line == "\n" {
			break // the summary follows
		}
		if !strings.HasPrefix(line, " ") {
			keep = strings.HasSuffix(line, "["+id+"]\n")
		}
		if keep {
			kept.WriteString(line)
		}
		left = left || !keep
	}
	if left {
		kept.WriteString("...\n")
	}
	return kept.String()
}
