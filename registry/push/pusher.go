package push

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
)

// Pusher keeps one worker for each target. Set the fields, then keep Run running; the rest may be called at any
// time and from any goroutine.
type Pusher struct {
	Ledger   *Ledger
	Snapshot func() *registry.Snapshot
	// Leads reports whether it is for this guard to tell the targets, and returns a channel that is closed when that
	// changes; nil for always. Guards that share a store let one of them do it.
	Leads func() (is bool, changed <-chan struct{})
	// Settle is for how long after Run began nobody is told: targets ask us, and some remember for long that nobody
	// answered.
	Settle time.Duration
	Log    zerolog.Logger

	mu      sync.Mutex
	targets []Target
	workers []*worker
	meters  map[string]*Meter
	renewed chan struct{} // closed when targets are others
}

// Configure puts other targets in the place of those of now. The drivers belong to the Pusher then, which closes them
// when they are replaced in their turn or when Run ends.
func (p *Pusher) Configure(targets []Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.targets = targets
	if p.renewed != nil {
		close(p.renewed)
		p.renewed = nil
	}
}

// Run keeps the workers until ctx ends.
func (p *Pusher) Run(ctx context.Context) error {
	settled := time.Now().Add(p.Settle)
	for ctx.Err() == nil {
		targets, renewed := p.begin(settled)
		round, end := context.WithCancel(ctx)
		var running sync.WaitGroup
		for _, w := range p.current() {
			running.Go(func() { w.run(round) })
		}
		select {
		case <-renewed:
		case <-ctx.Done():
		}
		end()
		running.Wait()
		p.close(targets)
	}
	return nil
}

// begin makes the workers of the targets of now.
func (p *Pusher) begin(settled time.Time) ([]Target, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.renewed = make(chan struct{})
	meters := map[string]*Meter{}
	p.workers = nil
	for _, t := range p.targets {
		m := p.meters[t.Name]
		if m == nil {
			m = new(Meter)
		}
		meters[t.Name] = m
		p.workers = append(p.workers, &worker{
			Target: t, ledger: p.Ledger, log: p.Log, meter: m, source: p.Snapshot, leads: p.leads, settled: settled, kicks: make(chan kick, 16),
		})
	}
	p.meters = meters
	p.Ledger.keepOnly(func(target, _ string) bool { return meters[target] != nil })
	p.Ledger.touch()
	return p.targets, p.renewed
}

// hasBegun reports whether there are workers, if only for no target.
func (p *Pusher) hasBegun() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.meters != nil
}

func (p *Pusher) leads() (bool, <-chan struct{}) {
	if p.Leads == nil {
		return true, nil
	}
	return p.Leads()
}

func (p *Pusher) close(targets []Target) {
	for _, t := range targets {
		if c, ok := t.Driver.(Closer); ok {
			if err := c.Close(); err != nil {
				p.Log.Warn().Err(err).Str("target", t.Name).Msg("the target was not closed well")
			}
		}
	}
}

func (p *Pusher) current() []*worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.workers)
}

// TargetStatus is how one target is.
type TargetStatus struct {
	Name, Kind string
	CanBeAsked bool          // else an acknowledgement is all that can be had
	Stages     map[Stage]int // deliveries by stage
	Seen       uint64        // the change up to which all deliveries are in the ledger
	Counts     Counts
}

// Lacks is how many roles the target has not yet.
func (t *TargetStatus) Lacks() (n int) {
	for stage, rows := range t.Stages {
		if stage != Verified && (stage != Acked || t.CanBeAsked) {
			n += rows
		}
	}
	return n
}

// Standing returns how the targets are, in written order.
func (p *Pusher) Standing() []TargetStatus {
	var out []TargetStatus
	for _, w := range p.current() {
		_, canBeAsked := w.Driver.(Verifier)
		out = append(out, TargetStatus{w.Name, w.Kind, canBeAsked, p.Ledger.standing(w.Name), w.seen.Load(), w.meter.counts()})
	}
	return out
}

// Leading reports whether it is for this guard to tell the targets.
func (p *Pusher) Leading() bool {
	is, _ := p.leads()
	return is
}

// Retry has what is not delivered told now, whatever the last failure was; with all, also what is. No targets and no
// roles stand for all of them. It returns how many targets were asked to.
func (p *Pusher) Retry(ctx context.Context, targets, roles []string, all bool) (int, error) {
	k := kick{all: all}
	if len(roles) > 0 {
		k.roles = map[string]bool{}
		for _, r := range roles {
			k.roles[r] = true
		}
	}
	workers, err := p.chosen(targets)
	for _, w := range workers {
		select {
		case w.kicks <- k:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return len(workers), err
}

func (p *Pusher) chosen(names []string) ([]*worker, error) {
	workers := p.current()
	if len(names) == 0 {
		return workers, nil
	}
	var out []*worker
	var problems []error
	for _, n := range names {
		i := slices.IndexFunc(workers, func(w *worker) bool { return w.Name == n })
		if i < 0 {
			problems = append(problems, errors.New("no target is named "+n+"; there are "+namesOf(workers)))
			continue
		}
		out = append(out, workers[i])
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return out, nil
}

func namesOf(workers []*worker) string {
	if len(workers) == 0 {
		return "none"
	}
	var names []string
	for _, w := range workers {
		names = append(names, w.Name)
	}
	return strings.Join(names, ", ")
}
