package nameward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/usage"
	"github.com/nameward/nameward/netbios/wins/winsctl"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/store/journal"
	"github.com/nameward/nameward/registry/store/replace"
)

// winsService is the WINS server's database with what belongs to it. It is open as long as the guard
// runs; how it is used may change with each configuration.
type winsService struct {
	journal   *journal.Journal
	db        *wins.Database
	usage     *usage.Tracker
	usagePath string
	log       zerolog.Logger
}

// openWINS opens the database of a configuration, nil when that has none.
func openWINS(all config.NetBIOS, guard wins.Guard, log zerolog.Logger) (*winsService, error) {
	cfg := all.WINS
	if cfg.Mode == "" {
		return nil, nil
	}
	j, err := journal.Open(cfg.Database)
	if err != nil {
		return nil, err
	}
	s := &winsService{journal: j, usage: usage.New(0), usagePath: cfg.Database + ".usage", log: log}
	if s.db, err = wins.Open(j, settingsOf(all), guard, nbns.Challenge(&nbns.Client{}), log); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", cfg.Database, err), j.Close())
	}
	s.db.OnDemand(demandRelease)
	s.restoreUsage()
	return s, nil
}

func settingsOf(all config.NetBIOS) wins.Settings {
	cfg := all.WINS
	return wins.Settings{
		Timers: wins.Timers{
			MinTTL: cfg.MinTTL, MaxTTL: cfg.MaxTTL, ExtinctionInterval: cfg.ExtinctionInterval, ExtinctionTimeout: cfg.ExtinctionTimeout,
			Verify: wins.DefaultTimers.Verify,
		},
		Limits: wins.Limits{
			Records: cfg.Limits.Records, PerAddress: cfg.Limits.PerAddress, Challenges: cfg.Limits.Challenges, Queue: cfg.Limits.Queue,
		},
		Partners: len(all.Replication.Partners) > 0,
	}
}

// use is how the name service uses the database.
func (s *winsService) use(cfg config.WINS) nbns.WINS {
	if s == nil {
		return nbns.WINS{}
	}
	return nbns.WINS{DB: s.db, Front: cfg.Mode == config.ModeForward, Share: cfg.Mode == config.ModeBoth, Usage: s.usage}
}

// restoreUsage goes on with the report of the last run. A file that is damaged is not worth a start that
// fails.
func (s *winsService) restoreUsage() {
	content, err := os.ReadFile(s.usagePath)
	if err == nil {
		err = s.usage.Restore(content)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn().Err(err).Str("file", s.usagePath).Msg("the report of who uses WINS begins anew")
	}
}

// usageEvery is how often the report's data are saved: what a crash costs.
const usageEvery = 10 * time.Minute

// keepUsage saves the report's data from time to time and in the end.
func (s *winsService) keepUsage(ctx context.Context) error {
	for {
		var err error
		select {
		case <-ctx.Done():
			return s.saveUsage()
		case <-time.After(usageEvery):
			err = s.saveUsage()
		}
		if err != nil {
			s.log.Warn().Err(err).Msg("the report of who uses WINS is not saved")
		}
	}
}

func (s *winsService) saveUsage() error {
	content, err := s.usage.Snapshot()
	if err != nil {
		return err
	}
	return replace.File(s.usagePath, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// vetRetry is how long a vetting that failed, for want of a disk, waits for the next try.
const vetRetry = 10 * time.Second

// vetWINS has every record looked at again when the world or the policy changes, since what was accepted
// once may be filtered or guarded now.
func (g *Guard) vetWINS(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	g.OnPolicy(func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	snap := g.Snapshot()
	for {
		var retry <-chan time.Time
		if err := g.wins.db.Vet(ctx); err != nil && ctx.Err() == nil {
			g.log.Warn().Err(err).Msg("WINS records could not all be looked at again")
			retry = time.After(vetRetry)
		}
		for again := false; !again; {
			select {
			case <-ctx.Done():
				return nil
			case <-retry:
				again = true
			case <-changed:
				again = true
			case <-snap.Superseded():
				latest := g.Snapshot()
				again = latest.World != snap.World
				snap = latest
			}
		}
	}
}

// runWINS starts the database's tasks.
func (g *Guard) runWINS(ctx context.Context) {
	if g.wins == nil {
		return
	}
	db := g.wins.db
	g.task(ctx, "WINS database", db.Run)
	g.task(ctx, "WINS usage", g.wins.usage.Run)
	g.task(ctx, "WINS usage file", g.wins.keepUsage)
	g.task(ctx, "WINS vetting", g.vetWINS)
	g.task(ctx, "WINS records of roles", g.replicas.keepRoles)
	g.task(ctx, "WINS outbox", func(ctx context.Context) error { return g.netbios.server.ServeOutbox(ctx, db) })
}

// winsControl is the part of the control API that is about the WINS server.
func (g *Guard) winsControl() *winsctl.Server {
	if g.wins == nil {
		return &winsctl.Server{}
	}
	return &winsctl.Server{
		DB: func() *wins.Database { return g.wins.db }, Usage: func() *usage.Tracker { return g.wins.usage }, Snapshot: g.Snapshot,
		DNSSuffix: func() string {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.cfg.NetBIOS.WINS.DNSSuffix
		},
		Partners: g.replicas.status,
		Behind: func() winsctl.Behind {
			g.mu.Lock()
			defer g.mu.Unlock()
			set := &g.netbios.set
			return winsctl.Behind{Servers: set.Forward, Front: set.WINS.Front, Share: set.WINS.Share}
		},
	}
}

// closeWINS lets go of the file, once all tasks have ended.
func (g *Guard) closeWINS() error {
	if g.wins == nil {
		return nil
	}
	return g.wins.journal.Close()
}

// reconfigureWINS puts new timers and limits in force.
func (g *Guard) reconfigureWINS(cfg config.NetBIOS) {
	if g.wins != nil {
		g.wins.db.Configure(settingsOf(cfg))
	}
}
