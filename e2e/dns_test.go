//go:build linux

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// pair is the world of most tests: one cluster of two nodes, a role that an operator moves, its zones.
const pair = `
classes: {management: [10.9.0.0/16]}
clusters:
  - name: mail
    nodes:
      ex1: {public: [192.0.2.11], management: [10.9.0.11], site: hq, host: ex1.corp.example.}
      ex2: {public: [192.0.2.12, "2001:db8::12"], management: [10.9.0.12, "fd00:9::12"], site: dr, host: ex2.corp.example.}
    roles:
      - name: mailbox
        dns: [mail.corp.example., owa.corp.example.]
        netbios: [MAIL]
        source: {operator: {initial: ex1}}
zones:
  - name: corp.example.
    ns: {ns1.corp.example.: [192.0.2.53], ns2.provider.example.: []}
  - name: 2.0.192.in-addr.arpa.
    ns: {ns1.corp.example.: []}
`

// wide adds a role with 40 members to pair: more than fits into 512 octets.
func wide() string {
	var b strings.Builder
	b.WriteString("  - name: web\n    nodes:\n")
	for i := range 40 {
		fmt.Fprintf(&b, "      w%d: {public: [198.51.100.%d], management: [10.9.1.%d]}\n", i, i+1, i+1)
	}
	b.WriteString("    roles:\n      - {name: pool, dns: [pool.corp.example.], netbios: [POOL], mode: all, source: {file: pool.role}}\n")
	return strings.Replace(pair, "zones:\n", b.String()+"zones:\n", 1)
}

func poolMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "w%d\n", i)
	}
	return b.String()
}

func TestDig(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	l.write("pool.role", poolMembers(40))
	n := guard.namewardWith(t, wide(), ".:53 {\n bind 192.0.2.53\n errors\n NAMEWARD\n transfer {\n to *\n }\n}\n"+
		"tls://.:853 {\n bind 192.0.2.53\n tls "+selfSigned(t, l)+"\n NAMEWARD\n}\n")
	guard.capture(t)
	for _, test := range []struct {
		name   string
		args   string
		status string
		answer string // "; " between records
		size   int    // at most; 0 for any
	}{
		{name: "A", args: "mail.corp.example A", status: "NOERROR", answer: "mail.corp.example. 5 IN A 192.0.2.11"},
		{name: "A over TCP", args: "+tcp mail.corp.example A", status: "NOERROR", answer: "mail.corp.example. 5 IN A 192.0.2.11"},
		{name: "A over TLS", args: "+tls mail.corp.example A", status: "NOERROR", answer: "mail.corp.example. 5 IN A 192.0.2.11"},
		{name: "second name", args: "owa.corp.example A", status: "NOERROR", answer: "owa.corp.example. 5 IN A 192.0.2.11"},
		{name: "0x20", args: "mAiL.CorP.exAMPLE A", status: "NOERROR", answer: "mAiL.CorP.exAMPLE. 5 IN A 192.0.2.11"},
		{name: "without EDNS", args: "+noedns mail.corp.example A", status: "NOERROR", answer: "mail.corp.example. 5 IN A 192.0.2.11", size: 70},
		{name: "ANY", args: "+notcp mail.corp.example ANY", status: "NOERROR", answer: `mail.corp.example. 3600 IN HINFO "RFC8482" ""`, size: 90},
		{name: "ANY at the apex", args: "+notcp corp.example ANY", status: "NOERROR", answer: `corp.example. 3600 IN HINFO "RFC8482" ""`, size: 90},
		{name: "NODATA", args: "mail.corp.example AAAA", status: "NOERROR"},
		{name: "NODATA of another type", args: "mail.corp.example MX", status: "NOERROR"},
		{name: "NODATA of HTTPS", args: "mail.corp.example HTTPS", status: "NOERROR"},
		{name: "NXDOMAIN", args: "nobody.corp.example A", status: "NXDOMAIN"},
		{name: "host", args: "ex2.corp.example AAAA", status: "NOERROR", answer: "ex2.corp.example. 60 IN AAAA 2001:db8::12"},
		{name: "PTR of the holder", args: "-x 192.0.2.11", status: "NOERROR", answer: "11.2.0.192.in-addr.arpa. 5 IN PTR mail.corp.example."},
		{name: "PTR of a passive node", args: "-x 192.0.2.12", status: "NOERROR", answer: "12.2.0.192.in-addr.arpa. 60 IN PTR ex2.corp.example."},
		{name: "PTR of nobody", args: "-x 192.0.2.77", status: "NXDOMAIN"},
		{name: "NS", args: "corp.example NS", status: "NOERROR", answer: "corp.example. 3600 IN NS ns1.corp.example.; corp.example. 3600 IN NS ns2.provider.example."},
		{name: "glue", args: "ns1.corp.example A", status: "NOERROR", answer: "ns1.corp.example. 3600 IN A 192.0.2.53"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := client.dig(t, guardAddr, strings.Fields(test.args)...)
			same(t, "answer", d.brief(), test.status+": "+test.answer)
			if !slices.Contains(d.flags, "aa") {
				t.Errorf("it is not authoritative: %v", d.flags)
			}
			if test.answer == "" && (len(d.authority) != 1 || !strings.Contains(d.authority[0], "IN SOA ns1.corp.example. hostmaster.")) {
				t.Errorf("a negative answer has the zone's SOA in authority, got %v", d.authority)
			}
			if test.size > 0 && d.size > test.size {
				t.Errorf("it is %d octets, want at most %d", d.size, test.size)
			}
		})
	}
	t.Run("SOA", func(t *testing.T) {
		d := client.dig(t, guardAddr, "corp.example", "SOA")
		want := fmt.Sprintf("NOERROR: corp.example. 3600 IN SOA ns1.corp.example. hostmaster.corp.example. %d 60 10 604800 5", zoneSerial(t, n, "corp.example."))
		same(t, "SOA", d.brief(), want)
	})
	t.Run("EDNS sizes", func(t *testing.T) { ednsSizes(t, client) })
	t.Run("rotation", func(t *testing.T) {
		first := map[string]bool{}
		for range 30 {
			first[client.dig(t, guardAddr, "pool.corp.example", "A").answer[0]] = true
		}
		if len(first) < 5 {
			t.Errorf("30 answers of 40 members begin with %d different ones: they are not rotated", len(first))
		}
	})
	t.Run("AXFR is what queries say", func(t *testing.T) { transferEqualsQueries(t, client, n) })
}

