//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const (
	clientSecret = "Y2xpZW50J3Mgc2VjcmV0IG9mIHRoZSBsYWI="
	gateSecret   = "Z2F0ZSdzIHNlY3JldCBvZiB0aGUgbGFiIGE="
)

// gatedWorld is a pair whose public name lies in a zone of another server, with what becomes of the updates of
// that zone behind it.
func gatedWorld(zone, updates string) string {
	return fmt.Sprintf(`
classes: {management: [10.9.0.0/16]}
clusters:
  - name: pair
    nodes:
      ex1: {public: [192.0.2.11], management: [10.9.0.11], host: ex1.%[1]s}
      ex2: {public: [192.0.2.12], management: [10.9.0.12], host: ex2.%[1]s}
    roles:
      - {name: mailbox, dns: [mail.%[1]s], source: {operator: {initial: ex1}}}
updates:
%[2]s
`, zone, updates)
}

// resolves has the programs in the host ask a resolver, and know a few hosts.
func (h *Host) resolves(t *testing.T, server, domain string, hosts ...string) {
	t.Helper()
	dir := filepath.Join("/etc/netns", h.ns)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h.lab.t.Cleanup(func() { os.RemoveAll(dir) })
	writeAtomic(t, filepath.Join(dir, "resolv.conf"), "nameserver "+server+"\nsearch "+domain+"\n")
	writeAtomic(t, filepath.Join(dir, "hosts"), "127.0.0.1 localhost\n"+strings.Join(hosts, "\n")+"\n")
}

// updates sends updates in the words of nsupdate and gives its exit code and what it printed.
func (h *Host) updates(t *testing.T, env []string, flags string, script ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	writeAtomic(t, path, strings.Join(script, "\n")+"\nsend\n")
	r := h.try(t, env, append(append([]string{"nsupdate"}, strings.Fields(flags)...), path)...)
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.code, r.out))
}

// gatedBind starts BIND as the primary of ad.example.
func (h *Host) gatedBind(t *testing.T, policy string) *Process {
	t.Helper()
	path := h.lab.path("named-"+h.name, "ad")
	if _, err := os.Stat(path); err != nil {
		h.lab.write("named-"+h.name+"/ad", `$TTL 60
@ SOA ns1 hostmaster 1 3600 600 86400 60
@ NS ns1
ns1 A 192.0.2.54
gate A 192.0.2.53
`)
	}
	return h.named(t, bindAddr, fmt.Sprintf(`
key "gate." { algorithm hmac-sha256; secret %q; };
key "client." { algorithm hmac-sha256; secret %q; };
zone "ad.example" { type primary; file "ad"; update-policy { %s }; };
`, gateSecret, clientSecret, policy), "ad.example.")
}

// twoCards is what a host registers that has a management card.
const twoCards = "update delete pc1.ad.example A\nupdate add pc1.ad.example 60 A 10.9.0.40\nupdate add pc1.ad.example 60 A 192.0.2.40"

// noManagement fails the test if the zone has a management address.
func noManagement(t *testing.T, from *Host, server, zone string) {
	t.Helper()
	all := strings.Join(from.axfr(t, server, zone), "\n")
	if !strings.Contains(all, " SOA ") {
		t.Errorf("no zone was transferred: %s", all)
	}
	if strings.Contains(all, "10.9.") {
		t.Errorf("a management address is in zone %s of the primary:\n%s", zone, all)
	}
}

// mname is the primary in the SOA record of an answer.
func mname(t *testing.T, a *Asker, name string, qtype uint16) string {
	t.Helper()
	r, err := a.exchange(name, qtype)
	if err != nil {
		t.Fatal(err)
	}
	for _, rr := range append(r.Answer, r.Ns...) {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa.Ns
		}
	}
	return "none"
}

// logged waits until the guard has written a line with all the parts.
func (n *Nameward) logged(t *testing.T, parts ...string) {
	t.Helper()
	soon(t, fmt.Sprint("the log has a line with ", parts), 5*time.Second, "yes", func() string {
		for line := range strings.Lines(n.output()) {
			has := true
			for _, p := range parts {
				has = has && strings.Contains(line, p)
			}
			if has {
				return "yes"
			}
		}
		return n.output()
	})
}
