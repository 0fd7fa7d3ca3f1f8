//go:build linux

package e2e

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

// looked is what nmblookup says of names at a server, a line each, the addresses sorted.
func (h *Host) looked(t *testing.T, server string, names ...string) string {
	t.Helper()
	var lines []string
	for _, name := range names {
		addrs := []string{name + ":"}
		for line := range strings.Lines(h.nmblookup(t, "-U", server, "--recursion", name)) {
			if addr, of, ok := strings.Cut(line, " "); ok && strings.HasPrefix(of, strings.Replace(name, "#", "<", 1)+">") {
				addrs = append(addrs, addr)
			}
		}
		slices.Sort(addrs[1:])
		lines = append(lines, strings.Join(addrs, " "))
	}
	return strings.Join(lines, "\n")
}

// registersAt registers an address at any WINS server, as its node or member would.
func (s *Speaker) registersAt(t *testing.T, server, name string, flags netbios.NodeFlags, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	m := netbios.NewRegistration(0, netbios.MustParseName(name), 3600, netbios.Address{Flags: flags, Addr: netip.MustParseAddr(addr)})
	if _, err := s.client.Claim(ctx, netip.AddrPortFrom(netip.MustParseAddr(server), netbios.Port), m); err != nil {
		t.Fatalf("%s at %s: %v", name, server, err)
	}
}

// lookedLike asks a server for the names of lines that looked wrote.
func (h *Host) lookedLike(t *testing.T, server, lines string) func() string {
	t.Helper()
	var names []string
	for line := range strings.Lines(lines) {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	return func() string { return h.looked(t, server, names...) }
}

// TestWINSImportNmbd moves the names of Samba's WINS server here, and from here to another one of Samba.
func TestWINSImportNmbd(t *testing.T) {
	t.Parallel()
	const (
		freshAddr = "192.0.2.43"
		group     = netbios.HNode | netbios.Group
		moved     = "PRINTER#20: 192.0.2.77\nWEB 1#00: 192.0.2.80\nCORP#1b: 192.0.2.25\nCORP#1c: 192.0.2.25 192.0.2.26\n" +
			"NODE1#00: 192.0.2.21 192.0.2.22\nNODE1#03: 192.0.2.21 192.0.2.22\nNODE1#20: 192.0.2.21 192.0.2.22\nWINS1#00: 192.0.2.42\nWINS1#03: 192.0.2.42\nWINS1#20: 192.0.2.42"
		leak   = "LEAK#20: 10.9.0.77"
		noLeak = "LEAK#20:"
		added  = "FIXED#20: 192.0.2.90"
	)
	l := newLab(t)
	guard, client, fresh := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("fresh", freshAddr)
	node, old := l.host("node", "192.0.2.21", "192.0.2.22"), l.host("wins", winsAddr)

	samba := startWINS(t, old)
	client.registers(t, samba, "PRINTER<20>", "192.0.2.77")
	client.registers(t, samba, "LEAK<20>", "10.9.0.77")
	s := client.speaker(t, clientAddr, 0)
	s.registersAt(t, winsAddr, "WEB 1<00>", netbios.HNode, "192.0.2.80")
	s.registersAt(t, winsAddr, "CORP<1b>", netbios.HNode, "192.0.2.25")
	s.registersAt(t, winsAddr, "CORP<1c>", group, "192.0.2.25")
	s.registersAt(t, winsAddr, "CORP<1c>", group, "192.0.2.26")
	s.registersAt(t, winsAddr, "CORP<00>", group, "192.0.2.26")
	node.nmbd(t, "NODE1", "interfaces = 192.0.2.21/24 192.0.2.22/24", "wins server = "+winsAddr)
	soon(t, "the names at the first nmbd", 60*time.Second, moved+"\n"+leak, client.lookedLike(t, winsAddr, moved+"\n"+leak))
	// nmblookup does not show a normal group that nmbd answers for: the address is none.
	there := client.asker(t, winsAddr)
	groups := func() string {
		return there.netbios("CORP<00>") + " " + there.netbios("E2E<00>") + " " + there.netbios("E2E<1e>")
	}
	soon(t, "the groups at the first nmbd", 60*time.Second, "0.0.0.0 0.0.0.0 0.0.0.0", groups)
	samba.stop()

	l.write("policy.yaml", "controllers: [192.0.2.25/32, 192.0.2.26/32]\n")
	n := guard.nameward(t, winsWorld("{mode: own}")+"policy: policy.yaml\n")
	r := n.cli(t, "registrations", "import", l.path("nmbd-wins", "wins.dat"))
	if r.code != 1 {
		t.Errorf("import: exit code %d, want 1 for the address that may not be published", r.code)
	}
	holds(t, "import", r.out, "LEAK<20> may not be registered with these addresses", "10 registrations imported; 3 groups of which the file has no member",
		"; 1 not accepted")
	same(t, "the names here", client.lookedLike(t, guardAddr, moved+"\n"+noLeak)(), moved+"\n"+noLeak)
	n.do(t, "registrations", "add", "FIXED<20>", "--address", "192.0.2.90")
	s.registersAt(t, guardAddr, "CORP<00>", group, "192.0.2.26")

	dat := l.write("nmbd-fresh/wins.dat", "")
	holds(t, "export", n.do(t, "registrations", "export", "--format", "wins.dat", dat), "12 registrations written to "+dat)
	fresh.nmbd(t, "WINS2", "interfaces = "+freshAddr+"/24", "wins support = yes")
	const all = moved + "\n" + added + "\n" + noLeak
	soon(t, "the names at the second nmbd", 60*time.Second, all, client.lookedLike(t, freshAddr, all))
	s.registersAt(t, freshAddr, "CORP<1c>", group, "192.0.2.27")
	const joined = "CORP#1c: 192.0.2.25 192.0.2.26 192.0.2.27"
	same(t, "an internet group at the second nmbd, joined", client.lookedLike(t, freshAddr, joined)(), joined)
	same(t, "a group at the second nmbd", client.asker(t, freshAddr).netbios("CORP<00>"), "0.0.0.0")
}