// selfSigned makes a certificate and its key; it returns their paths, for the tls plugin.
func selfSigned(t *testing.T, l *Lab) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"ns1.corp.example"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return l.write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))) + " " +
		l.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})))
}

func zoneSerial(t *testing.T, n *Nameward, zone string) uint32 {
	t.Helper()
	for _, z := range n.status(t).Zones {
		if z.Zone == zone {
			return z.Serial
		}
	}
	t.Fatalf("status has no zone %s", zone)
	return 0
}

func ednsSizes(t *testing.T, client *Host) {
	for _, test := range []struct {
		args      string
		limit     int
		truncated bool
	}{
		{"+noedns", 512, true},
		{"+bufsize=512", 512, true},
		{"+bufsize=4096", 1232, false},
	} {
		args := strings.Fields(test.args + " pool.corp.example A")
		over := client.dig(t, guardAddr, append(args, "+notcp", "+ignore")...)
		if got := slices.Contains(over.flags, "tc"); got != test.truncated || over.size > test.limit && test.truncated {
			t.Errorf("%s: truncated %t with %d octets; want %t and at most %d", test.args, got, over.size, test.truncated, test.limit)
		}
		whole := client.dig(t, guardAddr, args...)
		if len(whole.answer) != 40 || whole.tcp != test.truncated || whole.status != "NOERROR" {
			t.Errorf("%s: %d addresses, over TCP %t; want 40, %t", test.args, len(whole.answer), whole.tcp, test.truncated)
		}
	}
}

// transferEqualsQueries asks for every record that a transfer has and for every type of its names.
func transferEqualsQueries(t *testing.T, client *Host, n *Nameward) {
	for _, zone := range []string{"corp.example.", "2.0.192.in-addr.arpa."} {
		transferred := client.axfr(t, guardAddr, zone)
		var asked []string
		seen := map[string]bool{}
		for _, record := range transferred {
			fields := strings.Fields(record)
			name, qtype := fields[0], fields[3]
			if seen[name+qtype] {
				continue
			}
			seen[name+qtype] = true
			asked = append(asked, client.dig(t, guardAddr, name, qtype).answer...)
		}
		slices.Sort(asked)
		same(t, "transfer of "+zone, strings.Join(transferred, "\n"), strings.Join(asked, "\n"))
		if strings.Contains(strings.Join(transferred, "\n"), "10.9.") {
			t.Errorf("a management address is in the transfer of %s", zone)
		}
	}
	same(t, "names with addresses in the transfer of corp.example.", owners(client.axfr(t, guardAddr, "corp.example."), "A"),
		"ex1.corp.example. ex2.corp.example. mail.corp.example. ns1.corp.example. owa.corp.example. pool.corp.example.")
}

