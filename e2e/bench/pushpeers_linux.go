package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The namespaces of the peers that insist on a port. The others listen beside nameward, in that of the client.
const (
	peerNmbd  = iota
	peerWINS  // Samba AD as a WINS server; the nodes' addresses are in its network, so that it can challenge them
	peerWrepl // Samba AD as a partner of replication
	peerDC    // Samba AD with KDC and name server
	pushPeers
)

// Zones of other servers, and that of the domain.
const (
	pushZone  = "push.example."
	sambaZone = "bench.example."
)

// Names of targets that the report tells apart.
const (
	targetNotify  = "secondary"
	targetNmbd    = "nmbd"
	targetWrepl   = "partner"
	targetUnbound = "unbound"
	targetDnsmasq = "dnsmasq"
	targetHook    = "hook"
)

// pushPeer is a peer that can be a target.
type pushPeer struct {
	name, what string
	start      func(context.Context) error
}

// peers are all there are, in the order of the table.
func (l *pushLab) peers() []pushPeer {
	domain := &pushDomain{lab: l}
	return []pushPeer{
		{targetNotify, "a BIND secondary, by NOTIFY and IXFR", l.bindSecondary},
		{"primary", "a BIND primary, by update with TSIG", l.bindPrimary},
		{"dc", "Samba AD's name server, by update with GSS-TSIG", domain.nameServer},
		{targetNmbd, "nmbd as WINS server, by registration", l.nmbd},
		{"wins", "Samba AD as WINS server, by registration", domain.wins},
		{targetWrepl, "Samba AD as WINS server, by replication", domain.partner},
		{targetUnbound, "unbound, which forgets", l.unbound},
		{targetDnsmasq, "dnsmasq, which forgets", l.dnsmasq},
		{targetHook, "a program (/bin/true)", func(context.Context) error {
			l.target(targetHook, ownedRole, "hook: {command: [/bin/true]}")
			return nil
		}},
	}
}

// target adds one to the configuration.
func (l *pushLab) target(name, role, kind string) {
	l.list += fmt.Sprintf("    - {name: %s, roles: [%s], %s}\n", name, role, kind)
}

