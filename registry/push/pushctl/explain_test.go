package pushctl

import (
	"net/netip"
	"testing"
	"time"

	"github.com/nameward/nameward/registry/push"
)

func TestText(t *testing.T) {
	moved := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	soon := moved.Add(12345 * time.Microsecond)
	for _, tt := range []struct {
		d    push.Delivery
		want string
	}{
		{push.Delivery{Stage: push.Verified, Verified: soon}, "has it, verified 12.3ms after the change, at 2026-11-01T03:00:00Z"},
		{push.Delivery{Stage: push.Acked, Acked: soon}, "does not have it since 2026-11-01T03:00:00Z: acked"},
		{push.Delivery{Stage: push.Queued}, "does not have it since 2026-11-01T03:00:00Z: queued"},
		{push.Delivery{Stage: push.Stale}, "does not have it since 2026-11-01T03:00:00Z: it answers no address (stale)"},
		{push.Delivery{Stage: push.Foreign, Found: []netip.Addr{netip.MustParseAddr("10.9.0.11"), netip.MustParseAddr("2001:db8::1")}},
			"does not have it since 2026-11-01T03:00:00Z: it answers 10.9.0.11, 2001:db8::1 (foreign)"},
		{push.Delivery{Stage: push.Failed, Why: "refused", Tries: 3}, "does not have it since 2026-11-01T03:00:00Z: failed, 3 tries: refused"},
	} {
		tt.d.Moved = moved
		if got := text(&tt.d); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.d.Stage, got, tt.want)
		}
	}
}
