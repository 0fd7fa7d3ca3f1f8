package pushctl

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push"
)

// Summary tells in short whether the targets have everything, nil when there are none; for [control.Server].
func (s *Server) Summary() *control.PushStatus {
	standing := s.Pusher.Standing()
	if len(standing) == 0 {
		return nil
	}
	st := &control.PushStatus{Targets: len(standing), Lacks: map[string]int{}, Standby: !s.Pusher.Leading()}
	if err := s.Pusher.Ledger.Err(); err != nil {
		st.Error = err.Error()
	}
	for i := range standing {
		if n := standing[i].Lacks(); n > 0 {
			st.Lacks[standing[i].Name] = n
		}
	}
	return st
}

// Told explains which targets have what a role publishes, for [control.Server].
func (s *Server) Told(e *control.Explanation, role string) {
	for _, t := range s.Pusher.Standing() {
		if d, ok := s.Pusher.Ledger.Row(t.Name, role); ok {
			e.Step("target %s (%s): %s", t.Name, t.Kind, text(&d))
		}
	}
}

// text says how far a delivery is.
func text(d *push.Delivery) string {
	after := func(at time.Time) string { return at.Sub(d.Moved).Round(time.Millisecond / 10).String() }
	switch {
	case d.Stage == push.Verified:
		return fmt.Sprintf("has it, verified %s after the change, at %s", after(d.Verified), control.TimeText(d.Verified))
	case d.IsDone():
		return fmt.Sprintf("has acknowledged it %s after the change, at %s, and cannot be asked", after(d.Acked), control.TimeText(d.Acked))
	case d.Stage == push.Stale, d.Stage == push.Foreign:
		return fmt.Sprintf("does not have it since %s: it answers %s (%s)", control.TimeText(d.Moved), addrsText(d.Found), d.Stage)
	case d.Why != "":
		return fmt.Sprintf("does not have it since %s: %s, %d tries: %s", control.TimeText(d.Moved), d.Stage, d.Tries, d.Why)
	}
	return fmt.Sprintf("does not have it since %s: %s", control.TimeText(d.Moved), d.Stage)
}

func addrsText(addrs []netip.Addr) string {
	if len(addrs) == 0 {
		return "no address"
	}
	return registry.JoinAddrs(addrs)
}