// beside is where a peer listens that shares the namespace with nameward.
func beside(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// subdir makes a directory of the lab.
func (l *pushLab) subdir(name string) (string, error) {
	dir := l.path(name)
	return dir, os.MkdirAll(dir, 0o755)
}

// bind runs named with some zones beside nameward.
func (l *pushLab) bind(ctx context.Context, name string, at netip.AddrPort, zones string) error {
	if err := needNamed(); err != nil {
		return err
	}
	dir, err := l.subdir(name)
	if err != nil {
		return err
	}
	conf := filepath.Join(dir, "named.conf")
	files := map[string]string{conf: namedOptions(dir, at) + zones, filepath.Join(dir, "zone"): emptyZone}
	if err := write(files); err != nil {
		return err
	}
	return l.launch(ctx, l.ns.client, name, "named", "-f", "-n", "1", "-c", conf)
}

// emptyZone is what a primary begins with.
const emptyZone = "$TTL 60\n@ IN SOA ns1 hostmaster 1 3600 600 604800 5\n@ IN NS ns1\nns1 IN A 192.0.2.53\n"

// secondaryZone has named follow the owned zone of a server.
func secondaryZone(of netip.AddrPort) string {
	return fmt.Sprintf("zone %q { type secondary; file \"copy\"; notify no; primaries { %s port %d; }; };\n", strings.TrimSuffix(zone, "."), of.Addr(), of.Port())
}

// primaryZone has named take updates of a zone.
func primaryZone(name string) string {
	return fmt.Sprintf("key %q { algorithm hmac-sha256; secret %q; };\nzone %q { type primary; file \"zone\"; allow-update { key %[1]s; }; notify no; };\n",
		updateKey, updateSecret, strings.TrimSuffix(name, "."))
}

func (l *pushLab) bindSecondary(context.Context) error {
	if err := needNamed(); err != nil {
		return err
	}
	l.notify = fmt.Sprintf(", notify: [{address: %q, name: %s}]", beside(5301), targetNotify)
	l.later = func(ctx context.Context) error {
		return l.bind(ctx, "bind-secondary", beside(5301), secondaryZone(beside(53)))
	}
	return nil
}

func (l *pushLab) bindPrimary(ctx context.Context) error {
	key := l.path("push.key")
	if err := os.WriteFile(key, []byte(updateKey+":"+updateSecret+"\n"), 0o600); err != nil {
		return err
	}
	l.target("primary", otherRole, fmt.Sprintf("update: {zone: %s, primary: [%q], key: %s}", pushZone, beside(5302), key))
	return l.bind(ctx, "bind-primary", beside(5302), primaryZone(pushZone))
}

func (l *pushLab) nmbd(ctx context.Context) error {
	p, err := startNmbd(ctx, l.ns.servers[peerNmbd], serverAddr(peerNmbd), l.path("nmbd"))
	if err != nil {
		return err
	}
	l.processes = append(l.processes, p)
	l.target(targetNmbd, ownedRole, "wins: {server: "+serverAddr(peerNmbd)+"}")
	return nil
}

func (l *pushLab) unbound(ctx context.Context) error {
	if _, err := exec.LookPath("unbound"); err != nil {
		return fmt.Errorf("%w: no unbound here", errMissing)
	}
	dir, err := l.subdir("unbound")
	if err != nil {
		return err
	}
	conf := filepath.Join(dir, "unbound.conf")
	text := fmt.Sprintf(`server:
 interface: 127.0.0.1@5303
 username: ""
 chroot: ""
 directory: %q
 pidfile: ""
 use-syslog: no
 module-config: "iterator"
 do-ip6: no
 do-not-query-localhost: no
remote-control:
 control-enable: yes
 control-interface: %s/ctl
stub-zone:
 name: %[3]q
 stub-addr: 127.0.0.1@53
`, dir, dir, zone)
	if err := write(map[string]string{conf: text}); err != nil {
		return err
	}
	l.target(targetUnbound, ownedRole, fmt.Sprintf("cache: {kind: unbound, control: %s/ctl, server: %q}", dir, beside(5303)))
	return l.launch(ctx, l.ns.client, "unbound", "unbound", "-d", "-c", conf)
}

func (l *pushLab) dnsmasq(ctx context.Context) error {
	if _, err := exec.LookPath("dnsmasq"); err != nil {
		return fmt.Errorf("%w: no dnsmasq here", errMissing)
	}
	pid := l.path("dnsmasq.pid")
	l.target(targetDnsmasq, ownedRole, fmt.Sprintf("cache: {kind: dnsmasq, control: %s, server: %q}", pid, beside(5304)))
	return l.launch(ctx, l.ns.client, "dnsmasq", "dnsmasq", "-k", "-C", "/dev/null", "-u", "root", "-p", "5304", "--listen-address=127.0.0.1",
		"--bind-interfaces", "--no-resolv", "--no-hosts", "--server=/"+strings.TrimSuffix(zone, ".")+"/127.0.0.1", "--pid-file="+pid, "--cache-size=1000")
}

// pushDomain is a domain of Samba's. Its three servers run copies of it, each another service.
type pushDomain struct {
	lab    *pushLab
	made   bool
	failed error
}

// What of the domain is used.
const (
	domainUser     = "nameward"
	domainPassword = "Gu4rd.Bench"
)

// make provisions the domain once, with a user who may write its zone.
func (d *pushDomain) make(ctx context.Context) (dir string, err error) {
	dir = d.lab.path("domain")
	if d.made {
		return dir, d.failed
	}
	d.made = true
	d.failed = provisionAD(ctx, d.lab.ns.servers[peerDC], serverAddr(peerDC), dir, "SAMBA_INTERNAL")
	for _, line := range [][]string{
		{"user", "create", domainUser, domainPassword},
		{"group", "addmembers", "DnsAdmins", domainUser},
	} {
		if d.failed == nil {
			d.failed = d.tool(ctx, "samba-tool", append(line, "-s", filepath.Join(dir, "etc", "smb.conf"))...)
		}
	}
	return dir, d.failed
}

// tool runs a program of Samba's beside the domain's name server.
func (d *pushDomain) tool(ctx context.Context, name string, args ...string) error {
	cmd := command(ctx, "ip", within(d.lab.ns.servers[peerDC], append([]string{name}, args...)...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, args[0], err, lastLineOf(string(out)))
	}
	return nil
}

// run starts a copy of the domain with some services; prepare changes it before.
func (d *pushDomain) run(ctx context.Context, peer int, services string, prepare func(*sambaAD) error) error {
	made, err := d.make(ctx)
	if err != nil {
		return err
	}
	dir := fmt.Sprintf("%s-%d", made, peer)
	if out, err := command(ctx, "cp", "-a", made, dir).CombinedOutput(); err != nil {
		return fmt.Errorf("copying the domain: %w: %s", err, lastLineOf(string(out)))
	}
	s := &sambaAD{dir: dir, services: services}
	if prepare != nil {
		if err := prepare(s); err != nil {
			return err
		}
	}
	p, err := s.start(ctx, d.lab.ns.servers[peer], serverAddr(peer))
	if err == nil {
		d.lab.processes = append(d.lab.processes, p)
	}
	return err
}

func (d *pushDomain) nameServer(ctx context.Context) error {
	password := d.lab.path("password")
	if err := os.WriteFile(password, []byte(domainPassword+"\n"), 0o600); err != nil {
		return err
	}
	err := d.run(ctx, peerDC, "rpc, ldap, cldap, kdc, dns", func(s *sambaAD) error {
		s.more = []string{"dns update command = /bin/true"}
		return nil
	})
	if err != nil {
		return err
	}
	at := serverAddr(peerDC)
	d.lab.target("dc", otherRole, fmt.Sprintf(
		"update: {zone: %s, primary: [%s], identity: {principal: %s@BENCH.EXAMPLE, password_file: %s, kdc: [%s], service: [benchad.%s]}}",
		sambaZone, at, domainUser, password, at, sambaZone))
	return nil
}

func (d *pushDomain) wins(ctx context.Context) error {
	d.lab.target("wins", ownedRole, "wins: {server: "+serverAddr(peerWINS)+"}")
	return d.run(ctx, peerWINS, "nbt", nil)
}

func (d *pushDomain) partner(ctx context.Context) error {
	at := serverAddr(peerWrepl)
	d.lab.partner = fmt.Sprintf("  wrepl: {address: %s, partners: [{address: %s, name: %s}]}\n", clientAddr(peerWrepl), at, targetWrepl)
	return d.run(ctx, peerWrepl, "nbt wrepl", func(s *sambaAD) error {
		s.more = []string{"winsdb:local_owner = " + at}
		ldif := filepath.Join(s.dir, "partner.ldif")
		text := fmt.Sprintf("dn: CN=BENCH,CN=PARTNERS\nobjectClass: wreplPartner\nname: BENCH\naddress: %s\ntype: 0x3\npullInterval: 3600\n"+
			"pullRetryCount: 3\npushChangeCount: 1\npushUseInform: 1\n", clientAddr(peerWrepl))
		return errors.Join(write(map[string]string{ldif: text}), d.tool(ctx, "ldbadd", "-H", filepath.Join(s.dir, "private", "wins_config.ldb"), ldif))
	})
}
