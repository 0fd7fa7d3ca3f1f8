package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// measurement is one part of the table.
type measurement struct {
	name string
	run  func(context.Context, *bench) error
	// limit ends it, whatever it waits for.
	limit time.Duration
}

var measurements = []measurement{
	{"switch", measureSwitch, 15 * time.Minute},
	{"file", measureClaimFile, 5 * time.Minute},
	{"dns", measureDNS, 15 * time.Minute},
	{"answers", measureAnswers, 10 * time.Minute},
	{"nbns", measureNBNS, 5 * time.Minute},
	{"wins", measureWINS, 20 * time.Minute},
	{"start", measureStart, 5 * time.Minute},
	{"policy", measurePolicy, 5 * time.Minute},
	{"updates", measureUpdates, 20 * time.Minute},
	{"push", measurePush, 10 * time.Minute},
}

// effort is how much is measured.
type effort struct {
	rounds   int           // of everything that is compared
	switches int           // for each size and protocol, all rounds together
	writes   int           // of a claim file, for each disk
	load     time.Duration // of one run of a load generator
	starts   int
	steady   time.Duration // load before the resident memory is read
	decide   time.Duration // of one run of decisions
	audited  int           // registrations in a dump
	audits   int           // for each kind of dump

	winsRounds int
	winsMany   int // records of ours, to see whether it matters

	updateRounds  int
	updateLoad    time.Duration // of one run
	updateAnswers int           // updates whose way is timed, for each server

	pushMoves  int // of a role, with a target of each kind
	pushRounds int // of many roles at once, without a dead target and with it
	pushAlone  int // of what peers do by themselves
}

var (
	fullEffort = effort{rounds: 7, switches: 2100, writes: 500, load: 5 * time.Second, starts: 5, steady: 10 * time.Second,
		decide: 2 * time.Second, audited: 1_000_000, audits: 3, winsRounds: 3, winsMany: 1_000_000,
		updateRounds: 5, updateLoad: 2 * time.Second, updateAnswers: 100,
		pushMoves: 30, pushRounds: 3, pushAlone: 3}
	quickEffort = effort{rounds: 2, switches: 200, writes: 50, load: time.Second, starts: 2, steady: 10 * time.Second,
		decide: 100 * time.Millisecond, audited: 100_000, audits: 1, winsRounds: 1, winsMany: 100_000,
		updateRounds: 1, updateLoad: time.Second, updateAnswers: 20,
		pushMoves: 5, pushRounds: 1, pushAlone: 1}
)

// bench is what the measurements share.
type bench struct {
	effort
	binary string // nameward
	dir    string // on the disk
	shm    string // in memory; "" if there is no such place
	table  table
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case loadVerb:
			os.Exit(loadMain(os.Args[2:]))
		case deadVerb:
			os.Exit(deadMain(os.Args[2:]))
		case upstreamVerb:
			os.Exit(upstreamMain(os.Args[2:]))
		case dynupdateVerb:
			os.Exit(dynupdateMain(os.Args[2:]))
		}
	}
	os.Exit(run())
}

func run() int {
	quick := flag.Bool("quick", false, "few and short rounds: shows that it works, measures little")
	only := flag.String("only", "", "`names` of the measurements to run, with commas: "+strings.Join(names(), ", "))
	out := flag.String("o", "", "write the tables to this `file` too")
	binary := flag.String("binary", "", "measure this nameward `binary` instead of one built from the source")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{effort: fullEffort, binary: *binary}
	if *quick {
		b.effort = quickEffort
	}
	chosen, err := choose(*only)
	if err == nil {
		err = b.prepare(ctx)
	}
	defer b.clean()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	before, failed := machine(), false
	for _, m := range chosen {
		fmt.Fprintf(os.Stderr, "bench: %s (load %s)\n", m.name, loadAverage())
		limited, cancel := context.WithTimeout(ctx, m.limit)
		if err := m.run(limited, b); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", m.name, err)
			b.table.note("%s could not be measured: %v", m.name, firstLine(err))
			failed = failed || !errors.Is(err, errMissing)
		}
		cancel()
	}
	text := before + b.table.markdown() + fmt.Sprintf("\nLoad of the machine at the end: %s.\n", loadAverage())
	fmt.Print(text)
	if *out != "" {
		if err := os.WriteFile(*out, []byte(text), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			failed = true
		}
	}
	switch {
	case failed || ctx.Err() != nil:
		return 2
	case !b.table.met():
		return 1
	}
	return 0
}

// errMissing is wrapped by what says that a peer or a right is missing here.
var errMissing = errors.New("skipped")

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func names() []string {
	var out []string
	for _, m := range measurements {
		out = append(out, m.name)
	}
	return out
}

func choose(only string) ([]measurement, error) {
	if only == "" {
		return measurements, nil
	}
	var out []measurement
	for name := range strings.SplitSeq(only, ",") {
		i := slices.Index(names(), name)
		if i < 0 {
			return nil, fmt.Errorf("-only: there is no measurement %q, but %s", name, strings.Join(names(), ", "))
		}
		out = append(out, measurements[i])
	}
	return out, nil
}

// prepare makes the directories and, unless there is one, builds the binary as `make build` does.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "nwbench-"); err != nil {
		return err
	}
	if b.shm, err = os.MkdirTemp("/dev/shm", "nwbench-"); err != nil {
		b.shm = ""
		b.table.note("there is no /dev/shm: %v", err)
	}
	if b.binary != "" {
		b.binary, err = filepath.Abs(b.binary)
		return err
	}
	b.binary = filepath.Join(b.dir, "nameward")
	build := command(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.binary, "github.com/nameward/nameward/cmd/nameward")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building nameward: %w\n%s", err, out)
	}
	return nil
}

func (b *bench) clean() {
	for _, dir := range []string{b.dir, b.shm} {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
}

// disk is a place for a guard's state.
type disk struct{ name, dir string }

// disks are the real one and the one in memory.
func (b *bench) disks() []disk {
	out := []disk{{fileSystem(b.dir), b.dir}}
	if b.shm != "" {
		out = append(out, disk{"/dev/shm", b.shm})
	}
	return out
}
