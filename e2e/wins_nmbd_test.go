//go:build linux

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins/winsctl"
)

// TestWINSNmbdClient has Samba's nmbd register its names here, renew and release them.
func TestWINSNmbdClient(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, node, client := l.host("guard", guardAddr), l.host("node", "192.0.2.21"), l.host("client", clientAddr)
	// The shortest times that may be granted: nmbd renews a name at half of its time.
	n := guard.nameward(t, winsWorld("{mode: own, min_ttl: 1m, max_ttl: 1m}"))
	tap := node.tap(t)
	samba := node.nmbd(t, "NODE1", "interfaces = 192.0.2.21/24", "wins server = "+guardAddr, "server string = it is a %h", "netbios aliases = ALIAS1")

	const own = "NODE1<00> multihomed active 192.0.2.21\nNODE1<03> multihomed active 192.0.2.21\nNODE1<20> multihomed active 192.0.2.21"
	took := soon(t, "nmbd's own names", 20*time.Second, own, func() string { return n.listed(t, "NODE1") })
	t.Logf("nmbd's names are there %s after its start", took.Round(time.Millisecond))
	soon(t, "nmbd's groups", 20*time.Second, "E2E<00> group active 192.0.2.21\nE2E<1e> group active 192.0.2.21",
		func() string { return n.listed(t, "E2E") })
	soon(t, "nmbd's alias", 20*time.Second, "ALIAS1<20> multihomed active 192.0.2.21", func() string { return n.listed(t, "ALIAS1<20>") })
	ask := func(name string) string { return client.nmblookup(t, "-U", guardAddr, "--recursion", name) }
	for _, name := range []string{"NODE1#00", "NODE1#03", "NODE1#20", "ALIAS1#20"} {
		holds(t, "nmblookup "+name, ask(name), "192.0.2.21 "+strings.Replace(name, "#", "<", 1)+">")
	}
	holds(t, "nmblookup of a group", ask("E2E#00"), "255.255.255.255 E2E<00>")
	same(t, "nameward query", asked(n.cli(t, "query", "NODE1", "--server", guardAddr).out), "192.0.2.21")

	t.Run("refresh", func(t *testing.T) {
		before := n.registrations(t, winsctl.Filter{Name: "NODE1<20>"})[0]
		soon(t, "the record ends later", 75*time.Second, "renewed", func() string {
			if rs := n.registrations(t, winsctl.Filter{Name: "NODE1<20>"}); len(rs) == 1 && rs[0].Ends.After(before.Ends) {
				return "renewed"
			}
			return before.Ends.String()
		})
		after := n.registrations(t, winsctl.Filter{Name: "NODE1<20>"})[0]
		if after.Version != before.Version {
			t.Errorf("a refresh gave version %d after %d: partners have nothing to learn from it", after.Version, before.Version)
		}
		refreshes := tap.all(func(s *Seen) bool { return s.Form() == netbios.FormRefresh && s.out })
		if len(refreshes) == 0 {
			t.Errorf("nmbd sent no refresh: %s", tap.talk("NODE1<20>"))
		}
	})
	t.Run("release", func(t *testing.T) {
		// A release that overtakes the answer to a refresh would be another story.
		soon(t, "the refresh of NODE1<03> is answered", 5*time.Second, "yes", func() string {
			if strings.Contains(tap.talk("NODE1<03>"), "refresh, positive-registration") {
				return "yes"
			}
			return "no"
		})
		samba.signal(syscall.SIGTERM)
		samba.wait(5 * time.Second)
		soon(t, "names after SIGTERM", 5*time.Second, strings.ReplaceAll(own, " active ", " released "), func() string { return n.listed(t, "NODE1") })
		holds(t, "nmblookup", ask("NODE1#20"), "failed to find name NODE1")
		talk := tap.talk("NODE1<03>")
		holds(t, "nmbd and the server about one name", talk, "multihomed, positive-registration, refresh, positive-registration, ", "release, positive-release")
		if strings.Contains(talk, "negative") || strings.Contains(talk, "wack") {
			t.Errorf("nmbd and the server about a name of its own: %s", talk)
		}
	})
	t.Run("a released name does not come back", func(t *testing.T) {
		n.kill()
		n.up(t)
		same(t, "names after a restart", n.listed(t, "NODE1"), strings.ReplaceAll(own, " active ", " released "))
	})
}

// TestWINSNmbdContest has two nodes want one name.
func TestWINSNmbdContest(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, first, second, client := l.host("guard", guardAddr), l.host("first", "192.0.2.21"), l.host("second", "192.0.2.22"), l.host("client", clientAddr)
	n := guard.nameward(t, winsWorld("{mode: own}"))
	start := func(h *Host, name, addr string) *Process {
		return h.nmbd(t, name, "interfaces = "+addr+"/24", "wins server = "+guardAddr, "netbios aliases = SHARED")
	}
	listed := func() string { return n.listed(t, "SHARED<20>") }
	owner := start(first, "FIRST", "192.0.2.21")
	soon(t, "the first has it", 20*time.Second, "SHARED<20> multihomed active 192.0.2.21", listed)

	tap := second.tap(t)
	rival := start(second, "SECOND", "192.0.2.22")
	soon(t, "the second is told to wait and then refused", 20*time.Second, "multihomed, wack, negative-registration 6",
		func() string { return tap.talk("SHARED<20>") })
	same(t, "the name", listed(), "SHARED<20> multihomed active 192.0.2.21")
	holds(t, "nmblookup", client.nmblookup(t, "-U", guardAddr, "--recursion", "SHARED#20"), "192.0.2.21 SHARED<20>")

	rival.stop()
	owner.kill()
	tap = second.tap(t)
	start(second, "SECOND", "192.0.2.22")
	soon(t, "the second asks when the first is dead", 20*time.Second, "multihomed, wack, positive-registration",
		func() string { return tap.talk("SHARED<20>") })
	same(t, "the name of the dead", listed(), "SHARED<20> multihomed active 192.0.2.22")
	talk := tap.all(func(s *Seen) bool { return s.about("SHARED<20>") && (s.from == winsServer || s.to == winsServer) })
	took := talk[2].at.Sub(talk[0].at)
	t.Logf("a dead owner's name is given away %s after it was asked for", took.Round(time.Millisecond))
	if took > 4*time.Second || took < 2*time.Second {
		t.Errorf("a dead owner's name is given away after %s, want three questions of a second each", took)
	}
	holds(t, "nmblookup", client.nmblookup(t, "-U", guardAddr, "--recursion", "SHARED#20"), "192.0.2.22 SHARED<20>")
}
