package audit

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nameward/nameward/netbios"
)

// TestFollow follows lo of a network namespace of its own.
func TestFollow(t *testing.T) {
	_, err := exec.LookPath("ip")
	if os.Getuid() != 0 || err != nil {
		reason := fmt.Sprintf("a network namespace needs root and ip: user %d, %v", os.Getuid(), err)
		if os.Getenv("CI") == "true" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	name := fmt.Sprintf("nwaudit-%d-%d", os.Getpid(), time.Now().UnixNano())
	followIP(t, "netns", "add", name)
	t.Cleanup(func() { followIP(t, "netns", "del", name) })
	followIP(t, "-n", name, "link", "set", "lo", "up")
	done := make(chan error, 1)
	var lines []string
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		var err error
		lines, err = followLo(t.Context(), name)
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := []string{"1 wins MAIL<20> NB [10.9.0.1] from 127.0.0.1 (registration)"}; !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}

func followIP(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// followLo sends a registration to itself until it comes.
func followLo(parent context.Context, namespace string) ([]string, error) {
	ns, err := os.Open(filepath.Join("/run/netns", namespace))
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	conn, err := net.ListenPacket("udp4", "127.0.0.1:137")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(parent, 20*time.Second)
	defer cancel()
	go sendRegistrations(ctx, conn)
	var lines []string
	for r, err := range Follow(ctx, "lo") {
		if err != nil {
			return nil, err
		}
		if len(lines) == 0 {
			lines = append(lines, captureLine(r))
		}
		cancel()
	}
	return lines, nil
}

func sendRegistrations(ctx context.Context, conn net.PacketConn) {
	m := netbios.NewRegistration(1, netbios.MustParseName("MAIL<20>"), 0, netbios.Address{Addr: netip.MustParseAddr("10.9.0.1")})
	b, err := m.Append(nil)
	if err != nil {
		panic(err)
	}
	for ctx.Err() == nil {
		_, _ = conn.WriteTo(b, conn.LocalAddr())
		time.Sleep(10 * time.Millisecond)
	}
}

func TestFollowNoInterface(t *testing.T) {
	for _, err := range Follow(t.Context(), "no-such-if") {
		p, ok := err.(*Problem)
		if !ok || !p.Fatal || p.Place.File != "interface no-such-if" {
			t.Errorf("got %v", err)
		}
	}
}
