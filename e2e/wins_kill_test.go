//go:build linux

package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins/winsctl"
)

// claimant is a node that registers, renews and releases one name, again and again, and knows what it was
// told.
type claimant struct {
	*Caller
	name   netbios.Name
	active bool // by what was acknowledged
	// flight is what was asked for and not acknowledged: it may have happened or not. 0 is nothing.
	flight netbios.Form
	anew   bool // it was registered when nobody had it, since it was last looked at

	version uint64 // of its record when it was last looked at
}

// live goes on until stop is closed; acked counts.
func (c *claimant) live(stop <-chan struct{}, acked *atomic.Uint64) {
	addr := netbios.Address{Flags: netbios.HNode, Addr: c.addr}
	for {
		m := netbios.NewRegistration(0, c.name, 3600, addr)
		switch {
		case c.active && rand.IntN(3) == 0:
			m = netbios.NewRelease(0, c.name, addr)
		case c.active:
			m = netbios.NewRefresh(0, c.name, 3600, addr)
		}
		c.flight = m.Form()
		reply, ok := c.call(m, stop)
		if !ok {
			return
		}
		if reply.Rcode == netbios.RcodeOK {
			c.anew = c.anew || !c.active
			c.active = c.flight != netbios.FormRelease
			acked.Add(1)
		}
		c.flight = netbios.FormUnknown
	}
}

// audit is what is compared over all kills.
type audit struct {
	owner   map[uint64]netbios.Name // of every version ever seen
	highest uint64                  // version that the server knew of when the round began
	flown   int                     // requests that were not acknowledged and had happened
}

// look compares what a claimant was told with what is there.
func (a *audit) look(t *testing.T, c *claimant, r winsctl.Registration) {
	t.Helper()
	is := r.State == "active"
	switch {
	case is == c.active:
	case c.flight != netbios.FormUnknown && is == (c.flight != netbios.FormRelease):
		a.flown++
	default:
		t.Errorf("%s is %q, acknowledged was active %v, under way was %s", c.name, r.State, c.active, c.flight)
	}
	if r.Version != 0 && r.Version != c.version {
		if before, taken := a.owner[r.Version]; taken {
			t.Errorf("version %d is that of %s and was that of %s", r.Version, c.name, before)
		}
		a.owner[r.Version] = c.name
		if r.Version <= a.highest {
			t.Errorf("%s got version %d, the server knew of %d before", c.name, r.Version, a.highest)
		}
		c.version = r.Version
	}
	if is && c.anew && r.Version <= a.highest {
		t.Errorf("%s was registered anew and has version %d, the server knew of %d before", c.name, r.Version, a.highest)
	}
	if is && len(r.Addresses) == 1 && r.Addresses[0].Address != c.addr {
		t.Errorf("%s has %s, it was registered by %s", c.name, r.Addresses[0].Address, c.addr)
	}
	c.active, c.flight, c.anew = is, netbios.FormUnknown, false
}

// TestWINSKill ends the server as a power cut of the program would, under a load of registrations, renewals
// and releases, and compares what it knows afterwards with what it acknowledged.
func TestWINSKill(t *testing.T) {
	t.Parallel()
	const rounds, addresses, each = 50, 8, 64
	l := newLab(t)
	guard, member := l.host("guard", guardAddr), l.host("member", "192.0.2.11")
	n := guard.nameward(t, winsWorld("{mode: own}"))
	var claimants []*claimant
	for i, c := range l.crowd(t, "crowd", addresses) {
		for k := range each {
			claimants = append(claimants, &claimant{Caller: c, name: netbios.MustParseName(fmt.Sprintf("N%02d-%02d<20>", i, k))})
		}
	}
	node := member.speaker(t, "192.0.2.11", 0)
	a := audit{owner: map[uint64]netbios.Name{}}
	var acked atomic.Uint64
	var down []time.Duration
	begin := time.Now()
	for round := range rounds {
		stop := make(chan struct{})
		var done sync.WaitGroup
		for _, c := range claimants {
			done.Go(func() { c.live(stop, &acked) })
		}
		// The role's name, by its member: parked in every other round.
		parked := round%2 == 0
		if parked {
			same(t, "the member registers", node.register("MAIL<20>"), "granted 3600")
		} else {
			same(t, "the member releases", node.release("MAIL<20>"), "released")
		}
		time.Sleep(time.Duration(rand.IntN(150_000)) * time.Microsecond)
		n.kill()
		close(stop)
		done.Wait()
		killed := time.Now()
		n.up(t)
		down = append(down, time.Since(killed))

		version := n.status(t).WINS.Version
		if version < a.highest {
			t.Errorf("round %d: the highest version is %d, it was %d", round, version, a.highest)
		}
		var held []string
		there := map[netbios.Name]winsctl.Registration{}
		for _, r := range n.registrations(t, winsctl.Filter{Held: winsctl.WithParked}) {
			if r.Held == nil {
				there[r.Name] = r
			} else {
				held = append(held, r.Name.String()+" "+r.State)
			}
		}
		same(t, "the member's claim", fmt.Sprint(held), map[bool]string{true: "[MAIL<20> published]", false: "[]"}[parked])
		for _, c := range claimants {
			a.look(t, c, there[c.name])
		}
		for v := range a.owner {
			if v > version {
				t.Errorf("round %d: a record has version %d, and the highest is %d", round, v, version)
			}
		}
		a.highest = version
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	t.Logf("%d kills in %s under %d requests at a time, %d acknowledged; %d that were under way had happened; %d versions, the highest %d; start to answering: %s",
		rounds, time.Since(begin).Round(time.Millisecond), len(claimants), acked.Load(), a.flown, len(a.owner), a.highest, quantiles(down))
	if acked.Load() < rounds*uint64(len(claimants)) {
		t.Errorf("%d acknowledgements are few", acked.Load())
	}
	if longest := slices.Max(down); longest > 5*time.Second {
		t.Errorf("a start took %s", longest)
	}
}
