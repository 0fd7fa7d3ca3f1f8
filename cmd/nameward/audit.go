package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/policy/audit"
	"github.com/nameward/nameward/policy/finding"
	"github.com/nameward/nameward/registry/tsig"
)

func newAudit() *cobra.Command {
	var policyFile, follow string
	var live bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use: "audit [--policy FILE] SOURCE...", Short: "Find records that break the policy in WINS and DNS databases, zones, captures and exports",
		Long: "Find records that break the policy in what is published already. A SOURCE is a file, \"-\" for standard input, or\n" +
			"axfr://server[:port]/zone; its kind is told from its content:\n\n" + kindList() +
			"\nExit codes: 0 nothing breaks the policy, 1 findings, 2 a source could not be read to its end.",
		Example: "  nameward audit --policy policy.yaml wins.dat corp.example.zone\n" +
			"  nameward audit --policy policy.yaml --format html trace.pcapng > report.html\n" +
			"  nameward audit --policy policy.yaml --follow eth0",
	}
	begin, world, held, now := formatFlag(cmd, auditFormats...), worldFlag(cmd), heldFlag(cmd), nowFlag(cmd)
	client, sources := controlFlag(cmd), sourceFlags(cmd)
	fs := cmd.Flags()
	fs.StringVarP(&policyFile, "policy", "p", builtinPolicy, "the policy `file`")
	fs.BoolVar(&live, "live", false, "ask the running nameward who holds which role")
	fs.StringVar(&follow, "follow", "", "look at what passes this `interface` until interrupted (Linux, CAP_NET_RAW)")
	fs.DurationVar(&limit, "for", 0, "with --follow: stop after this `time`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (len(args) > 0) == (follow != "") {
			return fmt.Errorf("%s takes sources or --follow; usage: %s", cmd.CommandPath(), cmd.UseLine())
		}
		p, err := loadPolicy(policyFile)
		if err != nil {
			return err
		}
		options, err := sources.options()
		if err != nil {
			return err
		}
		j := &audit.Judge{Policy: p, Now: now.time()}
		if live {
			j.State, err = runningState(cmd, client(), p, world)
		} else {
			j.State, err = assumedState(p, world, held)
		}
		if err != nil {
			return err
		}
		if w := j.State.World; len(w.Nodes)+len(w.Classes)+len(p.Classes) == 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), "nameward: nothing says which addresses are management addresses and which names are guarded; give nameward.yaml with --config")
		}
		r := begin("audit", audit.Columns)
		a := &auditor{report: r, judge: j}
		if follow != "" {
			return a.follow(cmd, follow, limit)
		}
		broken := readEach(cmd, args, options, a.look, a.problem)
		return unreadable(broken, a.close(a.summary()...))
	}
	return cmd
}

func kindList() string {
	var b strings.Builder
	for _, k := range audit.Kinds {
		fmt.Fprintf(&b, "  %-15s %s\n", k, k.Describe())
	}
	return b.String()
}

// auditor holds records against a policy and reports.
type auditor struct {
	*report
	judge    *audit.Judge
	problems map[string]int // by file
}

func (a *auditor) look(r *audit.Record, kind audit.Kind) {
	if f, bad := a.judge.Look(r, kind); bad {
		a.add(&f)
	}
}

// maxProblems is how many unreadable lines or packets of one source are told one by one.
const maxProblems = 100

func (a *auditor) problem(p *audit.Problem) {
	if a.problems == nil {
		a.problems = map[string]int{}
	}
	if a.problems[p.Place.File]++; p.Fatal || a.problems[p.Place.File] <= maxProblems {
		f := audit.ProblemFinding(p)
		a.add(&f)
	}
}

func (a *auditor) summary() []finding.Table {
	total := finding.Table{Title: "records", Columns: []string{"looked at", "findings", "not readable"}}
	unread := 0
	for _, n := range a.problems {
		unread += n
	}
	total.Rows = [][]string{{strconv.Itoa(a.judge.Records), strconv.Itoa(a.judge.Found), strconv.Itoa(unread)}}
	return append([]finding.Table{total}, a.judge.Summary()...)
}

