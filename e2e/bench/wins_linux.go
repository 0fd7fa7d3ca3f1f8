package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Sizes of the WINS measurement.
const (
	winsFew         = 1000  // records at first
	winsMore        = 20000 // records later, as much as nmbd can be filled with in reasonable time
	winsSlow        = 5000  // the same for Samba's AD name server
	winsOutstanding = 256   // registrations on their way: a building after a power cut
	peerOutstanding = 128   // the same for peers, which lose of 256 and then do worse: their receive buffers hold 160
	winsBurst       = 4096  // packets at once
	winsDead        = 8     // names whose owner is silent
	// burstFirst is the number of the first name of a burst.
	burstFirst = 1_500_000
)

// What a client of WINS does about a lost packet: Windows sends three, 1.5 s apart.
const (
	winsTries   = 3
	winsTimeout = 1500 * time.Millisecond
)

// Bursts are sent once, so that every loss is seen; a server may take its time.
const burstTimeout = 10 * time.Second

// winsServer is a WINS server that is measured.
type winsServer struct {
	*process
	what    string
	at      int // its namespace
	records int // how many it is filled with
	claims  int // registrations on their way while their rate is measured
	start   func(ctx context.Context) (*process, error)
	figures map[winsKey]*winsFigures
	failed  error
}

// winsKey is what is measured, in words.
type winsKey string

const (
	winsQueryFew      winsKey = "name query, few records"
	winsQueryMany     winsKey = "name query, many records"
	winsRegister      winsKey = "registration"
	winsRegister1     winsKey = "registration, 1 outstanding"
	winsRegister32    winsKey = "registration, 32 outstanding"
	winsRegister256   winsKey = "registration, 256 outstanding"
	winsRefresh       winsKey = "refresh"
	winsRelease       winsKey = "release"
	winsBurstQuery    winsKey = "burst of queries"
	winsBurstRegister winsKey = "burst of registrations"
	winsTakeOver      winsKey = "dead owner"
)

// winsFigures are those of all rounds, and the sums of the one that is measured.
type winsFigures struct {
	rate, cpu, p50, p99 samples // 1/s, microseconds, ms, ms
	lost                samples // requests without an answer, for each load
	wrong, resent       int

	replies, seconds, cpuTime float64
	last                      loadResult
}

// winsStep is one load, which every server gets in turn.
type winsStep struct {
	key  winsKey
	load func(s *winsServer) loadOptions
}

func winsSteps(load time.Duration) []winsStep {
	query := func(names int) func(*winsServer) loadOptions {
		return func(s *winsServer) loadOptions {
			o := s.load(opQuery, 0, min(names, s.records))
			o.load, o.tries, o.outstanding = load, 1, outstanding
			return o
		}
	}
	// As many outstanding as the server is to have, if 0.
	claims := func(op operation, first, last, outstanding int) func(*winsServer) loadOptions {
		return func(s *winsServer) loadOptions {
			o := s.load(op, first, min(last, s.records)-first)
			if outstanding > 0 {
				o.outstanding = outstanding
			}
			return o
		}
	}
	burst := func(op operation, first int) func(*winsServer) loadOptions {
		return func(s *winsServer) loadOptions {
			o := s.load(op, first, winsBurst)
			o.tries, o.timeout, o.outstanding = 1, burstTimeout, winsBurst
			return o
		}
	}
	const single, several = winsFew + 250, winsFew + 750
	return []winsStep{
		{winsRegister256, claims(opRegister, 0, winsFew, winsOutstanding)},
		{winsQueryFew, query(winsFew)},
		{winsRegister1, claims(opRegister, winsFew, single, 1)},
		{winsRegister32, claims(opRegister, single, several, 32)},
		{winsRegister, claims(opRegister, several, winsMore, 0)},
		{winsQueryMany, query(winsMore)},
		{winsBurstQuery, burst(opQuery, 0)},
		{winsRefresh, claims(opRefresh, 0, winsMore, 0)},
		{winsRelease, claims(opRelease, 0, winsMore, 0)},
		{winsBurstRegister, burst(opRegister, burstFirst)},
	}
}

