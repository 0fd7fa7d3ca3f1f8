//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const netnsDir = "/run/netns"

// Addresses that most labs use.
const (
	guardAddr  = "192.0.2.53"
	bindAddr   = "192.0.2.54"
	winsAddr   = "192.0.2.42"
	clientAddr = "192.0.2.100"
	everybody  = "192.0.2.255" // the broadcast address
)

// Lab is a switch that is connected to nothing but its hosts.
type Lab struct {
	t    *testing.T
	name string // prefix of its namespaces
	dir  string
}

// Host is a namespace with lo and one interface, e0, at the lab's switch. What is started or opened in it
// lasts as long as the lab's test, also when a subtest did it.
type Host struct {
	lab  *Lab
	name string
	ns   string
}

var labs atomic.Int64

// newLab makes a switch; the lab goes away with the test.
func newLab(t *testing.T) *Lab {
	t.Helper()
	need(t)
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// Peers that drop their rights must reach what is theirs in it.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l := &Lab{t: t, name: fmt.Sprintf("%s%d-", prefix, labs.Add(1)), dir: dir}
	l.namespace(l.name + "switch")
	l.ip("-n", l.name+"switch", "link", "add", "br0", "type", "bridge")
	l.ip("-n", l.name+"switch", "link", "set", "br0", "up")
	return l
}

func (l *Lab) namespace(name string) {
	l.t.Helper()
	l.ip("netns", "add", name)
	l.t.Cleanup(func() { removeNamespace(name) })
	l.ip("-n", name, "link", "set", "lo", "up")
}

func (l *Lab) ip(args ...string) {
	l.t.Helper()
	if out, err := command(append([]string{"ip"}, args...)...); err != nil {
		l.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// host adds a host. Addresses are IPv4 without a prefix length, of 192.0.2.0/24. Without an address the
// host has only lo and is not at the switch.
func (l *Lab) host(name string, addrs ...string) *Host {
	l.t.Helper()
	h := &Host{lab: l, name: name, ns: l.name + name}
	l.namespace(h.ns)
	if len(addrs) == 0 {
		return h
	}
	l.ip("-n", l.name+"switch", "link", "add", "p-"+name, "type", "veth", "peer", "name", "e0", "netns", h.ns)
	l.ip("-n", l.name+"switch", "link", "set", "p-"+name, "master", "br0", "up")
	for _, a := range addrs {
		l.ip("-n", h.ns, "addr", "add", a+"/24", "brd", "+", "dev", "e0")
	}
	l.ip("-n", h.ns, "link", "set", "e0", "up")
	return h
}

// plug connects the host to the switch or cuts it off.
func (h *Host) plug(in bool) {
	h.lab.t.Helper()
	state := "down"
	if in {
		state = "up"
	}
	h.lab.ip("-n", h.lab.name+"switch", "link", "set", "p-"+h.name, state)
}

// path is a file in the lab's directory.
func (l *Lab) path(elem ...string) string { return filepath.Join(append([]string{l.dir}, elem...)...) }

// write writes a file in the lab's directory in one step, and the directories above it.
func (l *Lab) write(name, content string) string {
	l.t.Helper()
	path := l.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.t.Fatal(err)
	}
	writeAtomic(l.t, path, content)
	return path
}

// secret is write for what nobody else may read.
func (l *Lab) secret(name, content string) string {
	l.t.Helper()
	path := l.write(name, content)
	if err := os.Chmod(path, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

func writeAtomic(t *testing.T, path, content string) {
	t.Helper()
	next := path + ".next"
	if err := errors.Join(os.WriteFile(next, []byte(content), 0o644), os.Rename(next, path)); err != nil {
		t.Fatal(err)
	}
}

// inside runs f in the host's namespace. Sockets that f makes stay there; f must not start goroutines.
func (h *Host) inside(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and nobody else gets into the namespace.
		runtime.LockOSThread()
		ns, err := os.Open(filepath.Join(netnsDir, h.ns))
		if err != nil {
			done <- err
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("entering %s: %w", h.ns, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// dial opens a connection from the host to an address and port.
func (h *Host) dial(network, to string) (conn net.Conn, err error) {
	err = h.inside(func() error {
		conn, err = net.DialTimeout(network, to, 2*time.Second)
		return err
	})
	return conn, err
}

// packetConn opens a UDP socket in the host.
func (h *Host) packetConn(t *testing.T) net.PacketConn {
	t.Helper()
	var conn net.PacketConn
	err := h.inside(func() (err error) {
		conn, err = net.ListenPacket("udp4", "0.0.0.0:0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.lab.t.Cleanup(func() { conn.Close() })
	return conn
}

// listen opens a TCP listener in the host.
func (h *Host) listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	var ln net.Listener
	err := h.inside(func() (err error) {
		ln, err = net.Listen("tcp4", addr)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.lab.t.Cleanup(func() { ln.Close() })
	return ln
}

// result is what a command came to.
type result struct {
	out  string // standard output and error
	code int
}

// try runs a command in the host to its end.
func (h *Host) try(t *testing.T, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.ns}, args...)...)
	cmd.Env, cmd.WaitDelay, cmd.Dir = append(os.Environ(), env...), time.Second, h.lab.dir
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) || ctx.Err() != nil {
		t.Fatalf("%s: %s: %v\n%s", h.name, strings.Join(args, " "), errors.Join(err, ctx.Err()), out)
	}
	return result{string(out), cmd.ProcessState.ExitCode()}
}

// run runs a command in the host; it must succeed.
func (h *Host) run(t *testing.T, args ...string) string {
	t.Helper()
	r := h.try(t, nil, args...)
	if r.code != 0 {
		t.Fatalf("%s: %s: exit code %d\n%s", h.name, strings.Join(args, " "), r.code, r.out)
	}
	return r.out
}