// follow looks at an interface until it is interrupted.
func (a *auditor) follow(cmd *cobra.Command, iface string, limit time.Duration) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "nameward: following %s; Ctrl-C ends it\n", iface)
	fatal := false
	for rec, err := range audit.Follow(ctx, iface) {
		if p := problemOf(err); p != nil {
			a.problem(p)
			if p.Fatal {
				fatal = true
				fmt.Fprintf(cmd.ErrOrStderr(), "nameward: %v\n", p)
			}
		} else {
			a.judge.Now = time.Now()
			a.look(rec, audit.KindCapture)
		}
		if err := a.Flush(); err != nil {
			return err
		}
	}
	broken := 0
	if fatal {
		broken = 1
	}
	return unreadable(broken, a.close(a.summary()...))
}

func problemOf(err error) *audit.Problem {
	var p *audit.Problem
	if errors.As(err, &p) {
		return p
	}
	if err != nil {
		return &audit.Problem{Err: err, Fatal: true}
	}
	return nil
}

// sourceSet is how sources are read, from flags.
type sourceSet struct {
	kind, keyFile, origin string
	timeout               time.Duration
}

func sourceFlags(cmd *cobra.Command) *sourceSet {
	s := &sourceSet{}
	fs := cmd.Flags()
	fs.StringVar(&s.kind, "kind", "", "`kind` of the sources (default: told from their content)")
	fs.StringVar(&s.origin, "origin", "", "`zone` of relative names, where a source does not name it")
	fs.StringVar(&s.keyFile, "tsig-file", "", "`file` with NAME:SECRET, ALGORITHM:NAME:SECRET or a key of named.conf for axfr://, mode 0600")
	fs.DurationVar(&s.timeout, "timeout", audit.DefaultTimeout, "`time` for a connection, and for each message of a transfer")
	return s
}

func (s *sourceSet) options() (audit.Options, error) {
	o := audit.Options{Origin: s.origin, Timeout: s.timeout}
	var err error
	if s.kind != "" {
		if o.Kind, err = audit.ParseKind(s.kind); err != nil {
			return o, fmt.Errorf("--kind: %w", err)
		}
	}
	if s.keyFile == "" {
		return o, nil
	}
	if o.TSIG, err = tsig.Read(s.keyFile); err != nil {
		return o, fmt.Errorf("--tsig-file: %w", err)
	}
	return o, nil
}

// readEach reads sources one after the other. It tells which could not be opened or read to their end,
// and returns how many.
func readEach(cmd *cobra.Command, names []string, o audit.Options, look func(*audit.Record, audit.Kind), problem func(*audit.Problem)) (broken int) {
	for _, name := range names {
		src, err := audit.Open(cmd.Context(), name, o)
		if err != nil {
			broken++
			fmt.Fprintf(cmd.ErrOrStderr(), "nameward: %v\n", err)
			continue
		}
		done := progress(cmd.ErrOrStderr(), src.Name, src.Size, src.Offset)
		for rec, err := range src.Records() {
			p := problemOf(err)
			if p == nil {
				look(rec, src.Kind)
				continue
			}
			problem(p)
			if p.Fatal {
				broken++
				fmt.Fprintf(cmd.ErrOrStderr(), "nameward: %v; what stands before it was looked at\n", p)
			}
		}
		done()
		_ = src.Close()
	}
	return broken
}

// unreadable is the end of a command, given the end of its report: sources that could not be read weigh
// more than findings, and a report that could not be written more than both.
func unreadable(broken int, closing error) error {
	if e := (exit{}); broken > 0 && (closing == nil || errors.As(closing, &e)) {
		return exit{code: exitFailed}
	}
	return closing
}