// load are the requests of one client for some names; the address is its own, as servers insist.
func (s *winsServer) load(op operation, first, names int) loadOptions {
	return loadOptions{
		server: serverAddr(s.at) + ":137", op: op, first: first, names: names, addr: clientAddr(s.at),
		outstanding: s.claims, timeout: winsTimeout, tries: winsTries,
	}
}

// measureWINS compares our WINS server with two others, and with itself when it has very many records.
func measureWINS(ctx context.Context, b *bench) error {
	err := b.compareWINS(ctx)
	if errors.Is(err, errMissing) {
		b.table.note("no WINS server was compared: %s", firstLine(err))
		err = nil
	}
	return errors.Join(err, b.measureManyRecords(ctx))
}

// compareWINS loads our WINS server, nmbd and the name server of Samba's AD domain controller in turn.
func (b *bench) compareWINS(ctx context.Context) error {
	ns, err := newNamespaces(ctx, 3)
	if err != nil {
		return err
	}
	// The servers have ended before their namespaces go.
	defer ns.remove()
	servers := b.winsServers(ctx, ns)
	for round := range b.winsRounds {
		if err := b.winsRound(ctx, ns, servers, round); err != nil {
			return err
		}
	}
	b.reportWINS(servers[0], servers[1], servers[2])
	var errs []error
	for _, s := range servers {
		if !s.missing() {
			errs = append(errs, s.failed)
		}
	}
	return errors.Join(errs...)
}

// winsServers are ours, nmbd and the other one. A round starts each with an empty database in a
// directory of its own.
func (b *bench) winsServers(ctx context.Context, ns *namespaces) []*winsServer {
	fresh := func(start func(ctx context.Context, dir string) (*process, error)) func(context.Context) (*process, error) {
		return func(ctx context.Context) (*process, error) {
			dir, err := os.MkdirTemp(b.dir, "w")
			if err != nil {
				return nil, err
			}
			return start(ctx, dir)
		}
	}
	ad, failed := newSambaAD(ctx, ns.servers[2], serverAddr(2), filepath.Join(b.dir, "ad"))
	servers := []*winsServer{
		{what: "nameward", records: winsMore, claims: winsOutstanding, start: fresh(func(ctx context.Context, dir string) (*process, error) {
			return startWINS(ctx, b.binary, ns.servers[0], serverAddr(0), dir)
		})},
		{what: "nmbd", records: winsMore, claims: peerOutstanding, start: fresh(func(ctx context.Context, dir string) (*process, error) {
			return startNmbd(ctx, ns.servers[1], serverAddr(1), filepath.Join(dir, "nmbd"))
		})},
		{what: "Samba AD", records: winsSlow, claims: peerOutstanding, failed: failed, start: func(ctx context.Context) (*process, error) {
			return ad.start(ctx, ns.servers[2], serverAddr(2))
		}},
	}
	for i, s := range servers {
		s.at, s.figures = i, map[winsKey]*winsFigures{}
	}
	return servers
}

// missing reports whether the server is not to be had here.
func (s *winsServer) missing() bool { return errors.Is(s.failed, errMissing) }

// startWINS runs nameward as a WINS server in a namespace.
func startWINS(ctx context.Context, binary, ns, addr, dir string) (*process, error) {
	w := world{wins: 4 * winsMore}
	text := w.yaml(places{
		store: filepath.Join(dir, "state.db"), socket: filepath.Join(dir, "s"), netbios: addr + ":137", wins: filepath.Join(dir, "wins.db"),
	})
	return serveIn(ctx, binary, ns, addr, dir, text)
}

