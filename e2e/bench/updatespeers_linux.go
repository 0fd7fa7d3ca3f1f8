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

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind" // of the peer, which is this program in a process of its own
	_ "github.com/coredns/coredns/plugin/dynupdate"
	_ "github.com/coredns/coredns/plugin/transfer"
	_ "github.com/coredns/coredns/plugin/tsig"
)

// dynupdateVerb as the first argument makes this program CoreDNS with its own plugin for dynamic updates.
const dynupdateVerb = "coredns-dynupdate"

func dynupdateMain(args []string) int {
	content, err := os.ReadFile(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "dynupdate:", err)
		return 2
	}
	dnsserver.Directives = []string{"bind", "tsig", "transfer", "dynupdate"}
	caddy.TrapSignals()
	instance, err := caddy.Start(caddy.CaddyfileInput{Contents: content, Filepath: args[0], ServerTypeName: "dns"})
	if err != nil {
		fmt.Fprintln(os.Stderr, "dynupdate:", err)
		return 2
	}
	instance.Wait()
	return 0
}

// updateKind is a server that takes updates.
type updateKind struct {
	name    string
	durable string // what a NOERROR of it means
	// write writes the configuration, and for peers the zone, unless it is there already. A secondary is told of
	// changes when it is valid.
	write   func(s *updateServer, secondary netip.AddrPort) error
	command func(b *bench, s *updateServer) []string
}

const (
	kindOurs = iota
	kindBIND
	kindDynupdate
)

var updateKinds = []updateKind{
	kindOurs: {"nameward", "in the journal, two fdatasync for all that wait", (*updateServer).writeOurs, func(b *bench, s *updateServer) []string {
		return []string{b.binary, "serve", "--corefile", s.path("Corefile")}
	}},
	kindBIND: {"BIND", "in its journal, two fsync for each update, as strace shows", (*updateServer).writeBIND, func(_ *bench, s *updateServer) []string {
		return []string{"named", "-f", "-n", "1", "-c", s.path("named.conf")}
	}},
	kindDynupdate: {"dynupdate", "in its database, a synchronous transaction for each, as its page says", (*updateServer).writeDynupdate, func(_ *bench, s *updateServer) []string {
		self, _ := os.Executable()
		return []string{self, dynupdateVerb, s.path("Corefile")}
	}},
}

func (s *updateServer) path(name string) string { return filepath.Join(s.dir, name) }

func write(files map[string]string) error {
	var errs []error
	for path, text := range files {
		errs = append(errs, os.WriteFile(path, []byte(text), 0o644))
	}
	return errors.Join(errs...)
}

func (s *updateServer) writeOurs(secondary netip.AddrPort) error {
	w := world{roles: 1, each: 1}
	yaml := w.yaml(places{store: s.path("state.db"), socket: s.path("s")})
	// The role has a name beside those that are registered.
	yaml = strings.Replace(yaml, dnsName(0), "role."+zone, 1)
	own := "updates: own"
	if secondary.IsValid() {
		own += fmt.Sprintf(", notify: [%q]", secondary)
	}
	yaml = strings.Replace(yaml, "zones: [{", "zones: [{"+own+", ", 1)
	return write(map[string]string{
		s.path("nameward.yaml"): yaml,
		s.path("Corefile"):      s.corefile("to *", fmt.Sprintf("nameward %q", s.path("nameward.yaml"))),
	})
}

// corefile has what both servers on CoreDNS have.
func (s *updateServer) corefile(transfer, plugin string) string {
	return fmt.Sprintf(".:%d {\n bind %s\n tsig {\n secret %s %s\n }\n transfer %s {\n %s\n }\n %s\n}\n",
		s.addr.Port(), s.addr.Addr(), updateKey, updateSecret, zone, transfer, plugin)
}

