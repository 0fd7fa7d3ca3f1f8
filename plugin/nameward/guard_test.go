package nameward

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/servetest"
)

// startGuard starts a guard without a DNS server.
func startGuard(t testing.TB, path string) *Guard {
	t.Helper()
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	g, err := Start(path, loaded, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !g.closed {
			closeGuard(t, g)
		}
	})
	return g
}

func closeGuard(t testing.TB, g *Guard) {
	t.Helper()
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestReload(t *testing.T) {
	path := writeConfig(t, "")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := startGuard(t, path)
	claim(t, g.reg, "mailbox", "ex2")
	first := g.configStatus()
	if first.Error != "" || first.File != path || g.reloadCounts() != (reloadCounts{}) {
		t.Errorf("at the start: %+v, %+v", first, g.reloadCounts())
	}
	snap := g.Snapshot()

	write(t, path, strings.Replace(string(good), "mode: all", "mode: some", 1)+"unknown: 1\n")
	err = g.Reload()
	if err == nil || !strings.Contains(err.Error(), path+":") || strings.Count(err.Error(), "\n") < 1 {
		t.Errorf("bad file: %v", err)
	}
	status := g.configStatus()
	if status.Error == "" || status.Rejected.IsZero() || !status.Loaded.Equal(first.Loaded) || g.Snapshot() != snap {
		t.Errorf("bad file: %+v, or the state has changed", status)
	}

	moved := strings.Replace(string(good), "control.sock", "other.sock", 1)
	write(t, path, moved)
	if err := g.Reload(); err == nil || !strings.Contains(err.Error(), "restart") || g.Snapshot() != snap {
		t.Errorf("another control socket: %v", err)
	}

	write(t, path, strings.Replace(string(good), "mail.other.example.", "post.other.example.", 1))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	status = g.configStatus()
	if status.Error != "" || !status.Rejected.IsZero() || !status.Loaded.After(first.Loaded) {
		t.Errorf("good file: %+v", status)
	}
	role, _ := g.Snapshot().Role("mailbox")
	if role.Holder[0] != "ex2" || role.Epoch != 2 {
		t.Errorf("holder %v, epoch %d after the reload", role.Holder, role.Epoch)
	}
	if _, ok := g.Snapshot().Lookup("post.other.example."); !ok {
		t.Error("the new name is not there")
	}
	if _, ok := g.Snapshot().Lookup("mail.other.example."); ok {
		t.Error("the old name is still there")
	}
}

// TestFileGoneAndBack: the file that comes back is the one from before, and no complaint is left.
func TestFileGoneAndBack(t *testing.T) {
	path := writeConfig(t, "")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := startGuard(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	eventually(t, "status says so", func() bool { return g.configStatus().Error != "" })
	write(t, path, string(good))
	eventually(t, "status is clear again", func() bool { return g.configStatus().Error == "" })
}

func TestFollowConfig(t *testing.T) {
	path := writeConfig(t, "")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := startGuard(t, path)
	change := g.Snapshot().Change
	write(t, path, strings.Replace(string(good), "mail.other.example.", "post.other.example.", 1))
	eventually(t, "the file is followed", func() bool { _, ok := g.Snapshot().Lookup("post.other.example."); return ok })
	if counts := g.reloadCounts(); counts.good != 1 || g.Snapshot().Change != change+1 {
		t.Errorf("%d reloads, change %d after %d; the unchanged file of the start is no reload", counts.good, g.Snapshot().Change, change)
	}
}

func netbiosConfig(name string, listen ...string) string {
	text := "netbios:\n  name: " + name + "\n  listen:\n"
	for _, l := range listen {
		text += fmt.Sprintf("    - address: %q\n", l)
	}
	return text
}

func TestNetBIOSReload(t *testing.T) {
	first, second := fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t)), fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))
	path := writeConfig(t, netbiosConfig("GUARD", first))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	base := strings.Split(string(text), "netbios:\n  name")[0]
	g := startGuard(t, path)
	c := nbns.Client{UnicastTries: 1, UnicastTimeout: 300 * time.Millisecond}
	mail := netbios.MustParseName("MAIL<20>")
	answers := func(at string, want bool) {
		t.Helper()
		r, err := c.Query(t.Context(), netip.MustParseAddrPort(at), mail)
		if (err == nil) != want || want && r.Addrs[0].Addr.String() != "192.0.2.11" {
			t.Errorf("%s: %+v, %v", at, r, err)
		}
	}
	own := func(at, want string) {
		t.Helper()
		r, err := c.NodeStatus(t.Context(), netip.MustParseAddrPort(at), netbios.MustParseName("*"))
		if err != nil || r.Status.Names[0].Name.String() != want {
			t.Errorf("%s: %+v, %v; want %s", at, r, err, want)
		}
	}
	answers(first, true)
	own(first, "GUARD<00>")
	sock := g.netbios.open[0].sock

	write(t, path, base+netbiosConfig("OTHER", second, "192.0.2.1:137")) // not an address of this host
	if err := g.Reload(); err == nil {
		t.Fatal("a socket that cannot be opened is no error")
	}
	answers(first, true)
	answers(second, false)
	own(first, "GUARD<00>")

	write(t, path, base+netbiosConfig("OTHER", first, second))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	answers(first, true)
	answers(second, true)
	own(first, "OTHER<00>")

	write(t, path, base+netbiosConfig("OTHER", second))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	answers(first, false)
	answers(second, true)
	if sock == g.netbios.open[0].sock || len(g.netbios.open) != 1 {
		t.Errorf("open: %v", g.netbios.configs())
	}
	if got := g.listen().NetBIOS; len(got) != 1 || got[0] != second {
		t.Errorf("status shows %v", got)
	}
}

