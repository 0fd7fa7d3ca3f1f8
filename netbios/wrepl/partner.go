package wrepl

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/nameward/nameward/netbios/wins"
)

// partner is what is known of a Partner and under way with it.
type partner struct {
	Partner
	r *Replicator

	pullNow chan struct{} // has a token when the partner is to be asked
	pushNow chan struct{} // has a token when the partner is to be told

	mu     sync.Mutex
	moved  chan struct{} // closed when told or has change
	told   uint64        // the version of ours in the last notification
	has    uint64        // the version of ours that the partner has, as far as is known
	news   *Table        // of a third server, to be propagated; nil when there are none
	inform *Table        // the table of a notification that is to be followed; nil: ask for one
	table  map[wins.IPv4]uint64
	open   []*association // accepted, the oldest first
	status Status
}

// Status is how things stand with a partner.
type Status struct {
	Partner
	Version   uint64       // of our records that the partner has
	Owners    int          // whose records it has
	Accepted  int          // connections that are open, of those that it opened
	LastPull  time.Time    // when it was asked with success; zero: never
	PullError string       // of the last try, "" when that had success
	LastPush  time.Time    // when it was told with success; zero: never
	PushError string       // of the last try, "" when that had success
	LastNews  time.Time    // when records of it were taken last; zero: never
	Applied   wins.Applied // what became of its records since the start
}

func newPartner(r *Replicator, cfg Partner) *partner {
	return &partner{
		Partner: cfg, r: r, pullNow: make(chan struct{}, 1), pushNow: make(chan struct{}, 1), moved: make(chan struct{}),
		status: Status{Partner: cfg},
	}
}

// Status returns that of all partners, in the order of the settings.
func (r *Replicator) Status() []Status {
	var out []Status
	for _, p := range r.partners {
		p.mu.Lock()
		s := p.status
		s.Version, s.Owners, s.Accepted = p.has, len(p.table), len(p.open)
		p.mu.Unlock()
		out = append(out, s)
	}
	return out
}

func (p *partner) String() string {
	if p.Name == "" {
		return p.Addr.Addr().String()
	}
	return p.Name
}

func (p *partner) address() wins.IPv4 { return wins.IPv4Of(p.Addr.Addr()) }

// wake puts a token into a channel that has room for one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// poke has the partner asked: for what its notification says, or first for its table.
func (p *partner) poke(t *Table) {
	p.mu.Lock()
	p.inform = t
	p.mu.Unlock()
	wake(p.pullNow)
}

func (p *partner) takeInform() *Table {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.inform
	p.inform = nil
	return t
}

// note keeps what the partner knows; nil when it does not answer.
func (p *partner) note(t *Table) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.table = nil
	if t != nil {
		p.table = make(map[wins.IPv4]uint64, len(t.Owners))
		for _, o := range t.Owners {
			p.table[o.Addr] = o.Max
		}
	}
}

func (p *partner) knows(owner wins.IPv4) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.table[owner]
}

// answers reports whether the partner has told what it knows when it was asked last.
func (p *partner) answers() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Pull > 0 && p.table != nil
}

// wasAsked reports whether it was asked with success so short a time ago.
func (p *partner) wasAsked(ago time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.status.LastPull) < ago
}

// tellNews has the partner told of records that came from a third server.
func (p *partner) tellNews(t *Table) {
	p.mu.Lock()
	p.news = t
	p.mu.Unlock()
	wake(p.pushNow)
}

func (p *partner) takeNews() *Table {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.news
	p.news = nil
	return n
}

// hasNow notes the version of ours that the partner has.
func (p *partner) hasNow(version uint64) { p.move(func() { p.has = version }) }

// toldNow notes the version of ours in a notification.
func (p *partner) toldNow(version uint64) { p.move(func() { p.told = version }) }

// gave notes that the partner was given our records up to a version.
func (p *partner) gave(version uint64) { p.move(func() { p.has = max(p.has, version) }) }

func (p *partner) move(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.moved)
	p.moved = make(chan struct{})
}

func (p *partner) progress() (told, has uint64, moved <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told, p.has, p.moved
}

// The waits between tries.
const (
	leastRetry = time.Second
	mostRetry  = time.Minute
	// gatherTime is how long a partner that has answered at the start waits for the answers of the others.
	gatherTime = 2 * time.Second
	// leftTime is when a partner is asked again for what was left to another one.
	leftTime = 10 * time.Second
)

// retry is a wait that grows with each failure and has jitter.
type retry struct{ failures int }

