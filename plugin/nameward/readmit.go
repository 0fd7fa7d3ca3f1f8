package nameward

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/held"
	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/zone"
)

// readmission takes addresses out of the owned zones that were registered when the policy or the configuration
// permitted it and now would be stripped. Rules about whole requests, such as one that refuses the updates of
// some key from now on, take nothing back.
type readmission struct {
	snapshot func() *registry.Snapshot
	policy   func() *policy.Policy
	zones    *zone.DB
	book     *updates.Book
	log      zerolog.Logger
	wanted   chan struct{} // has a token when there is something to look at
}

func newReadmission(g *Guard, book *updates.Book, log zerolog.Logger) *readmission {
	r := &readmission{snapshot: g.Snapshot, policy: g.Policy, zones: g.zones.db, book: book, log: log, wanted: make(chan struct{}, 1)}
	r.again() // what has changed since the last time that we ran
	return r
}

// again has all records looked at, soon.
func (r *readmission) again() {
	select {
	case r.wanted <- struct{}{}:
	default:
	}
}

// ifChanged has the records looked at when an update was decided by what is not in force any more: it may have
// been made behind the look that the change had.
func (r *readmission) ifChanged(a *admission) {
	if r.policy() != a.pol || r.snapshot().World != a.snap.World {
		r.again()
	}
}

// run looks at the records whenever that is wanted, until ctx ends.
func (r *readmission) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wanted:
		}
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			r.log.Error().Err(err).Msg("what the policy does not permit any more is still in the zones")
			r.afterPause(ctx)
		}
	}
}

// retryReadmission is how soon records are looked at again after a failure.
const retryReadmission = time.Second

func (r *readmission) afterPause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(retryReadmission):
		r.again()
	}
}

// look takes out what is not permitted any more. It costs a walk through all that is registered.
func (r *readmission) look(ctx context.Context) error {
	a := admission{snap: r.snapshot(), pol: r.policy(), now: time.Now()}
	var taken []updates.Held
	went, err := r.zones.Change(ctx, func(zone string, rec zone.Record) bool {
		h := a.revoked(zone, rec)
		if h != nil {
			taken = append(taken, *h)
		}
		return h != nil
	})
	if err != nil || len(went) == 0 {
		return err
	}
	for _, h := range taken {
		r.book.Note(h)
	}
	r.log.Warn().Int("records", len(went)).Msg("the policy does not permit these registered records any more; they are quarantined")
	return nil
}

// revoked says why a record is not permitted any more, nil when it is.
func (a *admission) revoked(zone string, rec zone.Record) *updates.Held {
	var few [4]netip.Addr
	h := rec.RR.Header()
	req := policy.Request{Channel: policy.Update, DNS: dns.CanonicalName(h.Name), Type: h.Rrtype, Addrs: appendAddrs(few[:0], rec.RR), Time: a.now}
	if len(req.Addrs) == 0 {
		return nil
	}
	if rec.By != nil {
		req.Source, req.Principal = rec.By.Source, rec.By.Principal
	}
	d := a.pol.Decide(a.snap, &req)
	fates := d.Fates()
	ofRole := d.Role != "" && bindingValues(rec.RR) != nil // its state decides, see admission.publish
	i := slices.IndexFunc(fates, func(f policy.Fate) bool { return ofRole || !f.Kept && f.Rule.Action == policy.Strip })
	if i < 0 {
		return nil
	}
	a.zone, a.who = zone, asker{source: req.Source, principal: req.Principal}
	out := a.note(rec.RR, &d, held.Quarantined)
	out.Reason, out.Rule, out.Alert = fates[i].Reason.String(), fates[i].Rule.ID, fates[i].Rule.Alert
	return &out
}
