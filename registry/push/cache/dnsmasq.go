package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/nameward/nameward/registry/push/said"
)

// dnsmasq is told by a signal.
type dnsmasq struct {
	pidFile string
}

func (d *dnsmasq) flush(_ context.Context, names []string) []error {
	pid, err := readPID(d.pidFile)
	if err == nil {
		err = hangUp(pid, "dnsmasq")
	}
	return all(names, err)
}

// maxPID bounds the file in octets.
const maxPID = 64

func readPID(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPID))
	if err != nil {
		return 0, err
	}
	return parsePID(path, string(text))
}

func parsePID(path, text string) (int, error) {
	pid, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	// 1 is init, and 0 and less stand for groups of processes.
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("%s has no process number but %q", path, said.Line([]byte(text)))
	}
	return int(pid), nil
}

var errGone = errors.New("the process that the file names is gone")
