//go:build linux

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
)

// Nameward is the binary under test in a host.
type Nameward struct {
	*Process
	host   *Host
	args   []string
	config string // its nameward.yaml
	addr   string // where it answers DNS
	socket string
	*control.Client
}

// place ends every nameward.yaml here: state and socket stay in the lab's directory.
const place = `
control: {socket: run/control.sock}
store: {bolt: run/nameward.db}
log: {level: info}
`

// nameward starts the binary with a built-in Corefile and waits until it answers.
func (h *Host) nameward(t *testing.T, world string, args ...string) *Nameward {
	t.Helper()
	n := h.newNameward(world)
	n.args = append([]string{
		nameward, "serve", "--config", n.config, "--listen", guardAddr + ":53", "--forward", "none",
		"--metrics", "127.0.0.1:9153", "--ready", "127.0.0.1:8181",
	}, args...)
	n.up(t)
	return n
}

// namewardWith starts the binary with a Corefile. NAMEWARD stands for the directive with its file.
func (h *Host) namewardWith(t *testing.T, world, corefile string) *Nameward {
	t.Helper()
	n := h.newNameward(world)
	n.args = []string{nameward, "serve", "--corefile", h.lab.write("Corefile", n.expand(corefile))}
	n.up(t)
	return n
}

func (n *Nameward) expand(corefile string) string {
	return strings.ReplaceAll(corefile, "NAMEWARD", "nameward "+n.config)
}

func (h *Host) newNameward(world string) *Nameward {
	socket := h.lab.path("run", "control.sock")
	return &Nameward{
		host: h, config: h.lab.write("nameward.yaml", world+place), addr: guardAddr, socket: socket, Client: control.NewClient(socket),
	}
}

// up starts the process, again if need be, and waits until control API and DNS answer.
func (n *Nameward) up(t *testing.T) {
	t.Helper()
	n.Process = n.host.start(t, n.args...)
	p := n.Process
	n.host.lab.t.Cleanup(func() { n.soundAtEnd(p) })
	deadline := time.Now().Add(20 * time.Second)
	for !n.answers() {
		switch {
		case !n.running():
			t.Fatalf("nameward ended: %s\n%s", n.cmd.ProcessState, n.output())
		case time.Now().After(deadline):
			t.Fatalf("nameward does not answer\n%s", n.output())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// soundAtEnd ends a process and looks at how it ended: it says 0 on SIGTERM, and it never panicked. A
// binary built for it (NAMEWARD_BIN) also says whether goroutines raced.
func (n *Nameward) soundAtEnd(p *Process) {
	p.stop()
	if code := p.cmd.ProcessState.ExitCode(); code > 0 {
		p.t.Errorf("nameward ends with exit code %d", code)
	}
	for _, trouble := range []string{"DATA RACE", "panic: ", "fatal error: "} {
		if strings.Contains(p.output(), trouble) {
			p.t.Errorf("nameward wrote %q:\n%s", trouble, tail(p.output(), 100))
		}
	}
}

func (n *Nameward) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := n.Status(ctx); err != nil {
		return false
	}
	conn, err := n.host.dial("tcp", n.addr+":53")
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// cli runs a verb of the binary in the host.
func (n *Nameward) cli(t *testing.T, args ...string) result {
	t.Helper()
	return n.host.try(t, []string{"NAMEWARD_SOCKET=" + n.socket}, append([]string{nameward}, args...)...)
}

// do runs a verb that must succeed.
func (n *Nameward) do(t *testing.T, args ...string) string {
	t.Helper()
	r := n.cli(t, args...)
	if r.code != 0 {
		t.Fatalf("nameward %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.out)
	}
	return r.out
}

func (n *Nameward) status(t *testing.T) control.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	st, err := n.Status(ctx)
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	return st
}

// role is a role's state as status tells it.
func (n *Nameward) role(t *testing.T, name string) control.Role {
	t.Helper()
	st := n.status(t)
	i := slices.IndexFunc(st.Roles, func(r control.Role) bool { return r.Role == name })
	if i < 0 {
		t.Fatalf("status has no role %q", name)
	}
	return st.Roles[i]
}

// brief is a role's state in a few words: "fresh ex1 epoch 3".
func (n *Nameward) brief(t *testing.T, name string) string {
	t.Helper()
	r := n.role(t, name)
	return fmt.Sprintf("%s %s epoch %d", r.State, strings.Join(r.Holder, ","), r.Epoch)
}

// move switches a role over the control API and returns its new epoch.
func (n *Nameward) move(role, to string) (uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	m, err := n.Switch(ctx, registry.SwitchRequest{Roles: []string{role}, To: to, By: "e2e"})
	if err != nil {
		return 0, err
	}
	return m.Moves[0].Epoch, nil
}

// same fails the test unless got is want.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got: %s\nwant: %s", what, got, want)
	}
}

// holds fails the test unless the text contains all the parts.
func holds(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s: %q is not in it:\n%s", what, p, text)
		}
	}
}

// soon waits until get returns want, and returns how long that took.
func soon(t *testing.T, what string, limit time.Duration, want string, get func() string) time.Duration {
	t.Helper()
	start, got := time.Now(), ""
	for time.Since(start) < limit {
		if got = get(); got == want {
			return time.Since(start)
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s: not within %s\n got: %s\nwant: %s", what, limit, got, want)
	return 0
}
