package plan

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/pushctl"
)

// Run carries a plan out or takes it back. Every step may be made twice: a run that was killed goes on when it is begun
// again.
type Run struct {
	Plan    *Plan
	Guard   Guard
	Journal *Journal
	By      string        // who says so
	Quorum  int           // so many targets are enough; 0: all
	Timeout time.Duration // how long to wait for targets, each time
	Show    Show
}

// Show is how a run is watched. Functions that are nil are not called.
type Show struct {
	Step  func(text string)
	Wait  func(left, total time.Duration) // each second of the wait for caches; the last one has nothing left
	Moves func(registry.Moves)
	Proof func([]push.Progress)
}

// way is one direction of a run.
type way struct {
	back  bool
	moves []registry.Move
}

// Apply carries the plan out, or goes on with it. A *Refused says what was found: before the switch nothing has changed
// then and the TTLs are as they were, behind it targets are missing. When ctx ends it stops in the same way.
func (r *Run) Apply(ctx context.Context) error {
	if e, was := r.Journal.last(Done, true); was {
		return refuse("the plan was reverted at " + e.Time.Format(time.RFC3339) + ": make a new one")
	}
	return r.carry(ctx, way{moves: r.Plan.Moves()}, true)
}

// Revert takes the plan back: the roles go to those who had them, in the same way, unless somebody else has moved one
// since. With atOnce the TTLs are left alone and nothing is waited for.
func (r *Run) Revert(ctx context.Context, atOnce bool) error {
	if len(r.Journal.Entries) == 0 {
		return refuse("the plan was never carried out: there is nothing to revert")
	}
	v, err := look(ctx, r.Guard)
	if err != nil {
		return err
	}
	at, _, err := locate(ctx, r.Guard, r.Plan.Moves(), v.Status)
	switch {
	case err != nil:
		return err
	case at == here || !r.Journal.MayHaveSwitched(false):
		if err := r.raise(ctx, true, Stopped); err != nil {
			return err
		}
		r.say("nothing was switched; the TTLs are as they were")
		return nil
	}
	w := way{back: true, moves: r.Plan.Back()}
	for _, m := range w.moves {
		if len(m.To) != 1 {
			return refuse(fmt.Sprintf("role %s had no one holder before: move it with nameward switch", m.Role))
		}
	}
	return r.carry(ctx, w, !atOnce)
}

func (r *Run) carry(ctx context.Context, w way, lower bool) error {
	v, err := r.settled(ctx)
	if err != nil {
		return err
	}
	at, why, err := locate(ctx, r.Guard, w.moves, v.Status)
	switch {
	case err != nil:
		return err
	case at == elsewhere:
		return r.abandon(ctx, w, refuse(why...))
	case at == there && !r.Journal.MayHaveSwitched(w.back):
		return r.abandon(ctx, w, refuse("the roles are where the plan wants them, and it was not this plan that moved them"))
	case at == there:
		return r.finish(ctx, w, v.Change)
	}
	if err := r.change(ctx, w, v, lower && r.Plan.Wait() > 0); err != nil {
		return err
	}
	return r.finish(ctx, w, v.Change)
}

// settling is how long targets may take with what happened a moment ago, before they are held to be out of reach.
const settling = 5 * time.Second

// settled looks at the state when targets have it, or after a while.
func (r *Run) settled(ctx context.Context) (view, error) {
	for until := time.Now().Add(settling); ; {
		v, err := look(ctx, r.Guard)
		if err != nil || v.inStep(r.Quorum) || !time.Now().Before(until) {
			return v, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return v, ctx.Err()
		}
	}
}

// change does all up to the switch, and that.
func (r *Run) change(ctx context.Context, w way, v view, lower bool) error {
	if found := append(r.Plan.reconfigured(v), r.Plan.unfit(v, w.moves, r.Quorum)...); len(found) > 0 {
		return r.abandon(ctx, w, refuse(found...))
	}
	r.say("checked: nothing has moved, and nothing is in the way")
	if err := r.Journal.write(Entry{Step: Begun, Back: w.back}); err != nil {
		return err
	}
	if lower {
		since, err := r.lower(ctx, w)
		if err == nil {
			err = r.waitOut(ctx, w, since)
		}
		if err == nil {
			err = r.stillFit(ctx, w, since)
		}
		if err != nil {
			return r.abandon(ctx, w, err)
		}
	}
	return r.move(ctx, w)
}