// winsRound starts every server, loads them in turn and ends them.
func (b *bench) winsRound(ctx context.Context, ns *namespaces, servers []*winsServer, round int) error {
	// The order changes from round to round.
	order := slices.Concat(servers[round%len(servers):], servers[:round%len(servers)])
	each := func(what string, do func(*winsServer) error) error {
		for _, s := range order {
			if s.failed != nil {
				continue
			}
			if err := do(s); err != nil {
				s.failed = fmt.Errorf("%s, %s: %w", s.what, what, err)
				if s.process != nil {
					s.process.stop()
				}
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		return nil
	}
	defer func() {
		for _, s := range order {
			if s.process != nil {
				s.process.stop()
				s.process = nil
			}
		}
	}()
	err := each("start", func(s *winsServer) error { return s.begin(ctx, ns) })
	for _, step := range winsSteps(b.load) {
		if err == nil {
			err = each(string(step.key), func(s *winsServer) error { return s.step(ctx, ns, step) })
		}
	}
	if err == nil {
		err = each(string(winsTakeOver), func(s *winsServer) error {
			if round > 0 && s != servers[0] { // it takes nmbd 20 seconds
				return nil
			}
			return s.takeOver(ctx, ns)
		})
	}
	for _, s := range servers {
		s.closeRound()
	}
	return err
}

// begin starts the server and waits until it registers a name.
func (s *winsServer) begin(ctx context.Context, ns *namespaces) (err error) {
	if s.process, err = s.start(ctx); err != nil {
		return err
	}
	return tries(ctx, 200*time.Millisecond, startLimit, func() error {
		if err := s.ended(); err != nil {
			return err
		}
		o := s.load(opRegister, burstFirst-1, 1)
		o.tries = 1
		r, err := o.within(ctx, ns.client)
		if err == nil && r.Replies != 1 {
			err = fmt.Errorf("no name is registered: %+v", r)
		}
		return err
	})
}

// step loads the server once. Registrations that have failed are made up for, so that later steps find
// every name.
func (s *winsServer) step(ctx context.Context, ns *namespaces, step winsStep) error {
	o := step.load(s)
	if o.names <= 0 {
		return nil
	}
	before, err := s.cpu()
	if err != nil {
		return err
	}
	r, err := o.within(ctx, ns.client)
	if err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	if r.Replies == 0 {
		return fmt.Errorf("no right answer: %+v", r)
	}
	f := s.of(step.key)
	f.note(r, after-before)
	if r.Odd != "" && f.wrong == r.Wrong {
		fmt.Fprintf(os.Stderr, "bench: %s, %s: a wrong answer: %s\n", s.what, step.key, r.Odd)
	}
	if o.op == opRegister && r.Lost > 0 && step.key != winsBurstRegister {
		o.outstanding = outstanding // so few that no server loses any
		r, err = o.within(ctx, ns.client)
		if err == nil && r.Lost > 0 {
			err = fmt.Errorf("%d names are not registered", r.Lost)
		}
	}
	return err
}

func (s *winsServer) of(key winsKey) *winsFigures {
	if s.figures[key] == nil {
		s.figures[key] = &winsFigures{}
	}
	return s.figures[key]
}

// note adds the result of a load to the sums of the round.
func (f *winsFigures) note(r loadResult, cpu time.Duration) {
	f.replies += float64(r.Replies)
	f.seconds += float64(r.Replies) / r.Rate
	f.cpuTime += float64(cpu) / float64(time.Microsecond)
	f.wrong += r.Wrong
	f.resent += r.Resent
	f.lost.add(float64(r.Lost))
	f.last = r
}

// closeRound makes samples of the sums.
func (s *winsServer) closeRound() {
	for _, f := range s.figures {
		if f.replies > 0 {
			f.rate.add(f.replies / f.seconds)
			f.cpu.add(f.cpuTime / f.replies)
			f.p50.add(f.last.P50)
			f.p99.add(f.last.P99)
		}
		f.replies, f.seconds, f.cpuTime = 0, 0, 0
	}
}

// takeOver has the names of a silent owner claimed by somebody else.
func (s *winsServer) takeOver(ctx context.Context, ns *namespaces) error {
	var r deadResult
	err := runSelf(ctx, ns.client, &r, deadVerb, "-server", serverAddr(s.at)+":137", "-owner", secondAddr(s.at),
		"-claimant", clientAddr(s.at), "-names", fmt.Sprint(winsDead))
	if err != nil {
		return err
	}
	if r.Asked == 0 {
		return fmt.Errorf("an owner was not asked: %+v", r)
	}
	f := s.of(winsTakeOver)
	f.p50 = append(f.p50, r.Millis...)
	return nil
}
