//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

// controller provisions a domain E2E with Samba and starts its NetBIOS service alone, which is a client of
// the WINS server under test.
func (h *Host) controller(t *testing.T, name, addr string) *Process {
	t.Helper()
	conf := h.provision(t, name, addr, "server services = nbt", "wins server = "+guardAddr)
	return h.samba(t, conf)
}

func (h *Host) samba(t *testing.T, conf string) *Process {
	t.Helper()
	return h.start(t, "samba", "-s", conf, "-F", "--no-process-group", "-M", "single")
}

// provision makes a domain E2E with Samba and returns its smb.conf, in which keys are added.
func (h *Host) provision(t *testing.T, name, addr string, keys ...string) (conf string) {
	t.Helper()
	dir := h.lab.path("dc-" + h.name)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", h.ns, "samba-tool", "domain", "provision", "--realm=E2E.EXAMPLE", "--domain=E2E",
		"--server-role=dc", "--dns-backend=NONE", "--adminpass=Not.Secret.1", "--host-name="+strings.ToLower(name), "--host-ip="+addr, "--targetdir="+dir,
		"--option=interfaces=lo e0", "--option=bind interfaces only=yes")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("provisioning: %v\n%s", err, tail(string(out), 20))
	}
	conf = dir + "/etc/smb.conf"
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	run := dir + "/run"
	if err := os.MkdirAll(run, 0o750); err != nil {
		t.Fatal(err)
	}
	// A service is left out by provisioning; the last word counts.
	kept := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(l string) bool { return strings.Contains(l, "server services") })
	more := "[global]\n" + strings.Join(keys, "\n") + "\nlog file = " + dir + "/log\nserver string = it is a %h\ndns update command = /bin/true\n"
	for _, key := range []string{"pid directory", "ncalrpc dir", "winbindd socket directory", "ntp signd socket directory"} {
		more += fmt.Sprintf("%s = %s\n", key, run)
	}
	writeAtomic(t, conf, strings.Replace(strings.Join(kept, ""), "[global]\n", more, 1))
	return conf
}

// TestWINSController has a domain controller of Samba register the domain's names.
func TestWINSController(t *testing.T) {
	t.Parallel()
	const dcAddr, otherAddr = "192.0.2.5", "192.0.2.4"
	l := newLab(t)
	guard, dc, client, other := l.host("guard", guardAddr), l.host("dc", dcAddr), l.host("client", clientAddr), l.host("other", otherAddr)
	l.write("policy.yaml", "version: 1\n")
	n := guard.nameward(t, winsWorld("{mode: own}")+"policy: policy.yaml\n")
	samba := dc.controller(t, "DC1", dcAddr)
	ask := func(name string) string { return client.nmblookup(t, "-U", guardAddr, "--recursion", name) }
	domain := func() string { return n.listed(t, "E2E<1*>") }
	group := func(addr string) netbios.Address {
		return netbios.Address{Flags: netbios.HNode | netbios.Group, Addr: netip.MustParseAddr(addr)}
	}

	soon(t, "the controller's own names", 20*time.Second,
		"DC1<00> multihomed active 192.0.2.5\nDC1<03> multihomed active 192.0.2.5\nDC1<20> multihomed active 192.0.2.5", func() string { return n.listed(t, "DC1") })
	soon(t, "the domain's names, which nobody may register", 20*time.Second,
		"E2E<1b> multihomed quarantined 192.0.2.5 from 192.0.2.5: rule, builtin-reserved\nE2E<1c> registration quarantined 192.0.2.5 from 192.0.2.5: rule, builtin-reserved",
		func() string { return n.held(t, "E2E<1*>") })
	same(t, "records of them", domain(), "")
	holds(t, "nmblookup", ask("E2E#1C")+ask("E2E#1B"), "failed to find name E2E#1c", "failed to find name E2E#1b")

	l.write("policy.yaml", "controllers: ["+dcAddr+"/32, "+otherAddr+"/32]\n")
	n.do(t, "reload")
	samba.stop()
	samba = dc.start(t, samba.cmd.Args[4:]...)
	soon(t, "the domain's names, with the policy's leave", 20*time.Second,
		"E2E<1b> multihomed active 192.0.2.5\nE2E<1c> internet active 192.0.2.5", domain)
	holds(t, "nmblookup", ask("E2E#1C")+ask("E2E#1B")+ask("DC1#20"), "192.0.2.5 E2E<1c>", "192.0.2.5 E2E<1b>", "192.0.2.5 DC1<20>")

	second := other.speaker(t, otherAddr, 0)
	same(t, "a second controller", second.register("E2E<1c>", group(otherAddr)), "granted 3600")
	same(t, "the group", domain(), "E2E<1b> multihomed active 192.0.2.5\nE2E<1c> internet active 192.0.2.5 192.0.2.4")
	var order []string
	for line := range strings.Lines(ask("E2E#1C")) {
		if addr, ok := strings.CutSuffix(strings.TrimSpace(line), " E2E<1c>"); ok {
			order = append(order, addr)
		}
	}
	same(t, "the master browser stands first, and once", strings.Join(order, " "), "192.0.2.5 192.0.2.4")
	same(t, "a second master browser", second.register("E2E<1b>"), "WACK, rcode 6")
	stranger := client.speaker(t, clientAddr, 0)
	same(t, "a stranger who would be a controller", stranger.register("E2E<1c>", group(clientAddr))+", "+stranger.register("E2E<1b>"), "granted 3600, granted 3600")
	same(t, "the domain's names", domain(), "E2E<1b> multihomed active 192.0.2.5\nE2E<1c> internet active 192.0.2.5 192.0.2.4")

	samba.kill()
	same(t, "a second master browser, when the first is dead", second.register("E2E<1b>"), "WACK, granted 3600")
	holds(t, "nmblookup", ask("E2E#1B"), "192.0.2.4 E2E<1b>")
}
