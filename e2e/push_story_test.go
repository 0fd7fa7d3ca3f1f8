//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nameward/nameward/registry/push"
)

// TestPushStory is the whole story: a WAN pair on two subnets, the name server and the WINS server of a domain
// controller, another WINS server, a secondary and a cache. The role moves, and all of them say so; then with all that
// can go wrong meanwhile. Each server is watched the whole time: none goes back to what is over.
func TestPushStory(t *testing.T) {
	s := newStory(t)
	t.Logf("at the start: %s", s.settled(t, 120*time.Second))
	s.guard.capture(t)
	s.watch(t)
	for _, c := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"switch", s.switchover}, {"everything down", s.down}, {"loss", s.loss}, {"the other site is cut off", s.sitePartition},
		{"the guard is cut off", s.guardPartition}, {"drill", s.drill}, {"kill", s.killed}, {"a slow program outlives a kill", s.slowProgram},
	} {
		if !t.Run(c.name, func(t *testing.T) { c.run(t); s.rests(t) }) {
			return
		}
	}
}

// rests looks whether everything stays as it is, and whether it came in order.
func (s *story) rests(t *testing.T) {
	t.Helper()
	time.Sleep(time.Second) // what is late would come by now, and be seen
	s.everywhere(t)
	s.inOrder(t)
}

// switchover moves the role to the other site, and back.
func (s *story) switchover(t *testing.T) {
	for range 6 {
		node := "ex2"
		if s.moved[len(s.moved)-1] == publicOf[node] {
			node = "ex1"
		}
		s.moved = append(s.moved, publicOf[node])
		out := s.n.do(t, "switch", "app", "--to", node, "--wait")
		s.everywhere(t) // at once
		t.Log("\n" + out)
		holds(t, "switch --wait", out, s.targets(t)...)
		same(t, "what is not verified or acknowledged", fmt.Sprint(strings.Contains(out, "failed") || strings.Contains(out, "stale")), "false")
	}
	addr := s.moved[len(s.moved)-1]
	holds(t, "dig", s.client.dig(t, farBindAddr, "app.corp.example").brief(), "NOERROR: app.corp.example. 300 IN A "+addr)
	holds(t, "dig", s.clerk.dig(t, dcAddr, "app.e2e.example").brief(), "IN A "+addr)
	for _, server := range []string{winsAddr, dcAddr} {
		holds(t, "nmblookup", s.clerk.nmblookup(t, "-U", server, "--recursion", "APP#20"), addr+" APP<20>")
	}
	for _, file := range []string{"told", "nmbd-wins/wins.dat"} {
		text, err := os.ReadFile(s.path(file))
		if err == nil && strings.Contains(string(text), "10.9.") || err != nil && file == "told" {
			t.Errorf("%s: %v\n%s", file, err, text)
		}
	}
	if cached := s.resolve.run(t, "unbound-control", "-c", s.unboundConf, "dump_cache"); strings.Contains(cached, "10.9.") || !strings.Contains(cached, addr) {
		t.Errorf("the cache:\n%s", cached)
	}
}

