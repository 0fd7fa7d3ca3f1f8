package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// startNmbd runs Samba's nmbd as a WINS server in a namespace, with all its files in dir.
func startNmbd(ctx context.Context, ns, addr, dir string) (*process, error) {
	path, err := exec.LookPath("nmbd")
	if err != nil {
		return nil, fmt.Errorf("%w: no nmbd (samba) here", errMissing)
	}
	if err := os.MkdirAll(filepath.Join(dir, "private"), 0o755); err != nil {
		return nil, err
	}
	settings := []string{
		"netbios name = BENCHPEER", "workgroup = BENCH", "server role = standalone server",
		"interfaces = " + addr + "/24", "bind interfaces only = yes", "wins support = yes", "dns proxy = no",
		"log level = 0", "log file = " + filepath.Join(dir, "log.samba"), "private dir = " + filepath.Join(dir, "private"),
	}
	for _, key := range []string{"state directory", "cache directory", "lock directory", "pid directory", "ncalrpc dir"} {
		settings = append(settings, key+" = "+dir)
	}
	conf := filepath.Join(dir, "smb.conf")
	if err := os.WriteFile(conf, []byte("[global]\n"+strings.Join(settings, "\n")+"\n"), 0o644); err != nil {
		return nil, err
	}
	return launch(ctx, serverCore(), filepath.Join(dir, "log"), "ip", within(ns, path, "-F", "--no-process-group", "-s", conf)...)
}
