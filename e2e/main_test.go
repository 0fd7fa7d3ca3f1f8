//go:build linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nameward is the path of the binary under test.
var nameward string

// peers are the programs that the tests run against; they are looked for once.
var peers = []string{
	"ip", "bash", "setpriv", "dig", "named", "dnsperf", "nmblookup", "nmbd", "nbtscan", "nmap",
	"nsupdate", "delv", "dnssec-keygen", "dnssec-signzone", "tcpdump", "samba", "samba-tool", "smbtorture",
	"krb5kdc", "kadmin.local", "kdb5_util", "kinit",
	"kea-dhcp-ddns", "nft", "tshark", "text2pcap", "etcd",
	"unbound", "unbound-control", "unbound-control-setup", "dnsmasq", "pdns_recursor", "openssl",
}

// init keeps the main thread to the main goroutine. Threads enter namespaces (see Host.inside), and the
// namespace of the main thread is what the system takes for that of the process.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() || missing(peers...) != "" {
		return m.Run() // every test skips or fails by itself
	}
	sweep()
	dir, err := os.MkdirTemp("", prefix+"bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if nameward, err = build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build makes the binary, readable by everybody: the demo runs as nobody.
func build(dir string) (string, error) {
	if path := os.Getenv("NAMEWARD_BIN"); path != "" {
		return filepath.Abs(path)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "nameward")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/nameward/nameward/cmd/nameward")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building nameward: %w\n%s", err, out)
	}
	return path, nil
}

// missing says what stands in the way of a test that needs the programs; "" for nothing.
func missing(programs ...string) string {
	if os.Geteuid() != 0 {
		return "network namespaces need root"
	}
	var none []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			none = append(none, p)
		}
	}
	if len(none) > 0 {
		return "not installed: " + strings.Join(none, ", ") + "; e2e/peers.sh installs the packages of e2e/peers.txt"
	}
	return ""
}

// need skips a test that cannot run here, or fails it where it must be able to.
func need(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("short")
	}
	reason := missing(peers...)
	switch {
	case reason == "":
	case os.Getenv("CI") == "true":
		t.Fatal(reason)
	default:
		t.Skip(reason)
	}
}

// prefix begins the name of everything that this process makes.
var prefix = fmt.Sprintf("nwe2e-%d-", os.Getpid())

// sweep removes the namespaces and directories of earlier runs whose process is gone, and ends what
// still runs in them.
func sweep() {
	for dir, remove := range map[string]func(string){
		netnsDir: removeNamespace,
		os.TempDir(): func(name string) {
			dir := filepath.Join(os.TempDir(), name)
			_ = unix.Unmount(filepath.Join(dir, smallDiskName), unix.MNT_DETACH) // mostly there is none
			os.RemoveAll(dir)
		},
	} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if orphaned(e.Name()) {
				remove(e.Name())
			}
		}
	}
}

// orphaned reports whether a name is that of a run whose process is gone. One that nobody has waited for
// yet has no program any more either.
func orphaned(name string) bool {
	rest, ours := strings.CutPrefix(name, "nwe2e-")
	pid, _, _ := strings.Cut(rest, "-")
	if _, err := strconv.Atoi(pid); !ours || err != nil {
		return false
	}
	_, err := os.Readlink(filepath.Join("/proc", pid, "exe"))
	return errors.Is(err, os.ErrNotExist)
}

// removeNamespace ends the processes in a namespace, each by its own id, and removes it.
func removeNamespace(name string) {
	if out, err := command("ip", "netns", "pids", name); err == nil {
		for _, text := range strings.Fields(out) {
			if pid, err := strconv.Atoi(text); err == nil && pid != os.Getpid() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	if out, err := command("ip", "netns", "del", name); err != nil {
		fmt.Fprintf(os.Stderr, "removing namespace %s: %v %s\n", name, err, out)
	}
}

// command runs a short command in the root namespace.
func command(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, time.Second
	err := cmd.Run()
	return out.String(), err
}