// drill moves the role that serves nobody through the same targets, and nothing else.
func (s *story) drill(t *testing.T) {
	const rounds = 9
	epoch := s.n.role(t, "app").Epoch
	var list []struct {
		Target        string
		Moves, Missed int
		P50           time.Duration `json:"p50_ns"`
		P99           time.Duration `json:"p99_ns"`
	}
	out := s.n.do(t, "push", "drill", "--count", fmt.Sprint(rounds), "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got []string
	for _, d := range list {
		got = append(got, d.Target)
		t.Logf("%s: p50 %s, p99 %s", d.Target, d.P50, d.P99)
		if d.Moves != rounds || d.Missed != 0 || d.P50 <= 0 || d.P99 < d.P50 {
			t.Errorf("%+v", d)
		}
	}
	want := slices.DeleteFunc(s.targets(t), func(target string) bool { return target == "program" }) // it is told of app alone
	slices.Sort(want)
	same(t, "targets", strings.Join(got, " "), strings.Join(want, " "))
	shadow := s.n.role(t, "shadow")
	same(t, "where the shadow is", strings.Join(shadow.Served, " "), "ex1")
	same(t, "its epoch", fmt.Sprint(shadow.Epoch), fmt.Sprint(1+rounds+1))
	same(t, "the epoch of the other role", fmt.Sprint(s.n.role(t, "app").Epoch), fmt.Sprint(epoch))
	at := map[string]string{farBindAddr: "shadow.corp.example.", farCacheAddr: "shadow.corp.example.", dcAddr: "shadow.e2e.example."}
	for server, name := range at {
		same(t, name+" at "+server, s.client.asker(t, server).a(name), publicOf["ex1"])
	}
	for _, server := range []string{winsAddr, dcAddr} {
		same(t, "SHADOW<20> at "+server, s.client.asker(t, server).netbios("SHADOW<20>"), publicOf["ex1"])
	}
}

// down has no target there while the role moves three times. Each gets the newest state alone.
func (s *story) down(t *testing.T) {
	s.named.stop()
	s.nmbd.stop()
	s.samba.kill()
	s.resolve.run(t, "unbound-control", "-c", s.unboundConf, "stop")
	s.write("broken", "")
	before := s.told()
	_, first := s.move(t)
	s.failed(t, first)
	_, second := s.move(t)
	s.failed(t, second)
	_, last := s.move(t)
	s.failed(t, last)
	holds(t, "push status", s.n.do(t, "push", "status"), "failed")
	same(t, "nameward itself", s.clerk.asker(t, guardAddr).a("app.corp.example."), s.moved[len(s.moved)-1])

	if err := os.Remove(s.path("broken")); err != nil {
		t.Fatal(err)
	}
	s.startNmbd()
	s.resolve.start(t, "unbound", "-d", "-c", s.unboundConf)
	s.startNamed()
	s.startSamba()
	back := time.Now()
	t.Logf("changes to verified: %s", s.settled(t, 90*time.Second))
	t.Logf("all have it %s after the last one was up", time.Since(back).Round(time.Millisecond))
	for _, target := range s.targets(t) {
		want := fmt.Sprintf("%d verified, %d superseded, %d superseded", last, second, first)
		if target == "program" {
			want = strings.Replace(want, "verified", "acked", 1)
		}
		same(t, "what became of the deliveries to "+target, s.history(t, target, first), want)
	}
	same(t, "what the program was told", strings.Join(s.told()[len(before):], ", "), fmt.Sprint(last, " ", s.moved[len(s.moved)-1]))
}

// failed waits until no target has an epoch.
func (s *story) failed(t *testing.T, epoch uint64) {
	t.Helper()
	for _, target := range s.targets(t) {
		soon(t, "a try to tell "+target, 15*time.Second, "failed", func() string {
			if d := s.n.delivered(t, target, "app"); d.Epoch != epoch || d.Why == "" {
				time.Sleep(20 * time.Millisecond)
				return fmt.Sprintf("%+v", d)
			}
			return "failed"
		})
	}
}

// loss has every fifth packet of the guard lost, each way.
func (s *story) loss(t *testing.T) {
	s.guard.run(t, "nft", `add table inet fault
		add chain inet fault in { type filter hook input priority -300; }
		add chain inet fault out { type filter hook output priority -300; }
		add rule inet fault in iifname e0 numgen random mod 100 < 20 counter drop
		add rule inet fault out oifname e0 numgen random mod 100 < 20 counter drop`)
	var took []time.Duration
	for range 3 {
		begin := time.Now()
		s.move(t)
		t.Log(s.settledBut(t, 90*time.Second))
		took = append(took, time.Since(begin))
	}
	dropped := s.guard.run(t, "nft", "list", "table", "inet", "fault")
	s.guard.run(t, "nft", "delete", "table", "inet", "fault")
	if strings.Contains(dropped, "packets 0 ") {
		t.Errorf("no packet was lost:\n%s", dropped)
	}
	slices.Sort(took)
	t.Logf("20 %% loss each way, every target verified: median %s, longest %s of %d", took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), len(took))
}

// settledBut is settled while the guard itself cannot be asked reliably.
func (s *story) settledBut(t *testing.T, limit time.Duration) string {
	t.Helper()
	epoch := s.n.role(t, "app").Epoch
	var took []string
	for _, target := range s.targets(t) {
		var d push.Delivery
		soon(t, target, limit, "done", func() string {
			if d = s.n.delivered(t, target, "app"); d.Epoch == epoch && d.IsDone() || d.Epoch == epoch && d.Stage == push.Acked && target == "program" {
				return "done"
			}
			time.Sleep(5 * time.Millisecond)
			return fmt.Sprintf("%+v", d)
		})
		took = append(took, fmt.Sprintf("%s %s", target, max(d.Verified.Sub(d.Moved), d.Acked.Sub(d.Moved)).Round(time.Millisecond)))
	}
	return strings.Join(took, ", ")
}

