//go:build linux

package e2e

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const keaAddr = "192.0.2.60"

// keaConf has Kea's D2 update both zones with the key dhcp.
const keaConf = `{"DhcpDdns": {
  "ip-address": %[1]q, "port": 53001, "dns-server-timeout": 2000,
  "tsig-keys": [{"name": "dhcp.", "algorithm": "HMAC-SHA256", "secret": %[2]q}],
  "forward-ddns": {"ddns-domains": [{"name": "corp.example.", "key-name": "dhcp.", "dns-servers": [{"ip-address": %[3]q}]}]},
  "reverse-ddns": {"ddns-domains": [{"name": "2.0.192.in-addr.arpa.", "key-name": "dhcp.", "dns-servers": [{"ip-address": %[3]q}]}]},
  "loggers": [{"name": "kea-dhcp-ddns", "severity": "INFO", "output_options": [{"output": "stdout", "flush": true}]}]
}}
`

// lease is what a DHCP server tells Kea's D2 of a lease.
type lease struct {
	change  int // 0 is added, 1 is gone
	name    string
	addr    string
	client  byte // whose it is: the DHCID is made of it
	reverse bool
}

// tell sends the change over UDP, JSON behind its length.
func (l lease) tell(t *testing.T, from *Host) {
	t.Helper()
	text := fmt.Sprintf(`{"change-type": %d, "forward-change": true, "reverse-change": %v, "fqdn": "%s.dyn.corp.example.", "ip-address": %q,
		"dhcid": "000101%s", "lease-expires-on": "20301231235959", "lease-length": 3600, "use-conflict-resolution": true}`,
		l.change, l.reverse, l.name, l.addr, strings.Repeat(fmt.Sprintf("%02X", l.client), 32))
	conn, err := from.dial("udp", keaAddr+":53001")
	if err == nil {
		defer conn.Close()
		_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestKea has the real D2 of ISC Kea register leases, with conflict resolution by DHCID (RFC 4703).
func TestKea(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client, host := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("kea", keaAddr)
	guard.owner(t, owning)
	conf := l.write("kea.conf", fmt.Sprintf(keaConf, keaAddr, dhcpKey.Secret, guardAddr))
	kea := host.start(t, "env", "KEA_PIDFILE_DIR="+l.dir, "KEA_LOCKFILE_DIR="+l.dir, "kea-dhcp-ddns", "-c", conf)
	soon(t, "Kea listens", 20*time.Second, "true", func() string { return fmt.Sprint(strings.Contains(kea.output(), "DHCP_DDNS_STARTED")) })
	ask := client.asker(t, guardAddr)
	for _, step := range []struct {
		name  string
		lease lease
		said  string // by Kea
		is    string // addresses of the name
		ptr   string // of the address
	}{
		{"a lease", lease{0, "pc", "192.0.2.77", 0xaa, true}, "DHCP_DDNS_ADD_SUCCEEDED", "192.0.2.77", "pc.dyn.corp.example."},
		{"another client wants the name", lease{0, "pc", "192.0.2.78", 0xbb, true}, "DHCP_DDNS_ADD_FAILED", "192.0.2.77", "NXDOMAIN"},
		{"the client moves", lease{0, "pc", "192.0.2.79", 0xaa, true}, "DHCP_DDNS_ADD_SUCCEEDED", "192.0.2.79", "pc.dyn.corp.example."},
		{"another client goes", lease{1, "pc", "192.0.2.79", 0xbb, false}, "DHCP_DDNS_REMOVE_FAILED", "192.0.2.79", "pc.dyn.corp.example."},
		{"the client goes", lease{1, "pc", "192.0.2.79", 0xaa, true}, "DHCP_DDNS_REMOVE_SUCCEEDED", "NXDOMAIN", "NXDOMAIN"},
		{"a management address", lease{0, "pc", "10.9.0.77", 0xaa, false}, "DHCP_DDNS_ADD_SUCCEEDED", "NODATA", ""},
		{"it goes", lease{1, "pc", "10.9.0.77", 0xaa, false}, "DHCP_DDNS_REMOVE_SUCCEEDED", "NXDOMAIN", ""},
		{"the second card of a client", lease{0, "pc", "192.0.2.77", 0xaa, true}, "DHCP_DDNS_ADD_SUCCEEDED", "192.0.2.77", "pc.dyn.corp.example."},
	} {
		before := strings.Count(kea.output(), step.said)
		step.lease.tell(t, client)
		soon(t, step.name, 20*time.Second, "true", func() string { return fmt.Sprint(strings.Count(kea.output(), step.said) > before) })
		same(t, step.name, ask.a("pc.dyn.corp.example."), step.is)
		if reverse, err := dns.ReverseAddr(step.lease.addr); step.ptr != "" {
			same(t, step.name+": PTR", ask.lookup(reverse, dns.TypePTR), step.ptr)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	same(t, "the DHCID", ask.lookup("pc.dyn.corp.example.", dns.TypeDHCID)[:4], "AAEB")
}
