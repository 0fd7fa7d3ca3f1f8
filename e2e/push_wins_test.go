//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/pushctl"
)

// Hosts that hold a role's name at a WINS server that is not ours, each in another condition, and the one that all
// roles move to. Nothing answers there at the port of the name service.
const (
	deadAddr    = "192.0.2.21" // it is unplugged
	muteAddr    = "192.0.2.22" // as standby
	busyAddr    = "192.0.2.23" // nmbd has the role's name, registers and defends it
	wardAddr    = "192.0.2.24" // nameward answers there
	standbyAddr = "192.0.2.12"
)

const winsRoles = 100

// winsTargetWorld has a role for each of them, and many more that are mute's.
func winsTargetWorld() string {
	var b strings.Builder
	b.WriteString("clusters:\n  - name: site\n    nodes:\n")
	for name, addr := range map[string]string{"dead": deadAddr, "mute": muteAddr, "busy": busyAddr, "ward": wardAddr, "standby": standbyAddr} {
		fmt.Fprintf(&b, "      %s: {public: [%s]}\n", name, addr)
	}
	b.WriteString("    roles:\n")
	for _, name := range []string{"dead", "mute", "busy"} {
		fmt.Fprintf(&b, "      - {name: %s, netbios: [%s], source: {operator: {initial: %s}}}\n", name, strings.ToUpper(name), name)
	}
	b.WriteString("      - {name: brief, netbios: [BRIEF], source: {operator: {initial: mute}}}\n")
	b.WriteString("      - {name: ward, netbios: [WARD], source: {file: ward.role}}\n")
	for i := range winsRoles {
		fmt.Fprintf(&b, "      - {name: r%d, netbios: [R%d], source: {operator: {initial: mute}}}\n", i, i)
	}
	return b.String()
}

// winsTarget has a second one for the role whose name is to be refreshed soon.
const winsTarget = "push: {targets: [{name: w, wins: {server: " + winsAddr + "}}, {name: brief, roles: [brief], check: 20s, wins: {server: " + winsAddr + ", ttl: 1m}}]}\n"

// winsPeer is a WINS server of somebody else.
type winsPeer struct {
	name  string
	start func(t *testing.T, h *Host) *Process
	// trusts: it takes a release from anybody. Else a dead owner is challenged.
	trusts bool
}

var winsPeers = []winsPeer{
	{"nmbd", startWINS, true},
	{"Samba AD", func(t *testing.T, h *Host) *Process {
		return h.samba(t, h.provision(t, "WINS1", winsAddr, "server services = nbt wrepl", "wins support = yes", "dns proxy = no"))
	}, false},
}

// targetLab is a guard whose target is a WINS server.
type targetLab struct {
	*Lab
	peer                                         winsPeer
	wins, guard, dead, mute, busy, ward, standby *Host
	samba                                        *Process
	n                                            *Nameward
	there                                        *Asker
}

// TestPushWINS moves roles whose names a WINS server that is not ours has.
func TestPushWINS(t *testing.T) {
	t.Parallel()
	for _, peer := range winsPeers {
		t.Run(peer.name, func(t *testing.T) {
			t.Parallel()
			pushWINS(t, peer)
		})
	}
}

func pushWINS(t *testing.T, peer winsPeer) {
	l := newLab(t)
	s := &targetLab{
		Lab: l, peer: peer, wins: l.host("wins", winsAddr), guard: l.host("guard", guardAddr), dead: l.host("dead", deadAddr),
		mute: l.host("mute", muteAddr), busy: l.host("busy", busyAddr), ward: l.host("ward", wardAddr), standby: l.host("standby", standbyAddr),
	}
	s.samba = peer.start(t, s.wins)
	s.there = l.host("client", clientAddr).asker(t, winsAddr)
	itself := s.byItself(t)
	l.write("ward.role", "ward\n")
	s.nameward(t, s.ward, "ward.yaml", winsTargetWorld()+"netbios: {listen: [{address: \""+wardAddr+":137\"}]}\n")
	s.n = s.guard.nameward(t, winsTargetWorld()+winsTarget)
	soon(t, "the roles are registered", 60*time.Second, deadAddr+" "+muteAddr+" "+busyAddr+" "+wardAddr, func() string { return s.answers("DEAD", "MUTE", "BUSY", "WARD") })
	t.Logf("%s has %d names %s after the start", peer.name, 3*(winsRoles+5), s.settled(t, 90*time.Second).Round(time.Millisecond))

	t.Run("owners", s.owners)
	t.Run("sidecar", s.sidecar)
	t.Run("refresh", s.refresh)
	t.Run("down", s.down)
	t.Run("loss", s.loss)
	t.Run("kill", s.kill)
	t.Run("many", s.many)
	t.Logf("%s: what a host does by itself that takes a dead one's name over: %s", peer.name, <-itself)
}