func TestGuardCloses(t *testing.T) {
	before := runtime.NumGoroutine()
	at := fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))
	path := writeConfig(t, netbiosConfig("GUARD", at))
	for range 2 { // store, control socket and port are free again
		g := startGuard(t, path)
		client := control.NewClient(g.cfg.Control.Socket)
		eventually(t, "the control socket answers", func() bool { _, err := client.Status(t.Context()); return err == nil })
		if st, err := client.Status(t.Context()); err != nil || st.Config.File != path || len(st.Listen.NetBIOS) != 1 || len(st.Roles) != 2 {
			t.Errorf("status %+v, %v", st, err)
		}
		client.Reload(t.Context())
		closeGuard(t, g)
		if err := g.Reload(); !errors.Is(err, registry.ErrStopped) || len(g.netbios.open) != 0 {
			t.Errorf("reload after the end: %v, %d sockets", err, len(g.netbios.open))
		}
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before+4 }) // idle HTTP connections
}

func TestStartErrors(t *testing.T) {
	path := writeConfig(t, netbiosConfig("GUARD", "192.0.2.1:137"))
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(path, loaded, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "192.0.2.1:137") {
		t.Errorf("got %v", err)
	}
	// Nothing is left behind that a second try would meet.
	write(t, path, strings.Split(readText(t, path), "netbios:\n  name")[0])
	startGuard(t, path)
	if _, err := Load(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReady(t *testing.T) {
	path := writeConfig(t, "")
	text := strings.Replace(readText(t, path), "mode: all}", "mode: all, source: {file: www.role}}", 1)
	write(t, path, text)
	g := startGuard(t, path)
	if g.Ready() {
		t.Error("ready, and nobody has said who serves www")
	}
	claim(t, g.reg, "www", "web1")
	if !g.Ready() {
		t.Error("not ready")
	}
	if err := g.reg.Complain(context.Background(), registry.Trouble{Role: "www", Why: "gone", Gone: true}); err != nil {
		t.Fatal(err)
	}
	if !g.Ready() {
		t.Error("not ready any more, and stale beats blank")
	}
}

// TestOldNews: what the follower read before Reload and tells after it does not come back into force.
func TestOldNews(t *testing.T) {
	path := writeConfig(t, "")
	old := readText(t, path)
	g := startGuard(t, path)
	write(t, path, strings.Replace(old, "mail.other.example.", "post.other.example.", 1))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := g.news([]byte(old), nil); err != nil {
		t.Error(err)
	}
	if err := g.news(nil, os.ErrNotExist); err != nil {
		t.Error(err)
	}
	if _, ok := g.Snapshot().Lookup("post.other.example."); !ok || g.configStatus().Error != "" {
		t.Errorf("the old configuration is in force again, or %+v", g.configStatus())
	}
}
