package nbpcap

import (
	"context"
	"errors"
	"fmt"
	"net"
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

// inNamespace runs f on a thread in a network namespace of its own, which has lo and nothing else.
func inNamespace(t *testing.T, f func() error) {
	t.Helper()
	_, err := exec.LookPath("ip")
	if os.Getuid() != 0 || err != nil {
		reason := fmt.Sprintf("a network namespace needs root and ip: user %d, %v", os.Getuid(), err)
		if os.Getenv("CI") == "true" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	name := fmt.Sprintf("nbpcap-%d-%d", os.Getpid(), time.Now().UnixNano())
	ip(t, "netns", "add", name)
	t.Cleanup(func() { ip(t, "netns", "del", name) })
	ip(t, "-n", name, "link", "set", "lo", "up")
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- enter(name, f)
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func enter(name string, f func() error) error {
	ns, err := os.Open(filepath.Join("/run/netns", name))
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	return f()
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// lab is lo of a namespace with sockets on the ports.
type lab struct {
	live, nbnsOnly *Live
	nbns, dns      net.PacketConn
	tcp            net.Listener
	conn           net.Conn
}

func (l *lab) open() (err error) {
	var errs []error
	try := func(err error) { errs = append(errs, err) }
	l.live, err = Follow("lo", WithDNS())
	try(err)
	l.nbnsOnly, err = Follow("lo")
	try(err)
	l.nbns, err = net.ListenPacket("udp4", "127.0.0.1:137")
	try(err)
	l.dns, err = net.ListenPacket("udp6", "[::1]:53")
	try(err)
	l.tcp, err = net.Listen("tcp4", "127.0.0.1:53")
	try(err)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	l.conn, err = net.Dial("tcp4", "127.0.0.1:53")
	return err
}

func (l *lab) send() error {
	registration, err := netbios.NewRegistration(7, netbios.MustParseName("MAIL<20>"), 0).Append(nil)
	if err != nil {
		return err
	}
	all := prefixed(message(1, 40), message(2, 50))
	_, err1 := l.nbns.WriteTo(registration, l.nbns.LocalAddr())
	_, err2 := l.dns.WriteTo(message(3, 60), l.dns.LocalAddr())
	_, err3 := l.conn.Write(all[:20])
	_, err4 := l.conn.Write(all[20:])
	return errors.Join(err1, err2, err3, err4)
}

func (l *lab) close() {
	for _, c := range []interface{ Close() error }{l.live, l.nbnsOnly, l.nbns, l.dns, l.tcp, l.conn} {
		c.Close()
	}
}

func TestFollow(t *testing.T) {
	var l lab
	inNamespace(t, l.open)
	defer l.close()
	if err := l.send(); err != nil {
		t.Fatal(err)
	}
	got := collect(t, l.live, 4)
	want := []string{"nbns MAIL<20> 127.0.0.1:137", "dns 3*60 [::1]:53", "dns 1*40 127.0.0.1:53", "dns 2*50 127.0.0.1:53"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := collect(t, l.nbnsOnly, 1); !slices.Equal(got, want[:1]) {
		t.Errorf("without DNS: %q", got)
	}
	for live, least := range map[*Live]uint64{l.live: 4, l.nbnsOnly: 1} {
		if s, err := live.Stats(); err != nil || s.Received < least || s.Dropped != 0 {
			t.Errorf("stats %+v, %v", s, err)
		}
	}
}

// collect returns what comes, n messages, and then ends the context while the read waits.
func collect(t *testing.T, l *Live, n int) (got []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for p, err := range l.All(ctx) {
		if err != nil || p.Err != nil || time.Since(p.Time).Abs() > time.Minute {
			t.Fatalf("%+v, %v", p, err)
		}
		if p.Protocol == DNS {
			got = append(got, fmt.Sprintf("dns %d*%d %s", p.Payload[0], len(p.Payload), p.Dst))
		} else {
			got = append(got, fmt.Sprintf("nbns %s %s", p.Message.Questions[0].Name, p.Dst))
		}
		if len(got) == n {
			time.AfterFunc(50*time.Millisecond, cancel)
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("only %q came", got)
	}
	return got
}

// TestFollowDropped: the kernel counts what nobody reads.
func TestFollowDropped(t *testing.T) {
	var l lab
	inNamespace(t, l.open)
	defer l.close()
	if err := l.live.socket.conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
	}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := l.dns.WriteTo(message(1, 400), l.dns.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := l.live.Stats(); err != nil || s.Dropped == 0 {
		t.Errorf("stats %+v, %v", s, err)
	}
	if s, err := l.live.Stats(); err != nil || s.Dropped == 0 {
		t.Errorf("asked again: %+v, %v", s, err)
	}
}

// TestFollowLost: an interface that goes down ends the messages with an error.
func TestFollowLost(t *testing.T) {
	var live *Live
	inNamespace(t, func() error {
		if out, err := exec.Command("ip", "link", "add", "nw0", "type", "veth", "peer", "name", "nw1").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if out, err := exec.Command("ip", "link", "set", "nw0", "up").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		var err error
		if live, err = Follow("nw0"); err != nil {
			return err
		}
		out, err := exec.Command("ip", "link", "del", "nw0").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	defer live.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var last error
	for _, err := range live.All(ctx) {
		last = err
	}
	if !errors.Is(last, unix.ENETDOWN) {
		t.Errorf("got %v, want %v", last, unix.ENETDOWN)
	}
}

func TestFollowErrors(t *testing.T) {
	if _, err := Follow("no-such-if"); err == nil || !strings.Contains(err.Error(), `interface "no-such-if": `) || !strings.Contains(err.Error(), "no such network interface") {
		t.Errorf("no interface: %v", err)
	}
	inNamespace(t, func() error {
		if err := dropRawCapability(); err != nil {
			return err
		}
		if _, err := Follow("lo"); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_RAW") {
			return fmt.Errorf("without the right: %w", err)
		}
		return nil
	})
}

// dropRawCapability takes CAP_NET_RAW from this thread.
func dropRawCapability() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_RAW
	return unix.Capset(&header, &data[0])
}
