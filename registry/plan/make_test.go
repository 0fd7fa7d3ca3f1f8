package plan

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
)

func TestMake(t *testing.T) {
	inLab(t, func(l *lab) {
		l.checks = []control.Check{{Role: "relay", Node: "ex3", Target: "198.51.100.13:25", Verdict: "up"}}
		before := l.reg.Snapshot()
		p, err := Make(l.t.Context(), l, Request{registry.SwitchRequest{Roles: []string{"mailbox", "fresh"}, To: "ex3", By: "kim"}, 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if l.reg.Snapshot() != before {
			t.Error("making a plan changed something")
		}
		if p.By != "kim" || p.TTL != 2 || p.Change != before.Change || !slices.Equal(p.Targets, []Target{{"ad", "peer"}}) {
			t.Errorf("made %+v", p)
		}
		r := p.Roles[0]
		if r.Role != "mailbox" || r.Epoch != 2 || r.TTL != 300 || r.Source != "operator" || !slices.Equal(r.Names, []string{"mailbox.corp.example.", "MAIL<20>"}) {
			t.Errorf("role %+v", r)
		}
		// ex3 has an IPv6 address that ex1 has not: that there is none may be remembered for as long as the zone says.
		if r.Negative != 600 || p.Wait() != 601*time.Second {
			t.Errorf("negative TTL %d, wait %v", r.Negative, p.Wait())
		}
		for _, want := range []string{
			"ex3 is healthy: 198.51.100.13:25 (role relay)", "role fresh is served by no one node now: this cannot be reverted",
			"Windows keeps NetBIOS names for ten minutes", "every target has the latest state",
		} {
			if !strings.Contains(strings.Join(append(p.Checks, p.Notes...), "\n"), want) {
				t.Errorf("%q is not in %q %q", want, p.Checks, p.Notes)
			}
		}
		l.move("ex3", "mailbox", "fresh")
		if p = l.make("ex1", "mailbox"); !strings.Contains(strings.Join(p.Notes, "\n"), "no health check knows how ex1 is") ||
			!strings.Contains(strings.Join(p.Notes, "\n"), "role mailbox has no IPv6 address any more after it") {
			t.Errorf("notes %q", p.Notes)
		}
	}, "ad")
}

// TestMakeSite: roles go to their first node there, those that are there already are left out and named.
func TestMakeSite(t *testing.T) {
	inLab(t, func(l *lab) {
		l.move("ex2", "public")
		l.move("ex3", "fresh")
		p, err := Make(l.t.Context(), l, Request{registry.SwitchRequest{All: true, Site: "dr"}, time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.RoleNames(); !slices.Equal(got, []string{"mailbox", "fresh"}) || p.Notes[0] != "role public is at ex2 already and left out" {
			t.Errorf("roles %q, notes %q", got, p.Notes)
		}
	})
}

func TestMakeRefuses(t *testing.T) {
	inLab(t, func(l *lab) {
		for _, tt := range []struct {
			name string
			req  registry.SwitchRequest
			want []string
		}{
			{"roles that follow their source", registry.SwitchRequest{Roles: []string{"files", "mailbox"}, To: "ex2"}, []string{"role files follows its source (file x); move it there"}},
			{"every obstacle", registry.SwitchRequest{Roles: []string{"files", "mailbox"}, To: "ex9"}, []string{`role files has no node "ex9"`, `role mailbox has no node "ex9"`}},
			{"an unknown role", registry.SwitchRequest{Roles: []string{"mail"}, To: "ex2"}, []string{`no role is named "mail"`}},
			{"nowhere", registry.SwitchRequest{Roles: []string{"mailbox"}}, []string{"say where to"}},
			{"nothing", registry.SwitchRequest{To: "ex2"}, []string{"say which roles"}},
			{"to where it is", registry.SwitchRequest{Roles: []string{"mailbox"}, To: "ex1"}, []string{"role mailbox is at ex1 already", "no role would move"}},
		} {
			_, err := Make(l.t.Context(), l, Request{tt.req, time.Second})
			refused(t, err, tt.want...)
		}
	})
}

func TestBack(t *testing.T) {
	a, b := []netip.Addr{netip.MustParseAddr("192.0.2.1")}, []netip.Addr{netip.MustParseAddr("192.0.2.2")}
	p := &Plan{Roles: []Role{{Move: registry.Move{Role: "r", From: []string{"a"}, To: []string{"b"}, Epoch: 7, Before: a, After: b}}}}
	want := "r from b (192.0.2.2) to a (192.0.2.1), epoch 8"
	if got := p.Back()[0].String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWait(t *testing.T) {
	for name, tt := range map[string]struct {
		ttl   uint32
		roles []Role
		want  time.Duration
	}{
		"the longest":             {1, []Role{{TTL: 5}, {TTL: 300}}, 301 * time.Second},
		"negative ones too":       {1, []Role{{TTL: 5, Negative: 60}}, 61 * time.Second},
		"short ones need no time": {5, []Role{{TTL: 5, Negative: 5}, {TTL: 1}}, 0},
	} {
		if got := (&Plan{TTL: tt.ttl, Roles: tt.roles}).Wait(); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