// grace is for how long TTLs stay lowered beyond the time that the run needs at most: for whoever goes on with one that
// was killed, or goes back.
const grace = 10 * time.Minute

// lower lowers the TTLs and returns since when nobody gives longer ones any more.
func (r *Run) lower(ctx context.Context, w way) (time.Time, error) {
	p := r.Plan
	lasts := min(p.Wait()+2*r.Timeout+grace, 24*time.Hour)
	ttls, err := r.Guard.LowerTTL(ctx, registry.LowerRequest{
		Roles: p.RoleNames(), TTL: p.TTL, For: uint32(lasts / time.Second), Owner: p.owner(), By: r.By,
	})
	if err != nil {
		return time.Time{}, asRefused(err)
	}
	if err := r.Journal.write(Entry{Step: Lowered, Back: w.back, Change: ttls.Change}); err != nil {
		return time.Time{}, err
	}
	r.say("TTLs of %s lowered to %d s, change %d", count(len(ttls.Roles), "role"), p.TTL, ttls.Change)
	var since time.Time
	for _, t := range ttls.Roles {
		if t.Lowered.Since.After(since) {
			since = t.Lowered.Since
		}
	}
	if len(p.Targets) == 0 {
		return since, nil
	}
	return r.told(ctx, w, ttls.Change, since)
}

// told waits until targets have the lowered TTLs: what they answer counts from then on.
func (r *Run) told(ctx context.Context, w way, change uint64, since time.Time) (time.Time, error) {
	reply, err := r.await(ctx, change)
	switch {
	case err != nil:
		return since, err
	case !reply.Done:
		return since, refuse(append([]string{"targets do not take the lowered TTLs:"}, behind(reply.Targets)...)...)
	}
	if e, was := r.Journal.latest(func(e Entry) bool { return e.Step == Told }); was && !e.Time.Before(since.Truncate(time.Millisecond)) {
		return e.Time, nil
	}
	r.say("targets have them")
	err = r.Journal.write(Entry{Step: Told, Back: w.back, Change: change})
	return time.Now(), err
}

func (r *Run) await(ctx context.Context, change uint64) (pushctl.WaitReply, error) {
	reply, err := r.Guard.Wait(ctx, pushctl.WaitRequest{Change: change, Roles: r.Plan.RoleNames(), Quorum: r.Quorum}, r.Timeout)
	return reply, asRefused(err)
}

// behind describes the targets that have not all.
func behind(list []push.Progress) []string {
	var out []string
	for _, p := range list {
		if !p.IsDone() {
			text := fmt.Sprintf("target %s (%s) has %d of %d: %s %s", p.Target, p.Kind, p.Done, p.Roles, p.Stage, p.Why)
			out = append(out, strings.TrimSpace(text))
		}
	}
	return out
}

// lookEvery is how often the state is looked at while caches are waited for.
const lookEvery = 5 * time.Second

// waitOut waits until caches have let go of answers from before since. It ends early when the state moves.
func (r *Run) waitOut(ctx context.Context, w way, since time.Time) error {
	total := r.Plan.Wait()
	until, looked := since.Add(total), time.Now()
	if time.Until(until) > 0 {
		r.say("waiting until %s for caches to let go of the old answers", until.UTC().Format(time.RFC3339))
	}
	defer r.showWait(0, total)
	for {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		r.showWait(left, total)
		select {
		case <-time.After(min(left, time.Second)):
		case <-ctx.Done():
			return ctx.Err()
		}
		if time.Since(looked) < lookEvery {
			continue
		}
		looked = time.Now()
		// A guard that restarts meanwhile is no reason to stop; it is asked again in the end.
		var refused *Refused
		if err := r.stillHere(ctx, w); errors.As(err, &refused) {
			return err
		}
	}
}

func (r *Run) showWait(left, total time.Duration) {
	if r.Show.Wait != nil {
		r.Show.Wait(left, total)
	}
}

func (r *Run) stillHere(ctx context.Context, w way) error {
	v, err := look(ctx, r.Guard)
	if err != nil {
		return err
	}
	at, why, err := locate(ctx, r.Guard, w.moves, v.Status)
	if err == nil && at == there {
		why = []string{"somebody else has moved the roles to where the plan wants them"}
	}
	if err == nil && at != here {
		err = refuse(why...)
	}
	return err
}

