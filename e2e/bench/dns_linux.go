package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// contestant is a server under load: our binary with one plugin that has the names.
type contestant struct {
	*process
	plugin   string
	full     bool // prometheus and errors are configured too
	addr     netip.AddrPort
	qps, cpu samples // cpu in microseconds for each query
	lost     int
}

func (c *contestant) String() string {
	if c.full {
		return c.plugin + " with prometheus and errors"
	}
	return c.plugin
}

// measureDNS compares the plugin with those of CoreDNS in the same binary, one server core each.
func measureDNS(ctx context.Context, b *bench) error {
	for _, w := range []world{{roles: 1000, each: 1}, {roles: 100_000, each: 1}} {
		if err := b.compareDNS(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", w, err)
		}
	}
	return nil
}

func (b *bench) compareDNS(ctx context.Context, w world) error {
	dir, err := os.MkdirTemp(b.dir, "d")
	if err != nil {
		return err
	}
	queries := filepath.Join(dir, "queries")
	if err := w.writeQueries(queries); err != nil {
		return err
	}
	all := []*contestant{
		{plugin: "nameward"}, {plugin: "hosts"}, {plugin: "file"}, {plugin: "nameward", full: true}, {plugin: "hosts", full: true},
	}
	defer func() {
		for _, c := range all {
			if c.process != nil {
				c.stop()
			}
		}
	}()
	for i, c := range all {
		if err := c.start(ctx, b.binary, filepath.Join(dir, fmt.Sprint(i)), w); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	for round := range b.rounds {
		for i := range all {
			c := all[(i+round)%len(all)]
			if err := c.load(ctx, queries, b.load); err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
		}
	}
	b.reportDNS(w, all)
	return nil
}

// start writes what the plugin reads, and a Corefile, and waits for an answer.
func (c *contestant) start(ctx context.Context, binary, dir string, w world) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if c.addr, err = freePort(); err != nil {
		return err
	}
	metrics, err := freePort()
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	var content, directive string
	switch c.plugin {
	case "nameward":
		content = w.yaml(places{store: filepath.Join(dir, "state.db"), socket: filepath.Join(dir, "s")})
		directive = fmt.Sprintf("nameward %q", data)
	case "hosts":
		content, directive = w.hosts(), fmt.Sprintf("hosts %q {\n        ttl 60\n        reload 0\n    }", data)
	case "file":
		content, directive = w.zoneFile(), fmt.Sprintf("file %q %s {\n        reload 0\n    }", data, zone)
	}
	more := ""
	if c.full {
		more = fmt.Sprintf("    prometheus %s\n    errors\n", metrics)
	}
	corefile := fmt.Sprintf(".:%d {\n    bind %s\n%s    %s\n}\n", c.addr.Port(), c.addr.Addr(), more, directive)
	for path, text := range map[string]string{data: content, filepath.Join(dir, "Corefile"): corefile} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	c.process, err = launch(ctx, serverCore(), filepath.Join(dir, "log"), binary, "serve", "--corefile", filepath.Join(dir, "Corefile"))
	if err != nil {
		return err
	}
	a, err := newDNSAsker(c.addr)
	if err != nil {
		return err
	}
	defer a.close()
	if _, _, err = a.until(w.names()-1, address(0), startLimit); err != nil {
		if dead := c.ended(); dead != nil {
			return dead
		}
	}
	return err
}

func (c *contestant) load(ctx context.Context, queries string, load time.Duration) error {
	before, err := c.process.cpu()
	if err != nil {
		return err
	}
	p, err := dnsperf(ctx, c.addr, queries, load, 0)
	if err != nil {
		return err
	}
	after, err := c.process.cpu()
	if err != nil {
		return err
	}
	c.qps.add(p.qps)
	c.cpu.add(float64(after-before) / float64(time.Microsecond) / float64(p.completed))
	c.lost += p.lost
	return nil
}

// reportDNS compares the first contestant with the better one of its peers, and the fully configured
// ones with each other for information.
func (b *bench) reportDNS(w world, all []*contestant) {
	ours, better, full, fullPeer := all[0], all[1], all[3], all[4]
	if all[2].qps.median() > better.qps.median() {
		better = all[2]
	}
	ratio := ratios(ours.qps, better.qps).median()
	b.table.require(ratio >= 1, row{
		what: fmt.Sprintf("DNS queries per second and core, %s, against the better one of hosts and file", w),
		ours: figure(ours.qps.median()), peer: fmt.Sprintf("%s (%s)", figure(better.qps.median()), better),
		ratio: figure(ratio) + "x", required: ">= 1.0x",
	})
	other := all[1]
	if better == other {
		other = all[2]
	}
	b.table.inform(row{
		what: fmt.Sprintf("DNS queries per second and core, %s, against %s", w, other), ours: figure(ours.qps.median()), peer: figure(other.qps.median()),
		ratio: figure(ratios(ours.qps, other.qps).median()) + "x",
	})
	b.table.inform(row{
		what: fmt.Sprintf("DNS queries per second and core, %s, prometheus and errors in both, against hosts", w),
		ours: figure(full.qps.median()), peer: figure(fullPeer.qps.median()), ratio: figure(ratios(full.qps, fullPeer.qps).median()) + "x",
	})
	b.table.inform(row{
		what: fmt.Sprintf("CPU for each query, %s", w), ours: figure(ours.cpu.median()) + " µs",
		peer: fmt.Sprintf("%s µs (%s)", figure(better.cpu.median()), better), ratio: figure(ratios(better.cpu, ours.cpu).median()) + "x",
	})
	b.table.inform(row{
		what: fmt.Sprintf("CPU for each query with prometheus and errors, %s", w), ours: figure(full.cpu.median()) + " µs",
		peer: fmt.Sprintf("%s µs (hosts)", figure(fullPeer.cpu.median())), ratio: figure(ratios(fullPeer.cpu, full.cpu).median()) + "x",
	})
	lost := ours.lost + full.lost
	for _, c := range all {
		b.table.keep(fmt.Sprintf("DNS, %s, %s", w, c), "queries/s", c.qps)
		b.table.keep(fmt.Sprintf("DNS, %s, %s", w, c), "CPU µs/query", c.cpu)
	}
	b.table.require(lost == 0, row{what: fmt.Sprintf("queries lost, %s", w), ours: fmt.Sprint(lost), required: "0"})
}
