//go:build linux

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/pushctl"
)

const (
	otherGuardAddr = "192.0.2.57"
	etcdAddr       = "192.0.2.61"
)

// namewardAs starts one of several guards, with state, socket and files of its own below its name, and further keys of
// store.
func (h *Host) namewardAs(t *testing.T, addr, world, store string) *Nameward {
	t.Helper()
	own := strings.NewReplacer("run/", h.name+"/", "{bolt:", "{"+store+"bolt:").Replace(place)
	if err := os.MkdirAll(h.lab.path(h.name), 0o700); err != nil {
		t.Fatal(err)
	}
	socket := h.lab.path(h.name, "control.sock")
	n := &Nameward{host: h, config: h.lab.write(h.name+".yaml", world+own), addr: addr, socket: socket, Client: control.NewClient(socket)}
	n.args = []string{
		nameward, "serve", "--config", n.config, "--listen", addr + ":53", "--forward", "none",
		"--metrics", "127.0.0.1:9153", "--ready", "127.0.0.1:8181",
	}
	n.up(t)
	return n
}

// guards are two of them with the same BIND to update, each with a program of its own.
type guards struct {
	*Lab
	one, two *Nameward
	zone     *Asker // asks BIND
	client   *Host
}

func newGuards(t *testing.T, store string) *guards {
	t.Helper()
	g := &guards{Lab: newLab(t)}
	first, second, bind := g.host("one", guardAddr), g.host("two", otherGuardAddr), g.host("bind", bindAddr)
	g.client = g.host("client", clientAddr)
	if store != "" {
		g.host("etcd", etcdAddr).etcd(t)
	}
	bind.pushedBind(t, bindAddr)
	g.write("push.key", "push.:"+pushSecret+"\n")
	g.zone = g.client.asker(t, bindAddr)
	g.one = first.namewardAs(t, guardAddr, g.world(t, "one"), store)
	g.one.reaches(t, "primary", "mailbox", 1, push.Verified, 20*time.Second)
	g.two = second.namewardAs(t, otherGuardAddr, g.world(t, "two"), store)
	return g
}

// world is that of a guard whose program writes what it is told into a file.
func (g *guards) world(t *testing.T, guard string) string {
	t.Helper()
	hook := g.write(guard+".sh", "#!/bin/sh\nexec cat >>"+g.path(guard+".told")+"\n")
	if err := os.Chmod(hook, 0o755); err != nil {
		t.Fatal(err)
	}
	return pushedWorld("ad.example.", "      update: {zone: ad.example., primary: [192.0.2.54], key: push.key}\n    - {name: program, hook: {command: ["+hook+"]}}\n")
}

// told is what a guard's program was told, each time.
func (g *guards) told(guard string) string { return strings.Join(toldIn(g.path(guard+".told")), ", ") }

// etcd starts a member without others.
func (h *Host) etcd(t *testing.T) *Process {
	t.Helper()
	url := "http://" + etcdAddr + ":2379"
	p := h.start(t, "etcd", "--name", "m1", "--data-dir", h.lab.path("etcd"), "--listen-client-urls", url, "--advertise-client-urls", url,
		"--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380", "--initial-cluster", "m1=http://127.0.0.1:2380", "--log-level", "error")
	soon(t, "etcd", 20*time.Second, "listens", func() string {
		conn, err := h.dial("tcp", etcdAddr+":2379")
		if err != nil {
			return err.Error()
		}
		conn.Close()
		return "listens"
	})
	return p
}

func (n *Nameward) isStandby(t *testing.T) bool {
	t.Helper()
	st, err := pushctl.Client{Client: n.Client}.Status(t.Context(), pushctl.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return st.Standby
}

const sharedStore = "etcd: {endpoints: [\"http://" + etcdAddr + ":2379\"]}, "

// TestPushGuards has two guards with one etcd. What is decided at one is answered by both; one of them tells the targets,
// and the other one when that is dead or cut off.
func TestPushGuards(t *testing.T) {
	t.Parallel()
	g := newGuards(t, sharedStore)
	one, two := g.client.asker(t, guardAddr), g.client.asker(t, otherGuardAddr)
	const name = "mail.ad.example."
	answered := func(by *Asker) func() string { return func() string { return by.a(name) } }
	marked := func() string { return g.zone.a(name) + " " + markerAt(g.zone, name) }
	want := func(epoch uint64, holder string) string {
		return fmt.Sprintf("%s v=1 role=mailbox epoch=%d holder=%s", map[string]string{"ex1": "192.0.2.11", "ex2": "192.0.2.12"}[holder], epoch, holder)
	}
	same(t, "who stands by", fmt.Sprint(g.one.isStandby(t), " ", g.two.isStandby(t)), "false true")
	holds(t, "push status of the second guard", g.two.do(t, "push", "status"), "standby: another guard tells the targets")

	// The one that does not tell the targets decides.
	begin := time.Now()
	epoch, err := g.two.move("mailbox", "ex2")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the guard that decided", two.a(name), "192.0.2.12")
	soon(t, "the other guard", 2*time.Second, "192.0.2.12", answered(one))
	t.Logf("decided at one guard, answered by the other one: %s", time.Since(begin).Round(time.Millisecond))
	t.Logf("and told by it: %s", soon(t, "BIND", 5*time.Second, want(epoch, "ex2"), marked).Round(time.Millisecond))
	soon(t, "the first program", 5*time.Second, "1 192.0.2.11, 2 192.0.2.12", func() string { return g.told("one") })
	same(t, "the second program", g.told("two"), "")
	writer := g.zone.lookup("_nameward."+name, 16)

	g.killLeader(t, want, marked)
	g.cutOff(t, want, marked)
	if now := g.zone.lookup("_nameward."+name, 16); now == writer {
		t.Errorf("the marker is still the first writer's: %s", now)
	}
	for _, guard := range []string{"one", "two"} {
		if told := toldIn(g.path(guard + ".told")); !isOrdered(told) {
			t.Errorf("the program of %s was told in the wrong order: %v", guard, told)
		}
	}
	t.Logf("one's program: %s; two's: %s", g.told("one"), g.told("two"))
}

// killLeader: the role moves while nobody tells the targets. The guard that is left does when the lease is over.
func (g *guards) killLeader(t *testing.T, want func(uint64, string) string, marked func() string) {
	t.Helper()
	before := marked()
	g.one.kill()
	killed := time.Now()
	if _, err := g.two.move("mailbox", "ex1"); err != nil {
		t.Fatal(err)
	}
	epoch, err := g.two.move("mailbox", "ex2")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "BIND, as long as the dead guard has its lease", marked(), before)
	soon(t, "the second guard tells it", 10*time.Second, want(epoch, "ex2"), marked)
	took := time.Since(killed)
	t.Logf("the guard that told the targets was killed: the other one has told them after %s", took.Round(time.Millisecond))
	if took > 6*time.Second {
		t.Errorf("it took %s with a lease of 3 s", took)
	}
	soon(t, "the second program", 5*time.Second, fmt.Sprint(epoch, " 192.0.2.12"), func() string { return g.told("two") })
	was := g.told("one")
	g.one.up(t)
	same(t, "who stands by", fmt.Sprint(g.one.isStandby(t), " ", g.two.isStandby(t)), "true false")
	same(t, "what the guard that is back answers", g.client.asker(t, guardAddr).a("mail.ad.example."), "192.0.2.12")
	same(t, "the first program", g.told("one"), was)
}

