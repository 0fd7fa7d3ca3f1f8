package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/nameward/nameward/registry/plan"
	"github.com/nameward/nameward/registry/yamlat"
)

// printPlan prints a plan for people, with what was done with it; j is nil for a new one.
func printPlan(w io.Writer, p *plan.Plan, j *plan.Journal) {
	by := ""
	if p.By != "" {
		by = " by " + p.By
	}
	fmt.Fprintf(w, "plan %s: made %s%s at change %d\n", p.ID, p.Made.Format(time.RFC3339), by, p.Change)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ROLE\tFROM\tTO\tEPOCH\tANSWERED NOW\tANSWERED AFTER\tTTL\tNAMES")
	for _, r := range p.Roles {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", r.Role, orNone(r.From), orNone(r.To), r.Epoch, addrList(r.Before), addrList(r.After),
			seconds(r.TTL), orNone(r.Names))
	}
	tw.Flush()
	tw = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var targets []string
	for _, t := range p.Targets {
		targets = append(targets, fmt.Sprintf("%s (%s)", t.Name, t.Kind))
	}
	fmt.Fprintf(tw, "targets\t%s\n", orNone(targets))
	if p.Wait() > 0 {
		fmt.Fprintf(tw, "time\tTTLs are lowered to %s, and after that %s are waited out\n", seconds(p.TTL), yamlat.Span(p.Wait()))
	} else {
		fmt.Fprintf(tw, "time\tno TTL is longer than %s: nothing is waited out\n", seconds(p.TTL))
	}
	printList(tw, "checks", p.Checks)
	printList(tw, "notes", p.Notes)
	if j != nil {
		printList(tw, "done", doneWith(j))
	}
	tw.Flush()
}

func printList(w io.Writer, title string, lines []string) {
	for i, line := range lines {
		if i > 0 {
			title = ""
		}
		fmt.Fprintf(w, "%s\t%s\n", title, line)
	}
}

// doneWith lists what was done with a plan.
func doneWith(j *plan.Journal) []string {
	var out []string
	for _, e := range j.Entries {
		line := e.Time.Format(time.RFC3339) + "  " + string(e.Step)
		if e.Back {
			line += ", on the way back"
		}
		if e.Change > 0 {
			line += fmt.Sprintf(", change %d", e.Change)
		}
		out = append(out, line)
	}
	return out
}

func seconds(n uint32) string { return yamlat.Span(time.Duration(n) * time.Second) }

// printFindings prints what is wrong with a plan; if anything is, it returns the exit code for that.
func printFindings(w io.Writer, f plan.Findings, j *plan.Journal) error {
	if f.There && j.MayHaveSwitched(false) {
		fmt.Fprintln(w, "the plan was carried out, and the roles are where it put them")
		return nil
	}
	if f.There {
		fmt.Fprintln(w, "! moved: the roles are where the plan wants them, and it was not this plan that moved them")
	}
	for _, text := range f.Moved {
		fmt.Fprintf(w, "! moved: %s\n", text)
	}
	for _, text := range f.Unfit {
		fmt.Fprintf(w, "! in the way: %s\n", text)
	}
	if f.There || len(f.Moved)+len(f.Unfit) > 0 {
		return exit{exitFindings, errors.New("the plan would be refused now")}
	}
	fmt.Fprintln(w, "nothing has moved since, and nothing is in the way")
	return nil
}
