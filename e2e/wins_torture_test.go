//go:build linux

package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// torture runs a suite of Samba's smbtorture from the host against the server with the given NetBIOS name,
// which it asks the server for.
func (h *Host) torture(t *testing.T, name, suite string, args ...string) result {
	t.Helper()
	dir := h.lab.path("torture")
	var conf strings.Builder
	fmt.Fprintf(&conf, "[global]\nnetbios name = TORTURE\nworkgroup = E2E\nwins server = %s\nname resolve order = wins\n", guardAddr)
	for _, key := range []string{"lock directory", "state directory", "cache directory", "private dir", "pid directory", "ncalrpc dir"} {
		fmt.Fprintf(&conf, "%s = %s\n", key, dir)
	}
	return h.try(t, nil, append([]string{
		"smbtorture", "//" + name + "/_none_", suite, "-s", h.lab.write("torture/smb.conf", conf.String()),
		"--option=interfaces=" + clientAddr + "/24", "-U", "x%y", "-W", "E2E",
	}, args...)...)
}

var (
	// complaint is a check of a suite that failed.
	complaint = regexp.MustCompile(`\.\./\.\./source4/torture/nbt/(\w+\.c:\d+: .*)`)
	perSecond = regexp.MustCompile(`([0-9.]+) queries per second \((\d+) failures\)`)
)

// complaints are the checks that failed, each once.
func complaints(r result) string {
	var out []string
	for _, m := range complaint.FindAllStringSubmatch(r.out, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "\n")
}

// TestWINSTorture runs what smbtorture has for WINS servers of which no replication is asked. What it wants
// otherwise than it is done here:
//
//   - any node may register 127.64.64.1. Here a loopback address is refused with rcode 5.
//   - any node may register a domain's names. Here the policy names the controllers; the test's does.
//   - wins_bad_names wants a program to be run for each change. Nothing here runs programs with what
//     comes from the network.
func TestWINSTorture(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	l.write("policy.yaml", "controllers: ["+clientAddr+"/32]\n")
	n := guard.nameward(t, winsWorld("{mode: own, limits: {per_address: 100000}}")+"policy: policy.yaml\n")
	n.do(t, "registrations", "add", "GUARD1<20>", "--address", guardAddr) // the suites ask for the server by its name

	for _, suite := range []string{"nbt.register.register_own", "nbt.register.refresh_own"} {
		if r := client.torture(t, "GUARD1", suite); r.code != 0 || !strings.Contains(r.out, "success: ") {
			t.Errorf("%s: exit code %d\n%s", suite, r.code, r.out)
		}
	}
	same(t, "the server's name after attempts at it", n.listed(t, "GUARD1"), "GUARD1<20> unique active "+guardAddr)

	const loopback = "wins.c:145: io.out.rcode was 5 (0x5), expected 0 (0x0): Incorrect value"
	t.Run("wins", func(t *testing.T) {
		// Without port 137 the suite registers no address but its own.
		taken := client.speaker(t, clientAddr, 137)
		r := client.torture(t, "GUARD1", "nbt.wins.wins")
		taken.conn.Close()
		same(t, "complaints", complaints(r), "")
		same(t, "names that were tried to the end", fmt.Sprint(strings.Count(r.out, "query the name to make sure its gone")), "15")
		same(t, "complaints, from port 137", complaints(client.torture(t, "GUARD1", "nbt.wins.wins")), loopback)
	})
	for _, suite := range []string{"nbt.bench.namequery", "nbt.bench-wins.wins"} {
		r := client.torture(t, "GUARD1", suite, "-t", "2", "--option=torture:entries=1000")
		rates := perSecond.FindAllStringSubmatch(r.out, -1)
		if r.code != 0 || len(rates) == 0 || rates[len(rates)-1][2] != "0" {
			t.Errorf("%s: exit code %d\n%s", suite, r.code, r.out)
			continue
		}
		t.Logf("%s: %s a second", suite, rates[len(rates)-1][1])
	}
}
