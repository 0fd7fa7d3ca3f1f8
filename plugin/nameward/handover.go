package nameward

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/rs/zerolog"
)

// handover gives a guard from one instance of the server to the next: two of them exist at the same
// time while the Corefile is reloaded, and the UDP socket, the store and the live state must not be
// opened twice nor closed in between. CoreDNS runs the new instance's OnStartup before the old one's
// OnShutdown, and never the OnShutdown of an instance that fails later.
type handover struct {
	mu   sync.Mutex
	held map[string]*kept // by path of nameward.yaml
	log  zerolog.Logger
}

type kept struct {
	guard *Guard
	owner any // the instance that closes it
	back  any // the owner before, which gets it back if owner fails; nil once that one was shut down
}

var guards = handover{held: map[string]*kept{}, log: zerolog.Nop()}

// SetLogger sets the logger of all guards. Call it before the server starts.
func SetLogger(log zerolog.Logger) { guards.log = log }

// known reports whether a guard for the path runs already, so that its file need not be loaded.
func (h *handover) known(path string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held[path] != nil
}

// zonesOf lists the owned zones of the guard for path: of the one that runs, or of what will be started.
func (h *handover) zonesOf(path string, loaded *Loaded) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.held[path]; k != nil {
		return zoneNames(k.guard.Snapshot().World)
	}
	if loaded == nil {
		return nil
	}
	return zoneNames(loaded.World)
}

// take makes owner the owner of the guard for path and starts it if need be.
func (h *handover) take(path string, owner any, cfg *Loaded) (*Guard, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.held[path]; k != nil {
		if k.owner != owner {
			k.owner, k.back = owner, k.owner
		}
		return k.guard, nil
	}
	if cfg == nil {
		return nil, errors.New("the guard was closed while the server was set up")
	}
	g, err := Start(path, cfg, h.log)
	if err != nil {
		return nil, err
	}
	h.held[path] = &kept{guard: g, owner: owner}
	return g, nil
}

// takeBack makes the old instance the owner again after the new one failed. CoreDNS says so too when
// the shutdown of the old one fails; then there is no way back.
func (h *handover) takeBack(path string, owner any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.held[path]; k != nil && k.back == owner {
		k.owner, k.back = owner, nil
		k.guard.onlyOwner(owner)
	}
}

// release closes the guard if it still belongs to owner.
func (h *handover) release(path string, owner any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.held[path]
	if k == nil {
		return nil
	}
	if k.owner != owner {
		k.back = nil
		k.guard.onlyOwner(k.owner)
		return nil
	}
	delete(h.held, path)
	return k.guard.Close()
}

// first returns the running guard whose path sorts first, or nil.
func (h *handover) first() *Guard {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.held) == 0 {
		return nil
	}
	return h.held[slices.Min(slices.Collect(maps.Keys(h.held)))].guard
}

// each calls do with every running guard.
func (h *handover) each(do func(*Guard)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.held {
		do(k.guard)
	}
}

// Reload has every running guard read its configuration file again.
func Reload() error {
	var errs []error
	guards.each(func(g *Guard) { errs = append(errs, g.Reload()) })
	return errors.Join(errs...)
}