// sitePartition cuts the site dr off while the role moves. What is at hq does not wait for it.
func (s *story) sitePartition(t *testing.T) {
	s.line(s.router, "e1", false)
	for range 2 {
		node, epoch := s.move(t)
		for _, target := range []string{"ad-dns", "wins-nmbd", "wins-samba"} {
			d := s.n.reaches(t, target, "app", epoch, push.Verified, 20*time.Second)
			t.Logf("%s to %s, while dr is cut off: %s", target, node, d.Verified.Sub(d.Moved).Round(time.Millisecond))
		}
	}
	same(t, "who is not there", s.behind(t), "bind-dr, unbound-dr")
	s.line(s.router, "e1", true)
	back := time.Now()
	t.Logf("changes to verified: %s", s.settled(t, 60*time.Second))
	t.Logf("all have it %s after the end of the partition", time.Since(back).Round(time.Millisecond))
}

// behind are the targets that have not the newest state.
func (s *story) behind(t *testing.T) string {
	t.Helper()
	var out []string
	for _, target := range s.targets(t) {
		if d := s.n.delivered(t, target, "app"); d.Stage != push.Verified && d.Stage != push.Acked {
			out = append(out, target)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// guardPartition cuts the guard off while the role moves twice.
func (s *story) guardPartition(t *testing.T) {
	s.line(s.guard, "e0", false)
	s.move(t)
	time.Sleep(2 * time.Second) // so that the waits have grown
	s.move(t)
	s.move(t)
	time.Sleep(time.Second)
	s.line(s.guard, "e0", true)
	back := time.Now()
	t.Logf("changes to verified: %s", s.settled(t, 25*time.Second))
	t.Logf("all have it %s after the end of the partition", time.Since(back).Round(time.Millisecond))
}

// line connects an interface to its switch or cuts it off.
func (s *story) line(h *Host, dev string, in bool) {
	state := "down"
	if in {
		state = "up"
	}
	s.ip("-n", s.name+"switch", "link", "set", "p-"+h.name+"-"+dev, state)
}

// killed has nameward end when targets have what it sent, but have not said so, and not even read it. It starts again,
// the role moves on, and only then they read both.
func (s *story) killed(t *testing.T) {
	peers := []*Process{s.samba, s.nmbd, s.named}
	for i := range 3 {
		for _, p := range peers {
			p.signal(syscall.SIGSTOP)
		}
		_, epoch := s.move(t)
		for _, target := range []string{"ad-dns", "bind-dr", "wins-nmbd"} {
			s.n.reaches(t, target, "app", epoch, push.Sent, 5*time.Second)
		}
		s.n.kill()
		s.n.up(t)
		if i > 0 {
			_, epoch = s.move(t)
			s.n.reaches(t, "ad-dns", "app", epoch, push.Sent, 10*time.Second)
		}
		for _, p := range peers {
			p.signal(syscall.SIGCONT)
		}
		back := time.Now()
		t.Logf("changes to verified: %s", s.settled(t, 25*time.Second))
		t.Logf("all have it %s after they went on", time.Since(back).Round(time.Millisecond))
	}
}

// slowProgram has the program of a guard that was killed still under way when the next guard has news for it.
func (s *story) slowProgram(t *testing.T) {
	path := s.path("moved.sh")
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begun := s.path("begun")
	slow := strings.Replace(string(was), "exec cat", fmt.Sprintf("if [ ! -e %s ]; then echo >%[1]s; sleep 2; fi\nexec cat", begun), 1)
	if err := errors.Join(os.WriteFile(path+".slow", []byte(slow), 0o755), os.Rename(path+".slow", path)); err != nil {
		t.Fatal(err)
	}
	s.move(t)
	soon(t, "the program runs", 5*time.Second, "true", func() string { _, err := os.Stat(begun); return fmt.Sprint(err == nil) })
	s.n.kill()
	s.n.up(t)
	s.move(t)
	t.Logf("changes to verified: %s", s.settled(t, 25*time.Second))
	time.Sleep(2 * time.Second) // the first one would have come to its end
}
