package nameward

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/store/journal"
	"github.com/nameward/nameward/registry/zone"
)

// zonesService is the owned zones with their file.
type zonesService struct {
	journal *journal.Journal
	db      *zone.DB
}

func openZones(path string, latest func() *registry.Snapshot, log zerolog.Logger) (zonesService, error) {
	j, err := journal.Open(path)
	if err != nil {
		return zonesService{}, err
	}
	db, err := zone.Open(j, zone.DefaultLimits, latest, log)
	if err != nil {
		_ = j.Close() // nothing was written
		return zonesService{}, err
	}
	return zonesService{j, db}, nil
}

// followWait is how long a new configuration waits for its zones. The disk may stand still, and what does not
// need it goes on.
const followWait = 2 * time.Second

// follow waits until the zones are those of the registry's configuration.
func (s zonesService) follow() {
	ctx, cancel := context.WithTimeout(context.Background(), followWait)
	defer cancel()
	_ = s.db.Sync(ctx) // questions for a zone that is not there yet are told to come again
}

func (s zonesService) close() error { return s.journal.Close() }

// status lists the zones for those who look after them.
func (s zonesService) status() []control.Zone {
	var out []control.Zone
	for _, z := range s.db.State().World.Zones {
		if v := s.db.View(z.Name); v != nil {
			out = append(out, control.Zone{Zone: z.Name, Serial: v.Serial, Negative: seconds(z.Negative)})
		}
	}
	return out
}