// stillFit checks all again, after the wait.
func (r *Run) stillFit(ctx context.Context, w way, since time.Time) error {
	if err := r.stillHere(ctx, w); err != nil {
		return err
	}
	v, err := r.settled(ctx)
	if err != nil {
		return err
	}
	found := append(r.Plan.reconfigured(v), r.Plan.unfit(v, w.moves, r.Quorum)...)
	for _, name := range r.Plan.RoleNames() {
		if role, ok := find(v.Roles, name); ok {
			if l := role.Lowered; l == nil || l.Owner != r.Plan.owner() || l.Since.After(since) {
				found = append(found, fmt.Sprintf("the TTL of role %s was not low all the time", name))
			}
		}
	}
	if len(found) > 0 {
		return refuse(found...)
	}
	r.say("checked again: nothing has moved")
	return nil
}

// move makes the one change. It is not given up half way: whether it was made would not be known.
func (r *Run) move(ctx context.Context, w way) error {
	if ctx.Err() != nil {
		return r.abandon(ctx, w, ctx.Err())
	}
	if err := r.Journal.write(Entry{Step: Switching, Back: w.back}); err != nil {
		return r.abandon(ctx, w, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	moves, err := r.Guard.Switch(ctx, registry.SwitchRequest{Expect: w.moves, By: r.By + ", " + r.Plan.owner()})
	switch {
	case refusal(err) != "":
		return r.abandon(ctx, w, asRefused(err))
	case err != nil:
		return fmt.Errorf("whether the roles have moved is not known, say the same again to find out and go on: %w", err)
	}
	if r.Show.Moves != nil {
		r.Show.Moves(moves)
	}
	return r.Journal.write(Entry{Step: Switched, Back: w.back, Change: moves.Change})
}

// finish waits for the proof of the targets and raises the TTLs. now is a change that is no older than the switch, if the
// journal does not have that.
func (r *Run) finish(ctx context.Context, w way, now uint64) error {
	if e, was := r.Journal.last(Done, w.back); was {
		r.say("all of it was done at %s", e.Time.Format(time.RFC3339))
		return nil
	}
	if e, was := r.Journal.last(Switched, w.back); was {
		now = e.Change
	}
	if len(r.Plan.Targets) > 0 {
		if err := r.prove(ctx, w, now); err != nil {
			return err
		}
	}
	if err := r.raise(ctx, w.back, Raised); err != nil {
		return err
	}
	r.say("the TTLs are the roles' own again")
	return r.Journal.write(Entry{Step: Done, Back: w.back})
}

func (r *Run) prove(ctx context.Context, w way, change uint64) error {
	reply, err := r.await(ctx, change)
	const since = "the roles have moved, and TTLs stay low for a while: apply again to go on waiting, or revert"
	switch {
	case ctx.Err() != nil:
		return refuse("stopped while targets are being told", since)
	case err != nil:
		return err
	}
	if r.Show.Proof != nil {
		r.Show.Proof(reply.Targets)
	}
	if !reply.Done {
		return refuse(append(behind(reply.Targets), since)...)
	}
	return r.Journal.write(Entry{Step: Proven, Back: w.back, Change: change})
}

// lastWord is how long is waited for the guard where a run cannot be stopped.
const lastWord = 30 * time.Second

// raise gives the roles their own TTLs back and notes that as a step.
func (r *Run) raise(ctx context.Context, back bool, step Step) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	ttls, err := r.Guard.RaiseTTL(ctx, registry.RaiseRequest{Roles: r.Plan.RoleNames(), Owner: r.Plan.owner()})
	if err != nil {
		return fmt.Errorf("the TTLs were not raised, and end by themselves (nameward status shows when): %w", asRefused(err))
	}
	return r.Journal.write(Entry{Step: step, Back: back, Change: ttls.Change})
}

// abandon undoes what was done before a switch that will not be made, and returns why.
func (r *Run) abandon(ctx context.Context, w way, why error) error {
	if ctx.Err() != nil {
		why = refuse("stopped: nothing was switched")
	}
	if len(r.Journal.Entries) == 0 {
		return why
	}
	var refused *Refused
	switch err := r.raise(ctx, w.back, Stopped); {
	case err != nil:
		return errors.Join(why, err)
	case errors.As(why, &refused):
		return refuse(append(refused.Findings, "the TTLs are as they were")...)
	}
	return why
}

// asRefused makes a finding of the guard's refusal.
func asRefused(err error) error {
	if text := refusal(err); text != "" {
		return refuse(strings.Split(text, "\n")...)
	}
	return err
}

func (r *Run) say(format string, args ...any) {
	if r.Show.Step != nil {
		r.Show.Step(fmt.Sprintf(format, args...))
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