// owners lists the names that have a record of a type.
func owners(records []string, qtype string) string {
	var out []string
	for _, r := range records {
		if f := strings.Fields(r); f[3] == qtype && !slices.Contains(out, f[0]) {
			out = append(out, f[0])
		}
	}
	return strings.Join(out, " ")
}

// poisoned is a zone of another server whose administrator let management addresses in.
const poisoned = `$TTL 300
@     IN SOA ns h 7 3600 600 86400 300
@     IN NS  ns
@     IN MX  10 app
ns    IN A   192.0.2.54
app   IN A   10.9.0.11
app   IN A   192.0.2.77
app   IN MX  10 app
app   IN MX  20 other
app   IN TXT "v=spf1 -all"
app   IN HTTPS 1 . ipv4hint=10.9.0.11
alias IN CNAME app
_smtp._tcp IN SRV 0 0 25 app
other IN A   192.0.2.78
leak  IN A   10.9.0.12
`

const overlaid = `
  - name: apps
    nodes:
      app1: {public: [192.0.2.31], management: [10.9.0.31]}
      app2: {public: [192.0.2.32], management: [10.9.0.32]}
    roles:
      - {name: app, dns: [app.other.example.], source: {operator: {initial: app1}}}
zones:
`

func TestOverlay(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client, bind := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("bind", bindAddr)
	zone := l.write("named-bind/other.zone", poisoned)
	bind.named(t, bindAddr, fmt.Sprintf("zone other.example { type primary; file %q; };", zone), "other.example.")
	n := guard.namewardWith(t, strings.Replace(pair, "zones:\n", strings.TrimPrefix(overlaid, "\n"), 1),
		".:53 {\n bind 192.0.2.53\n errors\n NAMEWARD\n cache\n forward . 192.0.2.54\n}\n")
	guard.capture(t)
	same(t, "the upstream is poisoned", client.asker(t, bindAddr).a("app.other.example."), "10.9.0.11 192.0.2.77")
	for _, test := range []struct{ name, args, want string }{
		{"address from the role", "app.other.example A", "NOERROR: app.other.example. 5 IN A 192.0.2.31"},
		{"MX from upstream", "app.other.example MX", "NOERROR: app.other.example. 300 IN MX 10 app.other.example.; app.other.example. 300 IN MX 20 other.other.example."},
		{"TXT from upstream", "app.other.example TXT", `NOERROR: app.other.example. 300 IN TXT "v=spf1 -all"`},
		{"no address upstream is asked for", "app.other.example AAAA", "NOERROR: "},
		{"another name", "other.other.example A", "NOERROR: other.other.example. 300 IN A 192.0.2.78"},
		{"owned zone", "mail.corp.example A", "NOERROR: mail.corp.example. 5 IN A 192.0.2.11"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 { // from upstream, and from the cache
				d := client.dig(t, guardAddr, strings.Fields(test.args)...)
				slices.Sort(d.answer)
				same(t, test.args, d.brief(), test.want)
			}
		})
	}
	// Whatever is asked, no section holds a management address. The capture looks too.
	for _, question := range []string{
		"app.other.example MX", "app.other.example ANY", "app.other.example HTTPS", "alias.other.example A", "alias.other.example CNAME",
		"other.example MX", "_smtp._tcp.other.example SRV", "leak.other.example A", "leak.other.example ANY",
	} {
		t.Run("no management address: "+question, func(t *testing.T) {
			for _, transport := range []string{"+notcp", "+tcp"} {
				d := client.dig(t, guardAddr, append(strings.Fields(question), transport)...)
				if strings.Contains(d.text, "10.9.") {
					t.Errorf("there is one over %s:\n%s", transport, d.text)
				}
			}
		})
	}
	t.Run("alias of a guarded name", func(t *testing.T) {
		// Upstream's address of the guarded name must not come in beside its CNAME, be it good or bad.
		d := client.dig(t, guardAddr, "alias.other.example", "A")
		if strings.Contains(d.text, "192.0.2.77") {
			t.Errorf("upstream's address of a guarded name is answered:\n%s", d.text)
		}
	})
	n.do(t, "switch", "app", "--to", "app2")
	same(t, "after a switch", client.asker(t, guardAddr).a("app.other.example."), "192.0.2.32")
}