// cutOff: the guard that tells the targets is cut off from etcd and from them; the other one takes over.
func (g *guards) cutOff(t *testing.T, want func(uint64, string) string, marked func() string) {
	t.Helper()
	g.two.host.plug(false)
	cut := time.Now()
	if _, err := g.two.move("mailbox", "ex1"); err == nil {
		t.Error("a guard that is cut off from etcd decides")
	}
	epoch, err := g.one.move("mailbox", "ex1")
	if err != nil {
		t.Fatal(err)
	}
	soon(t, "the first guard tells it", 15*time.Second, want(epoch, "ex1"), marked)
	t.Logf("the guard that told the targets was cut off: the other one has told them after %s", time.Since(cut).Round(time.Millisecond))
	soon(t, "the guard that is cut off knows it", 10*time.Second, "true", func() string { return fmt.Sprint(g.two.isStandby(t)) })
	g.two.host.plug(true)
	back := g.client.asker(t, otherGuardAddr)
	t.Logf("the guard that was cut off answers right %s after it is back", soon(t, "the guard that was cut off", 15*time.Second, "192.0.2.11",
		func() string { return back.a("mail.ad.example.") }).Round(time.Millisecond))
	epoch, err = g.two.move("mailbox", "ex2")
	if err != nil {
		t.Fatal(err)
	}
	soon(t, "BIND", 5*time.Second, want(epoch, "ex2"), marked)
	time.Sleep(time.Second) // what the guard that was cut off had in mind would come by now
	same(t, "BIND", marked(), want(epoch, "ex2"))
}

// TestPushGuardsApart has two guards that share nothing. The one whose epoch is older gives way.
func TestPushGuardsApart(t *testing.T) {
	t.Parallel()
	g := newGuards(t, "")
	const name = "mail.ad.example."
	marked := func() string { return g.zone.a(name) + " " + markerAt(g.zone, name) }
	var epoch uint64
	for _, node := range []string{"ex2", "ex1", "ex2"} {
		var err error
		if epoch, err = g.one.move("mailbox", node); err != nil {
			t.Fatal(err)
		}
		g.one.reaches(t, "primary", "mailbox", epoch, push.Verified, 10*time.Second)
	}
	right := fmt.Sprintf("192.0.2.12 v=1 role=mailbox epoch=%d holder=ex2", epoch)
	same(t, "the guard that has moved the role", marked(), right)
	old, err := g.two.move("mailbox", "ex2")
	if err == nil {
		old, err = g.two.move("mailbox", "ex1")
	}
	if err != nil || old >= epoch {
		t.Fatalf("epoch %d of the other guard, %v", old, err)
	}
	d := g.two.reaches(t, "primary", "mailbox", old, push.Failed, 10*time.Second)
	holds(t, "why", d.Why, fmt.Sprintf("epoch %d of role mailbox stands there, holder ex2", epoch))
	soon(t, "the reason in push status", 5*time.Second, "true", func() string {
		return fmt.Sprint(strings.Contains(g.two.do(t, "push", "status"), "the target has a newer epoch than this guard"))
	})
	time.Sleep(3 * time.Second) // it checks every second
	same(t, "the older one gives way", marked(), right)

	// Its next word counts when it is newer.
	for old < epoch+1 {
		node := "ex2"
		if g.two.role(t, "mailbox").Holder[0] == node {
			node = "ex1"
		}
		if old, err = g.two.move("mailbox", node); err != nil {
			t.Fatal(err)
		}
	}
	g.two.reaches(t, "primary", "mailbox", old, push.Verified, 10*time.Second)
	holds(t, "the newer one", marked(), fmt.Sprintf("epoch=%d", old))
}
