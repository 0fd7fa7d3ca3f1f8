package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
)

// What a decision, and an audit of a million registrations, may take.
const (
	decisionRequired    = 5000 // nanoseconds
	auditRequired       = 10 * time.Second
	auditMemoryRequired = 300 // megabytes
)

// The policy that is measured: rules with names and source prefixes of their own, 1,000 prefixes in ten
// classes, and the built-in rules behind them.
const (
	policyRules    = 1000
	policyPrefixes = 1000
)

// policyText writes it. Most rules are for exact names, as those that people write are.
func policyText(config string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nconfig: %s\nclasses:\n", config)
	for class := range 10 {
		fmt.Fprintf(&b, "  lab%d: [", class)
		for i := range policyPrefixes / 10 {
			fmt.Fprintf(&b, "100.%d.%d.0/24,", 64+class, i)
		}
		b.WriteString("]\n")
	}
	b.WriteString("rules:\n")
	for i := range policyRules {
		names := fmt.Sprintf("HOST%06d, app%d.corp.example.", i*7, i)
		if i%10 == 0 {
			names = fmt.Sprintf(`"DB%03d-*", ".site%d.corp.example."`, i, i)
		}
		fmt.Fprintf(&b, "  - {id: r%d, action: %s, names: [%s], classes: [lab%d], from: [10.%d.%d.0/24]}\n",
			i, []string{"publish", "strip", "quarantine", "refuse"}[i%4], names, i%10, i>>8, i&255)
	}
	return b.String()
}

const policyWorld = `classes: {management: [10.9.0.0/16]}
clusters:
  - name: bench
    nodes:
      n1: {public: [192.0.2.1], management: [10.9.0.1]}
      n2: {public: [192.0.2.2], management: [10.9.0.2]}
    roles:
      - {name: mail, dns: [mail.corp.example.], netbios: [MAIL], source: {operator: {initial: n1}}}
`

// measurePolicy takes the time of decisions in this process, and that of whole audits by the binary.
func measurePolicy(ctx context.Context, b *bench) error {
	dir := filepath.Join(b.dir, "policy")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, "policy.yaml")
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "nameward.yaml"), []byte(policyWorld), 0o644),
		os.WriteFile(file, []byte(policyText("nameward.yaml")), 0o644),
	)
	if err != nil {
		return err
	}
	if err := b.decisions(ctx, file); err != nil {
		return fmt.Errorf("decisions: %w", err)
	}
	for _, d := range []dump{
		{"all clean", "11", "text", 0},
		{"all findings, as CSV", "10.9", "csv", exitFindings},
	} {
		if err := b.audit(ctx, file, d); err != nil {
			return fmt.Errorf("audit, %s: %w", d.name, err)
		}
	}
	return nil
}

// decisionRequests are of the kinds that a server sees: guarded and other names, several addresses, names
// that only a rule with a wildcard could be for.
func decisionRequests() ([]policy.Request, error) {
	var out []policy.Request
	for _, r := range []struct {
		channel    policy.Channel
		name, from string
		addrs      []string
	}{
		{policy.WINS, "MAIL<20>", "192.0.2.2", []string{"192.0.2.2"}},
		{policy.WINS, "HOST003500<20>", "10.1.244.7", []string{"100.64.3.3"}},
		{policy.WINS, "DB990-7<00>", "10.3.222.7", []string{"10.9.0.7"}},
		{policy.Update, "app501.corp.example.", "10.1.245.1", []string{"100.65.9.9"}},
		{policy.Update, "a.b.site700.corp.example.", "10.2.188.1", []string{"100.64.1.1"}},
		{policy.Answer, "www.other.example.", "8.8.8.8", []string{"192.0.2.80", "192.0.2.81", "10.9.1.1", "100.66.1.1"}},
	} {
		q := policy.Request{Channel: r.channel, Source: netip.MustParseAddr(r.from), Time: time.Now()}
		if err := q.SetName(r.name); err != nil {
			return nil, err
		}
		for _, a := range r.addrs {
			q.Addrs = append(q.Addrs, netip.MustParseAddr(a))
		}
		q.GuessType()
		out = append(out, q)
	}
	return out, nil
}

// decisions measures rounds of decisions, one kind of request after the other.
func (b *bench) decisions(ctx context.Context, file string) error {
	p, err := policy.Load(file)
	if err != nil {
		return err
	}
	c, err := config.Load(filepath.Join(filepath.Dir(file), "nameward.yaml"))
	if err != nil {
		return err
	}
	state, err := registry.Assume(c.World, map[string][]string{"mail": {"n1"}})
	if err != nil {
		return err
	}
	requests, err := decisionRequests()
	if err != nil {
		return err
	}
	var each, allocs samples
	for range b.rounds {
		for i := range requests {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			ns, n := decideFor(p, state, &requests[i], b.decide/time.Duration(len(requests)))
			each.add(ns)
			allocs.add(n)
		}
	}
	what := fmt.Sprintf("decision, %s rules x %s prefixes, slowest of %d kinds of requests", thousands(policyRules), thousands(policyPrefixes), len(requests))
	b.table.require(each.max() < decisionRequired, row{
		what: what, ours: fmt.Sprintf("max %s, median %s ns", figure(each.max()), figure(each.median())), required: "< 5 µs",
	})
	b.table.require(allocs.max() == 0, row{what: "allocations of a decision", ours: figure(allocs.max()), required: "0"})
	b.table.keep("decision", "ns", each)
	return nil
}

