package nameward

import (
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/arp"
	"github.com/nameward/nameward/registry/push/cache"
	"github.com/nameward/nameward/registry/push/hook"
	"github.com/nameward/nameward/registry/push/pushctl"
	pushupdate "github.com/nameward/nameward/registry/push/update"
	"github.com/nameward/nameward/registry/push/webhook"
	"github.com/nameward/nameward/registry/push/winsclient"
	"github.com/nameward/nameward/registry/store/journal"
)

// pushService is what carries changes to targets, with the file of its ledger.
type pushService struct {
	*push.Pusher
	journal *journal.Journal
}

func openPush(path string, g *Guard, log zerolog.Logger) (*pushService, error) {
	j, err := journal.Open(path)
	if err != nil {
		return nil, err
	}
	ledger, err := push.OpenLedger(j, log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), j.Close())
	}
	return &pushService{&push.Pusher{Ledger: ledger, Snapshot: g.Snapshot, Leads: g.leads(), Settle: settle, Log: log}, j}, nil
}

func (s *pushService) close() error { return s.journal.Close() }

// targets opens the drivers of a configuration. On an error none is left open.
func (g *Guard) targets(cfg *config.Config) ([]push.Target, error) {
	var out []push.Target
	var problems []error
	for i := range cfg.Push.Targets {
		t := &cfg.Push.Targets[i]
		d, err := g.driverOf(t)
		if err != nil {
			problems = append(problems, fmt.Errorf("push.targets: %s: %w", t.Name, err))
			continue
		}
		target := push.Target{Name: t.Name, Kind: t.Kind(), Driver: d, Check: t.Check, Repair: t.Repair}
		for _, role := range t.Roles {
			if target.Roles == nil {
				target.Roles = map[string]bool{}
			}
			target.Roles[role] = true
		}
		out = append(out, target)
	}
	if len(problems) > 0 {
		return nil, errors.Join(append(problems, closeDrivers(out))...)
	}
	for _, s := range cfg.Push.Secondaries {
		out = append(out, push.Target{Name: s.Name, Kind: "notify", Driver: g.notify.Driver(s.Addr), Check: config.DefaultCheck})
	}
	return append(out, g.replicas.targets(cfg.NetBIOS.Replication)...), nil
}

func closeDrivers(targets []push.Target) error {
	var errs []error
	for _, t := range targets {
		if c, ok := t.Driver.(push.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// driverOf opens the driver of one target, which connects when it is first used.
func (g *Guard) driverOf(t *config.Target) (push.Driver, error) {
	switch {
	case t.Update != nil:
		return pushupdate.New(*t.Update, t.Repair, g.Snapshot)
	case t.WINS != nil:
		return winsclient.New(t, g.log), nil
	case t.Hook != nil:
		return hook.New(t.Hook), nil
	case t.Webhook != nil:
		return webhook.New(t.Webhook), nil
	case t.ARP != nil:
		return arp.New(t.ARP)
	case t.Cache != nil:
		return cache.New(t.Cache), nil
	}
	return nil, fmt.Errorf("nothing carries changes to %s in this version", t.Kind())
}

// pushControl is the part of the control API that is about targets.
func (g *Guard) pushControl() *pushctl.Server {
	return &pushctl.Server{Pusher: g.push.Pusher, Drill: func() string {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.cfg.Push.Drill
	}}
}
