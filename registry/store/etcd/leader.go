package etcd

import (
	"context"
	"os"
	"sync"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"
)

// leadership is whether this guard is the one that tells the targets.
type leadership struct {
	mu      sync.Mutex
	is      bool
	changed chan struct{} // closed when that changes
}

// leaseSeconds is for how long a leader that has died stands in the way of the others.
const leaseSeconds = 3

// campaignAgain is how soon a campaign that failed is begun anew.
const campaignAgain = 500 * time.Millisecond

// Leads reports whether this guard is the one that tells the targets, and returns a channel that is closed when that
// changes.
func (s *Store) Leads() (is bool, changed <-chan struct{}) {
	s.lead.mu.Lock()
	defer s.lead.mu.Unlock()
	return s.lead.is, s.lead.changed
}

func (l *leadership) set(is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.is != is {
		l.is = is
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// campaign stands for election until ctx ends. Whoever loses the lease leads no longer, at once.
func (s *Store) campaign(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.term(ctx); err != nil && ctx.Err() == nil {
			s.log.Debug().Err(err).Msg("no election of who tells the targets")
		}
		s.lead.set(false)
		select {
		case <-ctx.Done():
		case <-time.After(campaignAgain):
		}
	}
}

// term is one lease: elected or not, it ends with the lease or with ctx.
func (s *Store) term(ctx context.Context) error {
	session, err := s.session(ctx)
	if err != nil {
		return err
	}
	defer session.Close() // which ends the lease, so that the next one need not wait for it
	election := concurrency.NewElection(session, s.prefix+"leader")
	elected := make(chan error, 1)
	standing, end := context.WithCancel(ctx)
	defer end()
	host, _ := os.Hostname() // for people who look into etcd
	go func() { elected <- election.Campaign(standing, host) }()
	select {
	case err := <-elected:
		if err != nil {
			return err
		}
	case <-session.Done():
		end()
		<-elected
		return nil
	}
	s.log.Info().Msg("this guard tells the targets")
	s.lead.set(true)
	select {
	case <-session.Done():
		s.log.Warn().Msg("this guard does not tell the targets any more: it has lost its lease in etcd")
	case <-ctx.Done():
	}
	return nil
}

func (s *Store) session(ctx context.Context) (*concurrency.Session, error) {
	granting, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	lease, err := s.client.Grant(granting, leaseSeconds)
	if err != nil {
		return nil, err
	}
	return concurrency.NewSession(s.client, concurrency.WithLease(lease.ID))
}