// decideFor decides one request again and again and returns the nanoseconds and the allocations of one
// decision. The few allocations of the runtime's own are less than one in a thousand decisions.
func decideFor(p *policy.Policy, s *registry.Snapshot, q *policy.Request, limit time.Duration) (ns, allocs float64) {
	const batch = 1000
	var before, after runtime.MemStats
	for range batch {
		p.Decide(s, q)
	}
	runtime.ReadMemStats(&before)
	n, start := 0, time.Now()
	for time.Since(start) < limit {
		for range batch {
			p.Decide(s, q)
		}
		n += batch
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	return float64(took.Nanoseconds()) / float64(n), float64((after.Mallocs - before.Mallocs) / uint64(n))
}

// exitFindings is the exit code of an audit that found something.
const exitFindings = 1

// dump is a WINS database in which every record is alike.
type dump struct {
	name    string
	network string // the first octets of every address
	format  string // of the report
	code    int    // of the audit
}

func (d dump) write(path string, records int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprint(w, "VERSION 1 0\n")
	host := "%[3]d.%[4]d.%[5]d"
	if strings.Contains(d.network, ".") {
		host = "%[4]d.%[5]d"
	}
	for i := range records {
		fmt.Fprintf(w, "\"HOST%06[1]d#20\" 1795628948 %[2]s."+host+" 64R\n", i, d.network, i>>16&255, i>>8&255, i&255)
	}
	return errors.Join(w.Flush(), f.Close())
}

// audit has the binary read the dump, several times.
func (b *bench) audit(ctx context.Context, policyFile string, d dump) error {
	path := filepath.Join(filepath.Dir(policyFile), "wins.dat")
	if err := d.write(path, b.audited); err != nil {
		return err
	}
	var seconds, peak samples
	for range b.audits {
		took, mb, err := auditOnce(ctx, b.binary, policyFile, path, d, b.audited)
		if err != nil {
			return err
		}
		seconds.add(took.Seconds())
		peak.add(mb)
	}
	what := fmt.Sprintf("audit of %s registrations against %s rules, %s", thousands(b.audited), thousands(policyRules), d.name)
	b.table.require(seconds.median() < auditRequired.Seconds(), row{
		what: what, ours: fmt.Sprintf("median %s s", figure(seconds.median())), required: "< 10 s",
	})
	b.table.require(peak.median() < auditMemoryRequired, row{
		what: what + ", peak memory", ours: fmt.Sprintf("median %s MB", figure(peak.median())), required: "< 300 MB",
	})
	b.table.keep(what, "s", seconds)
	b.table.keep(what+", peak memory", "MB", peak)
	return nil
}

// auditOnce returns the time from exec to exit and the largest resident memory, in megabytes. The report
// goes into a pipe, so that the disk is left out: a million findings are half a gigabyte.
func auditOnce(ctx context.Context, binary, policyFile, source string, d dump, records int) (time.Duration, float64, error) {
	var report lineCounter
	var stderr strings.Builder
	cmd := command(ctx, binary, "audit", "--policy", policyFile, "--format", d.format, source)
	cmd.Stdout, cmd.Stderr = &report, &stderr
	start := time.Now()
	err := cmd.Start()
	peak := 0.0
	if err == nil {
		peak = peakUntil(cmd)
		err = cmd.Wait()
	}
	took := time.Since(start)
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) || cmd.ProcessState.ExitCode() != d.code {
		return 0, 0, fmt.Errorf("exit code %d, want %d: %w: %s", cmd.ProcessState.ExitCode(), d.code, err, stderr.String())
	}
	if err := d.complete(&report, records); err != nil {
		return 0, 0, err
	}
	return took, peak, nil
}

// peakUntil reads the peak memory of a process until it has ended, in megabytes. The peak in its resource
// usage would begin with that of the process which forked it.
func peakUntil(cmd *exec.Cmd) (peak float64) {
	for {
		mb, err := memoryOf(cmd.Process.Pid, "VmHWM")
		if err != nil { // a process that has ended has no such line
			return peak
		}
		peak = mb
		time.Sleep(5 * time.Millisecond)
	}
}

// complete reports an error if the report is not about every record.
func (d dump) complete(report *lineCounter, records int) error {
	if d.code == exitFindings {
		if report.lines-1 != records { // the heading
			return fmt.Errorf("%d findings of %d records", report.lines-1, records)
		}
		return nil
	}
	if f := strings.Fields(string(report.tail)); len(f) < 3 || f[len(f)-3] != fmt.Sprint(records) || f[len(f)-2] != "0" || f[len(f)-1] != "0" {
		return fmt.Errorf("not %d records without a finding: %s", records, report.tail)
	}
	return nil
}

// lineCounter counts the lines that are written to it and keeps the last piece.
type lineCounter struct {
	lines int
	tail  []byte
}

func (c *lineCounter) Write(b []byte) (int, error) {
	c.lines += bytes.Count(b, []byte("\n"))
	c.tail = append(c.tail[:0], b...)
	return len(b), nil
}
