package wrepl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/nameward/nameward/netbios/wins"
)

const (
	// gapTime is how long the next notification waits for the partner to follow the last one: a burst of changes
	// becomes a few notifications, and a change in a quiet time is told at once.
	gapTime = 50 * time.Millisecond
	// followTime is how long a partner may take to follow, before it is asked what it has.
	followTime = time.Second
	// againTime is how often a partner that does not follow is told again.
	againTime = 30 * time.Second
	// updateTime is how long a partner may be silent on a connection that was opened for one notification.
	updateTime = 15 * time.Second
)

// pusher tells one partner of news.
type pusher struct {
	*partner
	line     line          // for Inform
	ended    chan struct{} // closed when line has ended; nil without one
	tasks    sync.WaitGroup
	backoff  retry
	due      bool      // the partner is to be told, whatever it was told before
	notified time.Time // the last time
	asked    bool      // since then, what it has
}

// pushes tells the partner at the start and of each change.
func (p *partner) pushes(ctx context.Context) {
	w := &pusher{partner: p, due: true}
	defer w.tasks.Wait()
	defer func() { w.line.drop() }()
	for ctx.Err() == nil {
		changed, version := p.r.store.Changed(), p.r.version()
		told, has, moved := p.progress()
		switch news := p.takeNews(); {
		case w.due || news != nil || version > told:
			w.tell(ctx, news, version)
		case has < told:
			w.wait(ctx, w.unfollowed(), changed, moved)
		default:
			w.backoff.failures = 0
			w.wait(ctx, 0, changed, moved)
		}
	}
}

// tell notifies the partner and gives it a moment to follow, or waits after a failure.
func (w *pusher) tell(ctx context.Context, news *Table, version uint64) {
	err := w.notify(ctx, news)
	if ctx.Err() != nil {
		return
	}
	w.pushed(err)
	if w.due = err != nil; w.due {
		w.line.drop()
		if news != nil {
			w.tellNews(news)
		}
		w.wait(ctx, w.backoff.next(), nil, nil)
		return
	}
	w.notified, w.asked = time.Now(), false
	gap, stop := context.WithTimeout(ctx, gapTime)
	defer stop()
	_ = w.await(gap, func(_, has uint64) bool { return has >= version })
}

// unfollowed deals with a partner that has not asked for what it was told of, and says how long to wait.
func (w *pusher) unfollowed() time.Duration {
	since := time.Since(w.notified)
	switch {
	case since >= againTime:
		w.due = true
		return 1
	case since >= followTime && !w.asked:
		w.asked = true
		w.poke(nil) // for its table, which has the version of ours
	case !w.asked:
		return followTime - since
	}
	return againTime - since
}

// wait returns when there is something to do, at the latest after a time; 0 is none.
func (w *pusher) wait(ctx context.Context, most time.Duration, changed, moved <-chan struct{}) {
	var late <-chan time.Time
	if most > 0 {
		timer := time.NewTimer(most)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-ctx.Done():
	case <-late:
	case <-changed:
	case <-moved:
	case <-w.pushNow:
	case <-w.ended:
		w.ended = nil
		w.line.drop()
		if told, has, _ := w.progress(); has < told {
			// What was written may be lost. A partner that always hangs up is not told without end.
			w.due = true
			w.wait(ctx, w.backoff.next(), nil, nil)
		}
	}
}

// notify tells the partner what there is; news come from a third server.
func (w *pusher) notify(ctx context.Context, news *Table) error {
	if w.line.association == nil {
		if err := w.connect(ctx); err != nil {
			return err
		}
	}
	begun := w.r.set.Address
	if news != nil && news.begun() != (wins.IPv4{}) {
		begun = news.begun()
	}
	stays := w.ended != nil
	t, own := w.r.table(commandFor(stays, w.Propagate || news != nil), begun)
	if err := w.line.write(t); err != nil {
		return err
	}
	w.toldNow(own)
	if stays {
		return nil
	}
	defer w.line.drop()
	return w.r.converse(ctx, w.partner, w.line.association, updateTime)
}

func commandFor(stays, propagate bool) Command {
	switch {
	case stays && propagate:
		return InformPropagate
	case stays:
		return Inform
	case propagate:
		return UpdatePropagate
	}
	return Update
}

// connect opens a connection for notifications. If it is to stay open, the partner's questions there are answered.
func (w *pusher) connect(ctx context.Context) (err error) {
	if w.line, err = w.call(ctx); err != nil {
		return err
	}
	w.ended = nil
	if !w.Persistent || w.line.minor < persistentMinor {
		return nil
	}
	ended, a := make(chan struct{}), w.line.association
	w.ended = ended
	w.tasks.Go(func() {
		defer close(ended)
		err := w.r.converse(ctx, w.partner, a, idleTime)
		w.r.log.Debug().Str("partner", w.String()).AnErr("why", err).Msg("the connection for notifications has ended")
	})
	return nil
}

func (p *partner) pushed(err error) {
	p.mu.Lock()
	isNew := p.status.PushError == ""
	if p.status.PushError = ""; err != nil {
		p.status.PushError = err.Error()
	} else {
		p.status.LastPush = time.Now()
	}
	p.mu.Unlock()
	if err != nil && isNew {
		p.r.log.Warn().Str("partner", p.String()).Err(err).Msg("a WINS partner cannot be told of changes; the tries go on")
	}
}

// await returns when the partner is as far as is wanted: told and has are versions of ours.
func (p *partner) await(ctx context.Context, isFar func(told, has uint64) bool) error {
	for {
		told, has, moved := p.progress()
		if isFar(told, has) {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ErrNoPartner is why somebody cannot be told.
var ErrNoPartner = errors.New("it is no partner for replication that is told of changes")

// Tell returns when a partner has our records up to a version. It calls sent once the partner was told of them. It
// does not wait for the next try after a failure.
func (r *Replicator) Tell(ctx context.Context, addr netip.Addr, version uint64, sent func()) error {
	p := r.byAddr[addr]
	if p == nil || !p.Push {
		return fmt.Errorf("%s: %w", addr, ErrNoPartner)
	}
	if _, has, _ := p.progress(); has < version {
		p.mu.Lock()
		failed := p.status.PushError != ""
		p.mu.Unlock()
		if failed {
			wake(p.pushNow)
		}
	}
	if err := p.await(ctx, func(told, has uint64) bool { return max(told, has) >= version }); err != nil {
		return p.whyNot(err)
	}
	sent()
	if err := p.await(ctx, func(_, has uint64) bool { return has >= version }); err != nil {
		p.move(func() { p.told = min(p.told, p.has) }) // it may not have come through: the partner is told once more
		return p.whyNot(err)
	}
	return nil
}

// whyNot adds what went wrong with the partner to the error of a wait.
func (p *partner) whyNot(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status.PushError != "" {
		return fmt.Errorf("telling %s: %s: %w", p, p.status.PushError, err)
	}
	return fmt.Errorf("%s was told and does not ask for the records, is this server its partner?: %w", p, err)
}
