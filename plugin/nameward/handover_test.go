package nameward

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/servetest"
)

// TestCorefileReload walks through what CoreDNS does to two instances: the new one's OnStartup comes
// before the old one's OnShutdown, and a new one that fails is never shut down.
func TestCorefileReload(t *testing.T) {
	path, port := writeConfig(t, ""), servetest.FreePort(t)
	block := func(more string) string {
		return fmt.Sprintf(".:%d {\n bind 127.0.0.1\n transfer {\n to *\n }\n nameward %s\n%s}\n", port, path, more)
	}
	inst := start(t, block(""))
	r := running{plain: fmt.Sprintf("127.0.0.1:%d", port), guard: guards.first()}
	same := func(when string) {
		t.Helper()
		if g := guards.first(); g != r.guard || g.closed {
			t.Fatalf("%s: another guard, or a closed one", when)
		}
		if m := r.ask(t, "udp", question("mail.corp.example.", dns.TypeA)); text(m.Answer) != "mail.corp.example. 5 A 192.0.2.11" {
			t.Errorf("%s: %v", when, m)
		}
		if got := r.guard.listen().DNS; !slices.Equal(got, []string{r.plain}) {
			t.Errorf("%s: status shows that DNS is answered at %v", when, got)
		}
		if back := guards.held[path].back; back != nil {
			t.Errorf("%s: an instance is left that could take the guard back", when)
		}
	}
	same("start")
	firstOwner := guards.held[path].owner

	inst, err := inst.Restart(input(block(" cache\n")))
	if err != nil {
		t.Fatal(err)
	}
	same("good reload")
	if guards.held[path].owner == firstOwner {
		t.Error("the old instance still owns the guard")
	}

	// One that fails while it is set up.
	owner := guards.held[path].owner
	if _, err := inst.Restart(input(block(" nonsense\n"))); err == nil {
		t.Fatal("nonsense is taken")
	}
	same("reload that fails in setup")

	// One that fails after OnStartup, because its second port is taken.
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	second := strings.Replace(block(""), fmt.Sprintf(".:%d", port), fmt.Sprintf(".:%d", taken.Addr().(*net.TCPAddr).Port), 1)
	if _, err := inst.Restart(input(block("") + second)); err == nil {
		t.Fatal("a port that is taken is no error")
	}
	if guards.held[path].owner != owner {
		t.Error("the failed instance owns the guard")
	}
	same("reload that fails after OnStartup")

	inst, err = inst.Restart(input(block("")))
	if err != nil {
		t.Fatal(err)
	}
	same("good reload after a failed one")

	// A bad nameward.yaml does not stand in the way of a reload of the Corefile.
	good := readText(t, path)
	write(t, path, "clusters: 7\n")
	if inst, err = inst.Restart(input(block(" cache\n"))); err != nil {
		t.Fatal(err)
	}
	same("reload with a bad nameward.yaml")
	write(t, path, good)

	if _, err = inst.Restart(input(fmt.Sprintf(".:%d {\n bind 127.0.0.1\n cache\n}\n", port))); err != nil {
		t.Fatal(err)
	}
	if guards.first() != nil || !r.guard.closed {
		t.Error("the directive is gone and the guard goes on")
	}
}

func TestTwoFiles(t *testing.T) {
	a, b := writeConfig(t, ""), writeConfig(t, "")
	ports := []int{servetest.FreePort(t), servetest.FreePort(t)}
	inst := start(t, fmt.Sprintf(".:%d {\n bind 127.0.0.1\n nameward %s\n}\n.:%d {\n bind 127.0.0.1\n nameward %s\n}\n", ports[0], a, ports[1], b))
	if len(guards.held) != 2 {
		t.Fatalf("%d guards", len(guards.held))
	}
	if err := Reload(); err != nil {
		t.Error(err)
	}
	if _, err := inst.Restart(input(fmt.Sprintf(".:%d {\n bind 127.0.0.1\n nameward %s\n}\n", ports[0], a))); err != nil {
		t.Fatal(err)
	}
	if len(guards.held) != 1 || guards.held[a] == nil {
		t.Errorf("%d guards after one was taken out", len(guards.held))
	}
}

// TestHandover are the single steps, in orders that are rare.
func TestHandover(t *testing.T) {
	path := writeConfig(t, "")
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	h := handover{held: map[string]*kept{}, log: guards.log}
	if _, err := h.take(path, "old", nil); err == nil {
		t.Error("a guard without configuration")
	}
	if h.known(path) || h.first() != nil {
		t.Error("there is a guard")
	}
	g, err := h.take(path, "old", loaded)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := h.take(path, "old", nil); again != g || err != nil { // another server block
		t.Errorf("%v, %v", again, err)
	}
	if n, err := h.take(path, "new", nil); n != g || err != nil {
		t.Errorf("%v, %v", n, err)
	}
	if err := h.release(path, "old"); err != nil || g.closed {
		t.Errorf("the old owner closes it: %v", err)
	}
	h.takeBack(path, "old") // too late
	if h.held[path].owner != "new" {
		t.Error("an instance that was shut down takes it back")
	}
	h.takeBack(path, "new") // the failed one never got so far
	for range 2 {           // two server blocks
		h.take(path, "failed", nil)
	}
	for range 2 {
		h.takeBack(path, "new")
		if h.held[path].owner != "new" {
			t.Error("the failed one owns it")
		}
	}
	if err := h.release(path, "failed"); err != nil || g.closed {
		t.Errorf("the failed one closes it: %v", err)
	}
	if err := h.release(path, "new"); err != nil || !g.closed || h.known(path) {
		t.Errorf("it is not closed: %v", err)
	}
	h.takeBack(path, "old")
	if err := h.release(path, "old"); err != nil || h.known(path) {
		t.Errorf("released twice: %v", err)
	}
	if _, err := h.take(filepath.Join(filepath.Dir(path), "a.yaml"), "x", loaded); err != nil {
		t.Errorf("the store is still held: %v", err)
	}
	h.each(func(g *Guard) { closeGuard(t, g) })
}