func (b *retry) next() time.Duration {
	wait := min(leastRetry<<min(b.failures, 10), mostRetry)
	b.failures++
	return wait/2 + rand.N(wait/2)
}

// line is the connection on which a partner is asked. It stays open.
type line struct {
	*association
	close func()
}

func (l *line) drop() {
	if l.association != nil {
		l.close()
		l.association = nil
	}
}

// call connects to a partner.
func (p *partner) call(ctx context.Context) (line, error) {
	conn, err := p.r.dial(ctx, p.Addr)
	if err != nil {
		return line{}, err
	}
	closeNow := closeWith(ctx, conn)
	a, err := invite(conn)
	if err != nil {
		closeNow()
		return line{}, fmt.Errorf("opening an association: %w", err)
	}
	return line{a, closeNow}, nil
}

// pulls asks the partner at the start, from time to time and whenever it has news.
func (p *partner) pulls(ctx context.Context) {
	var l line
	defer func() { l.drop() }()
	var backoff retry
	arrived := sync.OnceFunc(p.r.first.Done)
	defer arrived()
	timer := time.NewTimer(0)
	if p.Pull == 0 {
		arrived()
		timer.Stop()
	}
	defer timer.Stop()
	for {
		onTime := false
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			onTime = true
		case <-p.pullNow:
		}
		left, err := p.pull(ctx, &l, onTime, arrived)
		arrived()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.note(nil)
			l.drop()
			p.pullFailed(err, backoff.failures == 0)
			timer.Reset(backoff.next())
		case left:
			timer.Reset(leftTime)
		case p.Pull > 0:
			backoff.failures = 0
			timer.Reset(p.Pull)
		default:
			backoff.failures = 0
			timer.Stop()
		}
	}
}

// pull asks the partner once. A connection that the partner has closed meanwhile is opened anew.
func (p *partner) pull(ctx context.Context, l *line, onTime bool, arrived func()) (left bool, err error) {
	inform := p.takeInform()
	old := l.association != nil
	left, err = p.pullOn(ctx, l, inform, onTime, arrived)
	if err != nil && old && ctx.Err() == nil {
		l.drop()
		left, err = p.pullOn(ctx, l, inform, onTime, arrived)
	}
	return left, err
}

func (p *partner) pullOn(ctx context.Context, l *line, t *Table, onTime bool, arrived func()) (left bool, err error) {
	if l.association == nil {
		if *l, err = p.call(ctx); err != nil {
			return false, err
		}
	}
	var propagate Command
	if t != nil {
		propagate = t.Command
	} else if t, err = l.table(); err != nil {
		return false, err
	}
	p.note(t)
	arrived()
	if onTime {
		p.r.gather(ctx)
	}
	return p.take(ctx, l.association, t, propagate)
}

// take fetches what a table has, and tells others if its sender asks for that.
func (p *partner) take(ctx context.Context, a *association, t *Table, c Command) (left bool, err error) {
	applied, left, err := p.r.fetch(ctx, p, a, t)
	if applied.Changed() && c.propagates() {
		p.r.propagate(p, t)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Applied = plus(p.status.Applied, applied)
	if applied.Changed() {
		p.status.LastNews = time.Now()
	}
	if err == nil {
		p.status.LastPull, p.status.PullError = time.Now(), ""
	}
	return left, err
}

// gather waits until all partners have told what they know, or for a while: at the start each owner's records are
// asked for where most of them are.
func (r *Replicator) gather(ctx context.Context) {
	all := make(chan struct{})
	go func() {
		r.first.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(gatherTime):
	case <-ctx.Done():
	}
}

func (p *partner) pullFailed(err error, isNew bool) {
	p.mu.Lock()
	p.status.PullError = err.Error()
	p.mu.Unlock()
	if isNew {
		p.r.log.Warn().Str("partner", p.String()).Err(err).Msg("a WINS partner cannot be asked for its records; the tries go on")
	}
}

// heard notes that the partner is there: what waits after a failure goes on at once.
func (p *partner) heard() {
	p.mu.Lock()
	pull, push := p.status.PullError != "", p.status.PushError != ""
	p.mu.Unlock()
	if pull {
		wake(p.pullNow)
	}
	if push {
		wake(p.pushNow)
	}
}

// accepted keeps a connection that the partner has opened, and closes the oldest of too many.
func (p *partner) accepted(a *association) (gone func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) >= maxAccepted {
		p.open[0].conn.Close()
		p.open = slices.Delete(p.open, 0, 1)
	}
	p.open = append(p.open, a)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.open = slices.DeleteFunc(p.open, func(o *association) bool { return o == a })
	}
}
