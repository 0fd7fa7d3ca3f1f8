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
	dir string
}

// newSambaAD provisions a domain in dir. That takes some seconds.
func newSambaAD(ctx context.Context, ns, addr, dir string) (*sambaAD, error) {
	for _, name := range []string{"samba", "samba-tool"} {
		if _, err := exec.LookPath(name); err != nil {
			return nil, fmt.Errorf("%w: no %s (samba-ad-dc, samba-ad-provision) here", errMissing, name)
		}
	}
	// No DNS, no joining: nothing of the domain is used.
	cmd := command(ctx, "ip", within(ns, "samba-tool", "domain", "provision", "--realm=BENCH.EXAMPLE", "--domain=BENCH",
		"--server-role=dc", "--dns-backend=NONE", "--adminpass=Bench.Peer.1", "--host-name=benchad", "--host-ip="+addr,
		"--targetdir="+dir, "--option=interfaces="+addr+"/24", "--option=bind interfaces only=yes")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("provisioning a domain: %w: %s", err, lastLineOf(string(out)))
	}
	return &sambaAD{dir: dir}, nil
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
		"server services = nbt", "interfaces = " + addr + "/24", "bind interfaces only = yes", "wins support = yes", "dns proxy = no",
		"log level = 0", "log file = " + filepath.Join(s.dir, "log.samba"), "private dir = " + filepath.Join(s.dir, "private"),
		"state directory = " + filepath.Join(s.dir, "state"), "cache directory = " + filepath.Join(s.dir, "cache"),
		"lock directory = " + s.dir,
	}
	for _, key := range []string{"pid directory", "ncalrpc dir", "winbindd socket directory", "ntp signd socket directory"} {
		settings = append(settings, key+" = "+run)
	}
	conf := filepath.Join(s.dir, "bench.conf")
	if err := os.WriteFile(conf, []byte("[global]\n"+strings.Join(settings, "\n")+"\n"), 0o644); err != nil {
		return nil, err
	}
	return launch(ctx, serverCore(), filepath.Join(s.dir, "log"), "ip",
		within(ns, "samba", "-s", conf, "-F", "--no-process-group", "-M", "single")...)
}
