package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sambaAD is the name server of Samba's AD domain controller, which follows Windows 2003. It takes a
// provisioned domain to start at all, but only its name service is run.
type sambaAD struct {
	dir      string
	services string   // what is run, as in smb.conf
	more     []string // lines of smb.conf
}

// newSambaAD provisions a domain in dir. That takes some seconds.
func newSambaAD(ctx context.Context, ns, addr, dir string) (*sambaAD, error) {
	// No DNS, no joining: nothing of the domain is used.
	if err := provisionAD(ctx, ns, addr, dir, "NONE"); err != nil {
		return nil, err
	}
	return &sambaAD{dir: dir, services: "nbt"}, nil
}

// provisionAD makes a domain BENCH.EXAMPLE in dir, with a backend for its zone.
func provisionAD(ctx context.Context, ns, addr, dir, backend string) error {
	for _, name := range []string{"samba", "samba-tool"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w: no %s (samba-ad-dc, samba-ad-provision) here", errMissing, name)
		}
	}
	cmd := command(ctx, "ip", within(ns, "samba-tool", "domain", "provision", "--realm=BENCH.EXAMPLE", "--domain=BENCH",
		"--server-role=dc", "--dns-backend="+backend, "--adminpass=Bench.Peer.1", "--host-name=benchad", "--host-ip="+addr,
		"--targetdir="+dir, "--option=interfaces="+addr+"/24", "--option=bind interfaces only=yes")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("provisioning a domain: %w: %s", err, lastLineOf(string(out)))
	}
	return nil
}

// start runs it with an empty WINS database.
func (s *sambaAD) start(ctx context.Context, ns, addr string) (*process, error) {
	run := filepath.Join(s.dir, "run")
	if err := os.MkdirAll(run, 0o755); err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(s.dir, "state", "wins.ldb")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	settings := []string{
		"netbios name = BENCHAD", "workgroup = BENCH", "realm = BENCH.EXAMPLE", "server role = active directory domain controller",
		"server services = " + s.services, "interfaces = " + addr + "/24", "bind interfaces only = yes", "wins support = yes", "dns proxy = no",
		"log level = 0", "log file = " + filepath.Join(s.dir, "log.samba"), "private dir = " + filepath.Join(s.dir, "private"),
		"state directory = " + filepath.Join(s.dir, "state"), "cache directory = " + filepath.Join(s.dir, "cache"),
		"lock directory = " + s.dir,
	}
	for _, key := range []string{"pid directory", "ncalrpc dir", "winbindd socket directory", "ntp signd socket directory"} {
		settings = append(settings, key+" = "+run)
	}
	settings = append(settings, s.more...)
	conf := filepath.Join(s.dir, "bench.conf")
	if err := os.WriteFile(conf, []byte("[global]\n"+strings.Join(settings, "\n")+"\n"), 0o644); err != nil {
		return nil, err
	}
	return launch(ctx, serverCore(), filepath.Join(s.dir, "log"), "ip",
		within(ns, "samba", "-s", conf, "-F", "--no-process-group", "-M", "single")...)
}
