package main

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// mostOverhead is what nameward may cost a query that it has nothing to do with: a share of the CPU time
// of the same Corefile without it. The queries per second say less: upstream and the load generator share
// the other core, and may be what is waited for.
const mostOverhead = 0.05

// forwarder is a server that asks upstream for all names: our binary with the built-in Corefile.
type forwarder struct {
	contestant
	guarded    bool // with the plugin
	warm, cold perfSamples
}

type perfSamples struct{ qps, cpu samples }

// Names that upstream is asked for.
const (
	warmNames = 1000    // fewer than the cache holds
	coldNames = 300_000 // more than a run gets through
)

// measureAnswers compares the built-in Corefile with itself without nameward.
func measureAnswers(ctx context.Context, b *bench) error {
	dir, err := os.MkdirTemp(b.dir, "a")
	if err != nil {
		return err
	}
	upstream, err := freePort()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	up, err := launch(ctx, loadCore(), filepath.Join(dir, "upstream.log"), self, upstreamVerb, "-listen", upstream.String())
	if err != nil {
		return err
	}
	defer up.stop()
	warm := filepath.Join(dir, "warm")
	if err := writeNames(warm, "warm", warmNames); err != nil {
		return err
	}
	both := []*forwarder{{guarded: true}, {}}
	for i, f := range both {
		if err := f.start(ctx, b.binary, filepath.Join(dir, fmt.Sprint(i)), upstream); err != nil {
			return err
		}
		defer f.stop()
		if _, err := dnsperf(ctx, f.addr, warm, time.Second, 0); err != nil { // fills the cache
			return err
		}
	}
	for round := range b.rounds {
		for i := range both {
			f := both[(i+round)%len(both)]
			if err := f.round(ctx, dir, warm, fmt.Sprintf("r%dx%d", round, i), b.load); err != nil {
				return err
			}
		}
	}
	b.reportAnswers(both[0], both[1])
	return nil
}

func (f *forwarder) start(ctx context.Context, binary, dir string, upstream netip.AddrPort) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if f.addr, err = freePort(); err != nil {
		return err
	}
	metrics, err := freePort()
	if err != nil {
		return err
	}
	directive, config := "", filepath.Join(dir, "nameward.yaml")
	if f.guarded {
		w := world{roles: 1000, each: 1}
		if err := os.WriteFile(config, []byte(w.yaml(places{store: filepath.Join(dir, "state.db"), socket: filepath.Join(dir, "s")})), 0o600); err != nil {
			return err
		}
		directive = fmt.Sprintf("    nameward %q\n", config)
	}
	corefile := fmt.Sprintf(".:%d {\n    errors\n    bind %s\n    prometheus %s\n%s    cache\n    loop\n    forward . %s\n}\n",
		f.addr.Port(), f.addr.Addr(), metrics, directive, upstream)
	if err := os.WriteFile(filepath.Join(dir, "Corefile"), []byte(corefile), 0o644); err != nil {
		return err
	}
	f.process, err = launch(ctx, serverCore(), filepath.Join(dir, "log"), binary, "serve", "--corefile", filepath.Join(dir, "Corefile"))
	if err != nil {
		return err
	}
	return f.up()
}

// up waits for an answer of upstream.
func (f *forwarder) up() error {
	a, err := newDNSAsker(f.addr)
	if err != nil {
		return err
	}
	defer a.close()
	for end := time.Now().Add(startLimit); ; time.Sleep(time.Millisecond) {
		// Any answer will do: the guarded one has its own for this name.
		if _, err = a.ask(-1); err == nil {
			return nil
		}
		if dead := f.ended(); dead != nil {
			return dead
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s does not answer: %w", f.addr, err)
		}
	}
}

// round asks for names that the cache has, and then for names that nobody has asked for before.
func (f *forwarder) round(ctx context.Context, dir, warm, fresh string, load time.Duration) error {
	if err := f.take(ctx, warm, load, &f.warm); err != nil {
		return err
	}
	cold := filepath.Join(dir, fresh)
	if err := writeNames(cold, fresh, coldNames); err != nil {
		return err
	}
	defer os.Remove(cold)
	return f.take(ctx, cold, load, &f.cold)
}

func (f *forwarder) take(ctx context.Context, queries string, load time.Duration, to *perfSamples) error {
	f.qps, f.cpu = nil, nil
	if err := f.load(ctx, queries, load); err != nil {
		return err
	}
	to.qps, to.cpu = append(to.qps, f.qps...), append(to.cpu, f.cpu...)
	return nil
}

// writeNames writes queries for names that nothing guards.
func writeNames(path, prefix string, n int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b := bufio.NewWriter(f)
	for i := range n {
		fmt.Fprintf(b, "%s-%06d.example.net. A\n", prefix, i)
	}
	return b.Flush()
}

func (b *bench) reportAnswers(ours, bare *forwarder) {
	for _, r := range []struct {
		what        string
		with, other perfSamples
	}{{"warm cache", ours.warm, bare.warm}, {"names never asked before", ours.cold, bare.cold}} {
		cost := ratios(r.with.cpu, r.other.cpu).median()
		b.table.require(cost < 1+mostOverhead, row{
			what: "CPU for each query for another server's name, " + r.what + ", against the same Corefile without nameward",
			ours: fmt.Sprintf("%.2f µs", r.with.cpu.median()), peer: fmt.Sprintf("%.2f µs", r.other.cpu.median()),
			ratio: fmt.Sprintf("%.3fx", cost), required: fmt.Sprintf("< %.2fx", 1+mostOverhead),
		})
		b.table.inform(row{
			what: "queries per second and core for such names, " + r.what, ours: figure(r.with.qps.median()), peer: figure(r.other.qps.median()),
			ratio: fmt.Sprintf("%.3fx", ratios(r.with.qps, r.other.qps).median()),
		})
		b.table.keep("another server's names, "+r.what+", with nameward", "queries/s", r.with.qps)
		b.table.keep("another server's names, "+r.what+", without", "queries/s", r.other.qps)
		b.table.keep("another server's names, "+r.what+", with nameward", "CPU µs/query", r.with.cpu)
		b.table.keep("another server's names, "+r.what+", without", "CPU µs/query", r.other.cpu)
	}
	lost := ours.lost + bare.lost
	b.table.require(lost == 0, row{what: "queries lost", ours: fmt.Sprint(lost), required: "0"})
}
