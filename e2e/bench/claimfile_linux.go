package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

// claimants is how many roles follow a file.
const claimants = 1000

// measureClaimFile takes the time from the moment that a claim file is put in place to the first
// answer with the new address.
func measureClaimFile(ctx context.Context, b *bench) error {
	for _, d := range b.disks() {
		times, err := b.writeClaims(ctx, d)
		if err != nil {
			return fmt.Errorf("claim files on %s: %w", d.name, err)
		}
		what := fmt.Sprintf("claim file written to first right answer, %s roles with files and store on %s", thousands(claimants), d.name)
		b.table.require(times.p99() < 10, row{what: what, ours: spread(times), required: "p99 < 10 ms"})
		b.table.keep(what, "ms", times)
	}
	return nil
}

func (b *bench) writeClaims(ctx context.Context, d disk) (times samples, err error) {
	claims, err := os.MkdirTemp(d.dir, "claims")
	if err != nil {
		return nil, err
	}
	w := world{roles: claimants, each: 1, claims: claims}
	for role := range w.roles {
		if err := os.WriteFile(w.claim(role), []byte(nodes[0]+"\n"), 0o644); err != nil {
			return nil, err
		}
	}
	g, err := b.startGuard(ctx, d.dir, w)
	if err != nil {
		return nil, err
	}
	defer g.stop()
	if _, err := g.answers(); err != nil {
		return nil, err
	}
	for range b.writes {
		if err := g.claimOnce(ctx, &times); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// claimOnce renames a new claim file into place. The clock starts before the rename, since the guard
// may hear of it before we do.
func (g *guard) claimOnce(ctx context.Context, times *samples) error {
	// Writes that follow each other at once would find the guard awake every time.
	pause := time.NewTimer(time.Duration(rand.IntN(int(10 * time.Millisecond))))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-pause.C:
	}
	name := rand.IntN(g.names())
	role, to := g.roleOf(name), 1-g.holder[g.roleOf(name)]
	path := g.claim(role)
	if err := os.WriteFile(path+".new", []byte(nodes[to]+"\n"), 0o644); err != nil {
		return err
	}
	began := time.Now()
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	at, _, err := g.askDNS.until(name, address(to), 10*time.Second)
	if err != nil {
		return err
	}
	g.holder[role] = to
	times.addTime(at.Sub(began))
	return nil
}
