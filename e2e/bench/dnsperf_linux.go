package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// perf is one run of dnsperf.
type perf struct {
	qps       float64
	completed int
	lost      int
}

// dnsperf asks a server for the names in the file queries. A limit of 0 queries per second is none.
func dnsperf(ctx context.Context, server netip.AddrPort, queries string, load time.Duration, limit int) (perf, error) {
	path, err := exec.LookPath("dnsperf")
	if err != nil {
		return perf{}, fmt.Errorf("%w: no dnsperf here", errMissing)
	}
	args := []string{
		"-s", server.Addr().String(), "-p", strconv.Itoa(int(server.Port())), "-d", queries,
		"-l", strconv.Itoa(max(1, int(load/time.Second))), "-c", "4", "-T", "1",
	}
	if limit > 0 {
		args = append(args, "-Q", strconv.Itoa(limit))
	}
	var out strings.Builder
	cmd := command(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := onCore(loadCore(), cmd.Start); err != nil {
		return perf{}, fmt.Errorf("starting dnsperf: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return perf{}, fmt.Errorf("dnsperf: %w: %s", err, out.String())
	}
	return parsePerf(out.String())
}

// Lines of dnsperf's report.
var (
	perfRate      = regexp.MustCompile(`Queries per second:\s+([0-9.]+)`)
	perfCompleted = regexp.MustCompile(`Queries completed:\s+([0-9]+)`)
	perfLost      = regexp.MustCompile(`Queries lost:\s+([0-9]+)`)
	perfCodes     = regexp.MustCompile(`Response codes:\s+(.*)`)
)

func parsePerf(report string) (perf, error) {
	var p perf
	rate, completed, lost, codes := perfRate.FindStringSubmatch(report), perfCompleted.FindStringSubmatch(report),
		perfLost.FindStringSubmatch(report), perfCodes.FindStringSubmatch(report)
	if rate == nil || completed == nil || lost == nil || codes == nil {
		return p, fmt.Errorf("dnsperf's report is not understood: %s", report)
	}
	if !strings.HasPrefix(codes[1], "NOERROR") || strings.Contains(codes[1], ",") {
		return p, fmt.Errorf("not every query was answered right: %s", codes[1])
	}
	p.qps, _ = strconv.ParseFloat(rate[1], 64)
	p.completed, _ = strconv.Atoi(completed[1])
	p.lost, _ = strconv.Atoi(lost[1])
	return p, nil
}

// queryLines is how many queries the file for dnsperf has, which begins anew behind the last.
const queryLines = 200_000

// writeQueries picks names uniformly.
func (w world) writeQueries(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b := bufio.NewWriter(f)
	random := rand.New(rand.NewPCG(1, uint64(w.names())))
	for range queryLines {
		fmt.Fprintf(b, "%s A\n", dnsName(random.IntN(w.names())))
	}
	return b.Flush()
}