func (s *updateServer) writeDynupdate(secondary netip.AddrPort) error {
	transfer := "to *"
	if secondary.IsValid() {
		transfer += fmt.Sprintf("\n to %s", secondary)
	}
	plugin := fmt.Sprintf("dynupdate %s {\n file %q\n database %q\n allow %s * *\n max_records 2000000\n max_bytes 1000000000\n }",
		zone, s.path("zone"), s.path("zone.db"), updateKey)
	return errors.Join(s.writeZone(), write(map[string]string{s.path("Corefile"): s.corefile(transfer, plugin)}))
}

func (s *updateServer) writeBIND(secondary netip.AddrPort) error {
	notify := "notify no;"
	if secondary.IsValid() {
		notify = fmt.Sprintf("notify explicit; notify-delay 0; also-notify { %s port %d; };", secondary.Addr(), secondary.Port())
	}
	zone := fmt.Sprintf("key %q { algorithm hmac-sha256; secret %q; };\nzone %q { type primary; file \"zone\"; allow-update { key %s; }; %s };\n",
		updateKey, updateSecret, strings.TrimSuffix(zone, "."), updateKey, notify)
	return errors.Join(s.writeZone(), write(map[string]string{s.path("named.conf"): namedOptions(s.dir, s.addr) + zone}))
}

// namedOptions have no limits below the load, and no word about each update.
func namedOptions(dir string, at netip.AddrPort) string {
	return fmt.Sprintf(`options {
	directory %q; pid-file "named.pid"; session-keyfile "session.key"; listen-on port %d { %s; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; allow-transfer { any; };
	update-quota 1024; serial-query-rate 1000; notify-rate 1000; startup-notify-rate 1000;
};
controls { };
logging { channel some { file "log"; severity warning; }; channel transfers { file "transfers"; }; category default { some; }; category xfer-in { transfers; }; };
`, dir, at.Port(), at.Addr())
}

// writeZone writes the zone that a peer begins with, once.
func (s *updateServer) writeZone() error {
	path := s.path("zone")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s\n$TTL %d\n@ IN SOA ns1 hostmaster 1 60 10 604800 5\n@ IN NS ns1\nns1 IN A 192.0.2.53\n", zone, updateTTL)
	for i := range s.records {
		fmt.Fprintf(&b, "%s IN %s\n", dnsName(i), recordData(i))
	}
	return write(map[string]string{path: b.String()})
}

// recordData is type and data of a record that is there in the beginning.
func recordData(i int) string {
	if i%2 == 1 {
		return fmt.Sprintf(`TXT "site=hq rack=%d"`, i%97)
	}
	return "A " + addresses[0]
}

// startSecondary runs a BIND that follows a server, and waits until it has the zone.
func (b *bench) startSecondary(ctx context.Context, of *updateServer, at netip.AddrPort) (*process, error) {
	dir := of.path("secondary")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "named.conf")
	text := namedOptions(dir, at) + fmt.Sprintf("zone %q { type secondary; file \"copy\"; notify no; primaries { %s port %d; }; };\n",
		strings.TrimSuffix(zone, "."), of.addr.Addr(), of.addr.Port())
	if err := write(map[string]string{conf: text}); err != nil {
		return nil, err
	}
	p, err := launch(ctx, anyCore, filepath.Join(dir, "out"), "named", "-f", "-n", "1", "-c", conf)
	if err != nil {
		return nil, err
	}
	return p, untilServed(p, at)
}

// untilServed waits until a server answers for the first of the records that are there in the beginning.
func untilServed(p *process, at netip.AddrPort) error {
	a, err := newDNSAsker(at)
	if err != nil {
		return err
	}
	defer a.close()
	if _, _, err = a.until(0, address(0), startLimit); err != nil {
		return errors.Join(err, p.ended())
	}
	return nil
}

func needNamed() error {
	if _, err := exec.LookPath("named"); err != nil {
		return fmt.Errorf("%w: no named (bind9) here", errMissing)
	}
	return nil
}
