package nameward

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/servetest"
)

// gateTo opens a gate to primaries.
func gateTo(t testing.TB, cfg config.Gate, limit int, primaries ...netip.AddrPort) *gate {
	t.Helper()
	cfg.Zone, cfg.Primary = "ad.example.", primaries
	g, err := newGate(cfg, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// deadAddr is where nobody listens.
func deadAddr(t testing.TB) netip.AddrPort {
	return netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t)))
}

// TestNewGate: what is wrong with a key is said of its zone.
func TestNewGate(t *testing.T) {
	_, err := newGate(config.Gate{Zone: "ad.example.", Key: "/does/not/exist"}, 1)
	if err == nil || !strings.HasPrefix(err.Error(), "updates.gates: the key of zone ad.example.: ") {
		t.Error(err)
	}
}