// nameward starts another one in a host of the lab, with files of its own.
func (s *targetLab) nameward(t *testing.T, h *Host, file, world string) *Process {
	own := strings.NewReplacer("run/control.sock", file+".sock", "run/nameward.db", file+".d/nameward.db").Replace(place)
	if err := os.MkdirAll(s.path(file+".d"), 0o755); err != nil {
		t.Fatal(err)
	}
	return h.start(t, nameward, "serve", "--config", s.write(file, world+own), "--listen", "127.0.0.1:53", "--forward", "none",
		"--metrics", "127.0.0.1:9153", "--ready", "127.0.0.1:8181")
}

// answers is where the server says that names are, with suffix 20.
func (s *targetLab) answers(names ...string) string {
	var out []string
	for _, n := range names {
		out = append(out, s.there.netbios(n+"<20>"))
	}
	return strings.Join(out, " ")
}

// delivery is the target's last one of a role.
func (s *targetLab) delivery(t *testing.T, role string) push.Delivery {
	t.Helper()
	st := s.status(t, pushctl.Filter{Target: "w", Role: role, Done: true})
	if len(st.Deliveries) != 1 {
		t.Fatalf("%d deliveries of %s", len(st.Deliveries), role)
	}
	return st.Deliveries[0]
}

func (s *targetLab) status(t *testing.T, f pushctl.Filter) pushctl.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	st, err := pushctl.Client{Client: s.n.Client}.Status(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// settled waits until nothing is left to be delivered.
func (s *targetLab) settled(t *testing.T, limit time.Duration) time.Duration {
	t.Helper()
	return soon(t, "all is delivered", limit, "", func() string {
		st := s.status(t, pushctl.Filter{})
		if len(st.Deliveries) == 0 {
			return ""
		}
		time.Sleep(20 * time.Millisecond)
		return fmt.Sprintf("%d are not, %s among them: %s %s", len(st.Deliveries), st.Deliveries[0].Role, st.Deliveries[0].Stage, st.Deliveries[0].Why)
	})
}

// moves a role and has the time until the server was asked and answered right.
func (s *targetLab) moves(t *testing.T, role, to, addr string, limit time.Duration) time.Duration {
	t.Helper()
	if role == "ward" {
		s.write("ward.role", to+"\n")
	} else if _, err := s.n.move(role, to); err != nil {
		t.Fatal(err)
	}
	var d push.Delivery
	soon(t, role+" is verified at "+to, limit, "verified "+addr, func() string {
		d = s.delivery(t, role)
		return fmt.Sprint(d.Stage, " ", strings.Join(texts(d.Addrs), " "))
	})
	name := strings.ToUpper(role)
	for _, suffix := range []string{"<00>", "<03>", "<20>"} {
		same(t, name+suffix, s.there.netbios(name+suffix), addr)
	}
	return d.Verified.Sub(d.Moved)
}

func texts(addrs []netip.Addr) (out []string) {
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out
}

// owners moves the role of each holder, and back.
func (s *targetLab) owners(t *testing.T) {
	// The challenge of a dead owner takes three questions of a second, and twice that if its address cannot be found out.
	challenge := 8 * time.Second
	busy := s.busyName(t)
	s.dead.plug(false)
	took := map[string]time.Duration{
		"dead": s.moves(t, "dead", "standby", standbyAddr, challenge),
		"mute": s.moves(t, "mute", "standby", standbyAddr, challenge),
		"ward": s.moves(t, "ward", "standby", standbyAddr, 2*time.Second),
	}
	s.dead.plug(true)
	if s.peer.trusts {
		took["busy"] = s.moves(t, "busy", "standby", standbyAddr, 2*time.Second)
		busy.stop()
	} else {
		if _, err := s.n.move("busy", "standby"); err != nil {
			t.Fatal(err)
		}
		soon(t, "a host that defends the name", 5*time.Second, "failed", func() string { return s.delivery(t, "busy").Stage.String() })
		holds(t, "why", s.delivery(t, "busy").Why, busyAddr+" says that the name is its own", "take the name off that host")
		same(t, "the name", s.answers("BUSY"), busyAddr)
		busy.stop() // it releases its names
		took["busy, when it has let go"] = s.moves(t, "busy", "standby", standbyAddr, 8*time.Second)
	}
	for role, took := range took {
		if (s.peer.trusts || role == "ward") && took > time.Second {
			t.Errorf("%s took %s", role, took)
		}
	}
	for _, role := range []string{"dead", "mute", "busy", "ward"} {
		addr := map[string]string{"dead": deadAddr, "mute": muteAddr, "busy": busyAddr, "ward": wardAddr}[role]
		took[role+", back"] = s.moves(t, role, role, addr, challenge)
	}
	for role, took := range took {
		t.Logf("%-8s from %-26s change to verified %s", s.peer.name, role, took.Round(100*time.Microsecond))
	}
}

// busyName has nmbd register the role's name at the server, and defend it.
func (s *targetLab) busyName(t *testing.T) *Process {
	before := s.wins.tap(t)
	p := s.busy.nmbd(t, "BUSYHOST", "interfaces = "+busyAddr+"/24", "wins server = "+winsAddr, "netbios aliases = BUSY")
	soon(t, "nmbd registers the role's name", 30*time.Second, "yes", func() string {
		time.Sleep(10 * time.Millisecond)
		own := before.all(func(s *Seen) bool {
			return s.to.Addr().String() == busyAddr && s.about("BUSY<20>") && s.Form() == netbios.FormPositiveRegistration
		})
		if len(own) > 0 {
			return "yes"
		}
		return "no"
	})
	return p
}

// byItself measures what happens without nameward: a host dies that has a name, and another one starts with it.
func (s *targetLab) byItself(t *testing.T) <-chan string {
	const oldAddr, newAddr = "192.0.2.31", "192.0.2.32"
	old, fresh := s.host("old", oldAddr), s.host("fresh", newAddr)
	nmbd := func(h *Host, name, addr string) *Process {
		return h.nmbd(t, name, "interfaces = "+addr+"/24", "wins server = "+winsAddr, "netbios aliases = ITSELF")
	}
	p := nmbd(old, "OLD", oldAddr)
	soon(t, "the host has the name", 60*time.Second, oldAddr, func() string { return s.answers("ITSELF") })
	p.kill()
	nmbd(fresh, "FRESH", newAddr)
	begin, out := time.Now(), make(chan string, 1)
	asker := fresh.asker(t, winsAddr)
	go func() {
		for time.Since(begin) < 30*time.Second {
			if asker.netbios("ITSELF<20>") == newAddr {
				out <- time.Since(begin).Round(time.Millisecond).String()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		out <- "not within 30s"
	}()
	return out
}

// sidecar pushes from the host that has the name, whose own nmbd defends it.
func (s *targetLab) sidecar(t *testing.T) {
	busy := s.busyName(t)
	s.nameward(t, s.busy, "busy.yaml", strings.Replace(winsTargetWorld(), "initial: busy", "initial: standby", 1)+
		"push: {targets: [{name: w, roles: [busy], check: 1d, wins: {server: "+winsAddr+"}}]}\n")
	took := soon(t, "the name, released by its owner's host", 5*time.Second, standbyAddr, func() string { return s.answers("BUSY") })
	t.Logf("%s: from a host that defends the name, whose nameward pushes: %s after its start", s.peer.name, took.Round(time.Millisecond))
	busy.stop()
	s.moves(t, "busy", "standby", standbyAddr, 10*time.Second)
}

// refresh waits until a name is refreshed before its minute is over, where the server grants that.
func (s *targetLab) refresh(t *testing.T) {
	if s.peer.trusts {
		return // it grants six hours at least
	}
	tap := s.wins.tap(t)
	begin := time.Now()
	soon(t, "the name is refreshed", 45*time.Second, "refreshed", func() string {
		time.Sleep(100 * time.Millisecond)
		if len(tap.all(func(s *Seen) bool { return s.about("BRIEF<20>") && s.Form() == netbios.FormRefresh })) > 0 {
			return "refreshed"
		}
		return ""
	})
	t.Logf("refreshed after %s", time.Since(begin).Round(time.Second))
	same(t, "the name", s.answers("BRIEF"), muteAddr)
}

// down moves a role three times while the server is down.
func (s *targetLab) down(t *testing.T) {
	stop, cont := syscall.SIGSTOP, syscall.SIGCONT
	tap := s.wins.tap(t)
	s.samba.signal(stop)
	s.wins.run(t, "nft", "add table inet down; add chain inet down in { type filter hook input priority 0; }; add rule inet down in udp dport 137 drop")
	for _, to := range []string{"standby", "mute", "standby"} {
		if _, err := s.n.move("mute", to); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
	}
	soon(t, "the outage is told", 10*time.Second, "yes", func() string {
		time.Sleep(10 * time.Millisecond)
		if d := s.delivery(t, "mute"); d.Stage == push.Failed || d.Stage == push.Sent {
			return "yes"
		}
		return "no"
	})
	s.wins.run(t, "nft", "delete table inet down")
	s.samba.signal(cont)
	begin := time.Now()
	soon(t, "the newest state", 12*time.Second, standbyAddr, func() string { return s.answers("MUTE") })
	t.Logf("%s: up after an outage, right %s later", s.peer.name, time.Since(begin).Round(time.Millisecond))
	s.settled(t, 10*time.Second)
	for _, seen := range tap.all(func(s *Seen) bool { return !s.out && s.about("MUTE<20>") && s.Form() == netbios.FormRegistration }) {
		if claim, _ := seen.Claim(); seen.at.After(begin) && claim.Addrs[0].Addr.String() != standbyAddr {
			t.Errorf("an old state was told late: %s", claim.Addrs[0].Addr)
		}
	}
	s.moves(t, "mute", "mute", muteAddr, 10*time.Second)
}

// loss has every fifth packet lost, each way.
func (s *targetLab) loss(t *testing.T) {
	s.wins.run(t, "nft", `add table inet fault
		add chain inet fault in { type filter hook input priority -300; }
		add chain inet fault out { type filter hook output priority -300; }
		add rule inet fault in udp dport 137 ip saddr `+guardAddr+` numgen random mod 100 < 20 counter drop
		add rule inet fault out udp sport 137 ip daddr `+guardAddr+` numgen random mod 100 < 20 counter drop`)
	var all []time.Duration
	for range 2 {
		all = append(all, s.moves(t, "ward", "standby", standbyAddr, 20*time.Second))
		all = append(all, s.moves(t, "ward", "ward", wardAddr, 20*time.Second))
	}
	s.wins.run(t, "nft", "delete table inet fault")
	slices.Sort(all)
	t.Logf("%s: 20 %% loss each way, three names: median %s, longest %s", s.peer.name, all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
}

// kill ends nameward between what is sent and what is confirmed.
func (s *targetLab) kill(t *testing.T) {
	s.settled(t, 30*time.Second)
	s.samba.signal(syscall.SIGSTOP)
	if _, err := s.n.move("mute", "standby"); err != nil {
		t.Fatal(err)
	}
	soon(t, "it is sent", 5*time.Second, "sent", func() string { return s.delivery(t, "mute").Stage.String() })
	s.n.kill()
	s.n.up(t)
	s.samba.signal(syscall.SIGCONT)
	begin := time.Now()
	soon(t, "the delivery goes on", 10*time.Second, standbyAddr, func() string { return s.answers("MUTE") })
	t.Logf("%s: right %s after it could answer again, with a kill between", s.peer.name, time.Since(begin).Round(time.Millisecond))
	s.settled(t, 60*time.Second)
	if !s.peer.trusts {
		// Between the WACK and the grant.
		tap := s.wins.tap(t)
		if _, err := s.n.move("mute", "mute"); err != nil {
			t.Fatal(err)
		}
		soon(t, "the server asks for time", 5*time.Second, "yes", func() string {
			if len(tap.all(func(s *Seen) bool { return s.about("MUTE<20>") && s.Form() == netbios.FormWack })) > 0 {
				return "yes"
			}
			return "no"
		})
		s.n.kill()
		s.n.up(t)
		soon(t, "the delivery goes on", 10*time.Second, muteAddr, func() string { return s.answers("MUTE") })
		s.settled(t, 60*time.Second)
	} else {
		s.moves(t, "mute", "mute", muteAddr, 5*time.Second)
	}
}

// many moves them all at once.
func (s *targetLab) many(t *testing.T) {
	var roles []string
	for i := range winsRoles {
		roles = append(roles, fmt.Sprintf("r%d", i))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := s.n.Switch(ctx, registry.SwitchRequest{Roles: roles, To: "standby", By: "e2e"}); err != nil {
		t.Fatal(err)
	}
	s.settled(t, 3*time.Minute)
	var all []time.Duration
	for _, d := range s.status(t, pushctl.Filter{Target: "w", Done: true}).Deliveries {
		if strings.HasPrefix(d.Role, "r") {
			all = append(all, d.Verified.Sub(d.Moved))
		}
	}
	slices.Sort(all)
	t.Logf("%s: %d roles of three names at once: median %s, p99 %s, last %s", s.peer.name, len(all),
		all[len(all)/2].Round(time.Millisecond), all[len(all)*99/100].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
	for i := range winsRoles {
		for _, suffix := range []string{"<00>", "<03>", "<20>"} {
			if got := s.there.netbios(fmt.Sprintf("R%d%s", i, suffix)); got != standbyAddr {
				t.Fatalf("R%d%s: %s", i, suffix, got)
			}
		}
	}
}
