package nameward

import (
	"fmt"

	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/primary"
)

// gate passes the updates of a zone on to its primary.
type gate struct {
	config.Gate
	*primary.Servers
}

// newGate opens the gate of a configuration. It connects when it is first used.
func newGate(cfg config.Gate, limit int) (*gate, error) {
	s, err := primary.Open(primary.Config{Addrs: cfg.Primary, Key: cfg.Key, Identity: cfg.Identity, AtOnce: limit})
	if err != nil {
		return nil, fmt.Errorf("updates.gates: the key of zone %s: %w", cfg.Zone, err)
	}
	return &gate{cfg, s}, nil
}
