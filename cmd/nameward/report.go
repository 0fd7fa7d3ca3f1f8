package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/nameward/nameward/policy/finding"
	"github.com/nameward/nameward/policy/lint"
)

// report writes findings to standard output, as --format says, and remembers whether there were any.
type report struct {
	*finding.Writer
	text   map[string][]byte // the content of files that are known
	lines  map[string][]string
	failOn finding.Severity
	count  int  // of findings
	failed bool // one of them is as severe as --fail-on
	seen   bool // somebody looks on: findings show as they come
	err    error
}

// formatFlag adds --format with the given formats and returns the function that begins the report.
func formatFlag(cmd *cobra.Command, formats ...finding.Format) func(title string, columns []string) *report {
	words := formatWords(formats)
	format, failOn := formatValue{formats: formats}, severityValue(finding.Note)
	cmd.Flags().Var(&failOn, "fail-on", "the least `severity` that makes the exit code 1: note, warning, error")
	cmd.Flags().Var(&format, "format", "form of the output: "+strings.Join(words, ", "))
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	return func(title string, columns []string) *report {
		out := cmd.OutOrStdout()
		r := &report{text: map[string][]byte{}, lines: map[string][]string{}, failOn: finding.Severity(failOn), seen: isTerminal(out)}
		r.Writer = finding.NewWriter(behindBar{out}, format.Format, finding.Options{
			Tool: "nameward", Version: version, Title: title, Kinds: allKinds(),
			Columns: columns, Colour: wantsColour(out), Source: func(file string) []byte { return r.text[file] },
		})
		return r
	}
}

func formatWords(formats []finding.Format) (words []string) {
	for _, f := range formats {
		words = append(words, f.String())
	}
	return words
}

// formatValue is a format as a flag.
type formatValue struct {
	finding.Format
	formats []finding.Format
}

// Set reads the word of a format.
func (v *formatValue) Set(s string) error {
	i := slices.IndexFunc(v.formats, func(f finding.Format) bool { return f.String() == s })
	if i < 0 {
		return fmt.Errorf("want %s", strings.Join(formatWords(v.formats), ", "))
	}
	v.Format = v.formats[i]
	return nil
}

// Type is the word for the value in help texts.
func (v *formatValue) Type() string { return "format" }

// severityValue is a severity as a flag.
type severityValue finding.Severity

func (v *severityValue) String() string { return finding.Severity(*v).String() }

// Set reads the word of a severity.
func (v *severityValue) Set(s string) error {
	for _, known := range []finding.Severity{finding.Note, finding.Warning, finding.Error} {
		if known.String() == s {
			*v = severityValue(known)
			return nil
		}
	}
	return fmt.Errorf("want note, warning or error")
}

// Type is the word for the value in help texts.
func (v *severityValue) Type() string { return "severity" }

// The formats of the policy verbs, and those of audit.
var (
	policyFormats = []finding.Format{finding.Text, finding.JSON, finding.SARIF, finding.GitHub, finding.JUnit}
	auditFormats  = finding.Formats
)

// wantsColour reports whether out is a terminal and nobody objects: https://no-color.org.
func wantsColour(out io.Writer) bool {
	return isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// isTerminal reports whether a person sits in front of w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// know makes the content of a file known, for carets. A file is read once.
func (r *report) know(file string) {
	if r.text[file] == nil {
		r.text[file], _ = os.ReadFile(file)
	}
}

// add writes a finding. An error of the output shows in close.
func (r *report) add(f *finding.Finding) {
	r.count++
	r.failed = r.failed || f.Severity >= r.failOn
	if r.err == nil {
		f.Place.EndCol = r.wordEnd(f.Place)
		r.err = r.Add(f)
	}
	if r.seen && r.err == nil {
		r.err = r.Flush()
	}
}

// wordEnd is the column behind the word that begins at a place, 0 when the text is not known.
func (r *report) wordEnd(p finding.Place) int {
	if p.Line == 0 || p.Col == 0 || p.EndCol > 0 || r.text[p.File] == nil {
		return p.EndCol
	}
	if r.lines[p.File] == nil {
		r.lines[p.File] = strings.Split(string(r.text[p.File]), "\n")
	}
	if len(r.lines[p.File]) < p.Line {
		return 0
	}
	line := r.lines[p.File][p.Line-1]
	for range p.Col - 1 {
		_, size := utf8.DecodeRuneInString(line)
		line = line[size:]
	}
	word := line
	if i := strings.IndexAny(line, " \t\r,]}#"); i > 0 {
		word = line[:i]
	}
	if line != "" && line[0] == '"' {
		if i := strings.IndexByte(line[1:], '"'); i >= 0 {
			word = line[:i+2]
		}
	}
	return p.Col + utf8.RuneCountInString(word)
}

// close ends the report and returns what the command returns: nothing, or the exit code of findings.
func (r *report) close(summary ...finding.Table) error {
	if err := r.Close(summary...); r.err == nil {
		r.err = err
	}
	if r.err != nil {
		return fmt.Errorf("writing the report: %w", r.err)
	}
	if r.failed {
		return exit{code: exitFindings}
	}
	return nil
}

// each looks at files one after the other, also behind one that cannot be read, and closes the report.
func (r *report) each(files []string, look func(file string) error, summary ...*finding.Table) error {
	failed := false
	for _, file := range files {
		if err := look(file); err != nil {
			failed = true
			r.unread(file, err)
		}
	}
	var tables []finding.Table
	for _, t := range summary {
		if len(t.Rows) > 0 {
			tables = append(tables, *t)
		}
	}
	if err := r.close(tables...); !failed || r.err != nil {
		return err
	}
	return exit{code: exitFailed}
}

// unread reports a file that could not be looked at: programs that read the report see it too.
func (r *report) unread(file string, err error) {
	found, other := problemFindings(err)
	if other != nil {
		found = []finding.Finding{{
			Kind: lint.Unreadable, Severity: lint.Unreadable.Severity, Message: other.Error(), Place: finding.Place{File: file},
		}}
	}
	for i := range found {
		r.know(found[i].Place.File)
		r.add(&found[i])
	}
}

// nowFlag adds --now, which makes what depends on the time repeatable.
func nowFlag(cmd *cobra.Command) *timeValue {
	v := &timeValue{}
	cmd.Flags().Var(v, "now", "decide as at this `time`, 2026-12-31 or 2026-12-31T18:00:00Z (default now)")
	return v
}

// timeValue is an instant as a flag; the zero one is now.
type timeValue struct{ set time.Time }

// String is the instant as it would be written.
func (v *timeValue) String() string {
	if v.set.IsZero() {
		return ""
	}
	return v.set.Format(time.RFC3339)
}

// Set reads a day or an instant.
func (v *timeValue) Set(s string) (err error) {
	if v.set, err = time.Parse(time.DateOnly, s); err != nil {
		v.set, err = time.Parse(time.RFC3339, s)
	}
	if err != nil {
		return fmt.Errorf("want 2026-12-31 or 2026-12-31T18:00:00Z")
	}
	return nil
}

// Type is the word for the value in help texts.
func (v *timeValue) Type() string { return "time" }

func (v *timeValue) time() time.Time {
	if v.set.IsZero() {
		return time.Now()
	}
	return v.set
}
